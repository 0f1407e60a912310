"""Funding rates and open interest of Binance's futures: frames and bodies flow in, both kinds of records flow out.

Open interest has no stream. Both kinds count against limits of their own (500 and 1,000 requests in 5 minutes and
address). https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec
from msgspec import field

from dccd.exchanges.announced import AnnouncedFunding
from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Market, PageRequest, Signal
from dccd.exchanges.binance.frames import EXCHANGE, BinanceStream, MarkPriceEvent
from dccd.exchanges.paging import STATED
from dccd.exchanges.time_pager import TimePages
from dccd.exchanges.wire import MS, Amount, Decoder, Millis, Price, Rate
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import Dataset

__all__ = ["FundingPager", "FundingStream", "InterestPager"]

_IDLE = 60.0
_FUNDING_LIMIT = 1000
_INTEREST_LIMIT = 500
_PERIOD = 300


class FundingStream(BinanceStream[MarkPriceEvent]):
    """``<symbol>@markPrice@1s``: every second, with the rate to be paid next."""

    event = MarkPriceEvent
    beat = 30.0

    def __init__(self, dataset: Dataset, market: Market) -> None:
        super().__init__(dataset, market, heartbeat=_IDLE)
        self._rates = AnnouncedFunding()

    def take(self, event: MarkPriceEvent, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one event."""
        self._rates.take(event.ms * MS, event.rate, event.mark_price, event.due_ms * MS, recv_ts, out)
        return None


class _Funding(msgspec.Struct, gc=False):
    """One payment; the oldest have no mark price."""

    ms: Millis = field(name="fundingTime")
    rate: Rate = field(name="fundingRate")
    mark_price: str = field(name="markPrice", default="")


_FUNDINGS: Decoder[list[_Funding]] = Decoder(EXCHANGE, list[_Funding])
_MARK_PRICE: Decoder[float] = Decoder(EXCHANGE, Price)


class FundingPager(TimePages):
    """Rates paid, of ``fapiPublicGetFundingRate``."""

    exchange = EXCHANGE

    def __init__(self, market: str, start: int, end: int) -> None:
        super().__init__(start, end, _FUNDING_LIMIT, settled=STATED)
        self._market = market

    def request(self, since: int, skip: int) -> PageRequest:
        """Both ends are inclusive, in milliseconds; of more than a page the oldest are given, in ascending order."""
        params: dict[str, str | int] = {
            "symbol": self._market,
            "startTime": since // MS,
            "endTime": (self._end - 1) // MS,
            "limit": _FUNDING_LIMIT,
        }
        return PageRequest("fapiPublicGetFundingRate", params)

    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        """One record a payment."""
        return [(row.ms, _paid(row)) for row in _FUNDINGS.decode(body)]


def _paid(row: _Funding) -> FundingRate:
    ts = row.ms * MS
    mark_price = _MARK_PRICE.decode(row.mark_price.encode()) if row.mark_price else None
    return FundingRate(ts, row.rate, mark_price, due_ts=ts)


class _Interest(msgspec.Struct, gc=False):
    ms: Millis = field(name="timestamp")
    amount: Amount = field(name="sumOpenInterest")
    value: Amount = field(name="sumOpenInterestValue")


_INTERESTS: Decoder[list[_Interest]] = Decoder(EXCHANGE, list[_Interest])


class InterestPager(BarWindows):
    """Open interest every 5 minutes, of ``fapiDataGetOpenInterestHist``."""

    exchange = EXCHANGE
    momentary = True

    def __init__(self, market: str, start: int, end: int) -> None:
        super().__init__(_PERIOD, start, end, _INTEREST_LIMIT, settled=STATED)
        self._market = market

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Both ends are inclusive, in milliseconds."""
        params: dict[str, str | int] = {
            "symbol": self._market,
            "period": "5m",
            "startTime": -(-start // MS),
            "endTime": (end - 1) // MS,
            "limit": _INTEREST_LIMIT,
        }
        return PageRequest("fapiDataGetOpenInterestHist", params)

    def bars(self, body: bytes) -> Sequence[Record]:
        """One record each time."""
        return [OpenInterest(row.ms * MS, row.amount, row.value) for row in _INTERESTS.decode(body)]
