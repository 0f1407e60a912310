"""Past trades of OKX over REST: bodies of ``publicGetMarketHistoryTrades`` flow in, trades flow out.

OKX gives the hundred trades before an id or a time, newest first. So two times are looked up, the range's end and
start, and the ids between are asked for in hundreds, several at once: the hundred newest below ``n`` are all that there
are from ``n - 100`` on, whether ids are consecutive or not.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec

from dccd.exchanges.base import HistoryPager, Market, Page, PageRequest
from dccd.exchanges.okx.frames import EXCHANGE, parse_error
from dccd.exchanges.okx.history import OLD, OPENED, Body, data_of
from dccd.exchanges.okx.trades import TradeData
from dccd.exchanges.paging import SETTLED
from dccd.exchanges.wire import MS, Decoder
from dccd.records import Record, Trade
from dccd.symbols import NS

__all__ = ["TradePager"]

_LIMIT = 100
_MARGIN = NS
"""Ids and times may be out of step by a moment: so much more is looked at on either side (ns)."""
_FEW = 3
"""So many pages of trades that were made meanwhile aren't followed by yet another look."""

_TRADES: Decoder[Body[TradeData]] = Decoder(EXCHANGE, Body[TradeData])


class _Step(msgspec.Struct, frozen=True):
    """The cursor of a request. ``number``: of a page its own, of a search the id below which it looks."""

    kind: Literal["last", "first", "search", "page"]
    number: int = 0


