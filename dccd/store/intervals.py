"""Interval arithmetic: what of a time range there is, and what is missing.

Intervals of time flow in, intervals flow out. Pure; half-open ``[start, end)`` in ns throughout.

>>> have = IntervalSet([(0, 10), (20, 30)])
>>> have.gaps(5, 25)
[(10, 20)]
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

__all__ = ["Gap", "Interval", "IntervalSet"]

Interval = tuple[int, int]
"""``[start, end)`` in ns."""


class Gap(msgspec.Struct, frozen=True, order=True, gc=False):
    """Records of ``[start, end)`` ns are missing, and why."""

    start: int
    end: int
    reason: str = ""


class IntervalSet:
    """A set of points of time as disjoint intervals in order; those that touch are one. Immutable.

    Adding or subtracting one costs what it touches and a copy of the ends; ``in`` and ``gaps`` find their place by
    bisection.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        """Unite *intervals*, in any order; empty ones (``start >= end``) add nothing."""
        starts: list[int] = []
        ends: list[int] = []
        for start, end in sorted(intervals):
            if start >= end:
                continue
            if ends and start <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(start)
                ends.append(end)
        self._starts, self._ends = starts, ends

    @classmethod
    def of(cls, gaps: Iterable[Gap]) -> IntervalSet:
        """Unite what *gaps* are about, whatever their reasons."""
        return cls((gap.start, gap.end) for gap in gaps)

    def __iter__(self) -> Iterator[Interval]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and self._starts == other._starts and self._ends == other._ends

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)})"

    def __contains__(self, ts: int) -> bool:
        """Whether the point *ts* is in one of the intervals."""
        index = bisect_right(self._starts, ts) - 1
        return index >= 0 and ts < self._ends[index]

    @property
    def bounds(self) -> Interval | None:
        """From where the first begins to where the last ends; None of an empty set."""
        return (self._starts[0], self._ends[-1]) if self._starts else None

    @property
    def length(self) -> int:
        """The nanoseconds covered."""
        return sum(self._ends) - sum(self._starts)

    def add(self, start: int, end: int) -> IntervalSet:
        """Return the set with ``[start, end)``."""
        if start >= end:
            return self
        # Those that touch: from the first that doesn't end before `start` to the last that begins by `end`.
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        return self._replace(first, last, [(start, end)])

    def subtract(self, start: int, end: int) -> IntervalSet:
        """Return the set without ``[start, end)``."""
        if start >= end:
            return self
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        if first >= last:
            return self
        edges = [(self._starts[first], start), (end, self._ends[last - 1])]
        return self._replace(first, last, [(a, b) for a, b in edges if a < b])

    def union(self, *others: IntervalSet) -> IntervalSet:
        """Return what is in any."""
        return IntervalSet(chain(self, *others))

    def minus(self, other: IntervalSet) -> IntervalSet:
        """Return what is in this and not in *other*."""
        if not other or not self:
            return self
        return IntervalSet(gap for start, end in self for gap in other.gaps(start, end))

    def within(self, start: int, end: int) -> IntervalSet:
        """Return what of the set lies in ``[start, end)``."""
        first, last = bisect_right(self._ends, start), bisect_left(self._starts, end)
        return IntervalSet(
            (max(a, start), min(b, end)) for a, b in zip(self._starts[first:last], self._ends[first:last], strict=True)
        )

    def gaps(self, start: int, end: int) -> list[Interval]:
        """Return what of ``[start, end)`` isn't in the set, in order."""
        found = []
        at = start
        for low, high in self.within(start, end):
            if low > at:
                found.append((at, low))
            at = high
        if at < end:
            found.append((at, end))
        return found

    def _replace(self, first: int, last: int, by: list[Interval]) -> IntervalSet:
        fresh = IntervalSet()
        fresh._starts = [*self._starts[:first], *(a for a, _ in by), *self._starts[last:]]
        fresh._ends = [*self._ends[:first], *(b for _, b in by), *self._ends[last:]]
        return fresh
