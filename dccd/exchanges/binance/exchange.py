"""Binance as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

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
from dccd.exchanges.binance.bars import BarStream
from dccd.exchanges.binance.books import BookStream
from dccd.exchanges.binance.capabilities import CAPABILITIES
from dccd.exchanges.binance.frames import BinanceRouter
from dccd.exchanges.binance.history import BarPager, DepthPager
from dccd.exchanges.binance.symbols import market_id
from dccd.exchanges.binance.trade_history import TradePager
from dccd.exchanges.binance.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Binance"]


class Binance(Exchange):
    """Binance's spot market."""

    id = "binance"
    capabilities = CAPABILITIES
    # 1,024 streams and 5 messages a second on a connection, 300 connections in 5 minutes.
    connections = Connections(topics=1000, messages=4.0, opens=50.0)
    consecutive_trade_ids = True

    def market(self, symbol: Symbol) -> Market | None:
        """``BTCUSDT``."""
        return Market(market_id(symbol))

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(dataset)
        if dataset.data_type is DataType.OHLC:
            return BarStream(dataset)
        return BookStream(dataset, options)

    def router(self) -> Router:
        """By the stream's name, which combined frames begin with."""
        return BinanceRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market.id, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market.id, dataset.span, start, end)
        return DepthPager(market.id)
