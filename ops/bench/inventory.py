"""(g) The inventory of a daemon with 10,000 files in 1,000 datasets: how long it takes to answer, and from when on.

``first start``: nothing was seen of the files, each has to be opened once. ``restart``: after a stop, or a kill, what
was seen before is known. ``at rest``: nothing changes; ``while it looks``: requests from the moment at which the
daemon is there, until it has looked at all of the files. ``live``: streams add files all the time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

import msgspec
from daemon import Daemon, title
from harness import ROOT, Child, Measurement, Report, arguments, finish, peak_memory, percentile
from stored import many_files, names

import dccd
from dccd.client.client import Client
from dccd.store.reader import Store
from dccd.symbols import Dataset

WANTED = 50.0
"""Milliseconds: what a request may take at most, at rest, to count as answered in milliseconds on a busy machine."""


async def asked(client: Client, count: int) -> list[float]:
    """Milliseconds of so many inventories, one after the other, in order."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        await client.inventory()
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


async def until_looked_at(url: str, datasets: int) -> tuple[float, list[float]]:
    """Seconds until all were looked at, and the milliseconds of the requests meanwhile."""
    began, found = time.perf_counter(), []
    async with dccd.connect(url) as client:
        while True:
            at = time.perf_counter()
            entries = await client.inventory()
            found.append((time.perf_counter() - at) * 1000)
            if len(entries) >= datasets and all(entry.looked_at is not None for entry in entries):
                return time.perf_counter() - began, sorted(found)
            if time.perf_counter() - began > 300:
                raise SystemExit("not looked at in 300 s")


def shown(case: str, times: Sequence[float], **more: float) -> Measurement:
    figures = {
        "requests": len(times),
        "p50 ms": percentile(times, 0.5),
        "p99 ms": percentile(times, 0.99),
        "most ms": times[-1],
    }
    return Measurement(case, title(), {**figures, **more})


async def pages(client: Client) -> tuple[int, int]:
    """How many pages there are, and the bytes of all."""
    number, size, after = 0, 0, None
    while number == 0 or after is not None:
        body = await client.request_raw("inventory", msgspec.json.encode({"after": after}))
        number, size, after = number + 1, size + len(body), msgspec.json.decode(body)["next"]
    return number, size


async def at_rest(url: str, requests: int) -> tuple[list[float], int, int]:
    async with dccd.connect(url) as client:
        return await asked(client, requests), *await pages(client)


async def live(url: str, streams: int, requests: int) -> list[float]:
    async with dccd.connect(url) as client:
        for name in names(streams):
            await client.start_stream("binance", name)
        deadline = time.monotonic() + 60
        while sum(entry.live for entry in await client.inventory("binance")) < streams:
            if time.monotonic() > deadline:
                raise SystemExit("not all streams are live after 60 s")
            await asyncio.sleep(0.2)
        found: list[float] = []
        while len(found) < requests:  # over some flushes
            found += await asked(client, 10)
            await asyncio.sleep(0.1)
        return sorted(found)


def once(report: Report, datasets: int, files: int, requests: int, streams: int) -> None:
    program = [sys.executable, ROOT / "ops" / "bench" / "exchange.py", "--rate", "10", "--streams", streams]
    with Child(program, "simulator") as exchange:
        config = {
            "exchanges": {"binance": {"ws_url": exchange.ready["ws_url"], "rest_url": exchange.ready["rest_url"]}},
            "storage": {"flush_interval": "2s"},
        }
        daemon = Daemon(config)
        many_files(daemon.folder / "data", datasets, files)
        with daemon:
            seconds, times = asyncio.run(until_looked_at(daemon.url, datasets))
            report.add(shown("first start, while it looks", times, **{"looked at after s": seconds}))
            times, number, size = asyncio.run(at_rest(daemon.url, requests))
            more = {"pages": number, "reply bytes": size, "peak MB": peak_memory(daemon.pid)}
            report.add(shown("at rest", times, **more))
            daemon.restart()
            seconds, times = asyncio.run(until_looked_at(daemon.url, datasets))
            report.add(shown("restart, while it looks", times, **{"looked at after s": seconds}))
            times = asyncio.run(live(daemon.url, streams, requests))
            report.add(shown(f"{streams} of them live", times, **{"peak MB": peak_memory(daemon.pid)}))
            store = Store(daemon.folder / "data")
            held = sum(store.stats(Dataset.make("binance", "trades", name)).rows for name in names(streams))
            assert held > streams * files // datasets * 100, "nothing was stored meanwhile"


def main() -> None:
    options = arguments(
        __doc__ or "",
        ("--files", {"type": int, "default": 10_000, "help": "how many files (10,000)"}),
        ("--datasets", {"type": int, "default": 1000, "help": "over so many datasets (1,000)"}),
        ("--requests", {"type": int, "default": 200, "help": "of each case (200)"}),
        ("--streams", {"type": int, "default": 50, "help": "so many of the datasets are live (50)"}),
    )
    report = Report(f"The inventory of {options.files:,} files in {options.datasets:,} datasets, over the bus")
    for _ in range(options.rounds):
        once(report, options.datasets, options.files, options.requests, options.streams)
    for one in report.medians():
        if one.figures["p50 ms"] > WANTED:
            report.verdicts.append(f"{one.case}: SLOWER THAN ASKED: {one.figures['p50 ms']:.1f} ms ({WANTED:g})")
    finish(report, options.json)


if __name__ == "__main__":
    main()
