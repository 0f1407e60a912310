"""The age of rows that reach the disk."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.histogram import LAGS, Histogram
from dccd.store.lags import lags
from dccd.symbols import NS

NOW = 1_700_000_000 * NS


@given(st.lists(st.integers(min_value=-10 * NS, max_value=1000 * NS), max_size=40), st.sampled_from([0, 60 * NS]))
def test_rows_are_sorted_as_one_by_one(ages: list[int], shift: int) -> None:
    """The same buckets as a histogram fills that is given each age, rows of the future apart."""
    table = pa.table({"TS": pa.array([NOW - shift - age for age in ages], pa.int64())})
    expected = Histogram()
    for age in ages:
        expected.observe(age / NS)
    counts, total, negative = lags(table, NOW, LAGS, shift)
    assert (counts, negative) == (expected.counts, expected.negative)
    assert total == pytest.approx(expected.total)


def test_a_table_in_chunks_is_one_table() -> None:
    """As the store makes them of several messages."""
    chunked = pa.table({"TS": pa.chunked_array([[NOW - NS], [NOW - 2 * NS, NOW + 1]], pa.int64())})
    counts, total, negative = lags(chunked, NOW, (1.0, 5.0))
    assert (counts, total, negative) == ([1, 1, 0], 3.0, 1)
