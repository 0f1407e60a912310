"""Past bars and the present book of Binance over REST: bodies flow in, bars and one book flow out.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.bar_pager import belongs
from dccd.exchanges.base import HistoryPager, Page, PageRequest
from dccd.exchanges.binance.books import DEPTH_BODY, depth_request
from dccd.exchanges.binance.frames import EXCHANGE, parse_error
from dccd.exchanges.book import whole_book
from dccd.exchanges.paging import SETTLED, Prefix, SinglePage
from dccd.exchanges.wire import MS, Amount, Count, Decoder, Millis, Price
from dccd.records import Bar, Record
from dccd.symbols import NS, span_label

__all__ = ["BarPager", "DepthPager"]

_LIMIT = 1000
"""Bars a page. Futures would give 1,500, for twice the weight."""


class _Kline(msgspec.Struct, array_like=True, gc=False):
    """The first nine of a kline's twelve fields."""

    opened: Millis
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    closed: Millis
    quote_volume: Amount
    trades: Count


_KLINES: Decoder[list[_Kline]] = Decoder(EXCHANGE, list[_Kline])


class BarPager(HistoryPager):
    """Bars of ``publicGetKlines``, or ``fapiPublicGetKlines``: *endpoint*.

    The first page begins at ``start`` and ends wherever its 1,000 bars do, which finds the first bar of a symbol that
    did not exist yet in one request. The others are windows that hold at most 1,000 bars, known beforehand. Bars that
    may still be open when the body came are left out; the page ends before them then.
    """

    def __init__(self, endpoint: str, market: str, span: int, start: int, end: int) -> None:
        self._endpoint = endpoint
        self._market = market
        self._interval = span_label(span)
        self._span = span * NS
        self._start, self._end = start, end
        self._next: int | None = None  # where the next window begins; None: the first page is not there yet
        self._newest = end  # nothing is asked for from there on: it hadn't happened yet
        self._asked_first = start >= end
        self._open = 0
        self._covered = Prefix(start)

    def __repr__(self) -> str:
        return f"<BarPager {self._market} {self._interval} next={self._next} open={self._open}>"

    def requests(self, limit: int) -> list[PageRequest]:
        """The first page alone; then windows, up to *limit*."""
        found: list[PageRequest] = []
        if not self._asked_first:
            if limit > 0:
                self._asked_first = True
                found.append(self._request(self._start, self._end))
        elif self._next is not None:
            while len(found) < limit and self._next < self._newest:
                until = min(self._next + _LIMIT * self._span, self._end)
                found.append(self._request(self._next, until))
                self._next = until
        self._open += len(found)
        return found

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        start, end = request.cursor
        klines = _KLINES.decode(body)
        span, settled = self._span, recv_ts - SETTLED
        bars: list[Record] = []
        newest = -span
        if not belongs([kline.opened * MS for kline in klines], start, end, span):
            raise parse_error("klines of another time than was asked for", body)
        for kline in klines:
            ts = kline.opened * MS
            if ts <= newest:
                raise parse_error("klines out of order", body)
            if ts + span > settled:
                covered = min(max(start, ts), end)
                break
            newest = ts
            if start <= ts < end:
                values = kline.open, kline.high, kline.low, kline.close, kline.volume, kline.quote_volume
                bars.append(Bar(ts, *values, kline.trades))
        else:
            # A bar that isn't there would have been closed before this; what opens later may be yet to come.
            covered = max(start, min(end, max(newest + span, settled - span + 1)))
        if self._next is None:
            full = len(klines) >= _LIMIT
            if full:
                covered = min(covered, newest + span)
            self._next = covered if full else self._end
        self._newest = min(self._newest, recv_ts)
        self._open -= 1
        self._covered.add(start, covered)
        return Page(bars, start, covered)

    @property
    def done(self) -> bool:
        """Whether every page has been received."""
        asked = self._asked_first and (self._next is None or self._next >= self._newest)
        return asked and self._open == 0

    @property
    def position(self) -> int:
        """All bars that open before this time (ns) are covered."""
        return self._covered.until

    def _request(self, start: int, end: int) -> PageRequest:
        params: dict[str, str | int] = {
            "symbol": self._market,
            "interval": self._interval,
            # Both are inclusive, in milliseconds.
            "startTime": -(-start // MS),
            "endTime": (end - 1) // MS,
            "limit": _LIMIT,
        }
        return PageRequest(self._endpoint, params, (start, end))


class DepthPager(SinglePage):
    """The present book: one page with one snapshot of *depth* levels a side."""

    def __init__(self, endpoint: str, market: str, depth: int) -> None:
        super().__init__(depth_request(endpoint, market, depth), 0)

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot. Spot gives no time with it: that at which it came. Raises ParseError."""
        found = DEPTH_BODY.decode(body)
        ts = recv_ts if found.ms is None else found.ms * MS
        return Page([whole_book(EXCHANGE, body, ts, found.last, (found.bids, found.asks), recv_ts)], ts, ts)
