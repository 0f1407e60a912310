"""One stream's share of a connection: frames of its topic, and of all, flow out; what it sends flows in.

To a session it is what a socket of its own would be.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from websockets.frames import CloseCode

from dccd.errors import SocketClosed
from dccd.exchanges.base import StreamProtocol
from dccd.feeds.socket import Read
from dccd.feeds.switch import Inbox

if TYPE_CHECKING:
    from dccd.feeds.shared import Shared

__all__ = ["Line"]


class Line:
    """One stream's share of a connection. *changed* is set whenever there is something new."""

    def __init__(self, host: Shared, protocol: StreamProtocol, lane: int, changed: asyncio.Event) -> None:
        self.lane = lane
        self.protocol = protocol
        self.inbox = Inbox(protocol.topic, changed.set)
        self.unsent = 0
        """Frames that wait for their turns."""
        self.spoke = False
        """Whether any was sent."""
        self._host = host
        self._changed = changed
        self._closed: SocketClosed | None = None

    def __repr__(self) -> str:
        return f"<Line {self.lane} {self.inbox.topic} of {self._host!r}>"

    def statistics(self) -> dict[str, Any]:
        """Counters, and those of the connection."""
        inbox = self.inbox
        own = {"lane": self.lane, "frames": inbox.count, "queued_bytes": inbox.queued, "unsent": self.unsent}
        return {**own, "connection": self._host.statistics()}

    def take(self) -> list[Read]:
        """All that has come for this stream since the last call. Raises SocketClosed once it was all, for good."""
        if self.inbox.reads:
            reads = self.inbox.take()
            self._host.taken(self.inbox)
            return reads
        if self._closed is not None:
            raise self._closed
        return []

    def send(self, frames: list[str]) -> None:
        """Send, as soon as the exchange's limits allow: ``unsent`` is 0, and *changed* set, once it is done."""
        self._host.send(self, frames)

    def ping(self) -> None:
        """Send a ping, unless another stream has just done so; the pong shows in ``last_read``."""
        self._host.ping()

    @property
    def last_read(self) -> float:
        """When the connection last gave a byte of any kind (monotonic)."""
        return self._host.last_read

    @property
    def last_frame(self) -> float:
        """When the connection last gave a message, whosever it was (monotonic)."""
        return self._host.last_frame

    @property
    def spoke_at(self) -> float:
        """The same, if it came to us: while reading is paused, ``last_frame`` moves on and this stands (monotonic)."""
        return self._host.spoke_at

    @property
    def last_own(self) -> float | None:
        """When the last message of this stream's own topic came (monotonic)."""
        return self.inbox.last

    def give_up(self, reason: str) -> None:
        """The connection is dead: end it for all that share it."""
        self._host.end(SocketClosed(CloseCode.ABNORMAL_CLOSURE, reason))

    async def aclose(self, *, unsubscribe: bool = True) -> None:
        """Leave; the connection goes on for others, and is closed when this is the last. Safe to call twice."""
        self._host.leave(self, unsubscribe)
        await self._host.closing()

    def end(self, closed: SocketClosed) -> None:
        """Nothing comes any more."""
        if self._closed is None:
            self._closed = closed
            self._changed.set()

    def sent(self) -> None:
        """One of the frames was sent."""
        self.spoke = True
        self.unsent -= 1
        if not self.unsent:
            self._changed.set()
