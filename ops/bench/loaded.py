"""(e) Request latency under load: 50 live streams with 20,000 trades a second together, next to a bare micro echo.

The trades go the whole way meanwhile: socket, parser, bus, files. Each operation is asked for one request after the
other, and by eight clients at once. The echo is a nats-py micro service in a process of its own, on the same bus under
the same load: what is between it and an operation is what the daemon adds. That the load was carried is told by the
rows: those that were due, and those that are on the bus.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
import nats
from daemon import Daemon, live, records, title
from harness import ROOT, Child, Measurement, Report, arguments, family_cpu, finish, percentile
from stored import names

import dccd
from dccd.client import Client

AT_ONCE = 8
WARMING = 20

Ask = Callable[[], Awaitable[bytes]]


def asked(dataset: str) -> list[tuple[str, dict[str, object]]]:
    """Operations that people and scripts ask for again and again, with a request each."""
    return [
        ("health", {}),
        ("streams.list", {}),
        ("jobs.list", {}),
        ("tree", {}),
        ("runs.list", {"limit": 50}),
        ("inventory", {}),
        ("coverage", {"dataset": dataset}),
        ("read", {"dataset": dataset, "newest": True, "limit": 100}),
        ("exchanges", {"exchange": "binance"}),
        ("operations", {}),
        ("metrics", {"prefix": "dccd_stream_"}),
    ]


async def timed(count: int, ask: Ask) -> list[float]:
    """Seconds that each of *count* requests took, one after the other."""
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        await ask()
        seconds.append(time.perf_counter() - began)
    return seconds


async def both(who: str, count: int, ask: Ask, size: int) -> list[Measurement]:
    """*who*, one at a time and several at once."""
    await timed(WARMING, ask)
    alone = await timed(count, ask)
    parts = await asyncio.gather(*(timed(count // AT_ONCE, ask) for _ in range(AT_ONCE)))
    together = [second for part in parts for second in part]
    return [
        Measurement(
            case,
            who,
            {
                "p50 ms": percentile(sorted(seconds), 0.5) * 1000,
                "p99 ms": percentile(sorted(seconds), 0.99) * 1000,
                "reply bytes": size,
                "requests": len(seconds),
            },
        )
        for case, seconds in (("one at a time", alone), (f"{AT_ONCE} at once", together))
    ]


async def echo(url: str, count: int) -> list[Measurement]:
    bus = await nats.connect(url)

    async def ask() -> bytes:
        return (await bus.request("bare.echo", b"{}", timeout=30)).data

    try:
        return await both("bare micro echo", count, ask, 2)
    finally:
        await bus.close()


async def operations(client: Client, count: int, dataset: str) -> list[Measurement]:
    known = {entry.name for entry in await client.operations()}
    found = []
    for name, message in asked(dataset):
        if name not in known:
            raise SystemExit(f"this daemon has no operation {name}")
        payload = msgspec.json.encode(message)

        async def ask(name: str = name, payload: bytes = payload) -> bytes:
            return await client.request_raw(name, payload, timeout=30)

        size = len(await ask())
        found += await both(f"{title()} {name}", count, ask, size)
    return found


async def under_load(daemon: Daemon, options: argparse.Namespace, report: Report) -> None:
    streams, pace, count = options.streams, options.pace, options.requests
    dataset = f"binance.trades.{names(1)[0].replace('/', '-')}"
    async with dccd.connect(daemon.url) as client:
        await live(client, streams, 60)
        # What was written while the streams started has to be caught up with first.
        await asyncio.sleep(10)
        runner = [sys.executable, ROOT / "ops" / "bench" / "bare.py", "echo", "--url", daemon.url]
        with Child(runner, "bare-echo"):
            began, before, cpu = time.monotonic(), await records(client), sum(family_cpu(daemon.pid).values())
            bare = await echo(daemon.url, count)
            ours = await operations(client, count, dataset)
            wall = time.monotonic() - began
            came = await records(client) - before
            used = sum(family_cpu(daemon.pid).values()) - cpu
        report.add(*sorted([*bare, *ours], key=lambda one: one.case, reverse=True))
        carried = {"rows due/s": float(pace), "rows/s": came / wall, "CPU": used / wall}
        report.add(Measurement("the load meanwhile", title(), carried, f"{streams} streams, bus included"))
        if came < 0.97 * pace * wall:
            report.verdicts.append(f"THE LOAD WAS NOT CARRIED: {came / wall:,.0f} of {pace:,} rows/s")
        health = await client.health()
        report.verdicts += [f"NOT HEALTHY: {check.detail}" for check in health.checks if not check.ok]


def main() -> None:
    options = arguments(
        __doc__ or "",
        ("--streams", {"type": int, "default": 50, "help": "live streams (50)"}),
        ("--pace", {"type": int, "default": 20_000, "help": "trades a second of all together (20,000)"}),
        ("--requests", {"type": int, "default": 400, "help": "of each operation, and of each way (400)"}),
    )
    report = Report(f"Request latency under {options.streams} streams with {options.pace:,} trades/s together")
    each = options.pace / options.streams
    for _ in range(options.rounds):
        # For an hour at most: whatever happens here, the source ends by itself.
        source = [sys.executable, ROOT / "ops" / "bench" / "source.py", "--rows", int(each * 3600)]
        with Child([*source, "--streams", options.streams, "--rate", each], "source") as frames:
            config = {"exchanges": {"binance": {"ws_url": f"ws://127.0.0.1:{frames.ready['port']}"}}}
            with Daemon(config) as daemon:
                asyncio.run(under_load(daemon, options, report))
    finish(report, options.json)


if __name__ == "__main__":
    main()
