"""The one seam to time: deadlines flow in, callbacks and wake-ups flow out.

The runtime never asks the operating system for the time or sleeps: it asks its :class:`Clock`. In the daemon that is
:class:`SystemClock`; in tests :class:`FakeClock`, which stands still until it is told to advance.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Clock", "FakeClock", "SystemClock", "Timer"]


class Timer(Protocol):
    """What :meth:`Clock.call_at` returns."""

    def cancel(self) -> None:
        """Don't call; without effect once called."""


class Clock(Protocol):
    """Monotonic seconds for durations, wall-clock nanoseconds for what is shown to people."""

    def now(self) -> float:
        """Monotonic time in seconds; only differences mean something."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call ``callback(*args)`` in the event loop at monotonic time *when*, or soon if that has passed."""

    async def sleep_until(self, when: float) -> None:
        """Return at monotonic time *when*; a checkpoint if that has passed."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""


class _Sleeps:
    """The two sleeps, by means of ``call_at``."""

    async def sleep_until(self: Clock, when: float) -> None:
        if when <= self.now():
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_at(when, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()

    async def sleep(self: Clock, seconds: float) -> None:
        await self.sleep_until(self.now() + seconds)


class SystemClock(_Sleeps):
    """The operating system's clocks and the running event loop's timers."""

    def __repr__(self) -> str:
        return "<SystemClock>"

    def now(self) -> float:
        return time.monotonic()

    def wall_ns(self) -> int:
        return time.time_ns()

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        # call_later, since the loop's own clock need not be time.monotonic() (uvloop's isn't).
        return asyncio.get_running_loop().call_later(max(0.0, when - self.now()), callback, *args)


class FakeClock(_Sleeps):
    """A clock that moves only in :meth:`advance`. Starts at *now* seconds, *wall_ns* nanoseconds."""

    def __init__(self, now: float = 0.0, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._start = self._now = now
        self._wall_ns = wall_ns
        self._timers: list[tuple[float, int, _FakeTimer]] = []
        self._order = itertools.count()  # timers of the same time fire in the order they were set

    def __repr__(self) -> str:
        return f"<FakeClock now={self._now} timers={len(self.deadlines)}>"

    @property
    def deadlines(self) -> list[float]:
        """When the timers that are set will fire, soonest first."""
        return sorted(when for when, _, timer in self._timers if timer.callback is not None)

    def now(self) -> float:
        return self._now

    def wall_ns(self) -> int:
        return self._wall_ns + round((self._now - self._start) * 1e9)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        timer = _FakeTimer(callback, args)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move *seconds* ahead: each timer fires at its own time, and all that it wakes runs before the next."""
        target = self._now + seconds
        await self.settle()
        while self._timers and self._timers[0][0] <= target:
            when, _, timer = heapq.heappop(self._timers)
            if timer.callback is None:
                continue
            self._now = max(self._now, when)
            timer.callback(*timer.args)
            await self.settle()
        self._now = target
        await self.settle()

    async def settle(self, rounds: int = 50) -> None:
        """Give everything that can run *rounds* turns of the event loop; no time passes."""
        for _ in range(rounds):
            await asyncio.sleep(0)


class _FakeTimer:
    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        self.callback = None


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
