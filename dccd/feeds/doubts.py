"""Bars of which an unreadable frame may have been the last word: states flow in, which of them are doubtful flows out.

A later state of a bar tells it whole, also what the unreadable one said. Where none comes, what was read before is no
closed bar: it is held back, and its time is a hole. Pure; times are ns.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dccd.exchanges.open_bars import GRACE
from dccd.records import Bar, Record
from dccd.symbols import NS

__all__ = ["BarDoubts"]

# By how much clocks may differ without any record having told.
_SKEW = 5 * NS


class BarDoubts:
    """The doubtful bars of a stream whose bars are *span* ns long: those from ``start`` on; None: there are none."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._newest: Bar | None = None
        self._stale: Bar | None = None  # the state from before the frame, of a bar that was open then
        self.start: int | None = None
        self._end = 0

    def __repr__(self) -> str:
        return f"<BarDoubts from {self.start} to {self._end}>"

    def clear(self) -> None:
        """What was doubtful is on record otherwise."""
        self.start = self._stale = None

    def spoilt(self, at: int, complete_to: int | None, listened_at: int, ahead: int) -> None:
        """A frame that came at *at* could not be read.

        *complete_to*: where the last closed bar ends; *listened_at*: since when we listen; *ahead*: by how much the
        exchange's clock is.
        """
        newest, span = self._newest, self._span
        if newest is None:
            start = listened_at // span * span
        else:
            start = newest.ts + span if newest.closed else newest.ts
            if start == complete_to and at < start + GRACE + _SKEW:
                start -= span  # a trade of the bar before may have come late
        # Bars that had begun by then.
        end = start + span * max(1, (at + ahead + _SKEW - start) // span + 1)
        if self.start is not None:
            start, end = min(start, self.start), max(end, self._end)
        self.start, self._end = start, end
        self._stale = None if newest is None or newest.closed else newest

    def take(self, records: list[Record]) -> tuple[tuple[int, int] | None, list[Record]]:
        """Take the next states; return the time of bars that they leave doubtful, and those that can be handed on."""
        if self.start is None:
            self._see(records)
            return None, records
        holes: list[tuple[int, int]] = []
        kept: list[Record] = []
        start: int | None = self.start
        for record in records:
            if start is None or not isinstance(record, Bar):
                kept.append(record)
                continue
            end = record.ts + self._span
            if self._is_stale(record):
                holes.append((start, end))
                start = self._go_on(end)
                continue
            kept.append(record)
            if end > start:
                if record.ts > start:
                    holes.append((start, min(record.ts, self._end)))
                start = self._go_on(end)
        self._see(records)
        return (holes[0][0], holes[-1][1]) if holes else None, kept

    def _is_stale(self, bar: Bar) -> bool:
        """Whether it was closed by what was read before the frame, and nothing later."""
        stale = self._stale
        return stale is not None and bar.closed and bar == msgspec.structs.replace(stale, closed=True)

    def _go_on(self, start: int) -> int | None:
        self._stale = None
        self.start = start if start < self._end else None
        return self.start

    def _see(self, records: Sequence[Record]) -> None:
        for record in records:
            if isinstance(record, Bar) and (self._newest is None or record.ts >= self._newest.ts):
                self._newest = record
