"""Past trades of Coinbase over REST: bodies of ``/ticker`` flow in, trades flow out.

A request names whole seconds from ``start`` to ``end`` and gets the newest trades between them: 100 at most, or 1,000
(the documentation says neither, and both have been seen). So a window that holds more is asked for again, up to the
oldest trade that came. Of one second no more than a page can be had: the pages' intervals leave the rest of it out.

How far back Coinbase answers isn't told. Where it has nothing before ``start``, a bisection finds its first trade;
unless that is the market's own first one (ids begin with 1), what lies before it isn't taken for covered.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/get-public-market-trades
"""

from __future__ import annotations

from operator import attrgetter
from typing import Literal

import msgspec

from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.coinbase.frames import EXCHANGE, TAKER, WireTrade, parse_error
from dccd.exchanges.coinbase.history import OPENED
from dccd.exchanges.paging import SETTLED, Prefix
from dccd.exchanges.wire import Decoder, iso_ns
from dccd.records import Record, Trade
from dccd.symbols import NS

__all__ = ["TradePager"]

_LIMIT = 1000
_LEAST = 100
"""A page of so many trades may have been cut, even where longer ones have come: both sizes have been seen."""
_WIDTH = 300
_WIDEST = 30 * 86_400
"""Of windows, in seconds: at first, and where nothing is traded."""


class _Body(msgspec.Struct):
    trades: list[WireTrade]


_BODY: Decoder[_Body] = Decoder(EXCHANGE, _Body)
_BY_ID = attrgetter("trade_id")
_BY_TIME = attrgetter("ts")
_Row = tuple[int, WireTrade]
"""A trade, and its time (ns)."""


class _Window(msgspec.Struct, frozen=True):
    """The cursor of a request: ``[start, end)`` ns; ``fresh``: nobody has asked for it before."""

    kind: Literal["before", "seek", "window"]
    start: int
    end: int
    fresh: bool = True


