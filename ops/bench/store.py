"""(e) The store alone: tick messages to columns to segments, and a day of trades as it grows.

Messages: the ways to turn JSON arrays of trades into Arrow columns, in turns; ``others run at`` is how fast a thread
that needs the GIL all the time goes on beside it, next to alone. A day: trades are written in segments and folded as
they come; what a row costs, all rewriting included, must not grow with the rows that are stored. Then the last fold
of the whole day into one base, and reads.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.json
from harness import BENCH, ROOT, Child, Measurement, Report, arguments, finish, peak_memory, rate

from dccd.records import Trade
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import SCHEMAS, table_from_payloads, table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType

TRADES = Dataset.parse("binance.trades.BTC-USDT")
DAY, NOON = "2023-11-15", 1_700_006_400 * NS
SCHEMA = SCHEMAS[DataType.TRADES].set(0, pa.field("ts", pa.int64()))
OURS = "table_from_payloads"


def make(rows: int, first: int = 0) -> list[Trade]:
    """Trades of a market that moves in ticks, often several in a millisecond."""
    chance = random.Random(first)
    price, found = 37_000.0, []
    for n in range(first, first + rows):
        price = round(price + chance.choice((-0.01, 0, 0, 0, 0.01)), 2)
        ts = NOON + n // 2 * 16_000_000
        amount = chance.choice((0.001, 0.0005, round(chance.expovariate(10), 5)))
        found.append(
            Trade(ts, price, amount, chance.choice(("buy", "sell")), str(3_000_000_000 + n), ts + 4_000_000 + n % 999)
        )
    return found


# ---------------------------------------------------------------- messages to columns

Payloads = list[bytes]


def by_msgspec(payloads: Payloads) -> pa.Table:
    decode = msgspec.json.Decoder(list[Trade]).decode
    return table_from_records(DataType.TRADES, [trade for payload in payloads for trade in decode(payload)])


def by_arrow(payloads: Payloads) -> pa.Table:
    lines = b"\n".join([payload[1:-1] for payload in payloads]).replace(b"},{", b"}\n{")
    options = pyarrow.json.ParseOptions(explicit_schema=SCHEMA)
    return pyarrow.json.read_json(pa.BufferReader(lines), parse_options=options)


def by_polars_array(payloads: Payloads) -> pa.Table:
    body = b"[" + b",".join([payload[1:-1] for payload in payloads]) + b"]"
    return pl.read_json(body, schema=dict(pl.from_arrow(SCHEMA.empty_table()).schema)).to_arrow()


def by_polars_column(payloads: Payloads) -> pa.Table:
    """Each message a cell, decoded within Polars."""
    struct = pl.List(pl.Struct(dict(pl.from_arrow(SCHEMA.empty_table()).schema)))
    cells = pl.Series(payloads, dtype=pl.Binary).cast(pl.String).str.json_decode(struct)
    return cells.explode().struct.unnest().to_arrow()


def by_us(payloads: Payloads) -> pa.Table:
    return table_from_payloads(DataType.TRADES, payloads)


WAYS: dict[str, Callable[[Payloads], pa.Table]] = {
    OURS: by_us,
    "msgspec, lists of columns": by_msgspec,
    "pyarrow.json": by_arrow,
    # These two aren't strict (1.5 becomes the integer 1, an integer beyond 64 bits null): for comparison only.
    "polars.read_json": by_polars_array,
    "polars json_decode": by_polars_column,
}


class Spinner(threading.Thread):
    """Counts as fast as the GIL lets it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.count, self.ended = 0, False
        self.go = threading.Event()
        self.go.set()
        self._paused = threading.Event()

    def run(self) -> None:
        while not self.ended:
            self.count += 1
            if not self.count % 1024 and not self.go.is_set():
                self._paused.set()
                self.go.wait()

    def pause(self) -> None:
        """Return when it stands still; ``go.set()`` lets it go on."""
        self._paused.clear()
        self.go.clear()
        self._paused.wait()


def beside(spinner: Spinner, seconds: float, work: Callable[[], object]) -> float:
    """Counts a second of *spinner* while *work* is done over and over."""
    before, start = spinner.count, time.perf_counter()
    while time.perf_counter() - start < seconds:
        work()
    return (spinner.count - before) / (time.perf_counter() - start)


def messages(report: Report, rounds: int) -> None:
    encode, trades = msgspec.json.encode, make(50_000)
    payloads = [encode(trades[n : n + 10]) for n in range(0, len(trades), 10)]
    wanted = by_us(payloads).drop_columns("TS")
    for way, work in WAYS.items():
        if not work(payloads).select(wanted.schema.names).cast(wanted.schema).equals(wanted):
            raise SystemExit(f"{way} makes other rows")
    spinner = Spinner()
    spinner.start()
    for _ in range(rounds):
        # Alone and beside in turns, since other programs' load comes and goes.
        shares = {}
        for way, work in WAYS.items():
            alone = beside(spinner, 0.3, lambda: time.sleep(0.02))
            shares[way] = beside(spinner, 0.3, lambda work=work: work(payloads)) / alone
        spinner.pause()
        for way, work in WAYS.items():
            start, cpu = time.perf_counter(), time.process_time()
            for _ in range(10):
                work(payloads)
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
            more = {"others run at": shares[way]}
            report.add(rate("tick messages to columns", way, 10 * len(trades), wall, cpu, more))
        report.add(segments(payloads, len(trades)))
        spinner.go.set()
    spinner.ended = True


