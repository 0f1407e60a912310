"""Replays: start one, and list them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from dccd import messages as m
from dccd.client.base import Requests, Time, bound
from dccd.client.replay import Replay
from dccd.symbols import Dataset

__all__ = ["ReplayRequests"]


class ReplayRequests(Requests):
    """What is stored, published again."""

    def replay(
        self,
        datasets: str | Dataset | Iterable[str | Dataset],
        start: Time | None = None,
        end: Time | None = None,
        *,
        speed: m.Speed = "max",
        start_paused: bool = False,
        skip_gaps: bool = False,
        books: bool = True,
    ) -> Replay:
        """Return a replay of *datasets* (names, or patterns as ``binance.trades.*``) in ``[start, end)``, merged by
        time, to iterate over: ``async with client.replay(…) as replay: async for dataset, record in replay``.

        *speed*: how many times as fast as it was; 0 or ``"max"``: as fast as it is taken. *start_paused*: until
        ``resume``. *skip_gaps*: time of which nothing is known to be there is jumped over. *books*: an order book
        begins with what it was at the start.
        """
        wanted = [datasets] if isinstance(datasets, str | Dataset) else datasets
        return Replay(
            self,
            m.ReplayStart(
                datasets=[str(one) for one in wanted],
                start=bound(start),
                end=bound(end),
                speed=speed,
                id=secrets.token_hex(6),
                start_paused=start_paused,
                flow=True,
                blocks=True,
                skip_gaps=skip_gaps,
                books=books,
            ),
        )

    async def start_replay(self, message: m.ReplayStart, *, host: str | None = None) -> m.ReplayStarted:
        """Start one for others to listen to. Raises RequestError."""
        started: m.ReplayStarted = await self.request("replay.start", message, host=host, timeout=60.0)
        return started

    async def replays(self, *, host: str | None = None) -> list[m.ReplayEntry]:
        """The replays of a host."""
        found: m.Replays = await self.request("replay.list", host=host)
        return found.replays

    async def change_replay(
        self, operation: str, message: m.ReplayOf | m.ReplaySeek | m.ReplaySpeed, *, host: str | None = None
    ) -> m.ReplayEntry:
        """``pause``, ``resume``, ``seek``, ``speed`` or ``stop`` one, whoever has started it. Raises RequestError."""
        entry: m.ReplayEntry = await self.request(f"replay.{operation}", message, host=host)
        return entry
