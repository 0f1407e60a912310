"""What consecutive trade ids tell: ids and times flow in, whether a trade is new and which are missing flow out.

An id that jumps is a hole, but perhaps only for a moment: frames may come out of order, so the jump is held open for
two seconds before it is reported. An id that was there before is a trade sent twice. One that is lower at a later time
is neither: ids have begun anew, or one was none, and are counted from there. Parsers test the usual case
(``id == last + 1``) themselves and come here with all others.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from dccd.exchanges.base import Broken, Signal
from dccd.exchanges.stream import TopicStream
from dccd.records import Record
from dccd.symbols import NS

__all__ = ["PATIENCE", "NumberedTrades", "TradeIds"]

PATIENCE = 2 * NS
"""How long a jump is held open, and how much later a lower id's time is than the highest one's to be no jitter (ns)."""

_MOST_GAPS = 256


class _Gap(msgspec.Struct):
    """Ids ``first`` to ``last`` haven't come; they lie between the times ``since`` and ``until`` (ns)."""

    first: int
    last: int
    since: int
    until: int
    deadline: int | None
    """When it is reported (ns of our clock); None once it has been."""


class TradeIds:
    """The ids of one connection's trades.

    ``last`` and ``last_ts`` are the highest id and its time, or when it came where that is earlier: a time that is
    wrong must not move a hole; ``waiting`` how many holes there are to report, now or later.
    """

    __slots__ = ("_due", "_first", "_gaps", "last", "last_ts", "waiting")

    def __init__(self) -> None:
        self.last = -2  # no id is one more than this
        self.last_ts = 0
        self.waiting = 0
        self._first = 0
        self._gaps: list[_Gap] = []
        self._due: list[Broken] = []

    def __repr__(self) -> str:
        return f"<TradeIds last={self.last} waiting={self.waiting} gaps={len(self._gaps)}>"

    def accept(self, tid: int, ts: int, recv_ts: int) -> bool:
        """Take the id of a trade at *ts* (ns); False when it was there before."""
        if tid > self.last:
            if self.last < 0:
                self._first = tid
            elif tid > self.last + 1:
                self._open(_Gap(self.last + 1, tid - 1, self.last_ts, max(self.last_ts, ts), recv_ts + PATIENCE))
            self.last, self.last_ts = tid, max(self.last_ts, min(ts, recv_ts))
            return True
        if min(ts, recv_ts) > self.last_ts + PATIENCE:
            self._begin_anew(tid, ts, recv_ts)
            return True
        if tid < self._first:
            # From before the first that came: late, too. What lies between may come as well, but isn't missed.
            if tid + 1 < self._first:
                self._gaps.insert(0, _Gap(tid + 1, self._first - 1, ts, ts, None))
            self._first = tid
            return True
        at = bisect_right(self._gaps, tid, key=_first_of) - 1
        if at < 0 or tid > self._gaps[at].last:
            return False
        self._fill(at, tid, ts)
        return True

    @property
    def held_since(self) -> int | None:
        """Where the first hole begins (ns) of those that are to be reported yet; None: there are none."""
        if not self.waiting:
            return None
        due = [broken.since for broken in self._due if broken.since is not None]
        return min(due + [gap.since for gap in self._gaps if gap.deadline is not None], default=None)

    def expired(self, now: int) -> Broken | None:
        """A gap whose time is up at *now* (ns), once; ask again, there may be more."""
        if not self.waiting:
            return None
        if self._due:
            self.waiting -= 1
            return self._due.pop(0)
        for gap in self._gaps:
            if gap.deadline is not None and gap.deadline <= now:
                return self._report(gap)
        return None

    def unresolved(self) -> list[Broken]:
        """All gaps that are still held open."""
        due, self._due = self._due, []
        self.waiting -= len(due)
        return due + [self._report(gap) for gap in self._gaps if gap.deadline is not None]

    def _begin_anew(self, tid: int, ts: int, recv_ts: int) -> None:
        """Count from *tid* on. What is missing before it no id tells."""
        # First, since it ends with this very trade: the others were waited for, and may be a moment longer.
        due = [Broken("trade ids have begun anew", self.last_ts, "none", ts + 1), *self.unresolved()]
        self._due, self._gaps, self.waiting = due, [], len(due)
        self._first = self.last = tid
        self.last_ts = min(ts, recv_ts)

    def _report(self, gap: _Gap) -> Broken:
        gap.deadline = None
        self.waiting -= 1
        count = gap.last - gap.first + 1
        which = f"trade {gap.first} is" if count == 1 else f"trades {gap.first} to {gap.last} are"
        # One more, since the end isn't part of a hole, and what is missing may share the next trade's time.
        return Broken(f"{which} missing", gap.since, "none", gap.until + 1)

    def _open(self, gap: _Gap) -> None:
        self._gaps.append(gap)
        self.waiting += 1
        if len(self._gaps) > _MOST_GAPS:
            # Forget the oldest that has been reported: what is in it would count as sent twice.
            for at, old in enumerate(self._gaps):
                if old.deadline is None:
                    del self._gaps[at]
                    return
            # All are waiting. Two become one, wider one: to fetch trades that are there does no harm.
            left, right = self._gaps[:2]
            left.last, left.until = right.last, right.until
            del self._gaps[1]
            self.waiting -= 1

    def _fill(self, at: int, tid: int, ts: int) -> None:
        gap = self._gaps[at]
        if gap.first == gap.last:
            del self._gaps[at]
            if gap.deadline is not None:
                self.waiting -= 1
            return
        ts = min(max(ts, gap.since), gap.until)
        if tid == gap.first:
            gap.first, gap.since = tid + 1, ts
        elif tid == gap.last:
            gap.last, gap.until = tid - 1, ts
        else:
            self._gaps.insert(at + 1, _Gap(tid + 1, gap.last, ts, gap.until, gap.deadline))
            gap.last, gap.until = tid - 1, ts
            if gap.deadline is not None:
                self.waiting += 1


class NumberedTrades(TopicStream):
    """Trades whose ids show holes. It comes before the exchange's own stream class among a subclass's bases."""

    _ids: TradeIds

    @property
    def held_since(self) -> int | None:
        """Where the first jump begins that is held open."""
        return self._ids.held_since

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """A jump of the ids that wasn't filled in time is a hole."""
        return self._ids.expired(now)

    def unresolved(self) -> list[Broken]:
        """Jumps that were still held open."""
        return self._ids.unresolved()


def _first_of(gap: _Gap) -> int:
    return gap.first
