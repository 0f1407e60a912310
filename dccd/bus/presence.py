"""Whether the bus is there: what nats-py's callbacks tell flows in, what others wait for and are called with flows out.

It is there, away for a while, or closed for good. The last error says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

__all__ = ["Presence"]


class Presence:
    """Of one connection, which is away until :meth:`came`. *log* is told what changes."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self.last_error = ""
        self.closing = False
        """Whether we close it ourselves: what comes of that is no fault."""
        self._log = log
        self._there = asyncio.Event()
        self._over = asyncio.Event()
        self._listeners: list[Callable[[bool], None]] = []
        self._since = time.monotonic()

    def __repr__(self) -> str:
        return f"<Presence {'over' if self.over else 'there' if self.there else 'away'} for {self.seconds:.1f} s>"

    @property
    def there(self) -> bool:
        """Whether it is there."""
        return self._there.is_set()

    @property
    def over(self) -> bool:
        """Whether it is closed for good."""
        return self._over.is_set()

    @property
    def seconds(self) -> float:
        """For how long it has been there, or away."""
        return time.monotonic() - self._since

    # ---------------------------------------------------------------- who wants to know

    async def settled(self, timeout: float | None) -> None:
        """Wait until it is there or over, *timeout* seconds at most."""
        there = asyncio.ensure_future(self._there.wait())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({there, over}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            over.cancel()

    async def wait_over(self) -> str:
        """Wait until it is over; return why, ``""`` when we have closed it ourselves."""
        await self._over.wait()
        return "" if self.closing else (self.last_error or "closed by the server")

    def on_change(self, callback: Callable[[bool], None]) -> Callable[[], None]:
        """Call *callback* with True when it is back, with False when it is lost or over; returns what ends that."""
        self._listeners.append(callback)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(callback)

        return remove

    # ---------------------------------------------------------------- who knows

    def came(self) -> None:
        """It is there for the first time, of which nobody is told."""
        self._there.set()

    def lost(self) -> None:
        """It is away."""
        self._there.clear()
        self._since = time.monotonic()
        if not self.closing:
            self._log.warning("the bus is away")
        self._tell(False)

    def back(self) -> None:
        """It is there again."""
        self._log.info("the bus is back", after_s=round(self.seconds, 3))
        self._since = time.monotonic()
        self._there.set()
        self._tell(True)

    def ended(self, why: str = "") -> None:
        """It is closed for good; *why*, where that is known better than by the last error."""
        self._there.clear()
        if not self.closing:
            self.last_error = why or self.last_error
            self._log.error("the bus connection is closed for good", error=self.last_error)
        self._over.set()
        self._tell(False)

    def closed(self) -> None:
        """We have closed it ourselves; whoever listens was told, if nats-py got that far."""
        self._there.clear()
        self._over.set()

    def _tell(self, there: bool) -> None:
        for callback in list(self._listeners):
            try:
                callback(there)
            except Exception:
                self._log.exception("a callback of the bus failed")
