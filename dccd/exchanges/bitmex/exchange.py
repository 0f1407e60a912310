"""BitMEX as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

from __future__ import annotations

from dccd.exchanges.base import (
    Connections,
    Exchange,
    HistoryPager,
    Market,
    Router,
    StreamOptions,
    StreamProtocol,
)
from dccd.exchanges.bitmex.bars import BarStream
from dccd.exchanges.bitmex.books import BookStream
from dccd.exchanges.bitmex.capabilities import CAPABILITIES
from dccd.exchanges.bitmex.derivatives import FundingStream, OpenInterestStream, counted_of
from dccd.exchanges.bitmex.frames import EXCHANGE, BitmexRouter
from dccd.exchanges.bitmex.history import BarPager, BookPager
from dccd.exchanges.bitmex.trade_history import FundingPager, TradePager
from dccd.exchanges.bitmex.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Bitmex"]


class Bitmex(Exchange):
    """BitMEX's contracts."""

    id = EXCHANGE
    closed = "BitMEX closed on 2026-09-23"
    capabilities = CAPABILITIES
    # 60 connections an hour, that may come in bursts (https://blog.bitmex.com/api_announcement/updates-to-rate-limits/):
    # the backoff keeps what fails again and again below it. Subscriptions on one aren't limited, and "ping" is answered
    # by "pong" (https://www.bitmex.com/app/wsAPI).
    connections = Connections(topics=100, messages=5.0, opens=3.0, ping="ping", ping_every=20.0)
    consecutive_trade_ids = False

    def market(self, symbol: Symbol) -> Market | None:
        """XBTUSD, one contract being 1 USD; what one of another market is doesn't follow from its name."""
        if (symbol.base, symbol.quote, symbol.contract) == ("BTC", "USD", "perp"):
            return Market("XBTUSD", inverse=True)
        return None

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(dataset, market)
        if dataset.data_type is DataType.OHLC:
            return BarStream(dataset, market)
        if dataset.data_type is DataType.ORDERBOOK:
            return BookStream(options, counted_of(dataset, market))
        if dataset.data_type is DataType.FUNDING:
            return FundingStream(market)
        return OpenInterestStream(dataset, market)

    def router(self) -> Router:
        """By table and symbol."""
        return BitmexRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(dataset, market, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market, dataset.span, start, end)
        if dataset.data_type is DataType.FUNDING:
            return FundingPager(market, start, end)
        return BookPager(counted_of(dataset, market))
