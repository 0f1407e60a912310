"""Past trades of Binance over REST: bodies of ``GetAggTrades``, spot's or futures', flow in, trades flow out.

Times find the first id, ids do the rest. A window of time may hold any number of trades, but ids are consecutive, so
that the pages from the first id on are known beforehand and none is cut off at a shared millisecond. Each page begins
with the last trade of the one before, which tells the time from which it goes on, whichever comes first.

Futures' trades are not kept for ever. What is gone is searched past, and left out of what is covered.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Compressed-Aggregate-Trades-List
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import msgspec
from msgspec import field

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.binance.frames import EXCHANGE, parse_error
from dccd.exchanges.paging import SETTLED, Prefix
from dccd.exchanges.wire import MS, Decoder, Id, Millis, Price, Traded
from dccd.records import Record, Trade
from dccd.symbols import NS

__all__ = ["TradePager"]

_LIMIT = 1000
_STEP = _LIMIT - 1
_WINDOW = 3600 * NS
"""From startTime to endTime: the documentation allows less than an hour."""
_PROMISED = 86_400 * NS
"""How old a futures' trade may be and is still there for sure: with some luck older ones are, too."""


class _AggTrade(msgspec.Struct, gc=False):
    tid: Id = field(name="a")
    price: Price = field(name="p")
    amount: Traded = field(name="q")
    ms: Millis = field(name="T")
    maker: bool = field(name="m")

    @property
    def ts(self) -> int:
        """Its time in ns."""
        return self.ms * MS


class _Page(msgspec.Struct, frozen=True):
    """The cursor of a request. ``number`` counts from the generation's first page; ``skip``: ids up to it are known."""

    kind: Literal["window", "newest", "search", "page"]
    number: int = 0
    from_id: int = 0
    skip: int = -1


class _End(msgspec.Struct, frozen=True):
    """Where a page ended: the id that the next one begins with, the time (ns) until which it covers, and why.

    ``begin``: the time of its first trade. ``skip``: ids up to it are known. ``reached``: the end of the range;
    ``full``: there are more trades.
    """

    from_id: int
    skip: int
    begin: int
    ts: int
    reached: bool
    full: bool


_TRADES: Decoder[list[_AggTrade]] = Decoder(EXCHANGE, list[_AggTrade])


