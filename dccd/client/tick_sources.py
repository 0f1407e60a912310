"""Where ticks come from: a plain subscription, the stream from a place on, or a share of a group's.

Subjects flow in; messages flow out of ``take``, in the order of the bus. What is held for a reader who doesn't take is
bounded, and nothing of it holds up who publishes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dccd import subjects
from dccd.bus.connection import Bus, Message, Subscription
from dccd.bus.direct import StreamState
from dccd.bus.group import GroupReader
from dccd.bus.incoming import StreamMessage
from dccd.bus.ordered import Ask, OrderedReader
from dccd.client.since import Position
from dccd.errors import BusRefused, TicksGone
from dccd.symbols import format_time

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Live", "Shared", "Source", "Stored", "Stream", "for_readers"]

_AHEAD = 65_536
_AHEAD_BYTES = 64 << 20
"""Messages and bytes held for a reader that is slower than the market."""
_AT_ONCE = 500


class Stored(NamedTuple):
    """Rows of the store in a frame, as a piece of a feed: all that there are of their times."""

    frame: pl.DataFrame


class Source(Protocol):
    """What a feed needs. ``lost`` counts messages for which there was no room; ``begins`` (ns) is how far back it
    reaches, if it begins in the past."""

    lost: int
    begins: int | None

    async def open(self, bus: Bus) -> None:
        """Begin: what is published once this has returned will be seen."""

    async def take(self, wait: float | None) -> Sequence[StreamMessage | Stored]:
        """Return what there is, as soon as there is any; nothing after *wait* seconds, or once it is woken."""

    def wake(self) -> None:
        """Let ``take`` return."""

    async def done(self, message: StreamMessage) -> None:
        """*message* was handed out, and is done with."""

    async def aclose(self) -> None:
        """End it; what was handed out and isn't done with goes to others, where there are any. Safe to repeat."""


class Live:
    """A plain subscription; in *queue*, a share of one. Core NATS: at most once, and no memory."""

    def __init__(self, subject: str, queue: str = "") -> None:
        self.lost = 0
        self.begins: int | None = None
        self._subject, self._queue = subject, queue
        self._arrived: deque[StreamMessage] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._subscription: Subscription | None = None

    def __repr__(self) -> str:
        return f"<Live {self._subject} {len(self._arrived)} held, {self.lost} lost>"

    async def open(self, bus: Bus) -> None:
        self._subscription = await bus.subscribe(self._subject, self._take, self._queue)

    async def take(self, wait: float | None) -> Sequence[StreamMessage]:
        if not self._arrived:
            self._news.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                return ()
        taken = [self._arrived.popleft() for _ in range(min(_AT_ONCE, len(self._arrived)))]
        self._bytes -= sum([len(message.data) for message in taken])
        return taken

    def wake(self) -> None:
        self._news.set()

    async def done(self, message: StreamMessage) -> None:
        """Nobody asks."""

    async def aclose(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.unsubscribe()

    async def _take(self, message: Message) -> None:
        size = len(message.data)
        if len(self._arrived) >= _AHEAD or self._bytes + size > _AHEAD_BYTES:
            self.lost += 1  # the newest, as NATS itself does: what is held stays in order without a hole in it
            return
        self._bytes += size
        self._arrived.append(StreamMessage(0, message.subject, message.data, 0))
        self._news.set()


class Stream:
    """What the stream has from a message or a time (ns) on, and live: each message once, in order. A daemon has it
    delivered, which *ask* asks."""

    def __init__(self, ask: Ask, subject: str, *, seq: int | None = None, since: int | None = None) -> None:
        self.lost = 0
        self.begins: int | None = None
        self._ask = ask
        self._subject, self._seq, self._since = subject, seq, since
        self._reader: OrderedReader | None = None

    def __repr__(self) -> str:
        return f"<Stream {self._reader or self._subject}>"

    @property
    def epoch(self) -> str:
        """Of the sequence numbers; empty before it is open."""
        return "" if self._reader is None else self._reader.epoch

    async def open(self, bus: Bus) -> None:
        self._reader = await OrderedReader.open(
            bus, self._ask, "ticks", [self._subject], seq=self._seq, since=self._since
        )

    async def take(self, wait: float | None) -> Sequence[StreamMessage | Stored]:
        return () if self._reader is None else await self._reader.fetch(wait=wait)

    def wake(self) -> None:
        """It is woken by its reader."""

    def position(self) -> Position | None:
        """Where it is before anything was handed out; None where that is a time."""
        if self._reader is None or not self._reader.next:
            return None
        return Position(self.epoch, self._reader.next)

    async def done(self, message: StreamMessage) -> None:
        """Nobody asks."""

    async def aclose(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.aclose()


@contextmanager
def for_readers() -> Iterator[None]:
    """Say what is needed for what not every user may."""
    try:
        yield
    except BusRefused as exc:
        raise BusRefused(
            f"{exc}: a group that the bus remembers acknowledges what it has had, for which its user needs the role "
            "reader: `dccd auth add NAME --role reader`"
        ) from exc


class Shared:
    """What the durable group *name* hands to this member; each message until it is done with, by one or another.

    A group that is made anew begins with what was stored at *since* (ns), or with what comes. *strict*: only if the
    stream reaches so far back.
    """

    def __init__(self, subject: str, name: str, ack_wait: float, since: int | None, *, strict: bool) -> None:
        self.lost = 0
        self.begins: int | None = None
        self._subject, self._name, self._ack_wait, self._since = subject, name, ack_wait, since
        self._strict = strict
        self._reader: GroupReader | None = None

    def __repr__(self) -> str:
        return f"<Shared {self._name} {self._subject}>"

    async def open(self, bus: Bus) -> None:
        since, stream = self._since, subjects.STREAM_TICKS
        with for_readers():
            reader = await GroupReader.open(
                bus, stream, self._name, [self._subject], since=since, ack_wait=self._ack_wait, check=self._check
            )
        self.begins = None if reader.joined else self.begins
        self._reader = reader

    def _check(self, state: StreamState) -> None:
        """Before a group is made."""
        if self._since is None:
            return
        self.begins = self._since
        if state.first > 1 and state.first_at > self._since:
            self.begins = state.first_at
            if self._strict:
                raise TicksGone(
                    state.first_at,
                    f"the stream begins at {format_time(state.first_at)}; a group shares what it has: "
                    "store=False begins there",
                )

    async def take(self, wait: float | None) -> Sequence[StreamMessage]:
        reader = self._reader
        if reader is None:
            return ()
        left = wait
        while True:
            await reader.touch()  # who waits for more is alive, and keeps what it has
            step = reader.ack_wait / 4 if left is None else min(left, reader.ack_wait / 4)
            # One at a time: what waits in the reader can be told from what was handed out.
            found = await reader.fetch(1, step)
            left = None if left is None else left - step
            if found or (left is not None and left <= 0):
                return found

    def wake(self) -> None:
        """It is woken by its reader."""

    async def done(self, message: StreamMessage) -> None:
        if self._reader is not None:
            await self._reader.ack(message)

    async def aclose(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.aclose()
