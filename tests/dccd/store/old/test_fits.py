"""Which files are read as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dccd.store.old.fits import fits
from dccd.symbols import DataType


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("binance/ohlc/BTC-USDT/1h/2024.parquet", DataType.OHLC),
        ("binance/trades/BTC-USDT/2024-03-01.parquet", DataType.TRADES),
        ("binance/orderbook/BTC-USDT/2024-03-01.parquet", DataType.ORDERBOOK),
        ("binance/funding/BTC-USDT_PERP/2024.parquet", DataType.FUNDING),
    ],
)
def test_files_of_dccd_3_fit_and_those_of_dccd_2_do_not(old: Callable[[str], Path], path: str, kind: DataType) -> None:
    """They are told apart by their columns and times, not by where they lie."""
    assert fits(old("dccd3") / path, kind) == "fits"
    second = old("dccd2") / path
    if second.exists():
        assert fits(second, kind) == "old"


@pytest.mark.parametrize(
    "change",
    [
        pl.lit(None, pl.Float64).alias("close"),
        pl.col("volume").cast(pl.Float32),
        pl.col("TS") - 366 * 86_400 * 1_000_000_000,
        pl.col("volume").alias("quoteVolume"),
    ],
    ids=["a null", "a type", "another year", "a column of dccd 2"],
)
def test_what_is_not_quite_ours_is_converted(old: Callable[[str], Path], change: pl.Expr) -> None:
    """A file that can't be read as it is is old, whoever wrote it."""
    path = old("dccd3") / "binance/ohlc/BTC-USDT/1h/2024.parquet"
    pl.read_parquet(path, memory_map=False).with_columns(change).write_parquet(path)
    assert fits(path, DataType.OHLC) == "old"


def test_nulls_are_found_without_statistics(old: Callable[[str], Path]) -> None:
    """By the rows, where a writer left them out."""
    path = old("dccd3") / "binance/ohlc/BTC-USDT/1h/2024.parquet"
    frame = pl.read_parquet(path, memory_map=False)
    frame.write_parquet(path, statistics=False)
    assert fits(path, DataType.OHLC) == "fits"
    frame.with_columns(close=pl.lit(None, pl.Float64)).write_parquet(path, statistics=False)
    assert fits(path, DataType.OHLC) == "old"


def test_a_damaged_file_is_old(tmp_path: Path) -> None:
    """Whoever reads it next says what is wrong with it."""
    (tmp_path / "2024.parquet").write_bytes(b"nonsense")
    assert fits(tmp_path / "2024.parquet", DataType.OHLC) == "old"
