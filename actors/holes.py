"""Where a live stream has a hole: a pure state machine.

Records, losses and the time flow in; a :class:`Hole` flows out once both of its ends are known. A hole starts after the
last good record and ends at the first one of the new connection, both by the exchange's clock, so that ours may be
wrong. The collector puts a hole on record before it publishes anything that comes after it: then whatever is killed,
the last message on the bus is where the next hole starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dccd.records import Bar, Record, Trade
from dccd.symbols import NS, Dataset

__all__ = ["Hole", "HoleFinder"]

_MARGIN = 5 * NS
"""Longer than a parser holds a jump in trade ids open for a late frame: what it had seen and not told yet when the
connection (or the process) ended is inside this much of time before it."""
_QUIET = 10 * NS
_QUIET_WITH_IDS = 60 * NS


class Hole(msgspec.Struct, frozen=True):
    """Nothing of ``[start, end)`` (ns, exchange time) is certain to be there, and why."""

    start: int
    end: int
    reason: str


class HoleFinder:
    """Follows one stream. ``last`` is its newest record on the bus or in the store, if there is one.

    ``consecutive_ids``: trade ids follow each other, so that a loss that lost nothing is told from one that did.
    """

    def __init__(self, dataset: Dataset, last: Record | None, last_ts: int | None, consecutive_ids: bool) -> None:
        self._span = None if dataset.span is None else dataset.span * NS
        self._ids = consecutive_ids
        self._last_ts = last_ts
        self._last_id = _trade_id(last) if consecutive_ids else None
        self._live_at: int | None = None
        self._jump_ts: int | None = None
        self._open: tuple[int, str, bool] | None = None  # start, reason, whether ids can prove it empty
        if last_ts is not None:
            self._open = (last_ts if self._span else last_ts - _MARGIN, "not running", False)

    def __repr__(self) -> str:
        return f"<HoleFinder last={self._last_ts} open={self._open}>"

    def lost(self, reason: str) -> None:
        """The connection (or the room for its records) is gone."""
        self._live_at = None
        if self._open is None and self._last_ts is not None:
            doubt = self._jump_ts is not None and self._last_ts - self._jump_ts < _MARGIN
            self._open = (self._jump_ts if doubt and self._jump_ts else self._last_ts, reason, not doubt)

    def live(self, now: int) -> None:
        """The exchange confirmed the subscription at *now* (our clock, ns)."""
        self._live_at = now

    def records(self, records: Sequence[Record]) -> Hole | None:
        """Take the next records; return the hole that they close."""
        first = records[0]
        found = None
        if self._open is not None:
            start, reason, provable = self._open
            self._open = None
            found = self._closed(start, first, reason, provable)
        elif self._ids:
            self._watch_ids(first, records[-1], len(records))
        self._advance(records[-1])
        return found

    def quiet(self, now: int) -> Hole | None:
        """Return the hole that closes because the market is quiet: live for a while, without a record."""
        if self._open is None or self._live_at is None:
            return None
        patience = _QUIET_WITH_IDS if self._last_id is not None else _QUIET
        if now - self._live_at < patience:
            return None
        start, reason, _ = self._open
        # A hole of bars stays open until a bar comes: only that says which bar was the first complete one.
        if self._span is not None:
            return None
        self._open = None
        return Hole(start, self._live_at, reason) if self._live_at > start else None

    def _closed(self, start: int, first: Record, reason: str, provable: bool) -> Hole | None:
        if self._span is not None:
            # The bar now in progress is told whole by its later updates; those before it are lost.
            start += self._span
            return Hole(start, first.ts, reason) if first.ts > start else None
        first_id = _trade_id(first) if self._ids and provable else None
        if first_id is not None and self._last_id is not None and first_id <= self._last_id + 1:
            return None
        # Several records share a time: that of the first one is inside the hole.
        return Hole(start, max(first.ts, start) + 1, reason)

    def _watch_ids(self, first: Record, last: Record, count: int) -> None:
        """Remember where ids last jumped: the parser may be waiting for the frame that fills the jump."""
        first_id, last_id = _trade_id(first), _trade_id(last)
        if first_id is None or last_id is None or self._last_id is None:
            return
        if first_id != self._last_id + 1 or last_id - first_id != count - 1:
            self._jump_ts = self._last_ts

    def _advance(self, last: Record) -> None:
        if isinstance(last, Bar) and not last.closed:
            if self._last_ts is None and self._span is not None:
                self._last_ts = last.ts - self._span
            return
        if self._last_ts is None or last.ts >= self._last_ts:
            self._last_ts = last.ts
        trade_id = _trade_id(last) if self._ids else None
        if trade_id is not None and (self._last_id is None or trade_id > self._last_id):
            self._last_id = trade_id


def _trade_id(record: Record | None) -> int | None:
    return int(record.tid) if isinstance(record, Trade) and record.tid and record.tid.isdecimal() else None
