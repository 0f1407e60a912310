"""Past bars in windows known beforehand: bodies flow in, closed bars flow out.

Several windows are asked for at once. Before the first one, bars of a coarse span find where a market begins that did
not exist yet at ``start``: a handful of requests, where windows of minutes would be thousands. Other records that come
at regular times, as open interest, fit the same windows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.paging import SETTLED, Prefix
from dccd.exchanges.wire import parse_error
from dccd.records import Record
from dccd.symbols import NS

__all__ = ["BarWindows", "belongs"]

_WORTH_SEEKING = 4


class _Window(msgspec.Struct, frozen=True):
    """The cursor of a request: ``[start, end)`` ns, and whether its bars are the coarse ones."""

    start: int
    end: int
    coarse: bool = False


def belongs(times: Sequence[int], start: int, end: int, span: int) -> bool:
    """Whether records of *times*, each of *span*, can be the answer where ``[start, end)`` was asked for (all in ns).

    None at all can, and one at either edge. Where all are of another time, nothing is known of this one.
    """
    if not times or any(start <= ts < end for ts in times):
        return True
    return len(times) <= 2 and all(start - span <= ts <= end + span for ts in times)


class BarWindows(HistoryPager, ABC):
    """Bars of *span* seconds from *start* to *end* (ns), at most *limit* a page.

    *coarse*: a span in seconds that the exchange has bars of, too, longer than *span* (``None``: don't look for the
    beginning). *opened*: before this time (ns) the exchange has nothing. *settled*: so old (ns) one must be before its
    absence counts. Bars that may still be open when a body came are left out; its page ends before them then.
    """

    exchange: str
    momentary = False
    """Whether a record tells of the moment that is its time, not of the *span* from then on: none is open."""

    def __init__(
        self,
        span: int,
        start: int,
        end: int,
        limit: int,
        coarse: int | None = None,
        opened: int = 0,
        settled: int = SETTLED,
    ) -> None:
        self._span = span * NS
        self._start, self._end = start, end
        self._limit = limit
        self._settled = settled
        self._coarse = None if coarse is None or coarse <= span else coarse * NS
        self._next = self._first = max(start, opened)
        if self._end - self._next <= _WORTH_SEEKING * limit * self._span:
            self._coarse = None
        self._newest = end  # nothing is asked for from there on: it hadn't happened yet
        self._open = 0
        self._covered = Prefix(start)
        if self._next > start:
            self._covered.add(start, min(self._next, end))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} next={self._next} open={self._open}>"

    @abstractmethod
    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Ask for the bars of *span* seconds that open in ``[start, end)`` ns: *limit* at most. No cursor."""

    @abstractmethod
    def bars(self, body: bytes) -> Sequence[Record]:
        """The bars of a body, oldest first. Raises ParseError; ValueError for what it finds in a valid body."""

    def beginnings(self, body: bytes) -> list[int]:
        """When the coarse bars of a body open (ns), oldest first. Raises as :meth:`bars` does."""
        return [bar.ts for bar in self.bars(body)]

    def requests(self, limit: int) -> list[PageRequest]:
        """While the beginning is looked for one request; then windows, up to *limit*."""
        found: list[PageRequest] = []
        if self._coarse is not None:
            if limit > 0 and not self._open and self._next < self._newest:
                found.append(self._ask(self._coarse, coarse=True))
        else:
            while len(found) < limit and self._next < self._newest:
                found.append(self._ask(self._span))
                self._next = found[-1].cursor.end
        self._open += len(found)
        return found

    def _ask(self, span: int, *, coarse: bool = False) -> PageRequest:
        # Aligned, so that no window begins within a bar.
        end = min(self._next - self._next % span + self._limit * span, self._end)
        request = self.request(self._next - self._next % span if coarse else self._next, end, span // NS)
        return msgspec.structs.replace(request, cursor=_Window(self._next, end, coarse))

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        window: _Window = request.cursor
        found: Sequence[Record] = ()
        try:
            if window.coarse:
                times = self.beginnings(body)
            else:
                found = self.bars(body)
                times = [bar.ts for bar in found]
        except ValueError as exc:  # ParseError isn't one
            raise parse_error(self.exchange, exc, body) from exc
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise parse_error(self.exchange, "bars out of order", body)
        span = self._coarse or self._span if window.coarse else self._span
        if not belongs(times, window.start, window.end, span):
            raise parse_error(self.exchange, "records of another time than was asked for", body)
        page = self._seek(window, times, recv_ts) if window.coarse else self._take(window, found, recv_ts)
        if window.start == self._first:
            # That there is nothing before is known: no page begins later than what was asked for.
            page = msgspec.structs.replace(page, start=self._start)
        self._newest = min(self._newest, recv_ts)
        self._open -= 1
        self._covered.add(page.start, page.end)
        return page

    def _seek(self, window: _Window, found: list[int], recv_ts: int) -> Page:
        assert self._coarse is not None
        there = [ts for ts in found if ts + self._coarse > window.start]
        # So near to now that the first bar may be yet to come, bars of the span asked for tell.
        first = there[0] if there else recv_ts - SETTLED - self._coarse
        begin = max(window.start, min(window.end, first))
        if there or begin < window.end:
            self._coarse = None
        self._next = begin
        return Page([], window.start, begin)

    def _take(self, window: _Window, found: Sequence[Record], recv_ts: int) -> Page:
        span, closed = 1 if self.momentary else self._span, recv_ts - SETTLED
        kept: list[Record] = []
        # A bar that isn't there would have been there before this; what opens later may be yet to come.
        covered = max(window.start, min(window.end, recv_ts - self._settled - span + 1))
        for bar in found:
            if bar.ts + span > closed:
                covered = min(covered, max(window.start, bar.ts))
                break
            if window.start <= bar.ts < window.end:
                covered = max(covered, min(window.end, bar.ts + span))
                kept.append(bar)
        return Page(kept, window.start, covered)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._open == 0 and self._next >= self._newest

    @property
    def position(self) -> int:
        """All bars that open before this time (ns) are covered."""
        return self._covered.until
