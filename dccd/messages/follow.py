"""What the bus keeps: delivered from a place in the past on, or read in pages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from dccd.messages.base import Count, Limit, Name, Reply, Request, RunId, Time

__all__ = ["Follow", "Followed", "Journal", "JournalEntry", "JournalPage"]

Kept = Literal["ticks", "events"]
Subject = Annotated[str, Meta(min_length=1, max_length=200)]


class Follow(Request, frozen=True, kw_only=True):
    """Have what is published on ``filters`` (subjects below ``dccd.ticks.`` or ``dccd.events.``; wildcards; default:
    all) delivered to ``inbox``: from message ``seq`` on, what was stored ``since`` a time, with the ``last`` so many,
    or what comes; and then live.

    ``inbox`` is one that you listen to, by its name and not by a wildcard. The messages come as JetStream's push
    consumers send them, each in order, with its number in the reply subject, a heartbeat a second, and now and then a
    message that asks for a reply, without which no more come after a while (flow control). It ends 5 s after nobody
    listens any more.

    Without ``inbox`` nothing is delivered: the reply says what there is, and what is the oldest of the ``filters``.
    """

    stream: Kept
    filters: Annotated[list[Subject], Meta(max_length=100)] = []
    inbox: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    seq: Count | None = None
    since: Time | None = None
    last: Annotated[int, Meta(ge=0, le=100_000)] | None = None


class Followed(Reply, frozen=True, kw_only=True):
    """What the stream holds, messages ``first`` to ``last`` (``first`` is ``last + 1`` when it is empty), and when
    these were stored (ns). Numbers mean something within one ``epoch`` only. ``now`` is the bus's clock.

    ``start``: the delivery begins with that message, or a later one; null where that is a time. ``pending`` messages
    are there for it. ``oldest``: the number and time (ns) of the first message that the filters let through.
    ``archived``: of ticks, all up to that message is in the files of ``host``.
    """

    host: str
    epoch: str
    messages: int
    first: int
    last: int
    first_at: int
    last_at: int
    now: int
    start: int | None = None
    pending: int = 0
    oldest: tuple[int, int] | None = None
    archived: int = 0


class Journal(Request, frozen=True, kw_only=True):
    """Read events: of a ``run``; of the ``stream`` of a dataset, or of all whose names begin so; of some ``kinds``
    (``run.log``; ``run`` for all of its kinds); or on a ``subject`` below ``dccd.events.``, wildcards included.

    They begin ``since`` a time, ``after`` the event of that number, with the ``last`` so many, or with the first that
    is kept. When there is none yet, it is waited for, up to ``wait`` seconds.
    """

    run: RunId | None = None
    stream: Name | None = None
    kinds: Annotated[list[Name], Meta(max_length=20)] = []
    subject: Subject | None = None
    since: Time | None = None
    after: Annotated[int, Meta(ge=0, le=9_223_372_036_854_775_807)] | None = None
    last: Annotated[int, Meta(ge=0, le=1000)] | None = None
    limit: Limit = 100
    wait: Annotated[float, Meta(ge=0, le=30)] = 0.0


class JournalEntry(Reply, frozen=True, kw_only=True):
    """An event as the bus has it: its number there, when it was stored (ns), and what it says."""

    seq: int
    at: int
    subject: str
    event: dict[str, Any]


class JournalPage(Reply, frozen=True, kw_only=True):
    """Events in their order. ``next`` is the ``after`` to go on with, ``pending`` how many there were beyond these."""

    host: str
    events: list[JournalEntry]
    next: int
    pending: int
