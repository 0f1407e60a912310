"""How values are counted by bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.histogram import LAGS, PAUSES, REQUESTS, Histogram

VALUES = st.lists(st.floats(min_value=-10, max_value=1000, allow_nan=False), max_size=50)


@pytest.mark.parametrize("bounds", [LAGS, REQUESTS, PAUSES])
def test_bounds_ascend(bounds: tuple[float, ...]) -> None:
    """Each bucket's bound is above the one before, and above 0."""
    assert list(bounds) == sorted(set(bounds))
    assert bounds[0] > 0


def test_a_bound_belongs_to_its_bucket() -> None:
    """A value that equals a bound is counted up to that bound, as Prometheus' ``le`` says."""
    histogram = Histogram((1.0, 2.5))
    for value in (0.0, 1.0, 1.1, 2.5, 2.6):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 2), ("2.5", 4), ("+Inf", 5)]
    assert (histogram.count, histogram.total, histogram.negative) == (5, pytest.approx(7.2), 0)


@given(VALUES, VALUES)
def test_many_at_once_count_as_one_by_one(ours: list[float], theirs: list[float]) -> None:
    """Counts that were made elsewhere are added bucket by bucket, and negative values only ever to their own count."""
    one, other, both = Histogram(), Histogram(), Histogram()
    for value in ours:
        one.observe(value)
        both.observe(value)
    for value in theirs:
        other.observe(value)
        both.observe(value)
    one.add(other.counts, other.total, other.negative)
    assert (one.counts, one.negative) == (both.counts, both.negative)
    assert one.total == pytest.approx(both.total)
    assert one.count + one.negative == len(ours) + len(theirs)
    assert both.total >= 0
