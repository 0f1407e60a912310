"""Past bars and the present book of Kraken over REST: bodies flow in, bars and one book flow out.

https://docs.kraken.com/api-reference/market-data/get-ohlc-data
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from dccd.exchanges.base import Page, PageRequest
from dccd.exchanges.book import whole_book
from dccd.exchanges.kraken.capabilities import BARS, REST_DEPTH
from dccd.exchanges.kraken.frames import EXCHANGE, parse_error
from dccd.exchanges.paging import SETTLED, SinglePage
from dccd.exchanges.wire import Amount, Count, Decoder, Price, Seconds
from dccd.records import Bar, Record
from dccd.symbols import NS

__all__ = ["BarPager", "Body", "DepthPager", "only"]

_T = TypeVar("_T")


class Body(msgspec.Struct, Generic[_T]):
    """Every answer: errors, or a result by the market's name (which isn't always the one asked with) and a cursor."""

    error: list[str] = []
    result: dict[str, _T | str | int] = {}


def only(body: Body[_T], kind: type[_T], raw: bytes) -> _T:
    """The one market's result. Raises ParseError, in Kraken's words if it has any."""
    if body.error:
        raise parse_error(", ".join(body.error), raw)
    found = [value for value in body.result.values() if isinstance(value, kind)]
    if len(found) != 1:
        raise parse_error(f"{len(found)} markets where one was asked for", raw)
    return found[0]


class _Ohlc(msgspec.Struct, array_like=True, gc=False):
    """``vwap`` is 0 where nothing was traded."""

    opened: Seconds
    open: Price
    high: Price
    low: Price
    close: Price
    vwap: Amount
    volume: Amount
    trades: Count


class _DepthLevel(msgspec.Struct, array_like=True, gc=False):
    price: Price
    amount: Amount
    time: Seconds


class _Depth(msgspec.Struct, gc=False):
    bids: list[_DepthLevel]
    asks: list[_DepthLevel]


_OHLC: Decoder[Body[list[_Ohlc]]] = Decoder(EXCHANGE, Body[list[_Ohlc]])
_DEPTH: Decoder[Body[_Depth]] = Decoder(EXCHANGE, Body[_Depth])


class BarPager(SinglePage):
    """Bars of ``publicGetOHLC``: one page, since Kraken gives the newest 720 whatever is asked for.

    Older ones can't be had: ``Page.start`` is where those begin that were, if that is later than *start* (ns). The
    open bar, always the last one, is left out; ``Page.end`` is where it begins.
    """

    def __init__(self, market: str, span: int, start: int, end: int) -> None:
        self._span = span * NS
        self._start, self._end = start, end
        params: dict[str, str | int] = {
            "pair": market,
            "interval": span // 60,
            # One bar earlier than needed, so that it doesn't matter whether `since` itself is part of the answer.
            "since": max(0, start // NS - span - 1),
        }
        super().__init__(PageRequest("publicGetOHLC", params), start)
        if start >= end:
            self._requests, self._done = [], True

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """The bars that are closed for certain. Raises ParseError."""
        rows = only(_OHLC.decode(body), list, body)
        span, settled = self._span, recv_ts - SETTLED
        bars: list[Record] = []
        newest = -span
        covered = max(self._start, min(self._end, settled - span + 1))
        for row in rows:
            ts = row.opened * NS
            if ts <= newest:
                raise parse_error("bars out of order", body)
            newest = ts
            if ts + span > settled:
                covered = min(max(self._start, ts), self._end)
                break
            covered = max(covered, min(self._end, ts + span))
            if self._start <= ts < self._end:
                values = (row.open, row.high, row.low, row.close, row.volume)
                bars.append(Bar(ts, *values, trades=row.trades))
        start = self._start
        if len(rows) >= BARS:
            start = min(max(start, rows[0].opened * NS), covered)
        return Page(bars, start, covered)


class DepthPager(SinglePage):
    """The present book, of ``publicGetDepth``: one page with one snapshot, at the time when it came."""

    def __init__(self, market: str) -> None:
        super().__init__(PageRequest("publicGetDepth", {"pair": market, "count": REST_DEPTH}), 0)

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot; Kraken tells the time of each level only, and numbers nothing. Raises ParseError."""
        found = only(_DEPTH.decode(body), _Depth, body)
        bids = [(level.price, level.amount) for level in found.bids]
        asks = [(level.price, level.amount) for level in found.asks]
        return Page([whole_book(EXCHANGE, body, recv_ts, recv_ts, (bids, asks), recv_ts)], recv_ts, recv_ts)
