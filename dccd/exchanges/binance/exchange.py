"""Binance as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

from __future__ import annotations

from dccd.errors import NoCapability
from dccd.exchanges.base import Connections, Exchange, HistoryPager, Market, Router, StreamOptions, StreamProtocol
from dccd.exchanges.binance.bars import BarStream
from dccd.exchanges.binance.books import BookStream
from dccd.exchanges.binance.capabilities import CAPABILITIES, FUTURES_DEPTHS, MOST_DEPTH
from dccd.exchanges.binance.derivatives import FundingPager, FundingStream, InterestPager
from dccd.exchanges.binance.frames import BinanceRouter
from dccd.exchanges.binance.history import BarPager, DepthPager
from dccd.exchanges.binance.symbols import market
from dccd.exchanges.binance.trade_history import TradePager
from dccd.exchanges.binance.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Binance"]


class Binance(Exchange):
    """Binance: spot, and futures margined in USDT or USDC."""

    id = "binance"
    capabilities = CAPABILITIES
    # Spot documents 1,024 streams and 5 messages a second on a connection, and 300 connections in 5 minutes; futures
    # 10 messages, and 200 streams or, in some versions of the page, 1,024. One value for both, so the smaller one.
    connections = Connections(topics=200, messages=3.0, opens=50.0)
    consecutive_trade_ids = True

    def check(self, dataset: Dataset, live: bool) -> None:
        """As any exchange's; contracts quoted in USD are margined in coin, and served elsewhere."""
        super().check(dataset, live)
        symbol = dataset.symbol
        if symbol.contract and symbol.quote == "USD":
            raise NoCapability(
                self.id,
                f"{self.id} here has no contracts margined in coin, as {symbol} is; it has those margined in USDT and "
                f"USDC, as {symbol.base}/USDT:{symbol.contract}",
                "symbol",
            )

    def market(self, symbol: Symbol) -> Market | None:
        """``BTCUSDT``; None for dated contracts."""
        return market(symbol)

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(dataset, market)
        if dataset.data_type is DataType.OHLC:
            return BarStream(dataset, market)
        if dataset.data_type is DataType.FUNDING:
            return FundingStream(dataset, market)
        return BookStream(dataset, options, market)

    def router(self) -> Router:
        """By the stream's name."""
        return BinanceRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        api = "fapiPublic" if dataset.symbol.contract else "public"
        if dataset.data_type is DataType.TRADES:
            forgets = bool(dataset.symbol.contract)
            return TradePager(f"{api}GetAggTrades", market.id, start, end, forgets=forgets)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(f"{api}GetKlines", market.id, dataset.span, start, end)
        if dataset.data_type is DataType.FUNDING:
            return FundingPager(market.id, start, end)
        if dataset.data_type is DataType.OPEN_INTEREST:
            return InterestPager(market.id, start, end)
        return DepthPager(f"{api}GetDepth", market.id, FUTURES_DEPTHS[-1] if dataset.symbol.contract else MOST_DEPTH)
