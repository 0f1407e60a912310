"""(f) Write amplification: all the bytes that a day of live trades makes the store write, over the bytes that it keeps.

The day goes by as for a live stream, only faster: a segment each flush interval, a look at what is due to be folded
each fold interval, and the last fold after the day has ended. Counted are the files' bytes: the segments as flushed,
merged ones of all levels, each base; and what the kernel says it wrote for the process (pages of 4 KiB, so that small
files count for more). What the bus writes for its stream isn't in it, nor are names and the file system's journal.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
from harness import BENCH, ROOT, Child, Measurement, Report, arguments, finish
from store import DAY, NOON, TRADES

from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import SCHEMAS
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, DataType

SECONDS = 86_400


def trades(first: int, rows: int, start: int, end: int) -> pa.Table:
    """A market as it is, for what it compresses to: prices move in ticks, amounts are many small and few large ones.

    Random by the trade's number, so that no state is carried; times in ``[start, end)`` ns, to the millisecond.
    """
    n = pl.int_range(first, first + rows, eager=True)
    draws = [(n.hash(seed) % 1_000_003).cast(pl.Int64) for seed in range(4)]
    ts = start + (pl.int_range(rows, eager=True) * (end - start) // max(rows, 1)) // 1_000_000 * 1_000_000
    drift = (n // 500).hash(9).cast(pl.Int64, wrap_numerical=True) % 4000
    frame = pl.DataFrame(
        {
            "TS": ts,
            "price": ((3_700_000 + drift + draws[0] % 7) / 100).round(2),
            "amount": (-(((draws[1] + 1) / 1_000_003).log()) / 10 + 0.00001).round(5),
            "side": pl.select(pl.when(draws[2] % 2 == 0).then(pl.lit("buy")).otherwise(pl.lit("sell"))).to_series(),
            "tid": (n + 3_000_000_000).cast(pl.String),
            "recv_ts": ts + 4_000_000 + draws[3] * 31,
        }
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(SCHEMAS[DataType.TRADES])


def kernel_bytes() -> int:
    """What the kernel has written, or will, for this process."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def live(root: Path, rows: int, flush: int, look: int) -> dict[str, float]:
    """A day of *rows*, flushed and looked at each so many seconds; what was written and what is kept."""
    layout = Layout(root)
    now = NOON
    writer = SegmentWriter(layout, "bench", clock=lambda: now)
    begun, start, stored, folded, rewritten, folds, most = kernel_bytes(), time.perf_counter(), 0, 0, 0, 0, 0
    for second in range(flush, SECONDS + 1, flush):
        now = NOON + second * NS
        due = rows * second // SECONDS
        writer.write(TRADES, trades(stored, due - stored, now - flush * NS, now))
        stored = due
        if second % look < flush and second < SECONDS:
            most = max(most, sum(1 for _ in layout.dataset_segments(TRADES).rglob("*.parquet")))
            if (result := fold(layout, TRADES, DAY, now=now)) is not None:
                folded, rewritten, folds = folded + result.bytes, rewritten + result.rows, folds + 1
    # The day is over and has settled: files have the clock's own time.
    result = fold(layout, TRADES, DAY, now=time.time_ns() + 3600 * NS)
    assert result is not None and result.base
    folded, rewritten, folds = folded + result.bytes, rewritten + result.rows, folds + 1
    wall = time.perf_counter() - start
    (kept,) = layout.root.rglob("*.parquet")
    found = Store(layout).stats(TRADES)
    assert found.rows == rows, found
    flushed, size = writer.statistics()["bytes"], kept.stat().st_size
    return {
        "rows": rows,
        "flushes": writer.statistics()["segments"],
        "folds": folds,
        "kept MB": size / 1e6,
        "flushed MB": flushed / 1e6,
        "folded MB": folded / 1e6,
        "written/kept": (flushed + folded) / size,
        "by kernel": (kernel_bytes() - begun) / size,
        "rewritten/row": rewritten / rows,
        "most files": most,
        "wall s": wall,
    }


def main() -> None:
    options = arguments(
        __doc__ or "",
        ("--rows", {"type": int, "default": 5_000_000, "help": "trades of the day (5,000,000)"}),
        ("--flush", {"type": int, "nargs": "+", "default": [2, 5, 30], "help": "flush intervals in seconds (2 5 30)"}),
        ("--look", {"type": int, "default": 60, "help": "the fold interval in seconds (60)"}),
        ("--live", {"type": Path, "help": "for the benchmark itself: be the child"}),
    )
    if options.live:
        print(json.dumps({"ready": True}), flush=True)
        print(json.dumps(live(options.live, options.rows, options.flush[0], options.look)), flush=True)
        return
    BENCH.mkdir(exist_ok=True)
    report = Report("Bytes written over bytes kept, for a day of trades")
    for flush in options.flush:
        root = Path(tempfile.mkdtemp(dir=BENCH))
        try:
            script = ROOT / "ops" / "bench" / "folding.py"
            argv = [sys.executable, script, "--live", root, "--rows", options.rows, "--look", options.look]
            with Child([*argv, "--flush", flush], "folding", timeout=1800) as child:
                report.add(
                    Measurement(f"a day of {options.rows:,} trades, a flush each {flush} s", "dccd 4", child.result())
                )
        finally:
            shutil.rmtree(root)
    finish(report, options.json)


if __name__ == "__main__":
    main()
