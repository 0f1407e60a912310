"""What of a live stream may be missing: records, losses and confirmations flow in, holes flow out.

Pure. A hole begins with the last record that came and ends with the first one that comes again, both by the exchange's
clock, so that ours may be wrong. Consecutive trade ids, and bars that follow each other, prove that nothing is missing;
then there is no hole. A market that stays quiet after the confirmation ends it by our clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from dccd.feeds.items import Hole
from dccd.records import Bar, Record, Trade
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Holes"]

_QUIET = 10 * NS
"""How long a hole waits for a record to end it (ns)."""


class Holes:
    """The holes of one stream. Times are ns; *since*: one is open from there, as after a restart."""

    def __init__(self, dataset: Dataset, consecutive_ids: bool, since: int | None = None) -> None:
        self._is_book = dataset.data_type is DataType.ORDERBOOK
        self._span = (dataset.span or 0) * NS
        self._ids = consecutive_ids
        self.last_ts: int | None = None
        """Time of the newest record."""
        self._last_id: int | None = None
        self._complete_to: int | None = None  # bars: all before this time came, closed
        self._ahead = 0  # by how much the exchange's clock is ahead of ours, at least
        self._confirmed_at: int | None = None
        self._listened_at: int | None = None  # when it was first confirmed, for want of a record
        self._open: tuple[int, str] | None = None if since is None else (since, "the collector was not running")
        self._provable = False
        self.count = 0
        """Holes told so far."""

    def __repr__(self) -> str:
        return f"<Holes last_ts={self.last_ts} open={self._open} told={self.count}>"

    @property
    def numbered(self) -> bool:
        """Whether consecutive ids tell by themselves what is missing."""
        return self._ids

    def known_until(self, wall: int) -> int:
        """All before this time has come, unless a hole was told."""
        if self._complete_to is not None:
            return self._complete_to
        return self.last_ts or self._listened_at or wall

    def begin(self, reason: str, wall: int, since: int | None = None) -> None:
        """What comes from now on is not complete: a connection was lost, or (with *since*) the data broke."""
        self._confirmed_at = None
        heard = self._listened_at is not None or self.last_ts is not None
        if self._open is None and (heard or since is not None):
            self._open = (self.known_until(wall) if since is None else since, reason)
            self._provable = since is None

    def spoilt(self, wall: int) -> bool:
        """A frame could not be read; return whether what it held is missed, so that a hole is open from here.

        Consecutive ids and books tell it themselves, by what comes next; a bar's later updates tell it whole.
        """
        heard = self._listened_at is not None or self.last_ts is not None
        if self._ids or self._is_book or self._span or not heard:
            return False
        if self._open is None:
            self._open, self._provable = (self.known_until(wall), "a frame could not be read"), False
            self._confirmed_at = wall
        return True

    def confirmed(self, wall: int) -> None:
        """The exchange confirmed the subscription (again)."""
        self._confirmed_at = wall
        self._listened_at = self._listened_at or wall

    def market_changed(self) -> None:
        """What comes from now on is of another contract: its ids prove nothing of the one before."""
        self._last_id = None

    def told(self, since: int, until: int, reason: str) -> Hole:
        """A hole both of whose ends are known; never empty, since others may share the time at its ends."""
        self.count += 1
        if self._complete_to is not None:
            # What is on record as missing needn't be told again.
            self._complete_to = max(self._complete_to, until)
        return Hole(since, max(since + 1, until), reason)

    def records(self, records: Sequence[Record], recv_ts: int, wall: int, *, by_time: bool = False) -> Hole | None:
        """Take the next records; return the hole that they end, which is to be told before they are handed on.

        *by_time*: they weren't sent, but made as time went by. A book that is given out again so proves nothing of the
        time since its last change: the subscription may be dead.
        """
        found = None
        if self._open is not None:
            (since, reason), self._open = self._open, None
            until = self._end(records[0], since, wall)
            if until is not None:
                found = self.told(since, until, reason)
        if not (by_time and self._is_book):
            self._advance(records, recv_ts)
        return found

    def quiet(self, wall: int) -> Hole | None:
        """Return the hole that ends because it is confirmed that all comes, and nothing does."""
        if self._open is None or self._confirmed_at is None or self._is_book or wall - self._confirmed_at < _QUIET:
            return None
        (since, reason), self._open = self._open, None
        return self.told(since, self._confirmed_at + self._ahead, reason)

    def _end(self, first: Record, since: int, wall: int) -> int | None:
        """Where a hole from *since* on ends when *first* comes; None when nothing is missing."""
        if self._is_book:
            # A book is whole again with its first record, whatever came before.
            return first.ts
        if isinstance(first, Bar):
            # The bar in progress is told whole by its later updates.
            return first.ts if first.ts > since else None
        number = _id(first)
        if self._ids and self._provable and number is not None and self._last_id is not None:
            if number == self._last_id + 1 or (number <= self._last_id and first.ts <= since):
                return None
            if number <= self._last_id:
                # Not one that is sent again, for it is newer: ids have begun anew, or one was none. They prove nothing.
                self._last_id = None
        elif first.ts <= since:
            # Older trades, which some exchanges send at first, don't tell where the new ones begin.
            return (self._confirmed_at or wall) + self._ahead
        # One more, since what is missing may share the first one's time.
        return first.ts + 1

    def _advance(self, records: Sequence[Record], recv_ts: int) -> None:
        last = records[-1]
        self._ahead = max(self._ahead, last.ts - recv_ts)
        self.last_ts = last.ts if self.last_ts is None else max(self.last_ts, last.ts)
        if self._span:
            for record in records:
                # An open bar doesn't prove that the one before came: its closing may have been lost.
                if isinstance(record, Bar) and (record.closed or self._complete_to is None):
                    end = record.ts + self._span if record.closed else record.ts
                    self._complete_to = end if self._complete_to is None else max(self._complete_to, end)
        elif self._ids and (number := _id(last)) is not None:
            self._last_id = number if self._last_id is None else max(self._last_id, number)


def _id(record: Record) -> int | None:
    return int(record.tid) if isinstance(record, Trade) and record.tid and record.tid.isdecimal() else None
