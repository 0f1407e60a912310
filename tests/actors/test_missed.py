"""What a run couldn't have, whatever order its pages come in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from actors.missed import Missed
from dccd.exchanges.base import Page
from dccd.exchanges.paging import Prefix
from dccd.symbols import NS


def page(start: int, end: int) -> Page:
    return Page([], start, end)


@given(
    bounds=st.lists(st.integers(0, 60), min_size=2, max_size=15, unique=True).map(sorted),
    holes=st.sets(st.integers(0, 13)),
    order=st.randoms(use_true_random=False),
    fetches=st.integers(1, 3),
)
def test_whatever_order_they_come_in(bounds: list[int], holes: set[int], order: object, fetches: int) -> None:
    """Exactly what no page covered is a hole, once, and none is told before the position has passed it."""
    windows = list(enumerate(pairwise(bounds)))
    order.shuffle(windows)  # type: ignore[attr-defined]  # a random.Random
    missed, prefix = Missed("x", 1), Prefix(bounds[0])
    missed.begin(bounds[0])
    points: list[int] = []
    for count, (number, (start, end)) in enumerate(windows):
        if count % 5 == 4 and fetches > 1:
            missed.begin(prefix.until)
        prefix.add(start, end)
        missed.add(page(end, end) if number in holes else page(start, end), prefix.until)
        for hole in missed.take(final=False):
            assert hole.end < prefix.until
            points += range(hole.start, hole.end)
    for hole in missed.take(final=True):
        points += range(hole.start, hole.end)
    gone = [point for number, (start, end) in windows if number in holes for point in range(start, end)]
    assert sorted(points) == sorted(gone)
    assert missed.since > bounds[-1] and missed.take(final=True) == []


def test_the_front_and_the_middle_are_told_apart() -> None:
    """The first says where the exchange's history begins, the others are counted, and some are named."""
    missed = Missed("x", 1)
    missed.begin(0)
    missed.add(page(10 * NS, 20 * NS), 20 * NS)
    (front,) = missed.take(final=False)
    assert (front.start, front.end, front.front) == (0, 10 * NS, True)
    assert missed.fronts == ["x serves nothing before 1970-01-01T00:00:10Z any more"] == [front.reason]
    assert missed.between() is None
    for number in range(2, 7):
        missed.add(page((number * 10 + 1) * NS, (number + 1) * 10 * NS), (number + 1) * 10 * NS)
    assert [(hole.start, hole.end, hole.front) for hole in missed.take(final=True)] == [
        (number * 10 * NS, (number * 10 + 1) * NS, False) for number in range(2, 7)
    ]
    assert missed.between() == (
        "x doesn't serve 5 intervals in between, 5.000 s in all: 1970-01-01T00:00:20Z to 1970-01-01T00:00:21Z, "
        "1970-01-01T00:00:30Z to 1970-01-01T00:00:31Z, 1970-01-01T00:00:40Z to 1970-01-01T00:00:41Z, …"
    )


def test_less_than_a_bar_is_no_hole() -> None:
    """A start between two bars misses none of them."""
    missed = Missed("x", 60 * NS)
    missed.begin(1)
    missed.add(page(60 * NS, 120 * NS), 120 * NS)
    assert missed.take(final=True) == []


def test_one_that_may_still_grow_waits() -> None:
    """Whoever goes on after a crash begins with it."""
    missed = Missed("x", 1)
    missed.begin(0)
    missed.add(page(5, 5), 5)
    assert missed.take(final=False) == [] and missed.since == 0
    missed.add(page(7, 9), 9)
    (hole,) = missed.take(final=False)
    assert (hole.start, hole.end) == (0, 7)
    assert missed.since > 9
