"""Past records by time, oldest first, one page after the other: bodies flow in, records flow out.

The cursor is a time, and several records may share one. So each page is asked for from the time that the page before
ended with, and what both hold is known by its key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from itertools import pairwise

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.paging import SETTLED
from dccd.exchanges.wire import MS, parse_error
from dccd.records import Record

__all__ = ["TimePages"]


class TimePages(HistoryPager, ABC):
    """Records from *start* to *end* (ns), at most *limit* a page; times are multiples of *resolution* ns.

    *settled*: so old (ns) a record must be before its absence counts.

    Should more than a page of records share one time, those beyond the page are asked for by :meth:`request`'s *skip*,
    where the exchange can skip records (``can_skip``). Where it can't, the pages' intervals leave that time out.
    """

    exchange: str
    can_skip = False

    def __init__(self, start: int, end: int, limit: int, resolution: int = MS, settled: int = SETTLED) -> None:
        self._start, self._end = start, end
        self._limit = limit
        self._resolution = resolution
        self._settled = settled
        self._since = start - start % resolution
        self._skip = 0
        self._until = start
        self._open = False
        self._done = start >= end
        self._known: set[Hashable] = set()  # what the newest pages held of the time that the next one begins with

    def __repr__(self) -> str:
        return f"<{type(self).__name__} since={self._since} done={self._done}>"

    @abstractmethod
    def request(self, since: int, skip: int) -> PageRequest:
        """Ask for the oldest records at or after *since* (ns), leaving out the first *skip* of those."""

    @abstractmethod
    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        """The records of a body, oldest first, each with what tells it from others of its time.

        Raises ParseError; ValueError for what it finds in a valid body.
        """

    def requests(self, limit: int) -> list[PageRequest]:
        """The next page."""
        if limit < 1 or self._open or self._done:
            return []
        self._open = True
        return [self.request(self._since, self._skip)]

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        try:
            rows = self.rows(body)
        except ValueError as exc:  # ParseError isn't one
            raise parse_error(self.exchange, exc, body) from exc
        times = [record.ts for _, record in rows]
        if any(later < earlier for earlier, later in pairwise(times)):
            raise parse_error(self.exchange, "records out of order", body)
        if times and times[0] < self._since:
            raise parse_error(self.exchange, f"a record of {times[0]} where {self._since} was asked for", body)
        fresh = [record for key, record in rows if key not in self._known]
        records = [record for record in fresh if self._start <= record.ts < self._end]
        start, full = self._until, len(rows) >= self._limit
        if full and self._skip and not fresh:
            # It would be the same page again, for ever, and what comes after it can't be had.
            raise parse_error(self.exchange, f"a full page that was had before, where {self._skip} were to skip", body)
        self._open = False
        if not full:
            # Everything there is.
            newest = times[-1] if times else 0
            self._until = max(start, min(self._end, max(recv_ts - self._settled, newest)))
            self._done = True
            return Page(records, start, self._until)
        last = times[-1]
        if last > self._since:
            self._known = {key for key, record in rows if record.ts == last}
            self._since, self._skip = last, 0
        elif self.can_skip:
            self._known |= {key for key, _ in rows}
            self._skip += len(rows)
        else:
            # A page full of records of one time. Go past it, leaving it out of what is covered.
            self._known = set()
            self._since += self._resolution
            start = max(start, min(self._end, self._since))
        self._until = max(start, min(self._end, last))
        self._done = last >= self._end or self._since >= self._end
        return Page(records, start, self._until)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._done

    @property
    def position(self) -> int:
        """All records before this time (ns) have been asked for."""
        return self._until
