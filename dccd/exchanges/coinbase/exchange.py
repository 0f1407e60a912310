"""Coinbase as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

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
from dccd.exchanges.coinbase.bars import BarStream
from dccd.exchanges.coinbase.books import BookStream
from dccd.exchanges.coinbase.capabilities import CAPABILITIES
from dccd.exchanges.coinbase.history import BarPager, DepthPager
from dccd.exchanges.coinbase.router import CoinbaseRouter
from dccd.exchanges.coinbase.symbols import product_id
from dccd.exchanges.coinbase.trade_history import TradePager
from dccd.exchanges.coinbase.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Coinbase"]


class Coinbase(Exchange):
    """Coinbase's spot market."""

    id = "coinbase"
    capabilities = CAPABILITIES
    # 8 connections and 8 messages a second from one address; no limit of subscriptions is told, but whoever is slow is
    # cut off, and a snapshot of a book may have 5 MB.
    # https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-rate-limits
    connections = Connections(topics=50, messages=6.0, opens=60.0, by_address=True)
    consecutive_trade_ids = True

    def market(self, symbol: Symbol) -> Market | None:
        """``BTC-USD``."""
        return Market(product_id(symbol))

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(dataset)
        if dataset.data_type is DataType.OHLC:
            return BarStream(dataset)
        return BookStream(dataset, options)

    def router(self) -> Router:
        """By channel and product."""
        return CoinbaseRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market.id, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market.id, dataset.span, start, end)
        return DepthPager(market.id)
