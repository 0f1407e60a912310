"""Past bars and the present book of Coinbase over REST: bodies flow in, bars and one book flow out.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/get-public-product-candles
"""

from __future__ import annotations

from operator import attrgetter

import msgspec

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Page, PageRequest
from dccd.exchanges.book import whole_book
from dccd.exchanges.coinbase.capabilities import GRANULARITIES, REST_DEPTH
from dccd.exchanges.coinbase.frames import EXCHANGE, parse_error
from dccd.exchanges.open_bars import check_bar
from dccd.exchanges.paging import SinglePage
from dccd.exchanges.wire import Amount, Decoder, Price, Seconds, iso_ns
from dccd.records import Bar
from dccd.symbols import NS, parse_span

__all__ = ["OPENED", "BarPager", "DepthPager"]

_LIMIT = 300
"""Bars a page; 351 are refused, and both ends may count."""
OPENED = 1_420_070_400
"""2015-01-01: Coinbase's first trade was a week later (seconds)."""
_DAYS_SINCE = 1_437_350_400 * NS
"""2015-07-20: BTC-USD's bars of days begin here, those of minutes half a year before (ns)."""


class _Candle(msgspec.Struct, gc=False):
    start: Seconds
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


class _Candles(msgspec.Struct):
    candles: list[_Candle]


class _Level(msgspec.Struct, gc=False):
    price: Price
    size: Amount


class _Book(msgspec.Struct):
    bids: list[_Level]
    asks: list[_Level]
    time: str


class _PriceBook(msgspec.Struct):
    pricebook: _Book


_CANDLES: Decoder[_Candles] = Decoder(EXCHANGE, _Candles)
_BOOK: Decoder[_PriceBook] = Decoder(EXCHANGE, _PriceBook)
_BY_TIME = attrgetter("ts")


class BarPager(BarWindows):
    """Bars of ``v3PublicGetBrokerageMarketProductsProductIdCandles``, newest first; no bar where nothing was traded."""

    exchange = EXCHANGE

    def __init__(self, product: str, span: int, start: int, end: int) -> None:
        self._product = product
        super().__init__(span, start, end, _LIMIT, coarse=parse_span("1d"), opened=OPENED * NS)

    def requests(self, limit: int) -> list[PageRequest]:
        """As ever; but before there were bars of days, those don't tell where a market begins."""
        if self._next >= _DAYS_SINCE:
            return super().requests(limit)
        coarse, self._coarse = self._coarse, None
        try:
            return super().requests(limit)
        finally:
            self._coarse = coarse

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Times in seconds; a bar counts by its beginning."""
        params: dict[str, str | int] = {
            "product_id": self._product,
            "granularity": GRANULARITIES[span],
            "start": -(-start // NS),
            "end": (end - 1) // NS,
        }
        return PageRequest("v3PublicGetBrokerageMarketProductsProductIdCandles", params)

    def bars(self, body: bytes) -> list[Bar]:
        """Oldest first. Raises ParseError, ValueError."""
        bars = [
            check_bar(Bar(one.start * NS, one.open, one.high, one.low, one.close, one.volume))
            for one in _CANDLES.decode(body).candles
        ]
        return sorted(bars, key=_BY_TIME)


class DepthPager(SinglePage):
    """The present book, of ``v3PublicGetBrokerageMarketProductBook``: one page with one snapshot."""

    def __init__(self, product: str) -> None:
        params: dict[str, str | int] = {"product_id": product, "limit": REST_DEPTH}
        super().__init__(PageRequest("v3PublicGetBrokerageMarketProductBook", params), 0)

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot, at Coinbase's time; it numbers nothing. Raises ParseError."""
        found = _BOOK.decode(body).pricebook
        try:
            ts = iso_ns(found.time)
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        bids = [(level.price, level.size) for level in found.bids]
        asks = [(level.price, level.size) for level in found.asks]
        return Page([whole_book(EXCHANGE, body, ts, recv_ts, (bids, asks), recv_ts)], recv_ts, recv_ts)
