"""Kraken as an :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers flow out."""

from __future__ import annotations

from dccd.exchanges import capability
from dccd.exchanges.base import Exchange, HistoryPager, StreamOptions, StreamProtocol
from dccd.exchanges.kraken.bars import BarStream
from dccd.exchanges.kraken.books import BookStream
from dccd.exchanges.kraken.capabilities import CAPABILITIES
from dccd.exchanges.kraken.history import BarPager, DepthPager
from dccd.exchanges.kraken.trade_history import TradePager
from dccd.exchanges.kraken.trades import TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Kraken"]


class Kraken(Exchange):
    """Kraken's spot market."""

    id = "kraken"
    ws_url = "wss://ws.kraken.com"
    rest_url = "https://api.kraken.com"
    capabilities = CAPABILITIES
    consecutive_trade_ids = True

    def market_id(self, symbol: Symbol) -> str:
        """Empty: ``XXBTZUSD`` doesn't follow from the symbol; ccxt's markets tell it."""
        return ""

    def stream(self, dataset: Dataset, options: StreamOptions) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            return TradeStream(dataset)
        if dataset.data_type is DataType.OHLC:
            return BarStream(dataset)
        return BookStream(dataset, options)

    def history(self, dataset: Dataset, start: int, end: int, market_id: str) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        if dataset.data_type is DataType.TRADES:
            return TradePager(market_id, start, end)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            return BarPager(market_id, dataset.span, start, end)
        return DepthPager(market_id)

    def check(self, dataset: Dataset, live: bool) -> None:
        """Raise NoCapability, saying what is possible, when *dataset* can't be had."""
        capability.check(self.id, self.capabilities, dataset, live)
