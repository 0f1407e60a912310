"""Past funding rates and open interest of Bybit's contracts over REST: bodies flow in, records flow out.

Both come newest first, 200 a page, between two times: windows that can't hold more are known beforehand. Daily bars
find where a market begins.
https://bybit-exchange.github.io/docs/v5/market/history-fund-rate
https://bybit-exchange.github.io/docs/v5/market/open-interest
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import msgspec
from msgspec import field

from dccd.exchanges.bar_pager import BarWindows
from dccd.exchanges.base import PageRequest
from dccd.exchanges.bybit.answers import Answer, Rows, rows
from dccd.exchanges.bybit.frames import EXCHANGE, parse_error
from dccd.exchanges.bybit.history import DAY, OPENED, kline_request
from dccd.exchanges.paging import STATED
from dccd.exchanges.wire import MS, Amount, Decoder, Millis, Rate
from dccd.records import FundingRate, OpenInterest, Record

__all__ = ["FundingPager", "InterestPager"]

_LIMIT = 200
_HOUR = 3600
"""Funding is paid each hour at most."""
_STEP = 300
"""Open interest is told each five minutes."""


class _Paid(msgspec.Struct, gc=False):
    symbol: str
    rate: Rate = field(name="fundingRate")
    ms: Millis = field(name="fundingRateTimestamp")


class _Interest(msgspec.Struct, gc=False):
    interest: Amount = field(name="openInterest")
    ms: Millis = field(name="timestamp")


class _Day(msgspec.Struct, array_like=True, gc=False):
    """A daily bar's first field."""

    start: Millis


_PAID: Decoder[Answer[Rows[_Paid]]] = Decoder(EXCHANGE, Answer[Rows[_Paid]])
_INTEREST: Decoder[Answer[Rows[_Interest]]] = Decoder(EXCHANGE, Answer[Rows[_Interest]])
_DAYS: Decoder[Answer[Rows[_Day]]] = Decoder(EXCHANGE, Answer[Rows[_Day]])


class _Windows(BarWindows):
    """Records of moments: nothing of them is open."""

    exchange = EXCHANGE
    momentary = True

    def __init__(self, market: str, step: int, start: int, end: int) -> None:
        super().__init__(step, start, end, _LIMIT, coarse=DAY, opened=OPENED, settled=STATED)
        self._market = market

    def request(self, start: int, end: int, span: int) -> PageRequest:
        """Ask for what lies in ``[start, end)`` ns; Bybit includes both its ends, in ms."""
        if span == DAY:
            return kline_request("linear", self._market, span, start, end, _LIMIT)
        endpoint, params = self.endpoint()
        ends: dict[str, str | int] = {"startTime": -(-start // MS), "endTime": (end - 1) // MS, "limit": _LIMIT}
        return PageRequest(endpoint, {"category": "linear", "symbol": self._market, **params, **ends})

    @abstractmethod
    def endpoint(self) -> tuple[str, dict[str, str | int]]:
        """What to ask, and with which further parameters."""

    def beginnings(self, body: bytes) -> list[int]:
        """When the daily bars of a body open (ns), oldest first. Raises ParseError."""
        return [row.start * MS for row in reversed(rows(_DAYS.decode(body), self._market, body))]


class FundingPager(_Windows):
    """The rates that were paid, each at the time when it was."""

    def __init__(self, market: str, start: int, end: int) -> None:
        super().__init__(market, _HOUR, start, end)

    def endpoint(self) -> tuple[str, dict[str, str | int]]:
        """Both times are needed: Bybit refuses a start without an end."""
        return "publicGetV5MarketFundingHistory", {}

    def bars(self, body: bytes) -> Sequence[Record]:
        """The rates of a body, oldest first. Raises ParseError."""
        found = rows(_PAID.decode(body), self._market, body)
        if any(row.symbol != self._market for row in found):
            raise parse_error(f"rates of others where {self._market} was asked for", body)
        return [FundingRate(row.ms * MS, row.rate, due_ts=row.ms * MS) for row in reversed(found)]


class InterestPager(_Windows):
    """The open interest in base asset, each five minutes."""

    def __init__(self, market: str, start: int, end: int) -> None:
        super().__init__(market, _STEP, start, end)

    def endpoint(self) -> tuple[str, dict[str, str | int]]:
        """The finest interval that there is."""
        return "publicGetV5MarketOpenInterest", {"intervalTime": "5min"}

    def bars(self, body: bytes) -> Sequence[Record]:
        """The values of a body, oldest first. Raises ParseError."""
        found = rows(_INTEREST.decode(body), self._market, body)
        return [OpenInterest(row.ms * MS, row.interest) for row in reversed(found)]
