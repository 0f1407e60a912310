"""One exchange through ccxt as a :class:`dccd.exchanges.base.Exchange`: datasets flow in, protocols and pagers out."""

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
from dccd.exchanges.unified.features import NO_COMMON_IDS, Features, capabilities
from dccd.exchanges.unified.frames import NoRouter
from dccd.exchanges.unified.history import BarPager, DepthPager, FundingPager, InterestPager, TradePager
from dccd.exchanges.unified.streams import BarStream, BookStream, TradeStream
from dccd.symbols import Dataset, DataType, Symbol

__all__ = ["Unified"]


class Unified(Exchange):
    """Any exchange that ccxt knows."""

    # Topics and messages are what ccxt.pro keeps to by itself. Connections aren't, and it knows no limit of them: WOO X
    # allows a hundred in five minutes (https://developer.woox.io/api-reference/websocket_introduction).
    connections = Connections(topics=1_000_000, messages=1_000_000.0, opens=20.0)
    consecutive_trade_ids = False

    def __init__(self, features: Features) -> None:
        self.id = features.id
        self.features = features
        self.capabilities = capabilities(features)

    def __repr__(self) -> str:
        return f"<Unified {self.id}>"

    def market(self, symbol: Symbol) -> Market | None:
        """None: ccxt's markets tell it, by ccxt's own symbol (``BTC/USDT:USDT``)."""
        return None

    def stream(self, dataset: Dataset, options: StreamOptions, market: Market) -> StreamProtocol:
        """The live protocol of *dataset*. Raises NoCapability."""
        self.check(dataset, live=True)
        if dataset.data_type is DataType.TRADES:
            ids = (self.id, dataset.symbol.contract) not in NO_COMMON_IDS
            return TradeStream(self.id, market, ids=ids)
        if dataset.data_type is DataType.OHLC:
            assert dataset.span is not None  # check() has seen to it
            self._check_contract(dataset, market)
            return BarStream(self.id, market, dataset.span, self.features.timeframes[dataset.span])
        return BookStream(self.id, market, options)

    def router(self) -> Router:
        """None is needed."""
        return NoRouter()

    def history(self, dataset: Dataset, start: int, end: int, market: Market) -> HistoryPager:
        """The pager of *dataset* over ``[start, end)`` ns. Raises NoCapability."""
        self.check(dataset, live=False)
        match dataset.data_type:
            case DataType.TRADES:
                return TradePager(self.id, market, start, end)
            case DataType.OHLC:
                assert dataset.span is not None
                self._check_contract(dataset, market)
                return BarPager(self.features, market, dataset.span, start, end)
            case DataType.FUNDING:
                return FundingPager(self.id, market, start, end)
            case DataType.OPEN_INTEREST:
                self._check_contract(dataset, market)
                return InterestPager(self.id, market, start, end)
            case _:
                return DepthPager(self.id, market)

    def _check_contract(self, dataset: Dataset, market: Market) -> None:
        """Raise NoCapability where an amount can't be told in base asset."""
        if market.contract != 1.0 or market.inverse:
            raise NoCapability(
                self.id,
                f"no {dataset.data_type} of {dataset.symbol} on {self.id}: ccxt doesn't tell whether its amounts are "
                f"in contracts or in {dataset.symbol.base}; of its trades and order book it does",
                "symbol",
            )
