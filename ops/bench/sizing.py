"""What streams cost while they are collected at a given pace: memory, CPU, and bytes on the bus.

The trades go the whole way: socket, parser, bus, files. Memory is resident, CPU is CPU time in per cent of one core, of
the daemon and of its nats-server; bytes on the bus are JetStream's. (``folding`` has the bytes of the files.)
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

import nats
from daemon import Daemon, live, records, title
from harness import ROOT, Child, Measurement, Report, arguments, family, family_cpu, finish

import dccd
from dccd import subjects

CASES = ((0, 0.0, 2), (50, 1.0, 2), (50, 20.0, 2), (50, 200.0, 2), (500, 1.0, 2), (500, 1.0, 30))
"""Streams, trades a second of each, and ``storage.flush_interval``."""
SETTLING = 10.0


def memory(pid: int) -> dict[str, float]:
    """MB resident by program, of the process and what it has started."""
    found: dict[str, float] = {}
    for one, name in family(pid).items():
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found[name] = found.get(name, 0.0) + int(line.split()[1]) / 1024
    return found


async def measured(daemon: Daemon, streams: int, each: float, seconds: float) -> dict[str, float]:
    """The figures of one case, once its streams are live."""
    async with dccd.connect(daemon.url) as client:
        await live(client, streams, 120)
        await asyncio.sleep(SETTLING)
        bus = await nats.connect(daemon.url)
        jetstream = bus.jetstream()
        before = (await jetstream.stream_info(subjects.STREAM_TICKS)).state
        began, used = time.monotonic(), family_cpu(daemon.pid)
        had = await records(client)
        await asyncio.sleep(seconds)
        wall, now = time.monotonic() - began, family_cpu(daemon.pid)
        came = await records(client) - had
        after = (await jetstream.stream_info(subjects.STREAM_TICKS)).state
        await bus.close()
        health = await client.health()
    if unwell := [check.detail for check in health.checks if not check.ok]:
        raise SystemExit(f"not healthy: {unwell}")
    if came < 0.97 * streams * each * wall:
        raise SystemExit(f"the load was not carried: {came / wall:,.0f} of {streams * each:,.0f} trades/s")
    spent = {name: now[name] - used.get(name, 0.0) for name in now}
    server = spent.pop("nats-server", 0.0)
    resident = memory(daemon.pid)
    return {
        "trades/s": came / wall,
        "daemon MB": sum(size for name, size in resident.items() if name != "nats-server"),
        "bus MB": resident.get("nats-server", 0.0),
        "daemon core %": 100 * sum(spent.values()) / wall,
        "bus core %": 100 * server / wall,
        "trades a message": came / max(1, after.messages - before.messages),
        "bus bytes a trade": (after.bytes - before.bytes) / max(1, came),
    }


def case(streams: int, each: float, flush: int, options: argparse.Namespace) -> Measurement:
    """One case with a source and a daemon of its own."""
    # For ten minutes at most: whatever happens here, the source ends by itself.
    source = [sys.executable, ROOT / "ops" / "bench" / "source.py", "--rows", int(each * 600) or 1]
    with Child([*source, "--streams", max(1, streams), "--rate", each or 1], "source") as frames:
        config = {
            "exchanges": {"binance": {"ws_url": f"ws://127.0.0.1:{frames.ready['port']}"}},
            "storage": {"flush_interval": flush},
        }
        with Daemon(config) as daemon:
            figures = asyncio.run(measured(daemon, streams, each, options.seconds))
    return Measurement(f"{streams} streams of {each:g} trades/s, flushed each {flush} s", title(), figures)


def main() -> None:
    options = arguments(
        __doc__ or "", ("--seconds", {"type": float, "default": 30.0, "help": "how long each case is measured (30)"})
    )
    report = Report("What streams cost")
    for _ in range(options.rounds):
        for streams, each, flush in CASES:
            report.add(case(streams, each, flush, options))
    finish(report, options.json)


if __name__ == "__main__":
    main()