class TradePager(HistoryPager):
    """Trades from *start* to *end* (ns).

    First the last trade before ``end`` is looked up, then the last one before ``start``. When there is none, as of a
    market that did not exist yet, or where OKX keeps nothing any more, a bisection of the ids finds the first one: when
    that is old, what lies before it isn't taken for covered. Then pages.
    """

    def __init__(self, market: Market, start: int, end: int) -> None:
        self._inst = market.id
        self._base = market.to_base
        self._start, self._end = start, end
        self._position = start
        self._open = 0
        # The one request to make before the next is known; None while there are pages, or when all is known.
        self._step: _Step | None = None if start >= end else _Step("last")
        # No trade up to id `low` is of the range, `high` is one (while searching), `last` is the last one.
        self._low, self._high, self._last = -1, -1, -1
        self._known = start  # up to this time `last` is the last one
        self._next = self._upto = self._count = 0  # pages asked for, those before which all have come, all
        self._reaches = False  # whether a trade from before the start has come: then all since are there
        self._first: int | None = None  # time of the first trade of the first page (ns)
        self._ends: dict[int, int] = {}  # of pages that came out of order: until when they go

    def __repr__(self) -> str:
        return f"<TradePager {self._inst} page={self._next} of {self._count} open={self._open} done={self.done}>"

    # ------------------------------------------------------------ requests

    def requests(self, limit: int) -> list[PageRequest]:
        """One request while ids are looked up; then pages, up to *limit*."""
        found: list[PageRequest] = []
        if self._step is not None:
            if limit > 0 and not self._open:
                found.append(self._request(self._step))
        else:
            while len(found) < limit and self._next < self._count:
                found.append(self._request(_Step("page", self._next)))
                self._next += 1
        self._open += len(found)
        return found

    def _request(self, step: _Step) -> PageRequest:
        if step.kind in ("last", "first"):
            at = self._end + _MARGIN if step.kind == "last" else self._start - _MARGIN
            kind, after = 2, -(-at // MS)
        else:
            kind, after = 1, step.number if step.kind == "search" else self._bound(step.number + 1) + 1
        params: dict[str, str | int] = {"instId": self._inst, "type": kind, "after": after, "limit": _LIMIT}
        return PageRequest("publicGetMarketHistoryTrades", params, step)

    def _bound(self, number: int) -> int:
        """The last id before page *number*."""
        return min(self._low + number * _LIMIT, self._last)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._step is None and self._open == 0 and self._next >= self._count

    @property
    def position(self) -> int:
        """All trades before this time (ns) are covered."""
        return self._position

    # ------------------------------------------------------------ answers

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one body. Raises ParseError."""
        trades = data_of(_TRADES.decode(body), body)[::-1]
        if any(later.tid <= earlier.tid for earlier, later in pairwise(trades)):
            raise parse_error("trade ids out of order", body)
        if (base := self._base) is not None:
            try:
                for trade in trades:
                    trade.size = base(trade.size, trade.price)
            except ValueError as exc:
                raise parse_error(exc, body) from exc
        step: _Step = request.cursor
        begin = self._position
        records: list[Record] = []
        if step.kind == "page":
            records = self._page(step.number, trades, body)
        elif step.kind == "last":
            self._look_for_end(trades, recv_ts)
        else:
            self._look_for_start(step, trades)
        self._open -= 1
        if begin == self._start and not self._reaches:
            first = self._position if self._first is None else self._first
            if first < recv_ts - OLD:
                begin = min(max(begin, first), self._position)
        return Page(records, begin, self._position)

    def _look_for_end(self, trades: list[TradeData], recv_ts: int) -> None:
        """The last trades before the end."""
        newest = trades[-1].ms * MS if trades else 0
        self._known = max(self._known, min(self._end, max(recv_ts - SETTLED, newest)))
        # A second look: trades were made while the pages before were under way.
        again, self._low = self._last >= 0, self._last
        self._last = max(self._last, trades[-1].tid if trades else -1)
        if again or not trades:
            self._begin()
        elif self._start <= OPENED:
            self._search(self._last)
        else:
            self._step = _Step("first")

    def _look_for_start(self, step: _Step, trades: list[TradeData]) -> None:
        """The last trades before the start; or those below an id."""
        edge = self._start - _MARGIN
        before = [trade.tid for trade in trades if trade.ms * MS < edge]
        after = [trade.tid for trade in trades if trade.ms * MS >= edge]
        if before:
            self._low, self._reaches = before[-1], True
        elif step.kind == "search" and not trades:
            self._low = step.number - 1
        high = after[0] if after else self._last if step.kind == "first" else self._high
        if (before and (after or step.kind == "first")) or (0 < len(trades) < _LIMIT and not before):
            # Between these, or nothing is older than the first of these.
            self._low = before[-1] if before else after[0] - 1
            self._begin()
        else:
            self._search(high)

    def _search(self, high: int) -> None:
        self._high = high
        if self._low + 1 >= high:
            self._begin()
        else:
            self._step = _Step("search", (self._low + high) // 2 + 1)

    def _begin(self) -> None:
        """Pages from the id after ``low`` to the last."""
        self._step = None
        self._next = self._upto = 0
        self._count = -(-max(0, self._last - self._low) // _LIMIT)
        if not self._count:
            self._position = max(self._position, self._known)

    def _page(self, number: int, trades: list[TradeData], body: bytes) -> list[Record]:
        lower, upper = self._bound(number), self._bound(number + 1)
        newest = trades[-1].tid if trades else -1
        if newest > upper or (upper == self._last and newest < upper):
            # Several services answer, of which some are behind: this one hasn't the trade that another one had.
            raise parse_error(f"trades up to {newest} where {upper} is the last", body)
        mine = [trade for trade in trades if trade.tid > lower]
        if number == 0 and mine and self._first is None:
            self._first = mine[0].ms * MS
        self._ends[number] = mine[-1].ms * MS - _MARGIN if mine else 0
        while self._upto in self._ends:
            self._position = max(self._position, min(self._end, self._ends.pop(self._upto)))
            self._upto += 1
        if self._upto == self._count:
            self._position = max(self._position, self._known)
            if self._known < self._end and self._count > _FEW:
                self._step = _Step("last")
        records = [Trade(trade.ms * MS, trade.price, trade.size, trade.side, str(trade.tid)) for trade in mine]
        return sorted((record for record in records if self._start <= record.ts < self._end), key=_time)


def _time(record: Record) -> int:
    return record.ts
