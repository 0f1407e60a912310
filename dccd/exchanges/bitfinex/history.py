"""The past of Bitfinex over REST: bodies flow in, bars, trades and one book flow out.

https://docs.bitfinex.com/reference/rest-public-candles, rest-public-trades, rest-public-book
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Page, PageRequest
from dccd.exchanges.bitfinex.bars import Candle, make_bar
from dccd.exchanges.bitfinex.books import BookRow, split
from dccd.exchanges.bitfinex.capabilities import REST_DEPTH
from dccd.exchanges.bitfinex.frames import EXCHANGE, parse_error, read_rows
from dccd.exchanges.bitfinex.symbols import TIMEFRAMES
from dccd.exchanges.bitfinex.trades import TradeRow, make_trade
from dccd.exchanges.book import whole_book
from dccd.exchanges.paging import SinglePage
from dccd.exchanges.time_pager import TimePages
from dccd.exchanges.wire import MS, Decoder
from dccd.records import Bar, Record
from dccd.symbols import NS

__all__ = ["BarPager", "DepthPager", "TradePager"]

_LIMIT = 10_000
_DAY = 86_400
_OPENED = 1_356_998_400 * NS
"""2013: nothing of Bitfinex is older."""

_CANDLES: Decoder[list[Candle]] = Decoder(EXCHANGE, list[Candle])
_TRADES: Decoder[list[TradeRow]] = Decoder(EXCHANGE, list[TradeRow])
_BOOK: Decoder[list[BookRow]] = Decoder(EXCHANGE, list[BookRow])


class BarPager(BarWindows):
    """Bars of ``publicGetCandlesTradeTimeframeSymbolHist``; its start and end both belong to the answer."""

    exchange = EXCHANGE

    def __init__(self, market: str, span: int, start: int, end: int) -> None:
        super().__init__(span, start, end, _LIMIT, coarse=_DAY, opened=_OPENED)
        self._market = market

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """One window."""
        params: dict[str, str | int] = {
            "timeframe": TIMEFRAMES[span],
            "symbol": self._market,
            "start": -(-start // MS),
            "end": (end - 1) // MS,
            "limit": _LIMIT,
            "sort": 1,
        }
        return PageRequest("publicGetCandlesTradeTimeframeSymbolHist", params)

    def bars(self, body: bytes) -> list[Bar]:
        """The bars of a body. Raises ParseError, ValueError."""
        return [make_bar(candle) for candle in read_rows(_CANDLES, body)]


class TradePager(TimePages):
    """Trades of ``publicGetTradesSymbolHist``, by time, oldest first."""

    exchange = EXCHANGE

    def __init__(self, market: str, start: int, end: int) -> None:
        super().__init__(start, end, _LIMIT)
        self._market = market

    def request(self, since: int, skip: int) -> PageRequest:
        """The oldest trades from *since* (ns) on."""
        params: dict[str, str | int] = {
            "symbol": self._market,
            "start": since // MS,
            "end": (self._end - 1) // MS,
            "limit": _LIMIT,
            "sort": 1,
        }
        return PageRequest("publicGetTradesSymbolHist", params)

    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        """The trades of a body, each with its id. Raises ParseError, ValueError."""
        return [(row.tid, make_trade(row)) for row in read_rows(_TRADES, body)]


class DepthPager(SinglePage):
    """The present book, of ``publicGetBookSymbolPrecision``: one page with one snapshot, at the time when it came."""

    def __init__(self, market: str) -> None:
        params: dict[str, str | int] = {"symbol": market, "precision": "P0", "len": REST_DEPTH}
        super().__init__(PageRequest("publicGetBookSymbolPrecision", params), 0)

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot; Bitfinex tells no time and no number. Raises ParseError."""
        rows = read_rows(_BOOK, body)
        try:
            sides = split(rows)
        except ValueError as exc:
            raise parse_error(exc, body) from exc
        return Page([whole_book(EXCHANGE, body, recv_ts, recv_ts, sides, recv_ts)], recv_ts, recv_ts)
