"""(a) Ingest: frames from a socket to rows in fsynced segments and on the bus, in one collector process.

The same source of Binance trades feeds, in turns: cryptofeed 3.0.1, which parses and calls back and stores nothing;
dccd 3.8.1, which rewrites the day's file at each flush; and this dccd, all the way through its bus to disk. Where a
line says "stored", that many rows were in the day before the rows that are timed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

from daemon import Daemon, title
from environments import CRYPTOFEED, DCCD3, Unavailable
from harness import ROOT, Child, Measurement, Report, arguments, cpu_seconds, finish, peak_memory, rate

import dccd
from dccd.symbols import Dataset

OTHERS = ROOT / "ops" / "bench" / "others"
WANTED = 1.5
STRETCH = 1_000_000
"""Rows over which the rate at a fill is taken."""


def symbols(count: int) -> list[str]:
    """BTC-USDT, or *count* made-up ones."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return ["BTC-USDT"] if count == 1 else [f"X{letters[i // 26]}{letters[i % 26]}-USDT" for i in range(count)]


def source(rows: int, streams: int = 1) -> Child:
    """The source with *rows* a symbol, which starts when *streams* are subscribed to."""
    program = [sys.executable, ROOT / "ops" / "bench" / "source.py"]
    return Child([*program, "--rows", str(rows), "--streams", str(streams)], "source", timeout=120)


def cryptofeed(case: str, streams: int, rows: int) -> Measurement:
    """Parse and call back."""
    each = rows // streams
    with source(each, streams) as frames:
        runner = [CRYPTOFEED.python(), OTHERS / "cryptofeed_ingest.py", "--port", str(frames.ready["port"])]
        more = ["--rows", str(each * streams), "--symbols", ",".join(symbols(streams))]
        with Child([*runner, *more], "cryptofeed", timeout=600) as child:
            found = child.result()
        fed = cpu_seconds(frames.pid)
    note = "parses and calls back, stores nothing"
    return rate(case, CRYPTOFEED.title(), found["rows"], found["wall"], found["cpu"], {"source CPU s": fed}, note)


def dccd3(stored: int, rows: int) -> Measurement:
    """Append to a day of *stored* rows."""
    with source(rows) as frames:
        runner = [DCCD3.python(), OTHERS / "dccd3_stream.py", "--port", str(frames.ready["port"])]
        more = ["--rows", str(rows), "--stored", str(stored), "--day", str(frames.ready["day"])]
        with Child([*runner, *more], "dccd3", timeout=600) as child:
            found = child.result()
        fed = cpu_seconds(frames.pid)
    if found["stored"] < stored + rows:
        raise SystemExit(f"dccd 3.8.1 stored {found['stored']:,} of {stored + rows:,} rows")
    case = stored_case(stored)
    return rate(case, DCCD3.title(), found["rows"], found["wall"], found["cpu"], {"source CPU s": fed}, "stores")


def stored_case(stored: int) -> str:
    return f"1 stream, {stored:,} rows stored"


def ours(case: str, streams: int, rows: int) -> Iterator[Measurement]:
    """All the way; with one stream, also the rates at 100,000, 1,000,000 and 10,000,000 rows stored."""
    each = rows // streams
    total = each * streams
    datasets = [Dataset.make("binance", "trades", name) for name in symbols(streams)]
    with (
        source(each, streams) as frames,
        Daemon({"exchanges": {"binance": {"ws_url": f"ws://127.0.0.1:{frames.ready['port']}"}}}) as daemon,
    ):
        used, bus = daemon.cpu()
        asyncio.run(start(daemon, datasets))
        began = frames.result()["began"]
        samples = [(began, 0)]
        store = daemon.store
        while samples[-1][1] < total:
            time.sleep(0.1)
            samples.append((time.monotonic(), sum(store.stats(dataset).rows for dataset in datasets)))
            if samples[-1][0] - began > 60 + total / 20_000:
                raise SystemExit(f"{samples[-1][1]:,} of {total:,} rows on disk in time:\n{daemon.tail()}")
        wall = samples[-1][0] - began
        now_used, now_bus = daemon.cpu()
        more = {
            "source CPU s": cpu_seconds(frames.pid),
            "of it bus": now_bus - bus,
            "peak MB": peak_memory(daemon.pid),
        }
        verify(daemon, datasets, each)
    note = "parses, publishes, stores"
    yield rate(case, title(), total, wall, now_used - used, more, note)
    if streams == 1:
        for stored in (100_000, 1_000_000, 10_000_000):
            stretch = between(samples, stored, STRETCH)
            if stretch is not None:
                yield Measurement(stored_case(stored), title(), {"rows/s": stretch}, note)


async def start(daemon: Daemon, datasets: list[Dataset]) -> None:
    """Ask for a stream of each."""
    async with dccd.connect(daemon.url) as client:
        for dataset in datasets:
            await client.start_stream(dataset.exchange, dataset.symbol.human)


def between(samples: list[tuple[float, int]], stored: int, stretch: int) -> float | None:
    """Rows a second while the store grew from *stored* by *stretch* rows; None when it didn't."""
    start = next((sample for sample in samples if sample[1] >= stored), None)
    end = next((sample for sample in samples if sample[1] >= stored + stretch), None)
    return (end[1] - start[1]) / (end[0] - start[0]) if start and end and end[0] > start[0] else None


def verify(daemon: Daemon, datasets: list[Dataset], rows: int) -> None:
    """Every trade that was sent is stored, once: ids are consecutive. Raises SystemExit."""
    for dataset in datasets:
        ids = [int(tid) for tid in daemon.store.read(dataset, columns=["tid"])["tid"]]
        found = (len(ids), len(set(ids)), max(ids) - min(ids) + 1)
        if found != (rows, rows, rows):
            raise SystemExit(f"{dataset}: sent {rows:,} trades, found (rows, ids, range of ids) {found}")


def main() -> None:
    options = arguments(
        __doc__,
        ("--rows", {"type": int, "default": 2_200_000, "help": "rows of a run of this dccd (2,200,000)"}),
        ("--long", {"action": "store_true", "help": "11,200,000 rows, to see the rate at 10,000,000 stored"}),
    )
    rows = 11_200_000 if options.long else options.rows
    report, missing = Report("Ingest, from a WebSocket's frames"), []
    for _ in range(options.rounds):
        for streams in (1, 50):
            case = f"{streams} stream{'s' * (streams > 1)}"
            try:
                report.add(cryptofeed(case, streams, min(rows, 500_000)))
            except Unavailable as error:
                missing.append(str(error))
            report.add(*ours(case, streams, rows if streams == 1 else min(rows, 1_200_000)))
        for stored, more in ((100_000, 30_000), (1_000_000, 10_000)):
            try:
                report.add(dccd3(stored, more))
            except Unavailable as error:
                missing.append(str(error))
    for case in ("1 stream", "50 streams"):
        report.compare(case, "dccd 4", "cryptofeed", "rows/s", WANTED)
    finish(report, options.json, dict.fromkeys(missing))


if __name__ == "__main__":
    main()
