"""What a live stream can vouch for: batches and holes flow in, the intervals that each message claims flow out. Pure.

A stream that is subscribed and in order has all records up to a moment before its last one. Each message claims what
has become certain since the one before, so that the claims of a message that is lost are lost with it. What a hole
leaves out nobody claims.
"""

from __future__ import annotations

from collections.abc import Sequence

from dccd.store.intervals import Interval

__all__ = ["Claimed"]

_MOST = 16
"""So many intervals fit the header of a message with room to spare; who has more to claim leaves the oldest out."""
_NEVER = -(2**63)


class Claimed:
    """The claims of one stream. Times are ns; *since*: where it stood when it began, None for one that never ran; of a
    stream of *bars* the first is told whole by its later states."""

    def __init__(self, since: int | None = None, *, bars: bool = False) -> None:
        self._bars = bars
        self._from = since  # up to here it was claimed, or told as a hole
        self._due: list[Interval] = []
        self._undone: int | None = None  # where it stood when messages began to find no room
        self._told_to = _NEVER  # where the latest hole ends

    def __repr__(self) -> str:
        return f"<Claimed from={self._from} due={len(self._due)}>"

    def hole(self, since: int, until: int) -> Interval | None:
        """``[since, until)`` may miss records; all before is there. Return what of it had been claimed, if anything:
        that is doubted now."""
        self._told_to = max(self._told_to, until)
        if self._from is None:
            self._from = until
            return None
        before = self._from
        if since > before:
            self._due.append((before, since))
        self._from = max(before, until)
        return (since, min(until, before)) if since < before else None

    def batch(self, first: int, certain: int | None) -> Sequence[Interval]:
        """Return what the message of these records claims: the *first* of them is of this time, and all before
        *certain* have come (None: nothing is certain)."""
        if self._from is None:
            # Of the time of the very first record there may have been others, but of a bar's.
            self._from = first if self._bars else first + 1
        if certain is not None and certain > self._from:
            self._due.append((self._from, certain))
            self._from = certain
        due, self._due = self._due[-_MOST:], []
        return due

    def stand(self, due: Sequence[Interval]) -> Sequence[Interval]:
        """Return what a message says that claims none of *due*: where the claims before it end."""
        at = due[0][0] if due else self._from
        return () if at is None else [(at, at)]

    def undo(self, due: Sequence[Interval]) -> None:
        """The message that was to claim *due* found no room: nothing of it is claimed, and a hole begins no later."""
        self._due = []
        if due:
            self._from = min(start for start, _ in due)
        if self._undone is None:
            self._undone = self._from

    def dropped(self, first: int, last: int) -> tuple[Interval, Interval | None]:
        """Messages with records from *first* to *last* were dropped: return the hole, of which nothing is claimed
        later, and what of it had been claimed (of records that came late): that is doubted now."""
        claimed_to = self._from if self._undone is None else self._undone
        start = first if claimed_to is None else min(first, claimed_to)
        end = max(last + 1, start + 1)
        # A hole that was told meanwhile may end later.
        self._from = max(end, self._told_to)
        self._due, self._undone = [], None
        doubted = None if claimed_to is None or start >= claimed_to else (start, min(end, claimed_to))
        return (start, end), doubted
