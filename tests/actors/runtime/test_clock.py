"""The clock that tests move, and the one that moves by itself."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest

from actors.runtime.clock import Clock, FakeClock, SystemClock

pytestmark = pytest.mark.anyio


async def test_timers_fire_in_order_at_their_own_time() -> None:
    """Those of the same time in the order they were set; a cancelled one never."""
    clock = FakeClock(now=100)
    fired: list[tuple[str, float]] = []
    for name, when in (("b", 102.0), ("a", 101.0), ("c", 102.0), ("late", 200.0)):
        clock.call_at(when, lambda name=name: fired.append((name, clock.now())))
    clock.call_at(101.5, fired.append, ("never", 0.0)).cancel()
    assert clock.deadlines == [101, 102, 102, 200]
    await clock.advance(5)
    assert fired == [("a", 101), ("b", 102), ("c", 102)]
    assert clock.now() == 105


async def test_what_a_timer_wakes_runs_before_the_next_one() -> None:
    """So a loop of sleeps takes exactly its time."""
    clock = FakeClock()
    beats = []

    async def beat() -> None:
        while True:
            await clock.sleep(1)
            beats.append(clock.now())

    task = asyncio.create_task(beat())
    await clock.advance(3.5)
    assert beats == [1, 2, 3]
    task.cancel()
    await clock.settle()
    assert clock.deadlines == []
    assert repr(clock) == "<FakeClock now=3.5 timers=0>"


async def test_the_wall_clock_moves_along() -> None:
    """In nanoseconds."""
    clock = FakeClock(now=5, wall_ns=1_000)
    await clock.advance(1.5)
    assert clock.wall_ns() == 1_500_001_000


@pytest.mark.parametrize("clock", [FakeClock(now=10), SystemClock()])
async def test_sleeping_until_the_past_is_a_checkpoint(clock: Clock) -> None:
    """Others get their turn, no time passes."""
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    with anyio.fail_after(60):
        await clock.sleep_until(clock.now() - 1)
    assert turns == [1]


async def test_the_system_clock_is_the_operating_systems() -> None:
    """Its timers run in the event loop and can be cancelled."""
    clock = SystemClock()
    assert time.time_ns() <= clock.wall_ns() <= time.time_ns()
    assert time.monotonic() <= clock.now() <= time.monotonic()
    fired = anyio.Event()
    clock.call_at(clock.now() - 1, fired.set)
    never = clock.call_at(clock.now(), pytest.fail, "it was cancelled")
    never.cancel()
    with anyio.fail_after(20):
        await fired.wait()
        await clock.sleep(0.001)
    assert repr(clock) == "<SystemClock>"
