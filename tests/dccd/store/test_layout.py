"""Tests of names, folders and periods."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.store.layout import Layout, is_period, period_bounds, period_of
from dccd.symbols import NS, Dataset, DataType, parse_time


@pytest.mark.parametrize(
    ("kind", "time", "period"),
    [
        (DataType.TRADES, "2024-01-31T23:59:59.999999999Z", "2024-01-31"),
        (DataType.TRADES, "2024-02-01", "2024-02-01"),
        (DataType.ORDERBOOK, "2024-02-29T12:00:00Z", "2024-02-29"),
        (DataType.OHLC, "2023-12-31T23:59:59Z", "2023"),
        (DataType.FUNDING, "2024-01-01", "2024"),
        (DataType.OPEN_INTEREST, "2024-06-01", "2024"),
    ],
)
def test_periods_are_days_or_years(kind: DataType, time: str, period: str) -> None:
    """Trades and books lie in days, the others in years, UTC."""
    assert period_of(kind, parse_time(time)) == period


@given(st.sampled_from(DataType), st.integers(-(2**63), 2**63 - 1))
def test_every_time_lies_within_its_period(kind: DataType, ts: int) -> None:
    """Any int64 has a period, whose bounds hold it and whose name is one."""
    period = period_of(kind, ts)
    start, end = period_bounds(period)
    assert start <= ts < end
    assert is_period(kind, period)


@pytest.mark.parametrize("text", ["2023-02-29", "20230101", "2023", "2023-1-1", "2023-01-01x", "", "9999-99-99"])
def test_what_is_no_day_is_no_period_of_trades(text: str) -> None:
    """Only a calendar day, as written by us, is a period of trades."""
    assert not is_period(DataType.TRADES, text)


def test_paths_are_as_the_design_says(tmp_path: Path) -> None:
    """Base files are found by anyone who knows the dataset's name; segments lie apart."""
    layout = Layout(tmp_path)
    dataset = Dataset.parse("binance.ohlc.BTC-USDT.1h")
    assert layout.base_path(dataset, "2024") == tmp_path / "binance/ohlc/BTC-USDT/1h/2024.parquet"
    segments = tmp_path / ".dccd/segments/binance.ohlc.BTC-USDT.1h/2024"
    assert layout.segment_dir(dataset, "2024") == segments
    assert layout.segment_dir(dataset, "2024", 2) == segments / "m2"


def test_datasets_are_those_with_files(tmp_path: Path) -> None:
    """A base or a segment makes a dataset; other folders, other files and odd spellings make none."""
    layout = Layout(tmp_path)
    for file in (
        "binance/trades/BTC-USDT/2024-01-01.parquet",
        "kraken/ohlc/ETH-EUR/1m/2024.parquet",
        ".dccd/segments/kraken.funding.BTC-USD_PERP/2024/a-1.parquet",
        ".dccd/segments/kraken.trades.BTC-USD/fold.lock",
        "binance/trades/ETH-USDT/notes.txt",
        "binance/trades/XBT-USDT/2024-01-01.parquet",
        "kraken/ohlc/ETH-EUR/60m/2024.parquet",
        "someone/elses/FOLDER/2024.parquet",
        "README.md",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    names = [dataset.name for dataset in layout.datasets()]
    assert names == ["binance.trades.BTC-USDT", "kraken.funding.BTC-USD_PERP", "kraken.ohlc.ETH-EUR.1m"]
    assert layout.periods(Dataset.parse("kraken.funding.BTC-USD_PERP")) == ["2024"]


def test_an_empty_root_has_no_datasets(tmp_path: Path) -> None:
    """A folder that isn't there yet is an empty store."""
    assert Layout(tmp_path / "nothing").datasets() == []


def test_day_bounds_are_a_day_apart() -> None:
    """A day has 86,400 seconds, and a leap year 366 of them."""
    start, end = period_bounds("2024-02-29")
    assert end - start == 86_400 * NS
    start, end = period_bounds("2024")
    assert end - start == 366 * 86_400 * NS


def test_which_dataset_a_file_is_of(tmp_path: Path) -> None:
    """The place of a base or a segment says which dataset it is of; other places say nothing."""
    layout = Layout(tmp_path)
    dataset = Dataset.parse("binance.ohlc.BTC-USDT.1m")
    assert layout.dataset_of(layout.base_path(dataset, "2024")) == dataset
    assert layout.dataset_of(layout.segment_dir(dataset, "2024", 2) / "x.parquet") == dataset
    assert layout.dataset_of(tmp_path / "notes.txt") is None
    assert layout.dataset_of(tmp_path.parent / "elsewhere") is None


def test_the_datasets_named_in_a_folder(tmp_path: Path) -> None:
    """Names that are no dataset's are passed over."""
    for name in ("binance.trades.BTC-USDT", "kraken.ohlc.ETH-USD.1h", "other", "binance.trades.btc-usdt"):
        (tmp_path / name).mkdir()
    assert [d.name for d in Layout(tmp_path).named_in(tmp_path)] == [
        "binance.trades.BTC-USDT",
        "kraken.ohlc.ETH-USD.1h",
    ]
