"""Past bars, the newest trades and the present book of Bybit over REST: bodies flow in, records flow out.

https://bybit-exchange.github.io/docs/v5/market/kline
https://bybit-exchange.github.io/docs/v5/market/recent-trade
https://bybit-exchange.github.io/docs/v5/market/orderbook
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import field

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Page, PageRequest
from dccd.exchanges.book import whole_book
from dccd.exchanges.bybit.answers import Answer, Rows, rows
from dccd.exchanges.bybit.capabilities import REST_DEPTH, REST_TRADES
from dccd.exchanges.bybit.frames import EXCHANGE, TradeId, parse_error
from dccd.exchanges.bybit.symbols import INTERVALS, Category
from dccd.exchanges.open_bars import check_bar
from dccd.exchanges.paging import SETTLED, SinglePage
from dccd.exchanges.wire import MS, Amount, Decoder, Id, Millis, Price, Traded, WireLevel
from dccd.records import Bar, Record, Trade
from dccd.symbols import NS

__all__ = ["DAY", "OPENED", "BarPager", "DepthPager", "TradePager", "kline_request"]

OPENED = 1_541_030_400 * NS
"""November 2018, when Bybit began."""
DAY = 86_400
_LIMIT = 1000


class _Kline(msgspec.Struct, array_like=True, gc=False):
    """``volume`` in base asset, ``turnover`` in quote asset."""

    start: Millis
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount
    turnover: Amount


class _Execution(msgspec.Struct, gc=False):
    """One trade; ``side`` is the taker's."""

    tid: TradeId = field(name="execId")
    symbol: str
    price: Price
    size: Traded
    side: Literal["Buy", "Sell"]
    time: Millis


class _Depth(msgspec.Struct, gc=False):
    """``cts`` is the matching engine's time; answers of older days lack it."""

    symbol: str | None = field(name="s", default=None)
    bids: list[WireLevel] | None = field(name="b", default=None)
    asks: list[WireLevel] | None = field(name="a", default=None)
    ts: Millis = 0
    u: Id = 0
    cts: Millis | None = None


_KLINES: Decoder[Answer[Rows[_Kline]]] = Decoder(EXCHANGE, Answer[Rows[_Kline]])
_EXECUTIONS: Decoder[Answer[Rows[_Execution]]] = Decoder(EXCHANGE, Answer[Rows[_Execution]])
_DEPTH: Decoder[Answer[_Depth]] = Decoder(EXCHANGE, Answer[_Depth])


def kline_request(category: Category, market: str, span: int, start: int, end: int, limit: int) -> PageRequest:
    """Ask for the bars of *span* seconds that open in ``[start, end)`` ns; Bybit includes both its ends, in ms."""
    return PageRequest(
        "publicGetV5MarketKline",
        {
            "category": category,
            "symbol": market,
            "interval": INTERVALS[span],
            "start": -(-start // MS),
            "end": (end - 1) // MS,
            "limit": limit,
        },
    )


class BarPager(BarWindows):
    """Bars of *span* seconds, back to the market's first one, which daily bars find."""

    exchange = EXCHANGE

    def __init__(self, category: Category, market: str, span: int, start: int, end: int) -> None:
        super().__init__(span, start, end, _LIMIT, coarse=DAY, opened=OPENED)
        self._category: Category = category
        self._market = market

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Ask for the bars that open in ``[start, end)`` ns."""
        return kline_request(self._category, self._market, span, start, end, _LIMIT)

    def bars(self, body: bytes) -> list[Bar]:
        """The bars of a body, oldest first. Raises ParseError; ValueError for a bar that is none."""
        found = rows(_KLINES.decode(body), self._market, body)
        return [
            check_bar(Bar(row.start * MS, row.open, row.high, row.low, row.close, row.volume, row.turnover))
            for row in reversed(found)
        ]


class TradePager(SinglePage):
    """The newest trades, of ``publicGetV5MarketRecentTrade``: one page, since Bybit can't be asked for older ones.

    ``Page.start`` is the millisecond after the oldest trade's, as others of that one may be cut off, unless what was
    asked for begins later. Trades of such a bound are given all the same.
    """

    def __init__(self, category: Category, market: str, start: int, end: int) -> None:
        params: dict[str, str | int] = {"category": category, "symbol": market, "limit": REST_TRADES[category]}
        super().__init__(PageRequest("publicGetV5MarketRecentTrade", params), start)
        self._market = market
        self._start, self._end = start, end
        if start >= end:
            self._requests, self._done = [], True

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """The trades that there are, oldest first. Raises ParseError."""
        found = rows(_EXECUTIONS.decode(body), self._market, body)
        if any(row.symbol != self._market for row in found):
            raise parse_error(f"trades of others where {self._market} was asked for", body)
        trades = [
            Trade(row.time * MS, row.price, row.size, "buy" if row.side == "Buy" else "sell", row.tid)
            for row in reversed(found)
        ]
        trades.sort(key=lambda trade: trade.ts)
        if not trades:
            # How far back there is nothing isn't told.
            return Page([], self._end, self._end)
        records: list[Record] = [trade for trade in trades if self._start <= trade.ts < self._end]
        begin = min(max(self._start, trades[0].ts + MS), self._end)
        return Page(records, begin, max(begin, min(self._end, max(recv_ts - SETTLED, trades[-1].ts))))


class DepthPager(SinglePage):
    """The present book, of ``publicGetV5MarketOrderbook``: one page with one snapshot."""

    def __init__(self, category: Category, market: str) -> None:
        params: dict[str, str | int] = {"category": category, "symbol": market, "limit": REST_DEPTH[category]}
        super().__init__(PageRequest("publicGetV5MarketOrderbook", params), 0)
        self._market = market

    def parse(self, body: bytes, recv_ts: int) -> Page:
        """One snapshot. Raises ParseError."""
        answer = _DEPTH.decode(body)
        found = answer.result
        if answer.code:
            raise parse_error(f"{answer.message} ({answer.code})", body)
        if found is None or found.bids is None or found.asks is None or not found.ts or found.symbol != self._market:
            raise parse_error(f"not the book of {self._market}", body)
        ts = (found.ts if found.cts is None else found.cts) * MS
        book = whole_book(EXCHANGE, body, ts, found.u, (found.bids, found.asks), recv_ts)
        return Page([book], recv_ts, recv_ts)