class TradePager(HistoryPager):
    """Trades from *start* to *end* (ns). *forgets*: old ones may be gone; ids begin with 0 or 1.

    First the hour from ``start`` on. When it is empty, and isn't all that was asked for, the newest trade and a
    bisection of the ids find the first trade after ``start``, as of a symbol that did not exist yet. Then pages of ids,
    until one reaches ``end`` or the newest trade.
    """

    def __init__(self, endpoint: str, market: str, start: int, end: int, *, forgets: bool = False) -> None:
        self._endpoint = endpoint
        self._market = market
        self._start, self._end = start, end
        self._forgets = forgets
        self._before = 0  # the last id that is known to be of before start
        self._covered = Prefix(start)
        self._open = 0
        # The one request to make before the next is known; None while ids are paged, or when all is known.
        self._step: _Page | None = None if start >= end else _Page("window")
        self._low, self._high = -1, -1  # the first trade after start has an id in (low, high]
        # Pages of ids: where the first one begins, in ids and in time, and which have come.
        self._first: _Page | None = None
        self._first_ts = start
        self._number = 0
        self._last: int | None = None  # the number of the last page, once known
        self._upto = 0  # pages below this number have all come
        self._ends: dict[int, _End] = {}  # of the last one of those, and of all that came out of order
        self._more = False  # trades were made after the last page

    def __repr__(self) -> str:
        return f"<TradePager {self._market} page={self._number} open={self._open} done={self.done}>"

    # ------------------------------------------------------------ requests

    def requests(self, limit: int) -> list[PageRequest]:
        """One request while the first id is looked for; then pages, up to *limit*."""
        found: list[PageRequest] = []
        if limit < 1:
            return found
        if self._step is not None:
            if not self._open:
                found.append(self._request(self._step))
        elif self._first is not None:
            while len(found) < limit and self._last is None:
                from_id = self._first.from_id + self._number * _STEP
                skip = from_id if self._number else self._first.skip
                found.append(self._request(_Page("page", self._number, from_id, skip)))
                self._number += 1
        self._open += len(found)
        return found

    def _request(self, page: _Page) -> PageRequest:
        params: dict[str, str | int] = {"symbol": self._market, "limit": _LIMIT}
        if page.kind == "window":
            params["startTime"] = -(-self._start // MS)
            params["endTime"] = (self._window_end() - 1) // MS
        elif page.kind != "newest":
            params["fromId"] = page.from_id
        return PageRequest(self._endpoint, params, page)

    def _window_end(self) -> int:
        return min(self._start + _WINDOW, self._end)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._step is None and self._open == 0 and (self._first is None or self._last is not None)

    @property
    def position(self) -> int:
        """All trades before this time (ns) are covered."""
        return self._covered.until

    # ------------------------------------------------------------ answers

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one body. Raises ParseError."""
        trades = _TRADES.decode(body)
        if any(later.tid <= earlier.tid for earlier, later in pairwise(trades)):
            raise parse_error("trade ids out of order", body)
        cursor: _Page = request.cursor
        if cursor.kind == "page":
            page = self._page(cursor, trades, recv_ts)
        elif cursor.kind == "window":
            page = self._window(trades, recv_ts, body)
        elif cursor.kind == "newest":
            page = self._newest(trades, recv_ts)
        else:
            page = self._search(cursor, trades, body)
        self._open -= 1
        self._covered.add(page.start, page.end)
        if cursor.kind == "page" and self._open == 0 and self._last is not None:
            self._go_on()
        return page

    def _window(self, trades: list[_AggTrade], recv_ts: int, body: bytes) -> Page:
        """The first hour."""
        until = self._window_end()
        self._step = None
        elsewhere = any(not self._start <= trade.ts < until for trade in trades)
        if elsewhere and not self._forgets:
            raise parse_error("trades of another time than was asked for", body)
        # Nothing, or the newest ones instead: they may be gone.
        doubtful = elsewhere or (not trades and self._forgets and self._start < recv_ts - _PROMISED)
        if doubtful or (not trades and until < self._end):
            self._step = _Page("newest")
            return self._nothing()
        covered = self._known(until, trades, recv_ts)
        if trades:
            newest = trades[-1]
            if len(trades) >= _LIMIT:
                covered = newest.ts
            if len(trades) >= _LIMIT or until < self._end:
                self._begin(newest.tid, newest.tid, newest.ts)
        return Page(self._records(trades, -1), self._start, max(self._start, covered))

    def _newest(self, trades: list[_AggTrade], recv_ts: int) -> Page:
        """The newest trades there are, since nothing happened in the first hour."""
        self._step = None
        if not trades or trades[-1].ts < self._start:
            return Page([], self._start, max(self._start, self._known(self._end, [], recv_ts)))
        if trades[0].ts < self._start:
            return self._found(trades)
        self._high = trades[0].tid
        self._step = _Page("search", from_id=0)
        return self._nothing()

    def _search(self, cursor: _Page, trades: list[_AggTrade], body: bytes) -> Page:
        """A thousand trades somewhere between the first one ever and the newest."""
        if trades and trades[0].tid < cursor.from_id:
            raise parse_error(f"trade {trades[0].tid} where {cursor.from_id} was asked for", body)
        if not trades and not (self._forgets and cursor.from_id < self._high):
            raise parse_error(f"no trade from id {cursor.from_id} on, though {self._high} exists", body)
        self._step = None
        if not trades:
            self._low = cursor.from_id
        elif trades[0].ts >= self._start:
            if cursor.from_id <= self._low + 1:
                return self._found(trades)
            self._high = cursor.from_id
        elif trades[-1].ts >= self._start:
            return self._found(trades)
        else:
            self._low = self._before = trades[-1].tid
        self._step = _Page("search", from_id=max(self._low + 1, (self._low + self._high) // 2))
        return self._nothing()

    def _found(self, trades: list[_AggTrade]) -> Page:
        """The first trade after ``start`` is among these."""
        first = next(trade for trade in trades if trade.ts >= self._start)
        since = self._start
        if self._forgets and first is trades[0] and first.tid > self._before + 1:
            since = min(first.ts, self._end)
            self._covered.add(self._start, since)  # there is nothing to resume for
        if first.ts >= self._end:
            return Page([], since, self._end)
        self._begin(first.tid, first.tid - 1, since)
        return self._nothing()

    def _begin(self, from_id: int, skip: int, ts: int) -> None:
        self._first, self._first_ts = _Page("page", 0, from_id, skip), ts
        self._number, self._upto, self._last = 0, 0, None
        self._ends = {}
        self._more = False

    def _go_on(self) -> None:
        """All pages have come. Trades made while they were under way are asked for from where there was a page left."""
        end = self._ends.get(self._upto - 1)
        if end is not None and not end.reached and (end.full or self._more):
            self._begin(end.from_id, end.skip, end.ts)

    def _page(self, cursor: _Page, trades: list[_AggTrade], recv_ts: int) -> Page:
        """A page of ids."""
        number = cursor.number
        if not trades or (self._last is not None and number > self._last):
            self._more = self._more or bool(trades and trades[0].ts < self._end)
            self._last = number if self._last is None else min(self._last, number)
            return Page([], self._end, self._end)
        begin = first = trades[0].ts
        if number == 0:
            first = self._first_ts
        elif not self._whole_before(number, begin):
            first += MS
        edge = cursor.from_id + _STEP
        full = len(trades) >= _LIMIT
        if full:
            # The trade that the next page begins with; where ids are missing, it isn't the last one.
            last = trades[-1]
            if last.tid < edge:
                raise parse_error(f"a full page of ids up to {last.tid}, where {cursor.from_id} on was asked for", b"")
            last = next(trade for trade in trades if trade.tid >= edge)
            until = last.ts + (MS if self._whole_after(number, last.ts) else 0)
            trades = [trade for trade in trades if trade.tid <= edge]
        else:
            last = trades[-1]
            until = self._known(self._end, trades, recv_ts)
        reached = last.ts >= self._end
        if reached or not full:
            self._last = number if self._last is None else min(self._last, number)
        self._ends[number] = _End(last.tid, edge if full else last.tid, begin, last.ts, reached, full)
        while self._upto in self._ends:
            self._ends.pop(self._upto - 1, None)
            self._upto += 1
        start = min(first, self._end)
        return Page(self._records(trades, cursor.skip), start, max(start, min(until, self._end)))

    # A millisecond that several pages share is covered by whichever of them comes last.

    def _whole_before(self, number: int, ts: int) -> bool:
        """Whether all pages below *number* that have trades at *ts* have come."""
        while (number := number - 1) >= self._upto:
            end = self._ends.get(number)
            if end is None:
                return False
            if end.begin < ts:
                break
        return True

    def _whole_after(self, number: int, ts: int) -> bool:
        """Whether all pages above *number* that have trades at *ts* have come."""
        while (end := self._ends.get(number := number + 1)) is not None:
            if end.ts > ts or not end.full:
                return True
        return False

    def _records(self, trades: list[_AggTrade], skip: int) -> list[Record]:
        first, end = -(-self._start // MS), -(-self._end // MS)
        return [
            Trade(trade.ms * MS, trade.price, trade.amount, "sell" if trade.maker else "buy", str(trade.tid))
            for trade in trades
            if trade.tid > skip and first <= trade.ms < end
        ]

    def _known(self, until: int, trades: list[_AggTrade], recv_ts: int) -> int:
        """How far an answer goes that has no more trades than these."""
        return min(until, max(recv_ts - SETTLED, trades[-1].ts if trades else 0))

    def _nothing(self) -> Page:
        return Page([], self._start, self._start)
