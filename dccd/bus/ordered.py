"""Reading a stream from the past into the present: each message once, in order, without a gap.

Subjects and a place to start flow in, messages flow out. A push consumer without acknowledgements delivers, which a
daemon makes (:mod:`dccd.bus.following`): who asks need not be allowed to. It is made anew behind the last message
whenever the connection was lost, a message is missing, or it is gone with a server that was killed. So nothing depends
on what a server remembers.

The server sends as much as flow control lets it, and goes on when it is answered, which is put off while a reader has
no room. One that stands still keeps its place as long as the stream keeps the messages; nothing waits for it. When some
have fallen off unread it ends with TicksGone: it never passes over them in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Literal, Self

from nats.aio.msg import Msg

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import rfc3339
from dccd.bus.incoming import Incoming, StreamMessage, message_of
from dccd.errors import BusUnavailable, RequestError, StreamReplaced, TicksGone

__all__ = ["Ask", "OrderedReader"]

Ask = Callable[[m.Follow], Awaitable[m.Followed]]
"""Has a delivery made: asks a daemon, or is one. Raises RequestError, BusUnavailable."""

_PAUSE = 1.0
"""Seconds without an answer to flow control after which it is looked whether messages have fallen off meanwhile."""
_MESSAGE = 400
"""What a message costs beside its bytes, about."""
_STATUS, _LAST_CONSUMER, _LAST_STREAM, _STALLED = (
    "Status",
    "Nats-Last-Consumer",
    "Nats-Last-Stream",
    "Nats-Consumer-Stalled",
)


class OrderedReader(Incoming):
    """Reads the messages of a stream that match. Made by :meth:`open`."""

    def __init__(self, bus: Bus, ask: Ask, what: m.Follow, room: int) -> None:
        super().__init__(bus, subjects.KEPT[what.stream][0])
        self.next = 0
        """All messages that match, before this sequence number, have been received."""
        self.end = 0
        """The last message that the stream had when it was opened."""
        self.caught_up = False
        """Whether there was nothing more when the bus said so last."""
        self._ask = ask
        self._what = what
        self._since: int | None = None
        self._room = room
        self._bytes = 0
        self._number = 0  # of the consumer's messages
        self._credit = ""  # where flow control is to be answered
        self._asked_at = 0.0  # when it asked
        self._early: list[Msg] | None = None  # what comes before the daemon's answer does

    @classmethod
    async def open(
        cls,
        bus: Bus,
        ask: Ask,
        stream: Literal["ticks", "events"],
        filters: Sequence[str],
        *,
        seq: int | None = None,
        since: int | None = None,
        last: int = 0,
        room: int = 8 << 20,
    ) -> Self:
        """Read *filters* (subjects; wildcards) from message *seq* on, from what was stored at *since* (ns) on, or with
        the *last* so many, and then what is stored from now on.

        Beyond *room* bytes no more are asked for; up to 32 MiB are then on their way. Raises TicksGone when the stream
        begins after *seq*, StreamReplaced when it ends before that, RequestError, BusUnavailable, BusRefused.
        """
        reader = cls(bus, ask, m.Follow(stream=stream, filters=list(filters)), room)
        reader._since = since
        try:
            if seq is not None:
                reader.next = seq
                told = await reader._set_up(seq=seq)
                reader._check_end(told, seq)
            elif since is not None:
                told = await reader._set_up(since=since)
            else:
                told = await reader._set_up(last=last)
        except RequestError as exc:
            await reader._leave()
            if exc.reason == "gone":
                raise _gone(await ask(reader._only_state), reader.stream) from exc
            raise
        except BaseException:
            await reader._leave()
            raise
        reader.epoch, reader.end = told.epoch, told.last
        reader._begin()
        return reader

    def statistics(self) -> dict[str, Any]:
        """Counters since it was opened; ``bytes`` are held."""
        return {**super().statistics(), "next": self.next, "caught_up": self.caught_up, "bytes": self._bytes}

    # ---------------------------------------------------------------- the consumer

    @property
    def _only_state(self) -> m.Follow:
        return m.Follow(stream=self._what.stream)

    async def _set_up(self, **begin: int) -> m.Followed:
        """Have a new consumer made that begins there."""
        self._early, self._credit = [], ""
        await self._listen()
        what = self._what
        told = await self._ask(m.Follow(stream=what.stream, filters=what.filters, inbox=self._inbox, **begin))
        if self.epoch and told.epoch != self.epoch:
            raise StreamReplaced(f"stream {self.stream} was made anew: epoch {told.epoch} after {self.epoch}")
        self._number = 0
        self.next = self.next or told.start or 0
        self.caught_up = not told.pending
        self._is_set_up()
        early, self._early = self._early, None
        for message in early:
            self._take(message)
        return told

    async def _recover(self) -> None:
        with self._refusals():
            await self._look()
            if self.next:
                await self._set_up(seq=self.next)
            else:
                assert self._since is not None
                await self._set_up(since=self._since)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Tell refusals that end it from those after which it is tried again."""
        try:
            yield
        except RequestError as exc:
            if exc.reason == "no_stream":
                raise StreamReplaced(f"stream {self.stream} was deleted") from exc
            if exc.code >= 500 or exc.reason == "gone":  # by now: look again
                raise BusUnavailable(str(exc)) from exc
            raise

    async def _look(self) -> m.Followed:
        """What the stream holds. Raises StreamReplaced, or TicksGone when messages that nobody has had are gone."""
        read = self.next  # what comes while it is asked may be newer than the answer
        state = await self._ask(self._only_state)
        # What came before the answer is in its subscription by now.
        while self._subscription is not None and self._subscription.pending_msgs:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        if state.epoch != self.epoch:
            raise StreamReplaced(f"stream {self.stream} was made anew: epoch {state.epoch} after {self.epoch}")
        self._check_end(state, read)
        if self.next and state.first > self.next:
            raise _gone(state, self.stream)
        return state

    def _check_end(self, state: m.Followed, seq: int) -> None:
        """Raise StreamReplaced when there is nothing yet before message *seq*, with which it goes on."""
        if state.last < seq - 1:
            raise StreamReplaced(f"stream {self.stream} ends at {state.last}, before {seq - 1} that was read")

    # ---------------------------------------------------------------- what comes

    async def _deliver(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        if self._early is not None:
            self._early.append(message)
        else:
            self._take(message)

    def _take(self, message: Msg) -> None:
        if self._reset_wanted:
            return
        delivered = message_of(message)
        if delivered is None:
            self._status(message)
            return
        found, _, number = delivered
        if number != self._number + 1:
            self._want_reset()  # one is missing
            return
        self._number = number
        self._received += 1
        self.next = found.seq + 1
        self.caught_up = found.pending == 0
        self._bytes += len(found.data) + _MESSAGE
        self._put(found)

    def _status(self, message: Msg) -> None:
        headers = message.headers or {}
        if headers.get(_STATUS) != "100":
            return
        stalled = headers.get(_STALLED, "")
        if _LAST_CONSUMER in headers:  # a heartbeat
            if int(headers[_LAST_CONSUMER]) > self._number:
                self._want_reset()
                return
            # So far it has looked, and all that matches has been received.
            self.next = max(self.next, int(headers.get(_LAST_STREAM, "0")) + 1)
            self.caught_up = self.caught_up or not stalled
        credit = stalled or message.reply
        if credit.startswith("$JS.FC.") and credit != self._credit:
            self._credit, self._asked_at = credit, time.monotonic()
            self._wake.set()

    def _taken(self, messages: list[StreamMessage]) -> None:
        self._bytes -= sum([len(message.data) for message in messages]) + _MESSAGE * len(messages)
        if self._credit and self._bytes <= self._room:
            self._wake.set()

    async def _turn(self) -> None:
        if not self._credit or self._bytes > self._room:
            return
        if time.monotonic() - self._asked_at > _PAUSE:
            with self._refusals():
                await self._look()
        credit, self._credit = self._credit, ""
        await self._bus.client.publish(credit, b"")


def _gone(state: m.Followed, stream: str) -> TicksGone:
    if not state.messages:
        return TicksGone(None, f"stream {stream} is empty: what was to be read next isn't there any more")
    begins = state.first_at
    return TicksGone(begins, f"stream {stream} begins at {rfc3339(begins)}: what was to be read next is gone")