def segments(payloads: Payloads, rows: int) -> Measurement:
    """Columns and a segment, fsynced, of the same messages."""
    with tempfile.TemporaryDirectory(dir=BENCH) as root:
        writer = SegmentWriter(Layout(root), "bench")
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(10):
            writer.write(TRADES, by_us(payloads))
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = writer.statistics()["bytes"] / (10 * rows)
    return rate("tick messages to fsynced segments", "dccd 4", 10 * rows, wall, cpu, {"bytes/row": size})


# ---------------------------------------------------------------- a day that grows


def frame_of(rows: int, first: int) -> pa.Table:
    """The same market as columns, quickly."""
    n = pl.int_range(first, first + rows, eager=True)
    ts = NOON + n // 2 * 16_000_000
    frame = pl.DataFrame(
        {
            "TS": ts,
            "price": 37_000 + ((n * 7919) % 2001 - 1000) / 100,
            "amount": ((n * 104_729) % 9973 + 1) / 1e5,
            "side": pl.select(pl.when(n % 3 == 0).then(pl.lit("buy")).otherwise(pl.lit("sell"))).to_series(),
            "tid": (n + 3_000_000_000).cast(pl.String),
            "recv_ts": ts + 4_000_000 + n % 999,
        }
    )
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(SCHEMAS[DataType.TRADES])


def grow(root: Path, total: int, flush: int) -> None:
    """Run as a child: write a day, fold, read; print figures as a line of JSON each."""
    layout = Layout(root)
    writer, store = SegmentWriter(layout, "bench"), Store(layout)
    stored, mark, rewritten = 0, 100_000, 0
    print(json.dumps({"ready": True}), flush=True)
    found: list[Any] = []

    def measure(case: str, rows: int, work: Callable[[], Any], **more: float) -> Any:
        start, cpu = time.perf_counter(), time.process_time()
        answer = work()
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        found.append([case, rows, wall, cpu, {**more, "peak MB": peak_memory(threading.get_native_id())}])
        return answer

    def up_to(mark: int) -> None:
        nonlocal stored, rewritten
        while stored < mark:
            writer.write(TRADES, frame_of(flush, stored))
            stored += flush
            # The period has not ended: `now` is a time within it.
            result = fold(layout, TRADES, DAY, now=NOON)
            rewritten += 0 if result is None else result.rows

    while mark <= total:
        begin = stored
        measure(f"written and folded, up to {mark:,} rows a day", mark - begin, lambda mark=mark: up_to(mark))
        found[-1][4]["rewritten a row"] = rewritten / stored
        mark *= 10
    measure("all into one base", stored, lambda: fold(layout, TRADES, DAY, force=True))
    hour = NOON + 3600 * NS
    measure("read a minute of it", 7500, lambda: store.read(TRADES, hour, hour + 60 * NS))
    measure("read the newest 1,000", 1000, lambda: store.read(TRADES, limit=1000, newest=True))
    measure("read all in batches", stored, lambda: sum(b.num_rows for b in store.batches(TRADES)))
    measure("statistics, for the first time", stored, lambda: Store(layout).stats(TRADES))
    print(json.dumps(found), flush=True)


def day(report: Report, total: int, flush: int) -> None:
    root = Path(tempfile.mkdtemp(dir=BENCH))
    try:
        argv = [sys.executable, ROOT / "ops" / "bench" / "store.py", "--grow", root, "--rows", total, "--flush", flush]
        with Child(argv, "store", timeout=1800) as child:
            for case, rows, wall, cpu, more in child.result():
                report.add(rate(case, "dccd 4", rows, wall, cpu, more))
    finally:
        shutil.rmtree(root)


def main() -> None:
    options = arguments(
        __doc__ or "",
        ("--rows", {"type": int, "default": 10_000_000, "help": "rows of the day (10,000,000)"}),
        ("--flush", {"type": int, "default": 10_000, "help": "rows of a segment (10,000)"}),
        ("--grow", {"type": Path, "help": "for the benchmark itself: be the child"}),
    )
    if options.grow:
        grow(options.grow, options.rows, options.flush)
        return
    BENCH.mkdir(exist_ok=True)
    report = Report("The store, without bus and exchanges")
    messages(report, options.rounds)
    day(report, options.rows, options.flush)
    report.compare("tick messages to columns", OURS, "msgspec", "others run at", 1)
    report.compare("tick messages to columns", OURS, "pyarrow", "rows/CPU s", 1)
    finish(report, options.json)


if __name__ == "__main__":
    main()
