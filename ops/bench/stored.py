"""Data for the benchmarks of what is stored: many files over many datasets, years of bars and trades.

Numbers flow in, files in dccd's layout flow out, made once and copied where only their number matters. dccd 3.8.1 reads
them, too.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import polars as pl
from harness import BENCH

from dccd.store.coverage import IntervalSet
from dccd.store.fold import fold
from dccd.store.layout import Layout, period_bounds, period_of
from dccd.store.schema import SCHEMAS
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType

__all__ = ["DAY", "NEW_YEAR", "TRADES", "bars", "many_files", "names", "put", "trades"]

TRADES = Dataset.parse("binance.trades.BTC-USDT")
DAY = 86_400 * NS
NEW_YEAR = 1_672_531_200 * NS
"""2023-01-01."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def names(count: int) -> list[str]:
    """As many made-up pairs, as people write them."""
    return [f"{_LETTERS[n // 676]}{_LETTERS[n // 26 % 26]}{_LETTERS[n % 26]}/USDT" for n in range(count)]


def trades(rows: int, start: int, end: int, first: int = 0) -> pl.DataFrame:
    """*rows* trades evenly over ``[start, end)`` ns, numbered from *first*."""
    n = pl.int_range(first, first + rows, eager=True)
    ts = start + pl.int_range(rows, eager=True) * ((end - start) // max(rows, 1))
    return pl.DataFrame(
        {
            "TS": ts,
            "price": 37_000 + ((n * 7919) % 2001 - 1000) / 100,
            "amount": ((n * 104_729) % 9973 + 1) / 1e5,
            "side": pl.select(pl.when(n % 3 == 0).then(pl.lit("buy")).otherwise(pl.lit("sell"))).to_series(),
            "tid": (n + 3_000_000_000).cast(pl.String),
        }
    )


def bars(start: int, end: int) -> pl.DataFrame:
    """A bar a minute in ``[start, end)`` ns."""
    ts = pl.int_range(start, end, 60 * NS, eager=True)
    n = pl.int_range(len(ts), eager=True)
    price = 37_000 + ((n * 7919) % 2001 - 1000) / 100
    return pl.DataFrame(
        {
            "TS": ts,
            "open": price,
            "high": price + 1.5,
            "low": price - 1.25,
            "close": price + 0.5,
            "volume": ((n * 104_729) % 9973 + 1) / 1e3,
            "quote_volume": ((n * 104_729) % 9973 + 1) * 37.0,
            "trades": n % 5000,
        }
    )


def put(root: Path, dataset: Dataset, frame: pl.DataFrame) -> None:
    """Store *frame* of one period as dccd keeps it: folded, with the claim of all that time."""
    layout, schema = Layout(root), SCHEMAS[dataset.data_type]
    missing = [pl.lit(None, dtype=pl.Int64).alias(name) for name in schema.names if name not in frame.columns]
    table = frame.with_columns(missing).select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
    period = period_of(dataset.data_type, frame["TS"][0])
    SegmentWriter(layout, "bench").write(dataset, table, covered=IntervalSet([period_bounds(period)]))
    fold(layout, dataset, period, force=True)


def many_files(root: Path, datasets: int, files: int, rows: int = 100) -> None:
    """Make *files* daily files of trades, over as many *datasets* of Binance, below *root*."""
    mould = Path(tempfile.mkdtemp(prefix="mould-", dir=BENCH))
    try:
        each = files // datasets
        for day in range(each):
            start = NEW_YEAR + day * DAY
            put(mould, TRADES, trades(rows, start, start + DAY, day * rows))
        made = sorted(Layout(mould).folder(TRADES).glob("*.parquet"))
        for name in names(datasets):
            folder = Layout(root).folder(Dataset.make("binance", DataType.TRADES, name))
            folder.mkdir(parents=True)
            for path in made:
                shutil.copyfile(path, folder / path.name)
    finally:
        shutil.rmtree(mould)
