"""Bitfinex as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

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
from dccd.exchanges.bitfinex.bars import BarStream
from dccd.exchanges.bitfinex.books import BookStream
from dccd.exchanges.bitfinex.capabilities import CAPABILITIES
from dccd.exchanges.bitfinex.derivatives import InterestPager, InterestStream
from dccd.exchanges.bitfinex.history import BarPager, DepthPager, TradePager
from dccd.exchanges.bitfinex.router import BitfinexRouter
from dccd.exchanges.bitfinex.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Bitfinex"]


class Bitfinex(Exchange):
    """Bitfinex's spot markets, and its perpetuals, whose amounts are in base asset, too."""

    id = "bitfinex"
    capabilities = CAPABILITIES
    # 25 channels on a connection, 20 connections a minute; nothing is said about messages.
    # https://docs.bitfinex.com/docs/ws-public
    connections = Connections(topics=25, messages=10.0, opens=15.0)
    consecutive_trade_ids = False

    def market(self, symbol: Symbol) -> Market | None:
        """None: ``tBTCUST`` doesn't follow from the symbol; ccxt's markets tell it."""
        return None

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(market.id)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestStream(market.id)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarStream(market.id, dataset.span)
        return BookStream(market.id, options)

    def router(self) -> Router:
        """By the channels' ids, and the messages' numbers."""
        return BitfinexRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market.id, start, end)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestPager(market.id, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market.id, dataset.span, start, end)
        return DepthPager(market.id)
