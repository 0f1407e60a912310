"""Values that exchanges repeat every second: announcements flow in, a record flows out whenever the value has changed.

A derivative's ticker comes with each trade and each second; its funding rate changes now and then.
"""

from __future__ import annotations

from dccd.records import FundingRate, OpenInterest, Record

__all__ = ["AnnouncedFunding", "AnnouncedInterest"]


class AnnouncedFunding:
    """The funding rate announced for the next payment. Times in ns, prices in quote asset."""

    __slots__ = ("_last", "_ts")

    def __init__(self) -> None:
        self._last: tuple[float, int | None] | None = None
        self._ts = 0

    def __repr__(self) -> str:
        return f"<AnnouncedFunding {self._last}>"

    def take(
        self, ts: int, rate: float, mark_price: float | None, due_ts: int | None, recv_ts: int, out: list[Record]
    ) -> None:
        """At *ts* the rate is *rate*, to be paid at *due_ts*; what is older than the last one was overtaken."""
        if ts < self._ts or (rate, due_ts) == self._last:
            return
        self._ts, self._last = ts, (rate, due_ts)
        out.append(FundingRate(ts, rate, mark_price, recv_ts, due_ts))


class AnnouncedInterest:
    """The open interest: in base asset, and its value in quote asset. Times in ns."""

    __slots__ = ("_last", "_ts")

    def __init__(self) -> None:
        self._last: float | None = None
        self._ts = 0

    def __repr__(self) -> str:
        return f"<AnnouncedInterest {self._last}>"

    def take(
        self,
        ts: int,
        interest: float,
        value: float | None,
        recv_ts: int,
        out: list[Record],
        contracts: float | None = None,
    ) -> None:
        """At *ts* so much is open; what is older than the last one was overtaken. A new value alone is no change.

        *contracts*: what to compare instead, where the base asset that they are goes with a price: that alone is none.
        """
        compared = interest if contracts is None else contracts
        if ts < self._ts or compared == self._last:
            return
        self._ts, self._last = ts, compared
        out.append(OpenInterest(ts, interest, value, recv_ts))
