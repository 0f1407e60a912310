"""Past records by time through ccxt, whatever the exchange makes of ``since``: bodies flow in, records flow out.

ccxt's methods look alike; what is behind them isn't. Some exchanges serve the oldest records from ``since`` on, some
the newest ones whatever is asked for, some those of a window that begins there. So nothing counts as covered that a
page doesn't prove:

* the newest page comes first, asked for without ``since``: whether it reaches back to ``start`` is seen in it;
* else pages are asked for from ``start`` on. One that holds nothing older than the newest page shows that the exchange
  serves only that one: ``Page.start`` says so then;
* each further page is asked for from just before the end of the one before. One that shares a record with that goes on
  where it ended; else ``Page.start`` leaves out what lies between.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable
from typing import TypeAlias

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.paging import SETTLED
from dccd.exchanges.wire import MS, parse_error
from dccd.records import Record
from dccd.symbols import NS, format_time

__all__ = ["EARLIEST", "Rows", "UnifiedPages"]

EARLIEST = 1_230_768_000 * NS
"""2009: nothing was traded before."""
_LATE = 3600 * NS
"""How much later than asked for the first record may be (ns) before it means that what was before isn't served."""

Rows: TypeAlias = list[tuple[Hashable, Record]]
"""Records in time order, each with what tells it from others of its time."""


class UnifiedPages(HistoryPager, ABC):
    """Records of *method* from *start* to *end* (ns).

    *params* are those of each request. *step* (ns): times are multiples of it; each page is asked for from one step
    before the end of the one before. *lasts* (ns): how long one record lasts, 0 for a moment. *window* (ns): how much
    time one page holds at most, where that is known. *settled* (ns): so old one must be before its absence counts.
    """

    may_be_coarse = False
    """Whether an exchange may give whole seconds where its live feed gives more: then whole seconds are asked for."""

    def __init__(
        self,
        exchange: str,
        method: str,
        params: dict[str, str | int],
        start: int,
        end: int,
        *,
        step: int = MS,
        lasts: int = 0,
        window: int | None = None,
        settled: int = SETTLED,
    ) -> None:
        self._exchange = exchange
        self._method = method
        self._params = params
        self._start, self._end = start, end
        self._step, self._lasts, self._window = step, lasts, window
        self._settled = settled
        self._since = max(start, EARLIEST)
        self._until = start
        self._newest: Rows | None = None  # the page without since
        self._walked = False  # a page from since on was taken
        self._skipped = False
        self._known: Counter[Hashable] = Counter()  # what was had already of what the next page begins with
        self._open = False
        self._done = start >= end

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._method} since={self._since} done={self._done}>"

    @abstractmethod
    def rows(self, body: bytes, recv_ts: int) -> Rows:
        """The records of a body that won't change any more. Raises ParseError; ValueError for a valid body."""

    def requests(self, limit: int) -> list[PageRequest]:
        """The next page."""
        if limit < 1 or self._open or self._done:
            return []
        self._open = True
        if self._newest is None:
            return [PageRequest(self._method, dict(self._params))]
        return [PageRequest(self._method, {**self._params, "since": self._since // MS})]

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        try:
            rows = sorted(self.rows(body, recv_ts), key=_time)
        except ValueError as exc:  # ParseError isn't one
            raise parse_error(self._exchange, exc, body) from exc
        if self._newest is not None and rows and _time(rows[-1]) + self._lasts < self._since - max(self._step, NS):
            # It is a page that was had before, or that nobody asked for.
            until, since = format_time(_time(rows[-1])), format_time(self._since)
            raise parse_error(self._exchange, f"records until {until}, where {since} was asked for", body)
        page = self._first(rows, recv_ts) if self._newest is None else self._next(self._newest, rows, recv_ts)
        self._open = False
        return page

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._done

    @property
    def position(self) -> int:
        """All before this time (ns) was asked for."""
        return self._until

    # ------------------------------------------------------------ inner

    def _first(self, rows: Rows, recv_ts: int) -> Page:
        """The newest page."""
        self._newest = rows
        if self.may_be_coarse and rows and all(_time(row) % NS == 0 for row in rows):
            # Live ones are told to the millisecond: one of a hole may be stamped before it here.
            self._start -= self._start % NS
            self._end += -self._end % NS
        if not rows or _time(rows[0]) < self._start:
            # It holds one from before the start, so all since; or there are none at all.
            return self._last(rows, self._start, recv_ts)
        return Page([], self._start, self._start)

    def _next(self, newest: Rows, rows: Rows, recv_ts: int) -> Page:
        """A page from ``since`` on."""
        oldest, last = _time(newest[0]), _time(newest[-1])
        skipped, self._skipped = self._skipped, False
        if not self._walked:
            if rows and _time(rows[0]) < oldest:
                return self._take(rows, rows, self._served_from(_time(rows[0]), reaches=_time(rows[-1]) >= last))
            if not rows and self._skip(last):
                return Page([], self._start, self._start)
            # Nothing older than the newest page is served.
            return self._last(newest, max(self._start, oldest), recv_ts)
        fresh = self._fresh(rows)
        if fresh:
            goes_on = skipped or len(fresh) < len(rows)
            return self._take(rows, fresh, self._until if goes_on else max(self._until, _time(fresh[0])))
        if _time(rows[-1]) >= last if rows else self._since >= oldest:
            return self._last([], self._until, recv_ts)
        start = self._until
        if not self._skip(last):
            # Either a page full of records of one time, or none where there must be some. Go past that, leaving it out.
            self._since = max(self._since, _time(rows[-1])) + self._step if rows else oldest
            start = max(start, min(self._end, self._since))
            self._known, self._skipped = Counter(), bool(rows)
        self._until = max(self._until, min(self._end, self._since))
        self._done = self._since >= self._end
        return Page([], start, self._until)

    def _skip(self, last: int) -> bool:
        """Where pages are windows, one without anything new is an empty one: go on behind it."""
        if self._window is None or self._since + self._window > last:
            return False
        self._since += self._window
        self._skipped = True
        return True

    def _served_from(self, first: int, *, reaches: bool) -> int:
        """From when on the first page covers. One that *reaches* to now is perhaps the newest of more than it holds."""
        late = 0 if reaches else max(_LATE, 2 * self._step)
        return self._start if first <= self._start + late else first

    def _fresh(self, rows: Rows) -> Rows:
        """Those that the pages before didn't have; of identical ones, as many as are new."""
        known, found = Counter(self._known), []
        for key, record in rows:
            if known[key]:
                known[key] -= 1
            else:
                found.append((key, record))
        return found

    def _take(self, rows: Rows, fresh: Rows, start: int) -> Page:
        self._walked = True
        last = _time(rows[-1])
        self._since = max(self._since, last - self._step)
        self._known = Counter(key for key, record in rows if record.ts >= self._since)
        self._until = max(self._until, min(self._end, last + self._lasts))
        self._done = last + self._lasts >= self._end
        return Page(self._within(fresh), min(start, self._until), self._until)

    def _last(self, rows: Rows, start: int, recv_ts: int) -> Page:
        """Everything there is: what hasn't come until now wasn't there."""
        newest = max(
            [recv_ts - self._settled - max(0, self._lasts - 1), *(_time(row) + self._lasts for row in rows[-1:])]
        )
        self._until = max(self._until, min(self._end, newest))
        self._done = True
        return Page(self._within(rows), min(start, self._until), self._until)

    def _within(self, rows: Rows) -> list[Record]:
        return [record for _, record in rows if self._start <= record.ts < self._end]


def _time(row: tuple[Hashable, Record]) -> int:
    return row[1].ts
