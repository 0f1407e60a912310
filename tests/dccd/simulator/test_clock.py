"""The clocks: one that goes as fast as asked, one that stands still until told."""

from __future__ import annotations

import asyncio

import pytest

from dccd.simulator.clock import ManualClock, SystemClock

pytestmark = pytest.mark.anyio


async def test_the_manual_clock_wakes_who_is_due() -> None:
    """Sleepers wake in order, when and only when enough time has been let by."""
    clock = ManualClock(1000)
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(sleeper(name, seconds)) for name, seconds in (("b", 2), ("a", 1), ("c", 9))]
        await asyncio.sleep(0)
        assert clock.sleeping == 3
        clock.advance(2)
        await tasks[0]
        assert sorted(woken) == ["a", "b"] and clock.sleeping == 1
        clock.advance(7)
    assert woken[-1] == "c" and clock.now() == 1000 + 9 * 10**9


async def test_the_manual_clock_pumps_as_it_advances() -> None:
    """Pumps are called with the new time before advance returns, and no more once cancelled."""
    clock = ManualClock(0)
    seen: list[int] = []
    task = asyncio.create_task(clock.run(seen.append))
    await asyncio.sleep(0)
    clock.advance(1.5)
    assert seen == [1_500_000_000]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clock.advance(1)
    assert len(seen) == 1


async def test_the_system_clock_goes_at_its_speed() -> None:
    """Market time runs as many times faster as asked, and pumping happens by itself."""
    clock = SystemClock(start=0, speed=1000.0, interval=0.001)
    pumped = asyncio.Event()
    seen: list[int] = []

    def pump(now: int) -> None:
        seen.append(now)
        if now > 10**10:
            pumped.set()

    async with asyncio.timeout(60):
        task = asyncio.create_task(clock.run(pump))
        await pumped.wait()
        task.cancel()
        await clock.sleep(0.5)
    assert seen == sorted(seen)
    with pytest.raises(ValueError, match="speed"):
        SystemClock(speed=0)
