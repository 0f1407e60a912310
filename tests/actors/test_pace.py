"""Records are due at the time at which they were, as many times faster."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.pace import Pace
from dccd.symbols import NS

T = 1_700_000_000 * NS


@pytest.mark.parametrize(("speed", "due"), [(1.0, 103.0), (10.0, 100.3), (0.5, 106.0)])
def test_a_record_is_due_by_its_distance_from_the_base(speed: float, due: float) -> None:
    """Three seconds later it is due three seconds later, divided by the speed."""
    assert Pace(T, 100.0, speed).due(T + 3 * NS) == pytest.approx(due)


def test_at_full_speed_all_is_due() -> None:
    """And the position doesn't move by itself, nor is anything late."""
    pace = Pace(T, 100.0, 0.0)
    assert pace.due(T + 10**18) == -math.inf
    assert (pace.position(500.0), pace.behind(T, 500.0), pace.quantum) == (T, 0.0, 0)


@given(st.floats(0.01, 1000), st.integers(0, 10**15))
def test_the_position_is_where_what_is_due_is(speed: float, ahead: int) -> None:
    """What is due at a moment has the time at which the replay is then."""
    pace = Pace(T, 100.0, speed)
    assert pace.position(pace.due(T + ahead)) == pytest.approx(T + ahead, abs=ahead * 1e-9 + 1e6 * speed)


def test_what_is_late_is_told() -> None:
    """In seconds of the clock; what isn't due yet isn't."""
    pace = Pace(T, 100.0, 10.0)
    assert pace.behind(T + 10 * NS, 105.0) == pytest.approx(4.0)
    assert pace.behind(T + 10 * NS, 100.5) == 0.0


def test_a_jump_makes_what_follows_due_sooner() -> None:
    """By as much as was jumped over."""
    assert Pace(T, 100.0, 1.0).jumped(60 * NS).due(T + 61 * NS) == pytest.approx(101.0)


@pytest.mark.parametrize(("speed", "quantum"), [(1.0, 10**6), (1000.0, NS), (0.001, 1000)])
def test_a_millisecond_of_the_clock_is_one_step(speed: float, quantum: int) -> None:
    """However much of the replayed time that is."""
    assert Pace(T, 0.0, speed).quantum == quantum
