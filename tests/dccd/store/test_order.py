from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.records import BookDelta, Trade
from dccd.store import merge
from dccd.store.fold import fold
from dccd.store.order import in_order, is_in_order
from dccd.symbols import NS, DataType

NOON = 1_700_049_600 * NS

IDS = st.integers(0, 30).map(str) | st.sampled_from(["a1", "ff", "9" * 30]) | st.none()


def trades(rows: list[tuple[int, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"TS": pl.Int64, "tid": pl.String}, orient="row")


def test_trades_of_one_time_are_in_the_order_of_their_numbers() -> None:
    """As numbers, not as text; what is no number comes first, as it was written."""
    rows = trades([(2, "1"), (1, "10"), (1, "9"), (1, "b"), (1, "a"), (1, None)])
    assert in_order(DataType.TRADES, rows).rows() == [(1, "b"), (1, "a"), (1, None), (1, "9"), (1, "10"), (2, "1")]


@given(st.lists(st.tuples(st.integers(0, 3), IDS), max_size=12))
def test_what_is_in_order_says_so(rows: list[tuple[int, str | None]]) -> None:
    """Nothing that a sort would change passes for sorted, and what has numbers only is found to be."""
    frame = trades(rows)
    if is_in_order(DataType.TRADES, frame):
        assert in_order(DataType.TRADES, frame).equals(frame)
    numbered = in_order(DataType.TRADES, frame.filter(pl.col("tid").str.contains(r"^\d{1,3}$")))
    assert is_in_order(DataType.TRADES, numbered)


@pytest.mark.parametrize("pages", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("chunk", [1, 1000])
@pytest.mark.parametrize("folded", [False, True])
def test_pages_that_come_in_any_order_read_the_same(
    bench: Any, monkeypatch: pytest.MonkeyPatch, pages: tuple[int, ...], chunk: int, folded: bool
) -> None:
    """Trades of one time that lie in two pages of a history are in the order in which they happened."""
    monkeypatch.setattr(merge, "CHUNK", chunk)
    # Three trades each time, four a page.
    every = [Trade(NOON + n // 3, 1.0, 1.0, "buy", str(n + 8), None) for n in range(12)]
    for page in pages:
        bench.put(every[4 * page : 4 * page + 4])
        if folded:
            fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.tids() == [str(n + 8) for n in range(12)]


def test_one_write_of_several_pages_is_in_order(bench: Any) -> None:
    """As those that a backfill writes together are."""
    (segment,) = bench.put([Trade(NOON, 1.0, 1.0, "buy", tid, None) for tid in ("10", "11", "8", "9")])
    assert pl.read_parquet(segment.path)["tid"].to_list() == ["8", "9", "10", "11"]


def test_books_are_in_the_order_of_their_numbers(bench: Any) -> None:
    """Within a time, by seq."""
    bench.put([BookDelta(NOON, seq, [(1.0, float(seq))], []) for seq in (3, 1, 2)], bench.book)
    assert bench.store.read(bench.book)["seq"].to_list() == [1, 2, 3]
