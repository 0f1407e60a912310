"""Past trades and funding payments of BitMEX over REST: bodies flow in, trades and rates flow out.

Both go by time, oldest first; of records of one time that fill a page, those already had are skipped by their number.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from dccd.exchanges.base import Market, PageRequest
from dccd.exchanges.bitmex.frames import EXCHANGE
from dccd.exchanges.bitmex.history import time_text
from dccd.exchanges.bitmex.trades import TradeMaker, TradeRow
from dccd.exchanges.time_pager import TimePages
from dccd.exchanges.wire import Decoder, Rate, iso_ns
from dccd.records import FundingRate, Record
from dccd.symbols import Dataset

__all__ = ["FundingPager", "TradePager"]

_TRADES_LIMIT = 1000
_FUNDING_LIMIT = 500


class FundingRow(msgspec.Struct, gc=False):
    """A payment: when it was, and its rate."""

    timestamp: str
    symbol: str
    rate: Rate = msgspec.field(name="fundingRate")


_TRADES: Decoder[list[TradeRow]] = Decoder(EXCHANGE, list[TradeRow])
_FUNDING: Decoder[list[FundingRow]] = Decoder(EXCHANGE, list[FundingRow])


class _Pages(TimePages):
    exchange = EXCHANGE
    can_skip = True
    endpoint: str

    def __init__(self, market: Market, start: int, end: int, limit: int) -> None:
        super().__init__(start, end, limit)
        self._symbol = market.id

    def request(self, since: int, skip: int) -> PageRequest:
        """``startTime`` is inclusive."""
        params: dict[str, str | int] = {
            "symbol": self._symbol,
            "startTime": time_text(since),
            "start": skip,
            "count": self._limit,
            "reverse": "false",
        }
        return PageRequest(self.endpoint, params)


class TradePager(_Pages):
    """Trades of ``publicGetTrade``, of any age."""

    endpoint = "publicGetTrade"

    def __init__(self, dataset: Dataset, market: Market, start: int, end: int) -> None:
        super().__init__(market, start, end, _TRADES_LIMIT)
        self._maker = TradeMaker(dataset, market)

    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        """Trades by their ids; one without is told by all that it is."""
        found = []
        for row in _TRADES.decode(body):
            if row.symbol != self._symbol:
                raise ValueError("trades of another market")
            trade = self._maker.trade(row)
            found.append((trade.tid or (trade.ts, trade.price, trade.amount, trade.side), trade))
        return found


class FundingPager(_Pages):
    """Rates of ``publicGetFunding``."""

    endpoint = "publicGetFunding"

    def __init__(self, market: Market, start: int, end: int) -> None:
        super().__init__(market, start, end, _FUNDING_LIMIT)

    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        """Payments by their times."""
        found = []
        for row in _FUNDING.decode(body):
            if row.symbol != self._symbol:
                raise ValueError("payments of another market")
            ts = iso_ns(row.timestamp)
            found.append((ts, FundingRate(ts, row.rate, due_ts=ts)))
        return found
