"""Whose turn it is to open a connection: an exchange's limits flow in, turns flow out, one after the other.

One for all that a host opens at one exchange, since the exchange counts by IP address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dccd.exchanges.base import Connections
from dccd.feeds.outbox import Window
from dccd.feeds.timing import Clock

__all__ = ["Turns"]


class Turns:
    """``opens`` a minute of *limits*, and ``opens_per_second``."""

    def __init__(self, limits: Connections, clock: Clock) -> None:
        self._windows = (Window(limits.opens, 60.0), Window(limits.opens_per_second, 1.0))
        self._clock = clock
        self._first = asyncio.Lock()
        self.given = 0
        """Turns so far."""

    def __repr__(self) -> str:
        return f"<Turns given={self.given}>"

    async def take(self, wanted: Callable[[], bool] | None = None) -> bool:
        """Wait until another connection may be opened; False, and none is taken, when it isn't *wanted* by then."""
        async with self._first:
            while wait := max(window.wait(self._clock.now()) for window in self._windows):
                await self._clock.sleep(wait)
            if wanted is not None and not wanted():
                return False
            for window in self._windows:
                window.note(self._clock.now())
            self.given += 1
            return True
