"""A bounded queue with one reader: envelopes flow in from anywhere in the event loop, and out to one actor.

Two lanes. Messages are bounded: a full mailbox makes ``put`` wait, which is the backpressure. Signals (a child has
ended, a monitored actor is down) never wait and are read first, since a supervisor that could not be told of an exit
would be blind just when it is busy; there are at most a few for each child.

It stands on asyncio futures and not on an anyio memory stream because of the second lane, and because an ``ask``
that waits for room must be able to give up on a clock of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

__all__ = ["Closed", "Envelope", "Full", "Mailbox"]


class Full(Exception):
    """Raised by ``put_nowait`` when the message would be one too many."""


class Closed(Exception):
    """Raised when the reader is gone."""


class Envelope:
    """A message and, when somebody waits for the answer, the future that takes it."""

    __slots__ = ("message", "reply")

    def __init__(self, message: Any, reply: asyncio.Future[Any] | None = None) -> None:
        self.message = message
        self.reply = reply

    def __repr__(self) -> str:
        return f"<Envelope {'ask' if self.reply is not None else 'tell'} {self.message!r}>"

    def answer(self, result: Any) -> None:
        """Hand *result* to whoever asked, if somebody did and still waits."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Raise *error* at whoever asked, if somebody did and still waits."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(error)


class Mailbox:
    """Holds up to ``size`` messages; ``received`` counts those taken out so far."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.received = 0
        self._signals: deque[Envelope] = deque()
        self._messages: deque[Envelope] = deque()
        self._waiting: deque[tuple[asyncio.Future[None], Envelope]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._closed: Exception | None = None

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        return f"<Mailbox {len(self._messages)}/{self.size} waiting={len(self._waiting)} received={self.received}>"

    def signal(self, message: Any) -> None:
        """Deliver *message* ahead of all others, however full the mailbox is; dropped when it is closed."""
        if self._closed is None:
            self._signals.append(Envelope(message))
            self._wake()

    def put_nowait(self, envelope: Envelope) -> None:
        """Deliver *envelope*. Raises Full, or Closed."""
        if self._closed is not None:
            raise Closed
        if len(self._messages) >= self.size:
            raise Full
        self._messages.append(envelope)
        self._wake()

    def put(self, envelope: Envelope) -> asyncio.Future[None] | None:
        """Deliver *envelope* now and return None, or return the future that is done once there is room for it.

        Those who wait are served in order. A future that is cancelled or failed by the caller before that withdraws
        the envelope. Raises Closed; so does the future when the mailbox is closed meanwhile.
        """
        if self._closed is not None:
            raise Closed
        if len(self._messages) < self.size:
            self._messages.append(envelope)
            self._wake()
            return None
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((room, envelope))
        return room

    async def get(self) -> Envelope:
        """Return the next envelope, a signal before a message. For one reader only."""
        while True:
            if self._signals:
                return self._signals.popleft()
            if self._messages:
                envelope = self._messages.popleft()
                self.received += 1
                if self._waiting:
                    self._admit()
                return envelope
            if self._reader is not None:
                raise RuntimeError("a mailbox has one reader: serve() runs already")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None

    def close(self) -> list[Envelope]:
        """Take no more; return the messages that nobody will read, of those who wait for room too."""
        self._closed = Closed()
        left = [*self._messages]
        for room, envelope in self._waiting:
            left.append(envelope)
            if not room.done():
                room.set_exception(Closed())
        self._signals.clear()
        self._messages.clear()
        self._waiting.clear()
        return left

    def grow(self, size: int) -> None:
        """Set the size; what waits for room and fits now is let in."""
        self.size = size
        self._admit()

    def _admit(self) -> None:
        # The envelope moves on behalf of whoever waits, so that room given to one is never taken by another.
        while self._waiting and len(self._messages) < self.size:
            room, envelope = self._waiting.popleft()
            if not room.done():
                room.set_result(None)
                self._messages.append(envelope)
                self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
