"""What of a live stream may be missing: records, losses and confirmations flow in, holes flow out.

Pure. A hole begins with the last record that came and ends with the first one that comes again, both by the exchange's
clock, so that ours may be wrong. Consecutive trade ids, and bars that follow each other, prove that nothing is missing;
then there is no hole. A market that stays quiet after the confirmation ends it by our clock; where ids are consecutive,
whether it was quiet is told by the next one.

Each is told before what follows it is handed on. Where losses come one upon the other, a hole is therefore told in
advance: those of the next minute lie in it, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from dccd.feeds.ahead import Clocks
from dccd.feeds.doubts import BarDoubts
from dccd.feeds.following import Following
from dccd.feeds.items import Hole
from dccd.records import Bar, Record, Trade
from dccd.symbols import NS, Dataset, DataType

__all__ = ["LATE", "Holes"]

LATE = 5 * NS
"""How late a record may come after one of a later time (ns); a parser holds a jump in trade ids open for less."""
_QUIET = 10 * NS
"""How long a hole waits for a record to end it (ns)."""
_TOGETHER = 60 * NS
"""Losses that are nearer to each other than this follow each other (ns); so far ahead reaches a hole of many."""
_APART = 3
"""So many that follow each other are told each; all others in advance."""
_UNREAD = "a frame could not be read"
_APART_BARS = "bars that don't follow each other"


class Holes:
    """The holes of one stream. Times are ns; *since*: one is open from there, as after a restart."""

    def __init__(self, dataset: Dataset, consecutive_ids: bool, since: int | None = None) -> None:
        self._is_book = dataset.data_type is DataType.ORDERBOOK
        self._span = (dataset.span or 0) * NS
        self._ids = consecutive_ids
        self.last_ts: int | None = None
        """Time of the newest record, as far as it is believed."""
        self._last_id: int | None = None
        self._bars = Following(self._span) if self._span else None
        self._doubts = BarDoubts(self._span) if self._span else None
        self._clocks = Clocks()
        self._on_record: tuple[int, int] | None = None  # the last hole that was told
        self._in_a_row = 0
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
        if self._bars is not None and self._bars.certain is not None:
            return self._bars.certain
        return self.last_ts or self._listened_at or wall

    @property
    def certain(self) -> int | None:
        """All before this time has come and was handed on, but for what was told as a hole; None: nothing is certain.

        Where :meth:`known_until` is where a hole would begin, this leaves time for records that come late.
        """
        if self._open is not None:
            return None
        if self._bars is not None:
            return None if self._bars.certain is None else self._undoubted(self._bars.certain)
        return None if self.last_ts is None else self.last_ts - LATE

    def begin(self, reason: str, wall: int, since: int | None = None) -> None:
        """What comes from now on is not complete: a connection was lost, or (with *since*) the data broke."""
        self._confirmed_at = None
        heard = self._listened_at is not None or self.last_ts is not None
        if self._open is None and (heard or since is not None):
            self._open = (self._undoubted(self.known_until(wall)) if since is None else since, reason)
            self._provable = since is None
            if self._doubts is not None:
                self._doubts.clear()

    def _undoubted(self, until: int) -> int:
        doubtful = None if self._doubts is None else self._doubts.start
        return until if doubtful is None else min(until, doubtful)

    def spoilt(self, at: int) -> bool:
        """A frame that came at *at* could not be read; return whether what it held may be missed for good.

        Consecutive ids and books tell it themselves, by what comes next. So do a bar's later updates, if any come.
        """
        heard = self._listened_at is not None or self.last_ts is not None
        if self._ids or self._is_book or not heard:
            return False
        if self._open is None and self._doubts is not None:
            closed_to = None if self._bars is None else self._bars.closed_to
            self._doubts.spoilt(at, closed_to, self._listened_at or at, self._clocks.most)
        elif self._open is None:
            self._open, self._provable = (self.known_until(at), _UNREAD), False
            self._confirmed_at = at
        return True

    def confirmed(self, wall: int) -> None:
        """The exchange confirmed the subscription (again)."""
        self._confirmed_at = wall
        self._listened_at = self._listened_at or wall

    def silent(self) -> None:
        """Nothing has come for so long that the subscription may be dead."""
        if self._bars is not None:
            self._bars.silent()

    def market_changed(self) -> None:
        """What comes from now on is of another contract: its ids prove nothing of the one before."""
        self._last_id = None

    def told(self, since: int, until: int, reason: str) -> Hole | None:
        """A hole both of whose ends are known; never empty, since others may share the time at its ends.

        None when it lies in one that was told.
        """
        until = max(since + 1, until)
        if self._bars is not None:
            # What is on record as missing needn't be told again; what isn't certain before it is told with it.
            since = self._bars.told(since, until)
        if not self._is_book and not self._span:
            # A book's are told one by one since each ends a book; those of bars are no more than there are bars.
            begun, ended = self._on_record or (since, since - _TOGETHER - 1)
            if begun <= since and until <= ended:
                return None
            near = begun <= since <= ended + _TOGETHER
            self._in_a_row = self._in_a_row + 1 if near else 1
            if self._in_a_row > _APART:
                until += _TOGETHER
            self._on_record = (begun if near and since <= ended else since, until)
        self.count += 1
        return Hole(since, until, reason)

    def records(
        self, records: list[Record], recv_ts: int, wall: int, *, by_time: bool = False
    ) -> tuple[Hole | None, list[Record]]:
        """Take the next records; return the hole that they end, which is to be told before they are handed on, and
        those that can be: a bar closed without its last word isn't.

        *by_time*: they weren't sent, but made as time went by. A book that is given out again so proves nothing of the
        time since its last change: the subscription may be dead. Nor does a bar that is closed so, until another comes.
        """
        found = None
        if self._open is not None:
            (since, reason), self._open = self._open, None
            until = self._end(records[0], since, wall)
            if until is not None:
                found = self.told(since, until, reason)
        if self._doubts is not None:
            doubtful, records = self._doubts.take(records)
            if doubtful is not None:
                found = self.told(*doubtful, _UNREAD)
        if records and not (by_time and self._is_book):
            self._advance(records, recv_ts, by_time)
            if found is None and self._bars is not None and (left_out := self._bars.hole()) is not None:
                found = self.told(*left_out, _APART_BARS)
        return found, records

    def quiet(self, wall: int) -> Hole | None:
        """Return the hole that ends because it is confirmed that all comes, and nothing does."""
        if self._open is None or self._confirmed_at is None or self._is_book or wall - self._confirmed_at < _QUIET:
            return None
        (since, reason), self._open = self._open, None
        until = self._confirmed_at + self._clocks.most
        if self._ids:
            # That none was lost since then only the next id tells: a connection counts from its first one.
            self._open, self._provable = (until, reason), self._last_id is not None
            self._confirmed_at = None
        return self.told(since, until, reason)

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
            return (self._confirmed_at or wall) + self._clocks.most
        # One more, since what is missing may share the first one's time.
        return first.ts + 1

    def _advance(self, records: Sequence[Record], recv_ts: int, by_time: bool) -> None:
        last, clocks, before = records[-1], self._clocks, self.last_ts
        if self._bars is not None:
            for record in records:
                if isinstance(record, Bar):
                    self._follow(record, recv_ts, by_time, self._bars)
        else:
            clocks.saw(last.ts, recv_ts)
        ts = clocks.believed(last.ts, recv_ts)
        self.last_ts = ts if before is None else max(before, ts)
        if self._ids and (number := _id(last)) is not None:
            anew = self._last_id is not None and number < self._last_id and before is not None and ts > before
            self._last_id = number if self._last_id is None or anew else max(self._last_id, number)

    def _follow(self, bar: Bar, recv_ts: int, by_time: bool, bars: Following) -> None:
        end = bar.ts + self._span if bar.closed else bar.ts
        if bar.closed:
            self._clocks.saw(end, recv_ts)
        if self._clocks.believed(end, recv_ts) == end:
            bars.take(bar, by_time)


def _id(record: Record) -> int | None:
    return int(record.tid) if isinstance(record, Trade) and record.tid and record.tid.isdecimal() else None
