"""Tests of the interval arithmetic, against sets of integers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dccd.store.intervals import Gap, IntervalSet

points = st.integers(0, 30)
intervals = st.lists(st.tuples(points, points), max_size=6)


def members(intervals: IntervalSet | list[tuple[int, int]]) -> set[int]:
    return {point for start, end in intervals for point in range(start, end)}


@given(intervals)
def test_a_set_is_its_points(pairs: list[tuple[int, int]]) -> None:
    """The intervals hold the points given, are in order, and neither empty nor touching."""
    made = IntervalSet(pairs)
    assert members(made) == members(pairs)
    assert all(start < end for start, end in made)
    ends, starts = [end for _, end in made], [start for start, _ in made]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    assert [point in made for point in range(31)] == [point in members(pairs) for point in range(31)]
    assert made.length == len(members(pairs))


@given(intervals)
def test_the_set_of_gaps_is_that_of_their_intervals(pairs: list[tuple[int, int]]) -> None:
    """Gaps of different reasons that touch or overlap are one interval."""
    assert IntervalSet.of(Gap(start, end, f"{start}") for start, end in pairs) == IntervalSet(pairs)


@given(intervals, points, points)
def test_adding_and_subtracting(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    """Adding and subtracting an interval does so with its points, and leaves the set itself alone."""
    made = IntervalSet(pairs)
    span = set(range(start, end))
    assert made.add(start, end) == IntervalSet([*pairs, (start, end)])
    assert members(made.subtract(start, end)) == members(pairs) - span
    assert made == IntervalSet(pairs)


@given(intervals, points, points)
def test_gaps_and_what_is_within(pairs: list[tuple[int, int]], start: int, end: int) -> None:
    """What is within a range and its gaps make up the range."""
    made = IntervalSet(pairs)
    span = set(range(start, end))
    assert members(made.within(start, end)) == members(pairs) & span
    assert members(made.gaps(start, end)) == span - members(pairs)


@given(intervals, intervals)
def test_union(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """A union holds the points of both."""
    assert members(IntervalSet(one).union(IntervalSet(other))) == members(one) | members(other)


@given(intervals, intervals)
def test_minus(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """A difference holds the points of the one that aren't in the other."""
    assert members(IntervalSet(one).minus(IntervalSet(other))) == members(one) - members(other)


def test_bounds() -> None:
    """The bounds are of the first and the last interval."""
    assert IntervalSet([(5, 6), (1, 2)]).bounds == (1, 6)
    assert IntervalSet().bounds is None


def test_gaps_sort_by_time() -> None:
    """Gaps are ordered by where they start."""
    assert sorted([Gap(5, 6, "late"), Gap(1, 9, "early")])[0].reason == "early"
