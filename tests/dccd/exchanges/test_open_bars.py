"""Bars that are never said to be closed."""

from __future__ import annotations

import pytest

from dccd.exchanges.open_bars import GRACE, OpenBars, check_bar
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


@pytest.mark.parametrize("values", [(5.0, 4.0, 1.0, 2.0), (2.0, 3.0, 2.5, 2.6), (2.0, 1.0, 3.0, 2.0)])
def test_a_bar_that_is_none(values: tuple[float, float, float, float]) -> None:
    """High and low that don't hold open and close are refused."""
    with pytest.raises(ValueError, match="a bar from"):
        check_bar(Bar(0, *values, 1.0))
