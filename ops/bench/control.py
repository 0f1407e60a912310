"""(d) Request latency: ``dccd.runs.list`` with 100,000 runs in history, next to a bare micro echo.

The echo is a nats-py micro service that does nothing, once with a reply of two bytes and once with one as long as the
page of runs: what is between the latter and dccd is what dccd adds.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
import nats
from daemon import BareServer, Daemon, title
from harness import ROOT, Child, Measurement, Report, arguments, finish, percentile

import dccd
from dccd import subjects
from dccd.runs import Run, new_run_id
from dccd.symbols import NS

WARMING = 100


def history(count: int) -> list[tuple[str, bytes]]:
    """Keys and values of *count* finished runs, one a minute until now, as the daemon's own records are."""
    now = time.time_ns()
    entries = []
    for index in range(count):
        at = now - (count - index) * 60 * NS
        run = Run(
            run_id=new_run_id(at, secrets.randbits(74)),
            dataset=f"binance.ohlc.{('BTC', 'ETH', 'SOL', 'ADA')[index % 4]}-USDT.1m",
            state="done" if index % 50 else "failed",
            host="bench",
            created=at,
            started=at,
            finished=at + 30 * NS,
            updated=at + 30 * NS,
            start=at - 3600 * NS,
            end=at,
            position=at,
            rows=60,
            error=None if index % 50 else "ExchangeDown: 503 Service Unavailable",
        )
        entries.append((subjects.run_key(run.run_id, run.job), msgspec.json.encode(run)))
    return entries


async def fill(url: str, entries: list[tuple[str, bytes]]) -> None:
    """Put the history into the bucket, as fast as the bus takes it."""
    bus = await nats.connect(url)
    stream = bus.jetstream(publish_async_max_pending=512)
    for key, value in entries:
        await stream.publish_async(f"$KV.{subjects.BUCKET_RUNS}.{key}", value, wait_stall=30)
    await stream.publish_async_completed()
    await bus.close()


async def timed(count: int, ask: Callable[[], Awaitable[bytes]]) -> tuple[list[float], int]:
    """Seconds that each of *count* requests took, one after the other, and the size of the last reply."""
    seconds, reply = [], b""
    for _ in range(WARMING):
        await ask()
    for _ in range(count):
        began = time.perf_counter()
        reply = await ask()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds), len(reply)


def measured(who: str, seconds: list[float], size: int) -> Measurement:
    figures = {
        "p50 ms": percentile(seconds, 0.5) * 1000,
        "p99 ms": percentile(seconds, 0.99) * 1000,
        "reply bytes": size,
    }
    return Measurement("one request at a time", who, {**figures, "requests": len(seconds)})


async def runs_list(url: str, count: int, runs: int) -> tuple[list[float], int]:
    async with dccd.connect(url) as client:
        listed = await client.runs(limit=50)
        if len(listed) != min(50, runs):
            raise SystemExit(f"runs.list gives {len(listed)} of {runs:,} runs")
        return await timed(count, lambda: client.request_raw("runs.list"))


async def echo(url: str, count: int) -> tuple[list[float], int]:
    bus = await nats.connect(url)

    async def ask() -> bytes:
        return (await bus.request("bare.echo", b"{}", timeout=10)).data

    try:
        return await timed(count, ask)
    finally:
        await bus.close()


def bare(count: int, size: int) -> Measurement:
    runner = [sys.executable, ROOT / "ops" / "bench" / "bare.py", "echo", "--bytes", str(size), "--url"]
    with BareServer() as server, Child([*runner, server.url], "bare-echo"):
        return measured(f"bare micro echo, {size:,} bytes", *asyncio.run(echo(server.url, count)))


def main() -> None:
    options = arguments(
        __doc__,
        ("--runs", {"type": int, "default": 100_000, "help": "in history (100,000)"}),
        ("--requests", {"type": int, "default": 2000, "help": "of a measurement (2,000)"}),
    )
    report = Report(f"Request latency, {options.runs:,} runs in history")
    with Daemon({}) as daemon:
        asyncio.run(fill(daemon.url, history(options.runs)))
        for _ in range(options.rounds):
            page = measured(
                f"{title()}, runs.list", *asyncio.run(runs_list(daemon.url, options.requests, options.runs))
            )
            report.add(bare(options.requests, 2), bare(options.requests, int(page.figures["reply bytes"])), page)
    finish(report, options.json)


if __name__ == "__main__":
    main()
