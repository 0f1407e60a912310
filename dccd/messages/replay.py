"""Replays: stored records, published again at a pace."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from dccd.messages.base import Name, Reply, Request, Time

__all__ = [
    "ReplayEntry",
    "ReplayMissing",
    "ReplayOf",
    "ReplaySeek",
    "ReplaySpeed",
    "ReplayStart",
    "ReplayStarted",
    "ReplayState",
    "Replays",
    "Speed",
]

ReplayId = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[0-9A-Za-z_-]+$(?!\n)")]
Speed = Annotated[float, Meta(ge=0, le=1_000_000)] | Literal["max"]
"""How many times as fast as it was; 0, or ``max``: as fast as it can be taken."""
ReplayState = Literal["waiting", "playing", "paused", "ended", "failed", "stopped", "expired"]


class ReplayStart(Request, frozen=True, kw_only=True):
    """Publish what is stored of ``datasets`` (names, or patterns as ``binance.trades.*``) in ``[start, end)``, merged
    by time, on ``dccd.replay.<id>.<dataset>``. Default: all that there is.

    It plays as soon as somebody subscribes to ``dccd.replay.<id>.>``, or, ``start_paused``, when it is told to.
    ``speed``: how many times as fast as it was; 0 or ``max``: as fast as it can be taken. ``id``: a name of your own,
    so that you can subscribe before. ``flow``: one receiver acknowledges messages, and loses none.

    ``blocks``: messages are larger, and have to be merged by the receiver. ``skip_gaps``: time of which nothing is
    known to be there is jumped over, not waited through. ``books``: an order book begins with what it was at the start.
    """

    datasets: Annotated[list[Name], Meta(min_length=1, max_length=64)]
    start: Time | None = None
    end: Time | None = None
    speed: Speed = 1.0
    id: ReplayId | None = None
    start_paused: bool = False
    flow: bool = False
    blocks: bool = False
    skip_gaps: bool = False
    books: bool = True


class ReplayMissing(Reply, frozen=True, kw_only=True):
    """Of ``[start, end)`` ns of this dataset it isn't certain that all is there: ``missing``, ``unavailable`` from the
    exchange, or ``purged`` by retention."""

    dataset: str
    start: int
    end: int
    state: str
    reason: str = ""


class ReplayEntry(Reply, frozen=True, kw_only=True):
    """A replay of ``[start, end)`` ns, which is at ``position``.

    ``waiting``: for a first subscriber; ``expired``: nobody was there for too long. ``speed`` 0: as fast as it can be
    taken. ``number`` is that of its last message; ``acked`` up to where its receiver is done with them. ``attended``:
    somebody listened when it was last looked. ``behind``: seconds by which it is late, since its receiver is slow.
    """

    id: str
    host: str
    state: ReplayState
    datasets: list[str]
    start: int
    end: int
    position: int
    speed: float
    created: int
    records: int = 0
    number: int = 0
    acked: int | None = None
    attended: bool = False
    behind: float = 0.0
    error: str | None = None


class ReplayStarted(Reply, frozen=True, kw_only=True):
    """The replay; ``subject`` is what to subscribe to, ``flow`` where to acknowledge messages, if that was asked for.

    ``missing``: what of the time isn't certain to be there, by start: so many as a message holds, and how many more
    there are (``missing_more``).
    """

    replay: ReplayEntry
    subject: str
    flow: str | None = None
    missing: list[ReplayMissing] = []
    missing_more: int = 0


class ReplayOf(Request, frozen=True, kw_only=True):
    """One replay, by its id."""

    id: ReplayId


class ReplaySeek(Request, frozen=True, kw_only=True):
    """Go on at this time, which may lie behind or ahead, also after the end. Messages up to the reply's ``number`` are
    of before."""

    id: ReplayId
    to: Time


class ReplaySpeed(Request, frozen=True, kw_only=True):
    """Go on this fast."""

    id: ReplayId
    speed: Speed


class Replays(Reply, frozen=True, kw_only=True):
    """The replays of a host, by id."""

    host: str
    replays: list[ReplayEntry]
