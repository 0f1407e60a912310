"""What all pagers need: intervals that have been covered flow in, the time before which all is covered flows out."""

from __future__ import annotations

import heapq

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.symbols import NS

__all__ = ["SETTLED", "STATED", "Prefix", "SinglePage"]

SETTLED = 10 * NS
"""How old a record must be before its absence means that there is none (ns).

Exchanges' history lags behind their feeds by a moment, and our clock may be ahead of theirs: a bar is taken for closed,
and an interval for empty, this much later by our clock.
"""
STATED = 300 * NS
"""The same of what exchanges compute at a time and publish later: funding that was paid, open interest. None says when;
half a minute has been seen.
"""


class Prefix:
    """The time up to which everything from ``start`` on is covered, whatever order the pieces come in (ns)."""

    __slots__ = ("_later", "until")

    def __init__(self, start: int) -> None:
        self.until = start
        self._later: list[tuple[int, int]] = []

    def __repr__(self) -> str:
        return f"<Prefix until={self.until} later={len(self._later)}>"

    def add(self, start: int, end: int) -> None:
        """``[start, end)`` is covered now."""
        heapq.heappush(self._later, (start, end))
        while self._later and self._later[0][0] <= self.until:
            self.until = max(self.until, heapq.heappop(self._later)[1])


class SinglePage(HistoryPager):
    """A pager of one page."""

    def __init__(self, request: PageRequest, start: int) -> None:
        self._requests = [request]
        self._position = start
        self._done = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} done={self._done}>"

    def requests(self, limit: int) -> list[PageRequest]:
        """The one request, once."""
        if limit < 1:
            return []
        requests, self._requests = self._requests, []
        return requests

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take the one body. Raises ParseError."""
        page = self.parse(body, recv_ts)
        self._done = True
        self._position = max(self._position, page.end)
        return page

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """What the body holds. Raises ParseError."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Whether the page has come."""
        return self._done

    @property
    def position(self) -> int:
        """All before this time (ns) is covered, or can't be had any more."""
        return self._position
