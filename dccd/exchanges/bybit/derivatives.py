"""Funding rates and open interest of Bybit's contracts, live: ``tickers`` frames flow in, records flow out.

A ticker comes several times a second: a snapshot, then deltas that have only the fields that changed. A record is given
out whenever ours has.
https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.announced import AnnouncedFunding, AnnouncedInterest
from dccd.exchanges.base import Signal
from dccd.exchanges.bybit.frames import BybitStream, TickerData, TickerFrame
from dccd.exchanges.wire import MS
from dccd.records import Record

__all__ = ["FundingStream", "InterestStream"]


class _TickerStream(BybitStream[TickerFrame]):
    """``tickers.{symbol}``, its fields kept."""

    decoder = msgspec.json.Decoder(TickerFrame, strict=False)
    needed: str
    """The field that a snapshot must have."""

    def __init__(self, url: str, market: str) -> None:
        super().__init__(url, f"tickers.{market}")
        self._ticker: TickerData | None = None

    def subscribe(self) -> list[str]:
        """A new subscription begins with a snapshot."""
        self._ticker = None
        return super().subscribe()

    @property
    def confirms(self) -> bool:
        """Deltas without a snapshot before are of nothing that is known."""
        return self._ticker is not None

    def take(self, found: TickerFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot or a delta. Raises ValueError."""
        data, known = found.data, self._ticker
        if found.type == "snapshot":
            if getattr(data, self.needed) is None:
                raise ValueError(f"a contract's ticker without its {self.needed}")
            known = data
        elif known is None:
            return None
        else:
            known = TickerData(
                known.rate if data.rate is None else data.rate,
                known.due if data.due is None else data.due,
                known.mark if data.mark is None else data.mark,
                known.interest if data.interest is None else data.interest,
                known.value if data.value is None else data.value,
            )
        self._ticker = known
        self.announce(known, found.ts * MS, recv_ts, out)
        return None

    def announce(self, ticker: TickerData, ts: int, recv_ts: int, out: list[Record]) -> None:
        """The ticker at *ts* (ns), whole."""
        raise NotImplementedError


class FundingStream(_TickerStream):
    """The rate announced for the next payment. Before a market's first one it is empty."""

    needed = "rate"

    def __init__(self, url: str, market: str) -> None:
        super().__init__(url, market)
        self._funding = AnnouncedFunding()

    def announce(self, ticker: TickerData, ts: int, recv_ts: int, out: list[Record]) -> None:
        """Give out the rate if it is another one."""
        if isinstance(ticker.rate, float):
            mark = ticker.mark if isinstance(ticker.mark, float) else None
            due = ticker.due * MS if isinstance(ticker.due, int) and ticker.due else None
            self._funding.take(ts, ticker.rate, mark, due, recv_ts, out)


class InterestStream(_TickerStream):
    """Open interest: of linear contracts Bybit counts it in base asset, and its value in quote asset."""

    needed = "interest"

    def __init__(self, url: str, market: str) -> None:
        super().__init__(url, market)
        self._interest = AnnouncedInterest()

    def announce(self, ticker: TickerData, ts: int, recv_ts: int, out: list[Record]) -> None:
        """Give out the open interest if it is another one."""
        if isinstance(ticker.interest, float):
            value = ticker.value if isinstance(ticker.value, float) else None
            self._interest.take(ts, ticker.interest, value, recv_ts, out)
