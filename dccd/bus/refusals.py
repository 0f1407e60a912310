"""Who waits to hear that the server refuses a subject.

What the server forbids flows in, as nats-py's error callback is told; futures that raise BusRefused flow out to those
who publish or subscribe there at this moment. Without it a refusal would look like a time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from dccd.bus.faults import Forbidden
from dccd.errors import BusRefused

__all__ = ["Refusals"]


class Refusals:
    """Those of one connection; its length is the number of subjects for which anybody waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[str, asyncio.Future[None]]]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<Refusals of {len(self)} subjects>"

    @contextlib.contextmanager
    def of(self, subject: str) -> Iterator[asyncio.Future[None]]:
        """While the block runs, the future is told when *subject* is refused."""
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        known_as = subject.lower()  # as nats-py gives the server's errors
        self._waiting.setdefault(known_as, []).append((subject, refused))
        try:
            yield refused
        finally:
            if not refused.cancel():
                refused.exception()  # seen: nobody need have waited for it
            waiting = self._waiting[known_as]
            waiting.remove((subject, refused))
            if not waiting:
                del self._waiting[known_as]

    def tell(self, fault: Forbidden) -> bool:
        """Tell those who wait for its subject; returns whether anybody does."""
        known = self._waiting.get(fault.subject.lower(), ())
        what = "publish to" if fault.kind.lower() == "publish" else "subscribe to"
        for asked, waiting in known:
            if not waiting.done():
                waiting.set_exception(BusRefused(f"the bus doesn't let this user {what} {asked}"))
        return bool(known)