class TradePager(HistoryPager):
    """Trades from *start* to *end* (ns). Windows are as wide as a page holds at the pace of the trades so far."""

    def __init__(self, product: str, start: int, end: int) -> None:
        self._product = product
        self._start, self._end = start, end
        # The one request to make before the next is known; None while windows are asked for, or when all is known.
        self._step: _Window | None = None if start >= end else _Window("before", OPENED * NS, start - start % NS)
        # While the first trade is looked for: before this there is nothing, and before that there is something (ns).
        self._low = start - start % NS
        self._high: int | None = None
        self._again: list[_Window] = []
        self._next = end  # where the next window begins
        self._newest = end  # nothing is asked for from there on: it hadn't happened yet
        self._seen = 0  # time of the newest trade that came; all before that are there, too
        self._width = _WIDTH
        self._cap = _LEAST
        self._open = 0
        self._covered = Prefix(start)

    def __repr__(self) -> str:
        return f"<TradePager {self._product} next={self._next} open={self._open}>"

    def requests(self, limit: int) -> list[PageRequest]:
        """While the beginning is looked for one request; then what was cut off, and windows, up to *limit*."""
        found: list[PageRequest] = []
        if limit > 0 and self._step is not None:
            found.append(self._ask(self._step))
            self._step = None
        while len(found) < limit and self._again:
            found.append(self._ask(self._again.pop()))
        while len(found) < limit and self._next < self._newest:
            end = min(self._next - self._next % NS + self._width * NS, self._newest)
            found.append(self._ask(_Window("window", self._next, end)))
            self._next = end
        self._open += len(found)
        return found

    def _ask(self, window: _Window) -> PageRequest:
        params: dict[str, str | int] = {
            "product_id": self._product,
            "limit": _LIMIT,
            # One second earlier than needed: it doesn't matter then whether `start` itself counts.
            "start": window.start // NS - 1,
            "end": -(-window.end // NS),
        }
        return PageRequest("v3PublicGetBrokerageMarketProductsProductIdTicker", params, window)

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        window: _Window = request.cursor
        try:
            found = _BODY.decode(body).trades
            trades = [(iso_ns(one.time), one) for one in sorted(found, key=_BY_ID)]
        except ValueError as exc:  # ParseError isn't one
            raise parse_error(exc, body) from exc
        # With the second that is asked for beside, and that of the end, which may count.
        first, last = window.start - 2 * NS, _ceil(window.end) + NS
        if window.kind == "window" and any(not first <= ts < last for ts, _ in trades):
            raise parse_error("trades of another time than was asked for", body)
        self._newest = min(self._newest, recv_ts)
        self._seen = max([self._seen, *(ts for ts, _ in trades)])
        if len(trades) > _LEAST:
            self._cap = _LIMIT
        self._open -= 1
        if window.kind == "window":
            return self._take(window, trades, recv_ts)
        return self._seek(window, trades, recv_ts)

    def _cut(self, trades: list[_Row]) -> bool:
        """Whether there may be older ones in the window, which the page had no room for."""
        return len(trades) == _LEAST or len(trades) >= self._cap

    # ------------------------------------------------------------ the beginning

    def _seek(self, window: _Window, trades: list[_Row], recv_ts: int) -> Page:
        """Find out where Coinbase's trades begin, if that is not before ``start``."""
        nothing = Page([], self._start, self._start)
        times = [ts for ts, _ in trades if ts < window.end]
        if window.kind == "before":
            if times:
                self._next = self._start
            else:
                self._step = _Window("seek", OPENED * NS, _ceil(recv_ts))
            return nothing
        if times and not self._cut(trades):
            return self._begin(times[0], proven=trades[0][1].trade_id <= 1)
        if times:
            self._high = _ceil(min(times) + 1)
        elif self._high is None:
            # Nothing at all: of a new market, or because Coinbase doesn't answer.
            return self._begin(self._end, proven=False)
        else:
            self._low = window.end
        assert self._high is not None
        half = (self._high - self._low) // (2 * NS) * NS
        if not half:
            return self._begin(self._low, proven=False)
        self._step = _Window("seek", OPENED * NS, self._low + half)
        return nothing

    def _begin(self, first: int, *, proven: bool) -> Page:
        """There is nothing before *first* (ns): ``proven`` since that is the market's first trade."""
        self._next = min(max(first, self._start), self._end)
        self._covered.add(self._start, self._next)
        return Page([], self._start, self._next if proven else self._start)

    # ------------------------------------------------------------ windows

    def _take(self, window: _Window, trades: list[_Row], recv_ts: int) -> Page:
        start, end = window.start, window.end
        begin = first = start
        if self._cut(trades) and (oldest := min(ts for ts, _ in trades)) >= start:
            # Older ones were cut off, perhaps of the oldest one's time, too.
            begin = first = oldest + 1
            last = _ceil(end) - NS
            if oldest < last:
                self._again.append(_Window("window", start, begin, fresh=False))
            else:
                # A page full of trades of one second. Go past it, leaving the rest out of what is covered.
                first = oldest
                self._covered.add(max(start, last), begin)
                if start < last:
                    self._again.append(_Window("window", start, last, fresh=False))
            fill = end - oldest
        else:
            # So long it would take, at this pace, to fill a page; at most eight times as long as this one.
            fill = (end - start + NS) * self._cap // max(len(trades), self._cap // 8)
        if window.fresh:
            # With room for a busier time, and without the second that is asked for beside.
            self._width = min(max(round(fill * 0.7 / NS) - 1, 1), _WIDEST)
        records = [_trade(ts, one) for ts, one in trades if first <= ts < end]
        records.sort(key=_BY_TIME)
        begin = min(begin, end)
        page = Page(list[Record](records), begin, max(begin, min(end, max(recv_ts - SETTLED, self._seen))))
        self._covered.add(page.start, page.end)
        return page

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        return self._open == 0 and self._step is None and not self._again and self._next >= self._newest

    @property
    def position(self) -> int:
        """All trades before this time (ns) are covered, or can't be had."""
        return self._covered.until


def _ceil(ts: int) -> int:
    return -(-ts // NS) * NS


def _trade(ts: int, one: WireTrade) -> Trade:
    return Trade(ts, one.price, one.size, TAKER[one.side], str(one.trade_id))
