"""Messages of the write-ahead log as its reader hands them out: nats-py's flow in, ours flow out. Pure."""

from __future__ import annotations

import msgspec
from nats.aio.msg import Msg

from dccd import subjects

__all__ = ["Lag", "LostRange", "TickMessage", "tick_message"]

_ANSWER = "Nats-Stream"
"""Header of a message that JetStream hands out of a stream when it is asked for it. It goes where the question says: so
who may ask, but not publish, could make ticks of one dataset those of another."""
_NOT_PUBLISHED = b'"an answer of JetStream, which somebody has had sent here"'


class TickMessage(msgspec.Struct, frozen=True, gc=False):
    """One message of the stream: ``data`` is a JSON array of records; ``at`` (ns) is when the bus stored it.

    ``covered`` is the text of its header :data:`dccd.subjects.COVERED`; None where it has none.
    """

    seq: int
    subject: str
    data: bytes
    at: int = 0
    covered: str | None = None


class LostRange(msgspec.Struct, frozen=True):
    """Messages ``first`` to ``last`` fell off the stream's limits before they were read.

    They were published between ``since`` and ``until`` (ns; ``None`` where there is no message to tell).
    """

    first: int
    last: int
    since: int | None
    until: int | None


class Lag(msgspec.Struct, frozen=True):
    """How far behind a reader is: ``messages`` not acknowledged, sequence numbers of the ``last`` and the ``acked``."""

    messages: int
    last: int
    acked: int


def tick_message(message: Msg, seq: int, at: int) -> TickMessage:
    """What *message* is, number *seq* of the stream, stored at *at* (ns)."""
    headers = message.headers or {}
    if _ANSWER in headers:
        return TickMessage(seq, message.subject, _NOT_PUBLISHED, at)
    return TickMessage(seq, message.subject, message.data, at, headers.get(subjects.COVERED))
