"""Funding and open interest of OKX's contracts, live and past: frames and bodies flow in, records flow out.

https://www.okx.com/docs-v5/en/#public-data-websocket-funding-rate-channel
https://www.okx.com/docs-v5/en/#public-data-rest-api-get-funding-rate-history
https://www.okx.com/docs-v5/en/#trading-statistics-rest-api-get-contract-open-interest-history
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import field

from dccd.exchanges.announced import AnnouncedFunding, AnnouncedInterest
from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import Market, Page, PageRequest, Signal
from dccd.exchanges.okx.capabilities import INTEREST_PERIOD
from dccd.exchanges.okx.frames import EXCHANGE, PUBLIC, OkxStream, PushFrame
from dccd.exchanges.okx.history import OLD, OPENED, Body, data_of
from dccd.exchanges.paging import STATED
from dccd.exchanges.wire import MS, Amount, Decoder, Millis, Rate
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import NS

__all__ = ["FundingPager", "FundingStream", "InterestPager", "InterestStream"]

_LIMIT = 100
_OFTEN = 3600
"""The shortest time between two payments of funding (s)."""
_SELDOM = 8 * 3600 * NS
"""And the longest (ns)."""


class FundingData(msgspec.Struct, gc=False):
    """The rate for the payment at ``due`` (``method`` is ``current_period`` everywhere today)."""

    rate: Rate = field(name="fundingRate")
    due: Millis = field(name="fundingTime")
    ms: Millis = field(name="ts")


class FundingStream(OkxStream[PushFrame[FundingData]]):
    """Channel ``funding-rate``: every 30 to 90 seconds. It has no mark price."""

    beat = 240.0
    decoder = msgspec.json.Decoder(PushFrame[FundingData], strict=False)

    def __init__(self, market: Market) -> None:
        super().__init__(PUBLIC, "funding-rate", market)
        self._announced = AnnouncedFunding()

    def take(self, found: PushFrame[FundingData], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take announcements."""
        for data in found.data:
            self._announced.take(data.ms * MS, data.rate, None, data.due * MS, recv_ts, out)
        return None


class InterestData(msgspec.Struct, gc=False):
    """The open interest in base asset, and in USD."""

    base: Amount = field(name="oiCcy")
    usd: Amount = field(name="oiUsd")
    ms: Millis = field(name="ts")


class InterestStream(OkxStream[PushFrame[InterestData]]):
    """Channel ``open-interest``: every 3 seconds when it has changed."""

    decoder = msgspec.json.Decoder(PushFrame[InterestData], strict=False)

    def __init__(self, market: Market) -> None:
        super().__init__(PUBLIC, "open-interest", market)
        self._announced = AnnouncedInterest()

    def take(self, found: PushFrame[InterestData], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take announcements."""
        for data in found.data:
            self._announced.take(data.ms * MS, data.base, data.usd, recv_ts, out)
        return None


class _Paid(msgspec.Struct, gc=False):
    """``realizedRate`` is the one that was paid, ``fundingRate`` the one that was predicted."""

    rate: Rate = field(name="realizedRate")
    ms: Millis = field(name="fundingTime")


_PAYMENTS: Decoder[Body[_Paid]] = Decoder(EXCHANGE, Body[_Paid])


class FundingPager(BarWindows):
    """Rates that were paid, of ``publicGetPublicFundingRateHistory``: each hour at most.

    Until the first is found, one window after the other is asked for: when that one is old, what lies before it isn't
    taken for covered.
    """

    exchange = EXCHANGE
    momentary = True

    def __init__(self, market: Market, start: int, end: int) -> None:
        super().__init__(_OFTEN, start, end, _LIMIT, opened=OPENED, settled=STATED)
        self._inst = market.id
        self._looking = True

    def requests(self, limit: int) -> list[PageRequest]:
        """One request while the first rate is looked for; then up to *limit*."""
        return super().requests(min(limit, 1 - self._open) if self._looking else limit)

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Both bounds are exclusive."""
        bounds: dict[str, str | int] = {"before": -(-start // MS) - 1, "after": -(-end // MS)}
        return PageRequest("publicGetPublicFundingRateHistory", {"instId": self._inst, **bounds, "limit": _LIMIT})

    def receive(self, request: PageRequest, body: bytes, recv_ts: int) -> Page:
        """Take one page. Raises ParseError."""
        page = super().receive(request, body, recv_ts)
        if not self._looking:
            return page
        start = self._start
        if not page.records and not self.done:
            return Page([], start, start)
        self._looking = False
        end = min(page.end, self.position)
        first = page.records[0].ts if page.records else end
        if first < recv_ts - OLD and first - start > _SELDOM:
            start = min(first, end)
        return Page(page.records, start, end)

    @property
    def position(self) -> int:
        """All rates before this time (ns) are covered, or can't be had."""
        return self._start if self._looking else super().position

    def bars(self, body: bytes) -> Sequence[Record]:
        """Newest first in the body."""
        found = data_of(_PAYMENTS.decode(body), body)
        return [FundingRate(paid.ms * MS, paid.rate, due_ts=paid.ms * MS) for paid in reversed(found)]


class _Interest(msgspec.Struct, array_like=True, gc=False):
    """The open interest in contracts, in base asset, and in USD."""

    ms: Millis
    contracts: Amount
    base: Amount
    usd: Amount


_INTERESTS: Decoder[Body[_Interest]] = Decoder(EXCHANGE, Body[_Interest])


class InterestPager(BarWindows):
    """The open interest each five minutes, of ``publicGetRubikStatContractsOpenInterestHistory``.

    Whether a value may still change within its five minutes isn't documented; it is taken when they have gone by.
    """

    exchange = EXCHANGE

    def __init__(self, market: Market, start: int, end: int) -> None:
        super().__init__(INTEREST_PERIOD, start, end, _LIMIT, opened=OPENED)
        self._inst = market.id

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Both bounds are exclusive, as far as the documentation tells; should they be inclusive, it does no harm."""
        params: dict[str, str | int] = {
            "instId": self._inst,
            "period": f"{span // 60}m",
            "begin": -(-start // MS) - 1,
            "end": -(-end // MS),
            "limit": _LIMIT,
        }
        return PageRequest("publicGetRubikStatContractsOpenInterestHistory", params)

    def bars(self, body: bytes) -> Sequence[Record]:
        """Newest first in the body."""
        found = data_of(_INTERESTS.decode(body), body)
        return [OpenInterest(value.ms * MS, value.base, value.usd) for value in reversed(found)]
