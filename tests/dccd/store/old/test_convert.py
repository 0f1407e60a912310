"""Rows in whatever columns become rows of ours, each value itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import OldFileProblem
from dccd.store.old.convert import convert, times
from dccd.store.schema import SCHEMAS
from dccd.symbols import NS, DataType

S = 1_704_067_200
FILE = Path("old.parquet")


def bars(**columns: Any) -> pl.DataFrame:
    """Two bars, of dccd 2 but for *columns*."""
    known: dict[str, Any] = {name: [1.0, 2.0] for name in ("open", "high", "low", "close", "volume", "quoteVolume")}
    return pl.DataFrame({"TS": [S, S + 60], **known, **columns})


def test_bars_of_dccd_2() -> None:
    """Seconds become nanoseconds, columns get our names, what we lack is null, and what nobody else has is kept."""
    found = convert(DataType.OHLC, bars(weightedAverage=[1.5, None]), FILE)
    assert found.rows.columns == [*SCHEMAS[DataType.OHLC].names, "weightedAverage"]
    assert found.rows["TS"].to_list() == [S * NS, (S + 60) * NS]
    assert found.rows["quote_volume"].to_list() == [1.0, 2.0]
    assert found.rows["trades"].to_list() == [None, None]
    assert found.changes == ("quoteVolume is quote_volume", "seconds are nanoseconds", "weightedAverage kept")


def test_what_says_nothing_goes_with_a_word() -> None:
    """Columns without values, numbers of rows, and the time once more."""
    found = convert(DataType.OHLC, bars(weightedAverage=[None, None], index=[0, 1], date=["a", "b"]), FILE)
    assert found.rows.columns == SCHEMAS[DataType.OHLC].names
    assert "left out: weightedAverage (empty), index (numbers of the rows), date (TS, for people)" in found.changes


def test_rows_without_a_price_are_counted() -> None:
    """dccd 2 wrote rows before the first bar of a window."""
    found = convert(DataType.OHLC, bars(open=[None, 2.0]), FILE)
    assert (found.rows.height, found.left) == (1, 1)


def test_trades_of_dccd_2() -> None:
    """Their ids become text, floats of seconds the microseconds that they stand for, and their type the side."""
    frame = pl.DataFrame(
        {
            "tid": [7, None],
            "TS": [S + 0.001, S + 0.123456],
            "price": [1, 2],
            "amount": [0.5, 1.5],
            "type": ["buy", "Sell"],
        }
    )
    rows = convert(DataType.TRADES, frame, FILE).rows
    assert rows["TS"].to_list() == [S * NS + 1_000_000, S * NS + 123_456_000]
    assert rows["tid"].to_list() == ["7", None]
    assert rows["side"].to_list() == ["buy", "sell"]
    assert rows["price"].to_list() == [1.0, 2.0]


@given(st.lists(st.integers(1_230_768_000_000_000, 4_102_444_800_000_000), min_size=1, max_size=20))
def test_floats_of_seconds_are_exact_to_the_microsecond(moments: list[int]) -> None:
    """Up to 2100, whichever microsecond it was."""
    column = pl.Series("TS", [moment / 1_000_000 for moment in moments])
    assert times(column, FILE, []).to_list() == [moment * 1000 for moment in moments]


@given(st.lists(st.tuples(st.integers(1_230_768_000, 9_183_110_399), st.sampled_from([0, 3, 6, 9])), min_size=1))
def test_each_time_is_read_in_its_own_unit(moments: list[tuple[int, int]]) -> None:
    """A file may have several, since dccd 3 added nanoseconds to files of seconds."""
    column = pl.Series("TS", [second * 10**digits for second, digits in moments], dtype=pl.Int64)
    assert times(column, FILE, []).to_list() == [second * NS for second, _ in moments]


def test_a_mixed_file_says_so() -> None:
    """How many rows were in another unit."""
    said: list[str] = []
    times(pl.Series("TS", [S, S * NS]), FILE, said)
    assert said == ["seconds are nanoseconds in 1 of 2 rows"]


def test_times_of_day_and_text_are_times() -> None:
    """As CSV and Excel have them."""
    moment = pl.Series("TS", [datetime.fromtimestamp(S, UTC)])
    for column in (moment, moment.dt.replace_time_zone(None), pl.Series("TS", [str(S)])):
        assert times(column, FILE, []).to_list() == [S * NS]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"TS": [5, S]}, "5 is no time"),
        ({"TS": ["a", "b"]}, "no time"),
        ({"open": ["1", "x"]}, "open can't become"),
        ({"trades": [1.5, 2.0]}, "trades"),
        ({"note": [[1], [2]]}, "nobody knows what note"),
    ],
)
def test_what_would_change_a_value_is_refused(column: dict[str, Any], words: str) -> None:
    """By the column's name, with nothing converted."""
    with pytest.raises(OldFileProblem, match=words):
        convert(DataType.OHLC, bars(**column), FILE)


def test_a_missing_column_is_named() -> None:
    """With those that there are."""
    with pytest.raises(OldFileProblem, match="no column close, only"):
        convert(DataType.OHLC, bars().drop("close"), FILE)


def test_sides_are_in_our_words() -> None:
    """And others are refused."""
    book = pl.DataFrame({"TS": [S], "side": ["Bids"], "price": ["99.5"], "amount": [1.0], "count": [None]})
    rows = convert(DataType.ORDERBOOK, book, FILE).rows
    assert (rows["side"][0], rows["price"][0], rows["is_snapshot"][0]) == ("bid", 99.5, None)
    with pytest.raises(OldFileProblem, match="'left' is neither bid nor ask"):
        convert(DataType.ORDERBOOK, book.with_columns(side=pl.lit("left")), FILE)


def test_a_depth_table_is_refused() -> None:
    """Its sums of amounts can't be taken apart exactly."""
    table = pl.DataFrame({"TS": [S], "side": ["bid"], "price": [1.0], "cum_amount": [1.0], "vwab": [1.0], "rank": [0]})
    with pytest.raises(OldFileProblem, match="depth table"):
        convert(DataType.ORDERBOOK, table, FILE)
