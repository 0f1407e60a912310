"""Kraken Futures as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

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
from dccd.exchanges.krakenfutures.books import BookStream
from dccd.exchanges.krakenfutures.capabilities import CAPABILITIES
from dccd.exchanges.krakenfutures.derivatives import FundingStream, InterestStream
from dccd.exchanges.krakenfutures.frames import EXCHANGE, PING, FuturesRouter
from dccd.exchanges.krakenfutures.history import BarPager, DepthPager, FundingPager, InterestPager
from dccd.exchanges.krakenfutures.trade_history import TradePager
from dccd.exchanges.krakenfutures.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["KrakenFutures"]


class KrakenFutures(Exchange):
    """Kraken's contracts: linear ones where there are any, else inverse ones."""

    id = EXCHANGE
    capabilities = CAPABILITIES
    # 100 connections, and on each 100 requests a second; subscriptions aren't limited. A ping is asked for each minute.
    # https://docs.kraken.com/exchange/guides/futures/ratelimits
    connections = Connections(topics=100, messages=50.0, opens=30.0, ping=PING, ping_every=20.0)
    # They are UUIDs. What is consecutive is the number of a product's frames, by which a stream knows a hole.
    consecutive_trade_ids = False

    def market(self, symbol: Symbol) -> Market | None:
        """None: ``PF_XBTUSD`` doesn't follow from the symbol; ccxt's markets tell it."""
        return None

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(market)
        if dataset.data_type is DataType.ORDERBOOK:
            return BookStream(market, options)
        if dataset.data_type is DataType.FUNDING:
            return FundingStream(market)
        return InterestStream(market)

    def router(self) -> Router:
        """By feed and product."""
        return FuturesRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market, start, end)
        if dataset.data_type is DataType.ORDERBOOK:
            return DepthPager(market)
        if dataset.data_type is DataType.FUNDING:
            return FundingPager(market, start, end)
        if market.inverse:
            raise NoCapability(
                self.id,
                f"{market.id} is counted in dollars: what its {dataset.data_type} is in base asset can't be told "
                "without the price of each moment; its trades can be had",
                "data_type",
            )
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market, dataset.span, start, end)
        return InterestPager(market, start, end)
