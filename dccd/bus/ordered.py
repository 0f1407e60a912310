"""Reading a stream from the past into the present: each message once, in order, without a gap.

Subjects and a place to start flow in, messages flow out. An ephemeral consumer without acknowledgements delivers; it is
made anew behind the last message whenever the connection was lost, a message is missing, or it is gone with a server
that was killed. So nothing depends on what a server remembers.

A reader that stands still keeps its place as long as the stream keeps the messages; nothing waits for it. When some
have fallen off unread it ends with TicksGone: it never passes over them in silence.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from dccd.bus.connection import Bus
from dccd.bus.direct import StreamState, api, stream_state
from dccd.bus.pull import PullReader, StreamMessage
from dccd.errors import StreamReplaced, TicksGone

__all__ = ["OrderedReader", "StreamMessage", "filters_of", "rfc3339", "tail_of"]

_NS = 1_000_000_000
_FORGOTTEN = 60 * _NS
"""The server deletes a consumer that nobody has asked for so long (ns)."""
_PAUSE = 1.0
"""Seconds without a request after which it is looked whether messages have fallen off meanwhile."""
_SLACK = 2 * _NS
"""How well the time of the last certain message is known (ns)."""


class _Made(msgspec.Struct):
    """What the server says of the consumer that it has made: how many messages there are for it."""

    num_pending: int = 0


class OrderedReader(PullReader):
    """Reads the messages of a stream that match. Made by :meth:`open`."""

    def __init__(self, bus: Bus, stream: str, filters: Sequence[str], capacity: int, max_bytes: int) -> None:
        super().__init__(bus, stream, capacity, max_bytes)
        self.next = 0
        """All messages that match, before this sequence number, have been received."""
        self.caught_up = False
        """Whether there was nothing more when it was asked last."""
        self._filters = list(filters)
        self._since: int | None = None
        self._number = 0  # of the consumer's messages
        self._sure_at = 0  # all that was stored before has been received (ns by the server's clock)
        self._offset = 0  # of the server's clock to ours (ns)

    @classmethod
    async def open(
        cls,
        bus: Bus,
        stream: str,
        filters: Sequence[str],
        *,
        seq: int | None = None,
        since: int | None = None,
        capacity: int = 2000,
        max_bytes: int = 16 << 20,
    ) -> Self:
        """Read *filters* (subjects; wildcards) from message *seq* on, or from what was stored at *since* (ns) on, or
        what is stored from now on.

        *capacity* messages and about twice *max_bytes* are held at most. Raises TicksGone when the stream begins after
        *seq*, JetStreamError (404) when there is no such stream, BusUnavailable.
        """
        reader = cls(bus, stream, filters, capacity, max_bytes)
        state = await stream_state(bus, stream)
        reader._offset = (state.now or time.time_ns()) - time.monotonic_ns()
        if seq is not None:
            reader.next = seq
            if state.first > seq:
                raise _gone(state, stream)
        elif since is not None:
            reader._since = since
        else:
            reader.next = state.last + 1
        reader._sure_at = state.now if seq is None else 0
        await reader._start(state)
        return reader

    def statistics(self) -> dict[str, Any]:
        """Counters since it was opened."""
        return {**super().statistics(), "next": self.next, "caught_up": self.caught_up}

    async def _prepare(self, state: StreamState) -> str:
        if state.last < self.next - 1:
            raise StreamReplaced(f"stream {self.stream} ends at {state.last}, before {self.next - 1} that was read")
        self._look(state)
        self._number = 0
        name = f"reader-{secrets.token_urlsafe(9)}"
        config: dict[str, Any] = {
            "name": name,
            "description": "dccd: reads from the past on",
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _FORGOTTEN,
            **filters_of(self._filters),
        }
        if self.next:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self.next}
        else:
            assert self._since is not None
            config |= {"deliver_policy": "by_start_time", "opt_start_time": rfc3339(self._since)}
        made = await api(
            self._bus,
            f"CONSUMER.CREATE.{self.stream}.{name}{tail_of(self._filters)}",
            {"stream_name": self.stream, "config": config},
            _Made,
        )
        self.caught_up = not made.num_pending
        return name

    def _accept(self, message: StreamMessage, number: int) -> bool:
        if number != self._number + 1:
            self._want_reset()  # one is missing
            return False
        self._number = number
        self.next = message.seq + 1
        self._sure_at = message.at
        self.caught_up = message.pending == 0
        return True

    def _idle(self) -> None:
        self.caught_up = True
        self._sure_at = max(self._sure_at, time.monotonic_ns() + self._offset)

    async def _before_request(self) -> None:
        if self._ended_at and time.monotonic() - self._ended_at > _PAUSE:
            self._look(await stream_state(self._bus, self.stream))

    def _look(self, state: StreamState) -> None:
        """Raise TicksGone if messages that nobody has had may have fallen off."""
        if not self.next or state.first <= self.next:
            return
        oldest = state.first_at if state.messages else state.last_at
        if oldest > self._sure_at - _SLACK:
            raise _gone(state, self.stream)


def filters_of(filters: Sequence[str]) -> dict[str, Any]:
    """What a consumer's configuration says of its subjects."""
    return {"filter_subject": filters[0]} if len(filters) == 1 else {"filter_subjects": list(filters)}


def tail_of(filters: Sequence[str]) -> str:
    """What follows a consumer's name in the subject that makes it: its filter, if it has one."""
    return f".{filters[0]}" if len(filters) == 1 else ""


def rfc3339(ns: int) -> str:
    """A time (ns) as the JetStream API takes it."""
    seconds, rest = divmod(ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _gone(state: StreamState, stream: str) -> TicksGone:
    if not state.messages:
        return TicksGone(None, f"stream {stream} is empty: what was to be read next isn't there any more")
    begins = state.first_at
    return TicksGone(begins, f"stream {stream} begins at {rfc3339(begins)}: what was to be read next is gone")
