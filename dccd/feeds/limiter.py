"""Whose turn it is to ask an exchange: costs and urgencies flow in, turns flow out.

One limiter for all that a host asks of one exchange, since the exchange counts by IP address. It spaces requests as
ccxt's own throttler does (a request of cost c keeps the next one away for c periods), but lets urgent ones overtake:
a book that waits for its snapshot must not wait behind a backfill. It sleeps for just as long as it must, where
ccxt's wakes a thousand times a second.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from dccd.feeds.timing import Clock

__all__ = ["Limiter"]


class Limiter:
    """*period*: seconds per unit of cost, 0 for no limit. *in_flight*: how many requests that aren't urgent at once."""

    def __init__(self, period: float, clock: Clock, in_flight: int = 16) -> None:
        self._period = period
        self._clock = clock
        self._slots = in_flight
        self._free_at = self._paused_until = clock.now()
        self._waiting: list[tuple[bool, int, float, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._server: asyncio.Task[None] | None = None
        self._in_flight = 0
        self.cost = 0.0
        """Sum of the costs of all turns given."""
        self.waited = 0.0
        """Seconds that requests waited for their turns, summed."""

    def statistics(self) -> dict[str, Any]:
        """Turns waited for and given; the seconds that a unit of cost takes, and how long all must stay away yet."""
        return {
            "waiting": len(self._waiting),
            "in_flight": self._in_flight,
            "slots": self._slots,
            "cost": self.cost,
            "period": self._period,
            "waited": self.waited,
            "paused_for": max(0.0, self._paused_until - self._clock.now()),
        }

    @asynccontextmanager
    async def turn(self, cost: float, urgent: bool = False) -> AsyncGenerator[None, None]:
        """Wait for a turn, and hold one of the places in flight meanwhile (urgent ones need none)."""
        await self.acquire(cost, urgent)
        try:
            yield
        finally:
            self.release(urgent)

    async def acquire(self, cost: float, urgent: bool = False) -> None:
        """Wait for a turn. What is acquired must be released, unless this is cancelled."""
        started = self._clock.now()
        if not self._waiting and self._may(urgent) and started >= self._free_at:
            self._give(cost, urgent)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not urgent, next(self._order), cost, future))
        self._serve()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                # The turn came in the same moment: give it back.
                self.release(urgent)
            raise
        self.waited += self._clock.now() - started

    def release(self, urgent: bool = False) -> None:
        """Give up the place in flight."""
        if not urgent:
            self._in_flight -= 1
            self._serve()

    @property
    def paused_for(self) -> float:
        """Seconds until the next turn can be given."""
        return max(0.0, self._free_at - self._clock.now())

    def pause(self, seconds: float) -> None:
        """Let nobody have a turn for *seconds*: the exchange said so, to all of this host."""
        self._paused_until = self._clock.now() + seconds
        self._free_at = max(self._free_at, self._paused_until)

    def close(self) -> None:
        """Stop; those who wait are cancelled."""
        if self._server is not None:
            self._server.cancel()
        for *_, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    def _may(self, urgent: bool) -> bool:
        return urgent or self._in_flight < self._slots

    def _give(self, cost: float, urgent: bool) -> None:
        self.cost += cost
        self._in_flight += not urgent
        if self._period:
            self._free_at = max(self._clock.now(), self._free_at) + cost * self._period

    def _serve(self) -> None:
        if self._waiting and (self._server is None or self._server.done()):
            self._server = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Give turns until nobody waits, or those who do wait for a place (release() starts this again)."""
        while self._waiting:
            wait = self._free_at - self._clock.now()
            if wait > 0:
                await self._clock.sleep(wait)
                continue
            later, _, cost, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
                continue
            if not self._may(not later):
                return
            heapq.heappop(self._waiting)
            self._give(cost, not later)
            future.set_result(None)
