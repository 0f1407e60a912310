"""Which rows of an old file are new."""

from __future__ import annotations

from typing import Any

import polars as pl

from dccd.store.old.sift import missing, sift
from dccd.store.schema import SCHEMAS
from dccd.symbols import NS, DataType


def rows(kind: DataType, *values: dict[str, Any]) -> pl.DataFrame:
    """Rows with these values, null in the other columns."""
    empty = pl.from_arrow(SCHEMAS[kind].empty_table())
    assert isinstance(empty, pl.DataFrame)
    return pl.concat([empty, pl.DataFrame(list(values))], how="diagonal_relaxed") if values else empty


def bar(ts: int, close: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"TS": ts, **dict.fromkeys(("open", "high", "low", "volume"), 1.0), "close": close, **more}


def trade(ts: int, tid: str | None, price: float = 1.0) -> dict[str, Any]:
    return {"TS": ts, "price": price, "amount": 1.0, "side": "buy", "tid": tid}


def counts(kind: DataType, new: pl.DataFrame, stored: pl.DataFrame) -> tuple[int, int, int]:
    found = sift(kind, new, stored)
    assert found.new.height + found.same + found.conflicts == new.height
    return found.new.height, found.same, found.conflicts


def test_bars_are_the_same_by_their_time() -> None:
    """One that is stored with the same values is the same, with others it is a conflict; null says nothing."""
    stored = rows(DataType.OHLC, bar(1, quote_volume=5.0), bar(2), bar(3))
    found = rows(DataType.OHLC, bar(1), bar(2, close=9.0), bar(3, quote_volume=5.0), bar(4))
    assert counts(DataType.OHLC, found, stored) == (1, 1, 2)


def test_the_later_of_two_in_a_file_counts() -> None:
    """The earlier one is a conflict, or the same."""
    found = rows(DataType.OHLC, bar(1), bar(2, close=9.0), bar(1), bar(2, close=8.0))
    assert counts(DataType.OHLC, found, rows(DataType.OHLC)) == (2, 1, 1)
    kept = sift(DataType.OHLC, found, rows(DataType.OHLC)).new.sort("TS")
    assert kept["close"].to_list() == [1.0, 8.0]


def test_an_unknown_column_is_something_to_say() -> None:
    """Who has it isn't the same as who lacks it."""
    assert counts(DataType.OHLC, rows(DataType.OHLC, bar(1, vwap=2.0)), rows(DataType.OHLC, bar(1))) == (0, 0, 1)


def test_trades_are_the_same_by_their_id() -> None:
    """Within a second; those without an id by all that they say, as many as there are."""
    stored = rows(DataType.TRADES, trade(NS, "1"), trade(2 * NS, "2"), trade(5 * NS, None))
    found = rows(
        DataType.TRADES,
        trade(NS + 5, "1"),
        trade(2 * NS, "2", price=9.0),
        trade(3 * NS, "3"),
        trade(5 * NS, None),
        trade(5 * NS, None),
    )
    assert counts(DataType.TRADES, found, stored) == (2, 2, 1)


def test_each_row_of_a_book_is_one() -> None:
    """Equal ones, too."""
    level = {"TS": 1, "side": "bid", "price": 1.0, "amount": 1.0}
    book = rows(DataType.ORDERBOOK, level, level)
    assert counts(DataType.ORDERBOOK, book, book) == (2, 0, 0)
    assert missing(DataType.ORDERBOOK, book, book.head(1)) == 1
    assert missing(DataType.ORDERBOOK, book, book) == 0


def test_what_is_missing_is_counted() -> None:
    """Rows that aren't there, and those that are there otherwise."""
    stored = rows(DataType.OHLC, bar(1), bar(2, close=9.0))
    assert missing(DataType.OHLC, rows(DataType.OHLC, bar(1), bar(2), bar(3)), stored) == 2


def test_prints_of_which_there_are_more_are_written_with_those_that_are_stored() -> None:
    """Of several files the one with the most of a print counts: the second alone would be taken for the first."""
    stored = rows(DataType.TRADES, trade(1, None), trade(2, None))
    found = rows(DataType.TRADES, trade(1, None), trade(1, None), trade(1, None), trade(2, None), trade(3, None))
    sifted = sift(DataType.TRADES, found, stored)
    assert sifted.new["TS"].to_list() == [1, 1, 3]
    assert sifted.again["TS"].to_list() == [1]
    assert (sifted.same, sifted.conflicts) == (2, 0)
