"""OKX as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

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
from dccd.exchanges.okx.bars import BarStream
from dccd.exchanges.okx.books import BookStream
from dccd.exchanges.okx.capabilities import CAPABILITIES
from dccd.exchanges.okx.derivatives import FundingPager, FundingStream, InterestPager, InterestStream
from dccd.exchanges.okx.frames import OkxRouter
from dccd.exchanges.okx.history import BarPager, DepthPager
from dccd.exchanges.okx.symbols import spot_id
from dccd.exchanges.okx.trade_history import TradePager
from dccd.exchanges.okx.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Okx"]


class Okx(Exchange):
    """OKX's spot market, perpetual swaps and dated futures."""

    id = "okx"
    capabilities = CAPABILITIES
    # 480 requests an hour on a connection, 3 connections a second, a ping within each 30 seconds; fewer than 30
    # channels on a connection where there are many books (WebSocket, "Connect"; order book channel).
    connections = Connections(topics=29, messages=3.0, opens=120.0, ping="ping", ping_every=20.0)
    consecutive_trade_ids = True

    def market(self, symbol: Symbol) -> Market | None:
        """``BTC-USDT``; of contracts None, since ccxt's markets tell their size and dates."""
        return None if symbol.contract else Market(spot_id(symbol))

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(market)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarStream(dataset.span, market, spot=not dataset.symbol.contract)
        if dataset.data_type is DataType.FUNDING:
            return FundingStream(market)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestStream(market)
        return BookStream(market, options)

    def router(self) -> Router:
        """By channel and instrument."""
        return OkxRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market, dataset.span, start, end, spot=not dataset.symbol.contract)
        if dataset.data_type is DataType.FUNDING:
            return FundingPager(market, start, end)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestPager(market, start, end)
        return DepthPager(market)
