"""Past bars, funding rates, open interest and the present book of Kraken Futures over REST: bodies in, records out.

https://docs.kraken.com/api-reference/candles/market-candles
https://docs.kraken.com/api-reference/analytics/market-analytics
https://docs.kraken.com/api-reference/historical-funding-rates/historical-funding-rates
https://docs.kraken.com/api-reference/market-data/get-orderbook
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import field

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Market, Page, PageRequest
from dccd.exchanges.book import whole_book
from dccd.exchanges.krakenfutures.capabilities import INTEREST_PERIOD, KEPT_RATES
from dccd.exchanges.krakenfutures.frames import EXCHANGE, parse_error
from dccd.exchanges.krakenfutures.symbols import RESOLUTIONS
from dccd.exchanges.open_bars import check_bar
from dccd.exchanges.paging import STATED, SinglePage
from dccd.exchanges.wire import MS, Amount, Decoder, Millis, Price, Rate, Seconds, WireLevel, iso_ns
from dccd.records import Bar, FundingRate, Level, OpenInterest, Record
from dccd.symbols import NS

__all__ = ["BarPager", "DepthPager", "FundingPager", "InterestPager"]

_CHARTS = "chartsGetPriceTypeSymbolInterval"
_LIMIT = 2000
"""Bars, and values of the open interest, a page; the documentation says 5000 of bars, but no more have come."""
_DAY = 86_400
_OPENED = 1_535_673_600 * NS
"""2018-08-31, when the first perpetual opened."""
_SPARE = 5 * _DAY


class _Candle(msgspec.Struct, gc=False):
    ms: Millis = field(name="time")
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


class _Candles(msgspec.Struct):
    """Oldest first; ``more`` when there were too many for an answer."""

    candles: list[_Candle]
    more: bool = field(name="more_candles")


class _Interests(msgspec.Struct):
    """The values of each period: first, highest, lowest, last, in contracts."""

    seconds: list[Seconds] = field(name="timestamp")
    data: list[tuple[Amount, Amount, Amount, Amount]]
    more: bool


class _Analytics(msgspec.Struct):
    result: _Interests


class _Paid(msgspec.Struct, gc=False):
    time: str = field(name="timestamp")
    rate: Rate = field(name="relativeFundingRate")


class _Rates(msgspec.Struct):
    rates: list[_Paid]


class _Levels(msgspec.Struct):
    bids: list[WireLevel]
    asks: list[WireLevel]


class _Book(msgspec.Struct):
    book: _Levels = field(name="orderBook")
    time: str = field(name="serverTime")


_CANDLES: Decoder[_Candles] = Decoder(EXCHANGE, _Candles)
_ANALYTICS: Decoder[_Analytics] = Decoder(EXCHANGE, _Analytics)
_RATES: Decoder[_Rates] = Decoder(EXCHANGE, _Rates)
_BOOK: Decoder[_Book] = Decoder(EXCHANGE, _Book)


def _whole(count: int, more: bool) -> None:
    """Raise ValueError when an answer was cut off although its window fits a page."""
    if more and count < _LIMIT:
        raise ValueError(f"only {count} of a page, and more that aren't there")


class BarPager(BarWindows):
    """Bars of linear contracts, from their first day on."""

    exchange = EXCHANGE

    def __init__(self, market: Market, span: int, start: int, end: int) -> None:
        super().__init__(span, start, end, _LIMIT, coarse=_DAY, opened=_OPENED)
        self._market = market.id
        self._base = market.base

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Both ends are inclusive, in seconds, and go by when bars open."""
        ends: dict[str, str | int] = {"from": -(-start // NS), "to": (end - 1) // NS}
        what: dict[str, str | int] = {"price_type": "trade", "symbol": self._market, "interval": RESOLUTIONS[span]}
        return PageRequest(_CHARTS, what | ends)

    def bars(self, body: bytes) -> Sequence[Record]:
        """Oldest first, as they come. Raises ParseError, ValueError."""
        found, base = _CANDLES.decode(body), self._base
        _whole(len(found.candles), found.more)
        return [
            check_bar(Bar(bar.ms * MS, bar.open, bar.high, bar.low, bar.close, base(bar.volume, bar.close)))
            for bar in found.candles
        ]


class InterestPager(BarWindows):
    """The open interest at the beginning of each five minutes, of linear contracts.

    ccxt names no endpoint for it. But all charts have the same form of path, the last part of which is put there as it
    is given: the query goes with it, since ``interval`` is the name of a path's part and of a parameter.
    """

    exchange = EXCHANGE
    momentary = True

    def __init__(self, market: Market, start: int, end: int) -> None:
        super().__init__(INTEREST_PERIOD, start, end, _LIMIT, coarse=_DAY, opened=_OPENED, settled=STATED)
        self._market = market.id
        self._base = market.base

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Ask for a window; daily values tell where they begin (of bitcoin on 2023-03-02)."""
        query = f"since={-(-start // NS)}&interval={span}&to={(end - 1) // NS}"
        what: dict[str, str | int] = {"price_type": "analytics", "symbol": self._market}
        return PageRequest(_CHARTS, {**what, "interval": f"open-interest?{query}"})

    def bars(self, body: bytes) -> Sequence[Record]:
        """Oldest first. Raises ParseError, ValueError."""
        found, base = _ANALYTICS.decode(body).result, self._base
        _whole(len(found.seconds), found.more)
        return [
            OpenInterest(seconds * NS, base(values[0], 1.0))
            for seconds, values in zip(found.seconds, found.data, strict=True)
        ]


class FundingPager(SinglePage):
    """All rates that Kraken keeps, in one answer, whatever is asked for; each at the beginning of its hour.

    ``relativeFundingRate`` is the fraction, as the ticker's; see ``derivatives.py``. They are kept for a year: of a
    market whose first one is younger there weren't any before.
    """

    def __init__(self, market: Market, start: int, end: int) -> None:
        super().__init__(PageRequest("publicGetHistoricalfundingrates", {"symbol": market.id}), start)
        self._start, self._end = start, end
        if start >= end:
            self._requests, self._done = [], True

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """The rates of our range. Raises ParseError."""
        try:
            found = sorted((iso_ns(paid.time), paid.rate) for paid in _RATES.decode(body).rates)
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        if len({ts for ts, _ in found}) < len(found):
            raise parse_error("two rates of one hour", body)
        records: list[Record] = [FundingRate(ts, rate) for ts, rate in found if self._start <= ts < self._end]
        newest = found[-1][0] if found else 0
        end = max(self._start, min(self._end, max(newest + 1, recv_ts - STATED)))
        start = self._start
        if found and found[0][0] < recv_ts - (KEPT_RATES - _SPARE) * NS:
            start = min(max(start, found[0][0]), end)
        return Page(records, start, end)


class DepthPager(SinglePage):
    """The present book, whole, of ``publicGetOrderbook``: one page with one snapshot. Nothing is numbered."""

    def __init__(self, market: Market) -> None:
        super().__init__(PageRequest("publicGetOrderbook", {"symbol": market.id}), 0)
        self._base = market.to_base

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot, at Kraken's time; levels come in any order. Raises ParseError."""
        found = _BOOK.decode(body)
        try:
            ts = iso_ns(found.time)
            sides = self._levels(found.book.bids), self._levels(found.book.asks)
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        return Page([whole_book(EXCHANGE, body, ts, recv_ts, sides, recv_ts)], recv_ts, recv_ts)

    def _levels(self, levels: list[WireLevel]) -> list[Level]:
        base = self._base
        found = [(price, size if base is None else base(size, price)) for price, size in levels if size]
        if len(dict(found)) < len(found):
            raise ValueError("a level twice")
        return sorted(found)
