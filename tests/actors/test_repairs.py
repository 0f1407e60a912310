"""Which holes are one order."""

from __future__ import annotations

import pytest

from actors.repairs import together
from dccd.store.intervals import Gap
from dccd.symbols import NS


def gap(start: int, end: int, reason: str = "lost") -> Gap:
    return Gap(start * NS, end * NS, reason)


def test_holes_near_each_other_are_one_order() -> None:
    """With what lies between; the newest comes first."""
    gaps = [gap(300, 310), gap(10, 20), gap(70, 80), gap(90, 95, "gone")]
    assert together(gaps, 1000 * NS) == [gap(300, 310), gap(10, 95, "several")]


@pytest.mark.parametrize(
    ("start", "end", "ordered"),
    [(10, 90, [(10, 90)]), (40, 100, []), (10, 92, []), (10, 140, [(10, 90)]), (91, 95, [])],
)
def test_a_hole_told_in_advance_is_waited_for(start: int, end: int, ordered: list[tuple[int, int]]) -> None:
    """Unless it goes on for long: then what is over is ordered. It is 90 s."""
    assert together([gap(start, end)], 90 * NS) == [gap(*one) for one in ordered]


def test_who_asks_now_gets_what_is_over() -> None:
    """A hole that goes on is cut at the moment; what is yet to come isn't asked for."""
    holes = [gap(60, 100), gap(200, 210), gap(10, 20)]
    assert together(holes, 90 * NS, at_once=True) == [gap(10, 90)]
