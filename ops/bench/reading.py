"""(f) Reads of any size: rows a second, and the most memory that the daemon and the client have taken, at a tenth of
the rows and at all of them.

Trades of ten days in folded files, read whole through the bus by ``client.rows``; exported to Parquet; as bars of a
minute that are made of them; and left after the first rows. What must not grow with the rows is the memory. Each
client is a process of its own, and so is the daemon of each case, since a process gives back little of what it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from daemon import Daemon, title
from harness import BENCH, Child, Measurement, Report, arguments, family, finish, peak_memory
from store import frame_of

import dccd
from dccd.store.fold import fold
from dccd.store.layout import Layout, period_bounds
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = "binance.ohlc.BTC-USDT.1m"
DAYS = 10
DAY = 86_400 * NS


def fill(root: Path, rows: int) -> int:
    """A tenth of *rows* on each of ten days, folded; return when the second day begins (ns)."""
    layout = Layout(root)
    writer = SegmentWriter(layout, "bench")
    each = rows // DAYS
    table = frame_of(each, 0)
    for day in range(DAYS):
        moved = {
            "TS": pc.add(table["TS"], day * DAY),
            "tid": pa.array([str(day * each + n) for n in range(each)]),
            "recv_ts": pc.add(table["recv_ts"], day * DAY),
        }
        columns = [moved.get(name, table[name]) for name in table.schema.names]
        writer.write(TRADES, pa.table(columns, schema=table.schema))
    periods = layout.segment_periods(TRADES)
    for period in periods:
        fold(layout, TRADES, period, force=True)
    return period_bounds(periods[0])[1]


# ---------------------------------------------------------------- the client, in a process of its own


async def rows_of(url: str, dataset: str, end: int | None) -> int:
    async with dccd.connect(url) as client, client.rows(dataset, end=end, source="auto") as rows:
        return sum([frame.height async for frame in rows])


async def leave(url: str, dataset: str, end: int | None) -> int:
    async with dccd.connect(url) as client, client.rows(dataset, end=end) as rows:
        async for frame in rows:
            return frame.height
    return 0


def export(url: str, dataset: str, end: int | None) -> int:
    from dccd.cli.main import cli

    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        path = Path(folder) / "all.parquet"
        until = [] if end is None else ["--end", str(end)]
        code = cli.main(["--bus", url, "export", dataset, *until, "-o", str(path)], standalone_mode=False)
        return pq.read_metadata(path).num_rows if code == 0 else 0


def child(how: str, url: str, dataset: str, end: int | None) -> None:
    """Run as a child: read, and print what it was."""
    print(json.dumps({"ready": True}), flush=True)
    start = time.perf_counter()
    if how == "export":
        count = export(url, dataset, end)
    else:
        count = asyncio.run({"rows": rows_of, "leave": leave}[how](url, dataset, end))
    took = time.perf_counter() - start
    print(json.dumps({"rows": count, "wall": took, "memory": peak_memory(os.getpid())}), flush=True)


# ---------------------------------------------------------------- the cases


def measure(case: str, data: Path, how: str, dataset: str, end: int | None) -> Measurement:
    daemon = Daemon({})
    (daemon.folder / "data").symlink_to(data)
    with daemon:
        pid = next(pid for pid, name in family(daemon.pid).items() if name != "nats-server")
        before = peak_memory(pid)
        with Child([sys.executable, __file__, "--child", how, daemon.url, dataset, str(end or "")], "reader") as client:
            client.timeout = 600
            result = client.result()
        after = peak_memory(pid)
    figures = {
        "rows": float(result["rows"]),
        "wall s": result["wall"],
        "client MB": result["memory"],
        "daemon MB": after,
        "before MB": before,
    }
    return Measurement(case, title(), figures)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        how, url, dataset, end = sys.argv[2:]
        child(how, url, dataset, int(end) if end else None)
        return
    args = arguments(__doc__, ("--rows", {"type": int, "default": 10_000_000, "help": "trades (10,000,000)"}))
    report = Report("Reads of any size")
    BENCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        data = Path(folder)
        print(f"writing {args.rows:,} trades", file=sys.stderr)
        tenth = fill(data, args.rows)
        for _ in range(args.rounds):
            for how, dataset, name in (
                ("rows", TRADES.name, "client.rows"),
                ("export", TRADES.name, "dccd export to Parquet"),
                ("rows", BARS, "bars of a minute, made"),
            ):
                for end, part in ((tenth, "a tenth"), (None, "all")):
                    report.add(measure(f"{name}, {part}", data, how, dataset, end))
            report.add(measure("left after the first rows", data, "leave", TRADES.name, None))
    rows = {one.case: one.figures for one in report.medians()}
    for name in ("client.rows", "dccd export to Parquet", "bars of a minute, made"):
        less, more = rows[f"{name}, a tenth"], rows[f"{name}, all"]
        for who in ("client MB", "daemon MB"):
            growth = more[who] - less[who]
            verdict = "bounded" if growth < 100 else "GROWS WITH THE ROWS"
            report.verdicts.append(f"{name}: {who} {growth:+.0f} for ten times the rows; {verdict}")
    finish(report, args.json)


if __name__ == "__main__":
    main()
