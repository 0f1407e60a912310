"""What time it is on the simulated exchanges: real or injected time flows in, market time (ns UTC) flows out."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Protocol

from dccd.symbols import NS

__all__ = ["Clock", "ManualClock", "SystemClock"]

Pump = Callable[[int], None]
"""Called with the time whenever it has moved on: sends what is due."""


class Clock(Protocol):
    """The seam: one clock for all exchanges of a simulator."""

    def now(self) -> int:
        """Market time in ns since 1970."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until that much market time has gone by (for slow answers)."""
        ...

    async def run(self, pump: Pump) -> None:
        """Call *pump* as time goes by, until cancelled."""
        ...


class SystemClock:
    """The real time, or one that starts at *start* (ns), *speed* times as fast. Pumps each *interval* seconds."""

    def __init__(self, start: int | None = None, speed: float = 1.0, interval: float = 0.02) -> None:
        if speed <= 0:
            raise ValueError(f"speed {speed:g} is not above 0")
        self._origin = time.monotonic_ns()
        self._start = time.time_ns() if start is None else start
        self.speed = speed
        self._interval = interval

    def __repr__(self) -> str:
        return f"<SystemClock x{self.speed:g}>"

    def now(self) -> int:
        """Market time in ns since 1970; never goes back, whatever is done to the machine's clock."""
        return self._start + int((time.monotonic_ns() - self._origin) * self.speed)

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of market time."""
        await asyncio.sleep(seconds / self.speed)

    async def run(self, pump: Pump) -> None:
        """Pump at the interval, until cancelled."""
        while True:
            pump(self.now())
            await asyncio.sleep(self._interval)


class ManualClock:
    """Stands still until told to advance: for tests, which then need no sleeping."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._pumps: list[Pump] = []
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"<ManualClock {self._now}>"

    def now(self) -> int:
        """Market time in ns since 1970."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let *seconds* go by at once; all that is due within has been written to the sockets on return."""
        self._now += round(seconds * NS)
        for pump in self._pumps:
            pump(self._now)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, waiting = heapq.heappop(self._sleepers)
            if not waiting.done():
                waiting.set_result(None)

    @property
    def sleeping(self) -> int:
        """How many answers wait for time to go by."""
        return sum(not waiting.done() for _, _, waiting in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until :meth:`advance` has gone that far."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + round(seconds * NS), id(waiting), waiting))
        await waiting

    async def run(self, pump: Pump) -> None:
        """Have *pump* called by :meth:`advance`, until cancelled."""
        self._pumps.append(pump)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._pumps.remove(pump)
