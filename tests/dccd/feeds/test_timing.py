from __future__ import annotations

import time

import pytest

from dccd.feeds.timing import Backoff, SystemClock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 1.0), (1, 2.0), (3, 8.0), (6, 60.0), (100_000, 60.0)])
def test_waits_double_up_to_the_maximum(attempt: int, seconds: float) -> None:
    """Each attempt waits twice as long as the one before, and never longer than the maximum."""
    assert Backoff(initial=1.0, maximum=60.0).delay(attempt, 0.0) == seconds


def test_chance_takes_away_up_to_the_jitter() -> None:
    """The part of a wait left to chance is what ``jitter`` says."""
    backoff = Backoff(initial=8.0, jitter=0.25)
    assert backoff.delay(0, 0.0) == 8.0
    assert backoff.delay(0, 0.5) == 7.0


async def test_the_system_clock_tells_both_times() -> None:
    """Monotonic seconds go on while it sleeps, and the wall time is that of the machine."""
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0.0)
    assert clock.now() >= before
    assert abs(clock.wall_ns() - time.time_ns()) < 5_000_000_000
