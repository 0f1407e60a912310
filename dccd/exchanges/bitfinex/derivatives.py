"""The open interest of Bitfinex's perpetuals: states of a contract flow in, live and past; records flow out.

A state tells funding rates, too, but not plainly which payment each is of ("current accrued funding for the next 8h
period", "funding applied in the current 8h period"): they aren't taken.
https://docs.bitfinex.com/reference/ws-public-status, rest-public-derivatives-status-history
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from dccd.exchanges.announced import AnnouncedInterest
from dccd.exchanges.base import PageRequest, Signal
from dccd.exchanges.bitfinex.frames import EXCHANGE, BitfinexStream, read_rows
from dccd.exchanges.time_pager import TimePages
from dccd.exchanges.wire import MS, Amount, Decoder, Id, Millis
from dccd.records import OpenInterest, Record

__all__ = ["InterestPager", "InterestStream"]

_LIMIT = 5000


class _State(msgspec.Struct, array_like=True, gc=False):
    """What a contract is at. Fields without a meaning are numbered by their places."""

    ms: Millis
    at_1: object
    price: object
    spot_price: object
    at_4: object
    insurance: object
    at_6: object
    due: object
    accrued: object
    step: object
    at_10: object
    funding: object
    at_12: object
    at_13: object
    mark_price: object
    at_15: object
    at_16: object
    interest: Amount
    """In base asset: one contract is one of it."""


class _Update(msgspec.Struct, array_like=True, gc=False):
    chan: Id
    state: _State


_UPDATE: Decoder[_Update] = Decoder(EXCHANGE, _Update)
_STATES: Decoder[list[_State]] = Decoder(EXCHANGE, list[_State])


class InterestStream(BitfinexStream):
    """Channel ``status`` with a key of the contract: its state at first, and as it changes."""

    channel = "status"

    def __init__(self, market: str) -> None:
        super().__init__({"key": f"deriv:{market}"})
        self._interest = AnnouncedInterest()

    def take(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a state. Raises what decoders do."""
        update = _UPDATE.raw.decode(frame)
        if update.chan == self._chan:
            self._interest.take(update.state.ms * MS, update.state.interest, None, recv_ts, out)
        return None


class InterestPager(TimePages):
    """Open interest of ``publicGetStatusDerivSymbolHist``: of each state, oldest first."""

    exchange = EXCHANGE

    def __init__(self, market: str, start: int, end: int) -> None:
        super().__init__(start, end, _LIMIT)
        self._market = market

    def request(self, since: int, skip: int) -> PageRequest:
        """The oldest states from *since* (ns) on."""
        params: dict[str, str | int] = {
            "symbol": self._market,
            "start": since // MS,
            "end": (self._end - 1) // MS,
            "limit": _LIMIT,
            "sort": 1,
        }
        return PageRequest("publicGetStatusDerivSymbolHist", params)

    def rows(self, body: bytes) -> Sequence[tuple[Hashable, Record]]:
        """The states of a body. Raises ParseError."""
        return [(row.ms, OpenInterest(row.ms * MS, row.interest)) for row in read_rows(_STATES, body)]
