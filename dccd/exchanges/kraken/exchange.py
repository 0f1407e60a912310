"""Kraken as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

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
from dccd.exchanges.kraken.bars import BarStream
from dccd.exchanges.kraken.books import BookStream
from dccd.exchanges.kraken.capabilities import CAPABILITIES
from dccd.exchanges.kraken.frames import KrakenRouter
from dccd.exchanges.kraken.history import BarPager, DepthPager
from dccd.exchanges.kraken.trade_history import TradePager
from dccd.exchanges.kraken.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Kraken"]


class Kraken(Exchange):
    """Kraken's spot market."""

    id = "kraken"
    capabilities = CAPABILITIES
    # Kraken names no limit of subscriptions or messages; 150 connections in ten minutes are allowed.
    connections = Connections(topics=100, messages=20.0, opens=12.0)
    consecutive_trade_ids = True

    def market(self, symbol: Symbol) -> Market | None:
        """None: ``XXBTZUSD`` doesn't follow from the symbol; ccxt's markets tell it."""
        return None

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(dataset)
        if dataset.data_type is DataType.OHLC:
            return BarStream(dataset)
        return BookStream(dataset, options)

    def router(self) -> Router:
        """By channel, symbol and interval."""
        return KrakenRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market.id, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market.id, dataset.span, start, end)
        return DepthPager(market.id)
