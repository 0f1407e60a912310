"""Bybit as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

from __future__ import annotations

from dccd.errors import NoCapability
from dccd.exchanges.base import (
    Connections,
    Exchange,
    HistoryPager,
    Market,
    Router,
    StreamOptions,
    StreamProtocol,
)
from dccd.exchanges.bybit.bars import BarStream
from dccd.exchanges.bybit.books import BookStream
from dccd.exchanges.bybit.capabilities import CAPABILITIES
from dccd.exchanges.bybit.derivative_history import FundingPager, InterestPager
from dccd.exchanges.bybit.derivatives import FundingStream, InterestStream
from dccd.exchanges.bybit.frames import BybitRouter
from dccd.exchanges.bybit.history import BarPager, DepthPager, TradePager
from dccd.exchanges.bybit.symbols import QUOTES, URLS, category, market_id
from dccd.exchanges.bybit.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Bybit"]


class Bybit(Exchange):
    """Bybit's spot market and its linear contracts, of which one is one of the base asset."""

    id = "bybit"
    capabilities = CAPABILITIES
    # All topics of a connection may have 21,000 characters: 400 of 50. 500 connections in five minutes; how many
    # messages a second isn't told. A ping each 20 seconds is asked for. https://bybit-exchange.github.io/docs/v5/ws/connect
    connections = Connections(topics=400, messages=10.0, opens=80.0, ping='{"op":"ping","req_id":"0"}', ping_every=20.0)
    consecutive_trade_ids = False

    def market(self, symbol: Symbol) -> Market | None:
        """``BTCUSDT``; None for a dated contract, whose name has its day: ccxt's markets tell it."""
        name = market_id(symbol)
        return None if name is None else Market(name)

    def check(self, dataset: Dataset, live: bool) -> None:
        """Raise NoCapability, saying what is possible, when *dataset* can't be had."""
        super().check(dataset, live)
        if dataset.symbol.contract and dataset.symbol.quote not in QUOTES:
            raise NoCapability(
                self.id, f"{self.id} here has contracts in {' and '.join(QUOTES)}, unlike {dataset.symbol}", "symbol"
            )

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        url, name = URLS[category(dataset.symbol)], market.id
        if dataset.data_type is DataType.TRADES:
            return TradeStream(url, name)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarStream(url, name, dataset.span)
        if dataset.data_type is DataType.FUNDING:
            return FundingStream(url, name)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestStream(url, name)
        return BookStream(url, name, options)

    def router(self) -> Router:
        """By topic."""
        return BybitRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        kind, name = category(dataset.symbol), market.id
        if dataset.data_type is DataType.TRADES:
            return TradePager(kind, name, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(kind, name, dataset.span, start, end)
        if dataset.data_type is DataType.FUNDING:
            return FundingPager(name, start, end)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestPager(name, start, end)
        return DepthPager(kind, name)
