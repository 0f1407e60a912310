"""What a live session yields: data, and what happened to the connection. All times are ns UTC."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from dccd.records import Record

__all__ = ["Batch", "Broke", "Connected", "Hole", "Item", "Live", "Lost", "Silent", "Unparsed"]


# gc=False as for the records: a batch lives for one publish and is in no cycle.
class Batch(msgspec.Struct, frozen=True, gc=False):
    """The records of all frames that were there at once, in arrival order; never empty.

    ``recv_ts`` is when the first of their bytes were read (or the clock's time, for what a tick has made). All records
    from before ``certain`` (ns) are in this batch and those before it, but for what was told as a hole; None where
    nobody knows.
    """

    records: list[Record]
    recv_ts: int
    certain: int | None = None


class Connected(msgspec.Struct, frozen=True):
    """The socket is open and the subscription sent; nothing is confirmed yet."""

    at: int


class Live(msgspec.Struct, frozen=True):
    """The exchange confirmed the subscription: what comes from now on is complete."""

    at: int


class Lost(msgspec.Struct, frozen=True):
    """The connection ended, or could not be made; the session tries again after ``retry_in`` seconds."""

    at: int
    reason: str
    retry_in: float


class Broke(msgspec.Struct, frozen=True):
    """The data broke on a living connection (a sequence gap, a checksum) and is being mended by ``resync``.

    A :class:`Hole` from ``since`` on follows once it is mended.
    """

    at: int
    since: int
    reason: str
    resync: str


class Hole(msgspec.Struct, frozen=True):
    """Records of ``[since, until)`` may be missing: the interval to ask the exchange's history for.

    ``since`` is the exchange's time of the last record before it, which is inside: others may share its time.
    """

    since: int
    until: int
    reason: str


class Silent(msgspec.Struct, frozen=True):
    """The connection lives but no record came since ``since``: a quiet market, as far as can be told."""

    at: int
    since: int


class Unparsed(msgspec.Struct, frozen=True):
    """``count`` frames since the last such item were not what the exchange documents; ``sample`` begins one of them."""

    error: str
    sample: bytes
    count: int


Item: TypeAlias = Batch | Connected | Live | Lost | Broke | Hole | Silent | Unparsed
