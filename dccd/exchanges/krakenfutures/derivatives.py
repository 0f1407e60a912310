"""Funding rates and open interest of Kraken Futures, live: ``ticker`` frames flow in, records flow out.

A frame has all fields, and comes each second. Of its two rates ``funding_rate`` is money a contract and hour, and
``relative_funding_rate`` is that "relative to the spot price": the fraction per hour, which is ours. It is the present
hour's, paid until ``next_funding_rate_time`` (on the wire that is a time; the documentation says a time span).
https://docs.kraken.com/exchange/api-reference/futures-websocket/ticker
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.announced import AnnouncedFunding, AnnouncedInterest
from dccd.exchanges.base import Market, Signal
from dccd.exchanges.krakenfutures.frames import FuturesStream, TickerFrame
from dccd.exchanges.wire import MS
from dccd.records import Record

__all__ = ["FundingStream", "InterestStream"]


class _TickerStream(FuturesStream[TickerFrame]):
    """Feed ``ticker``, to which a connection can be subscribed once: two of a product are for two connections."""

    decoder = msgspec.json.Decoder(TickerFrame, strict=False)

    def __init__(self, market: Market) -> None:
        super().__init__("ticker", market)


class FundingStream(_TickerStream):
    """The rate of the present hour, whenever it changes."""

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._announced = AnnouncedFunding()

    def take(self, found: TickerFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take an announcement. Raises ValueError."""
        rate, due = found.rate, found.due
        if rate is None:
            # "If zero, field is not populated": then neither rate is, but the time is.
            if found.money is not None or due is None:
                raise ValueError("a perpetual's ticker without a funding rate")
            rate = 0.0
        self._announced.take(found.ms * MS, rate, found.mark, None if due is None else due * MS, recv_ts, out)
        return None


class InterestStream(_TickerStream):
    """The open interest, whenever the number of contracts changes. Inverse ones are dollars: they come to base asset at
    the mark price, which changes each second, and are its value themselves.
    """

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self._inverse = market.inverse
        self._base = market.to_base
        self._announced = AnnouncedInterest()

    def take(self, found: TickerFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the open interest. Raises ValueError."""
        interest, mark = found.interest, found.mark
        if interest is None or (mark is None and self._inverse):
            raise ValueError("a ticker without the open interest, or the mark price")
        amount = interest if self._base is None else self._base(interest, mark or 1.0)
        self._announced.take(found.ms * MS, amount, interest if self._inverse else None, recv_ts, out, interest)
        return None
