"""Market time of a simulated exchange in the tests: it goes by fast, and a busy machine doesn't make it jump."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from dccd.simulator.clock import ManualClock
from dccd.symbols import NS

__all__ = ["MarketClock", "going"]


class MarketClock:
    """A simulator's time as feeds see it, so that both go at the same speed."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now() / NS

    def wall_ns(self) -> int:
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


@asynccontextmanager
async def going(
    clock: ManualClock, *, speed: float, step: float, settled: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    """Market time goes by meanwhile, *speed* times as fast as real time, in steps of *step* seconds (of the market).

    Where the machine is busy for a moment, no more than one is taken; none while something isn't *settled*.
    """

    async def go() -> None:
        while True:
            await anyio.sleep(step / speed)
            if settled():
                clock.advance(step)

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        try:
            yield
        finally:
            group.cancel_scope.cancel()
