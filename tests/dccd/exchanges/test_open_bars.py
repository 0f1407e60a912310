"""Bars that are said to be closed, and bars that never are."""

from __future__ import annotations

import pytest

from dccd.exchanges.base import Broken
from dccd.exchanges.open_bars import GRACE, ClosedBars, OpenBars, check_bar
from dccd.records import Bar, Record
from dccd.symbols import NS

MINUTE = 60 * NS


def bar(ts: int, volume: float, trades: int | None = None) -> Bar:
    return Bar(ts, 1.0, 3.0, 0.5, 2.0, volume, trades=trades, closed=False)


def told(bars: OpenBars, *states: Bar) -> list[tuple[int, float, bool]]:
    out: list[Record] = []
    for state in states:
        bars.take(state, out)
    return [(record.ts, record.volume, record.closed) for record in out if isinstance(record, Bar)]


def test_a_later_bar_closes_the_present_one() -> None:
    """Each state is given out, and the last one of a bar once more as closed, before the next bar's first."""
    assert told(OpenBars(60), bar(0, 1.0), bar(0, 2.0), bar(MINUTE, 0.5)) == [
        (0, 1.0, False),
        (0, 2.0, False),
        (0, 2.0, True),
        (MINUTE, 0.5, False),
    ]


def test_time_closes_it_too() -> None:
    """After its end and a moment of grace, once."""
    bars, out = OpenBars(60), list[Record]()
    bars.take(bar(0, 1.0), out)
    bars.tick(MINUTE + GRACE - 1, out)
    assert len(out) == 1
    bars.tick(MINUTE + GRACE, out)
    bars.tick(MINUTE + GRACE + NS, out)
    assert [(record.ts, record.closed) for record in out if isinstance(record, Bar)] == [(0, False), (0, True)]


@pytest.mark.parametrize("counted", [True, False])
def test_states_that_were_overtaken_count_no_more(counted: bool) -> None:
    """A state with less traded than one before it is old, whether trades are counted or only volume."""
    states = [bar(0, volume, int(volume) if counted else None) for volume in (2.0, 1.0, 3.0)]
    assert told(OpenBars(60), *states) == [(0, 2.0, False), (0, 3.0, False)]


def test_a_late_trade_corrects_a_closed_bar() -> None:
    """It is given out once more, as closed; an older bar isn't."""
    bars = OpenBars(60)
    told(bars, bar(0, 1.0), bar(MINUTE, 1.0), bar(2 * MINUTE, 1.0))
    assert told(bars, bar(MINUTE, 5.0), bar(MINUTE, 1.0), bar(0, 9.0)) == [(MINUTE, 5.0, True)]


def test_what_was_over_when_it_came() -> None:
    """A bar of a snapshot that had ended before is history's."""
    bars = OpenBars(60)
    assert bars.is_over(bar(0, 1.0), MINUTE + GRACE)
    assert not bars.is_over(bar(0, 1.0), MINUTE + GRACE - 1)


def closed(minute: int, volume: float = 1.0) -> Bar:
    return Bar(minute * MINUTE, 1.0, 3.0, 0.5, 2.0, volume)


def test_each_closed_bar_once() -> None:
    """What comes of a bar after it was closed, and states overtaken by later ones, are dropped."""
    bars, out = ClosedBars(60), list[Record]()
    states = [bar(0, 2.0), bar(0, 1.0), closed(0, 3.0), closed(0, 3.0), bar(0, 4.0), bar(MINUTE, 0.0)]
    assert bars.take(states, out) is None
    assert out == [states[0], states[2], states[5]]


def test_what_closed_bars_leave_out_is_a_hole() -> None:
    """Several of one frame are one, from the first bar that is missing to the last that isn't."""
    bars, out = ClosedBars(60), list[Record]()
    assert bars.take([closed(1), closed(2)], out) is None
    assert bars.take([closed(5)], out) == Broken("2 closed bars are missing", 3 * MINUTE, "none", 5 * MINUTE)
    hole = Broken("3 closed bars are missing", 6 * MINUTE, "none", 10 * MINUTE)
    assert bars.take([closed(7), closed(10), closed(11)], out) == hole
    assert [record.ts // MINUTE for record in out] == [1, 2, 5, 7, 10, 11]


def test_the_first_bar_of_a_connection_is_missed_too() -> None:
    """It was seen open, and the next one is closed: its own closing was lost."""
    bars, out = ClosedBars(60), list[Record]()
    assert bars.take([bar(3 * MINUTE, 1.0), bar(4 * MINUTE, 1.0)], out) is None
    assert bars.take([closed(4)], out) == Broken("1 closed bars are missing", 3 * MINUTE, "none", 4 * MINUTE)


@pytest.mark.parametrize("values", [(5.0, 4.0, 1.0, 2.0), (2.0, 3.0, 2.5, 2.6), (2.0, 1.0, 3.0, 2.0)])
def test_a_bar_that_is_none(values: tuple[float, float, float, float]) -> None:
    """High and low that don't hold open and close are refused."""
    with pytest.raises(ValueError, match="a bar from"):
        check_bar(Bar(0, *values, 1.0))
