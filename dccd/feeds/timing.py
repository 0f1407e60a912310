"""Time as feeds see it: a clock that can be injected, and how long to wait before trying again.

An attempt's number and a random number flow in, seconds flow out; ``fake.FakeClock`` stands in for the clock.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import msgspec

__all__ = ["Backoff", "Clock", "SystemClock"]


class Clock(Protocol):
    """What feeds ask of a clock (the actor runtime's has the same methods)."""

    def now(self) -> float:
        """Monotonic seconds, for durations."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds UTC since 1970, for records."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds* of this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """Nanoseconds UTC since 1970."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        await asyncio.sleep(seconds)


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential backoff with jitter: ``initial`` seconds, times ``factor`` each attempt, ``maximum`` at most.

    ``jitter`` is the part of each wait that is left to chance, so that a thousand streams that an exchange
    dropped at once don't come back at once.
    """

    initial: float = 0.5
    maximum: float = 60.0
    factor: float = 2.0
    jitter: float = 0.5

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait before attempt number *attempt* (0 is the first retry); *chance* in [0, 1)."""
        # The exponent is capped since 2.0 ** 1100 overflows, and a stream may retry for weeks.
        full = min(self.maximum, self.initial * self.factor ** min(attempt, 64))
        return full * (1.0 - self.jitter * chance)
