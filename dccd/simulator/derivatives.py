"""What only contracts have, a pure function of seed and time: a time flows in, funding and open interest flow out.

Mark price, index price and open interest move in steps of a second. Funding is paid at multiples of the interval since
1970, at the rate that was announced last; or it accrues over the interval, at a rate that is known when that begins.
All of it is in whole units (ticks, lots, hundred-millionths) first, and as
such goes on the wire without a digit lost.
"""

from __future__ import annotations

import math
import random
from typing import NamedTuple

from dccd.records import FundingRate, OpenInterest
from dccd.simulator.market import DAY, Market
from dccd.symbols import NS

__all__ = ["RATE_DECIMALS", "Derivative", "Prediction"]

RATE_DECIMALS = 8
"""A rate has as many: ``f"{rate:.8f}"`` is exactly it."""

_TABLE = 1024
_STEP = NS
_MINUTE = 60 * NS
_USUAL = 10_000  # 0.01 %, which funding hovers around


class Prediction(NamedTuple):
    """The funding rate announced for the payment ``due`` (ns)."""

    rate: float
    due: int


class Derivative:
    """What the contract of *market* has beside its trades and book; funding each *interval* ns.

    *accrues*: an interval's rate is that of the settlement at its beginning. Raises ValueError when *market* is spot.
    """

    def __init__(self, market: Market, *, seed: str, interval: int, accrues: bool = False) -> None:
        symbol = market.instrument.symbol
        if not symbol.contract:
            raise ValueError(f"{symbol} is spot: it has no funding and no open interest")
        self.market = market
        self.interval = interval
        self._accrues = accrues
        self.perpetual = symbol.contract == "perp"
        draw = random.Random(f"{seed}:{symbol.token}:derivative")
        self._noise = [draw.uniform(-1, 1) for _ in range(_TABLE)]
        self._open = market.instrument.lots * 40_000

    def __repr__(self) -> str:
        return f"<Derivative {self.market.instrument.symbol}>"

    # ------------------------------------------------------------ prices

    def mark(self, at: int) -> int:
        """The mark price at *at* in ticks: within a basis point of the last trade's."""
        return self._beside(at, 7, 1e-4)

    def index(self, at: int) -> int:
        """The index price at *at* in ticks: within three basis points of the last trade's."""
        return self._beside(at, 3, 3e-4)

    def mark_price(self, at: int) -> float:
        """The mark price in quote asset."""
        return self.mark(at) / self.market.instrument.price_unit

    def index_price(self, at: int) -> float:
        """The index price in quote asset."""
        return self.index(at) / self.market.instrument.price_unit

    def _beside(self, at: int, stride: int, width: float) -> int:
        step = at // _STEP
        last = self.market.price(self.market.index(step * _STEP + 1) - 1)
        return max(1, round(last * (1 + width * self._noise[step * stride % _TABLE])))

    # ------------------------------------------------------------ funding

    def predicted(self, at: int) -> Prediction:
        """The rate announced at *at*, which moves each minute towards what is paid in the end, or stays if it accrues.

        Raises ValueError for a dated contract, which pays none.
        """
        if not self.perpetual:
            raise ValueError(f"{self.market.instrument.symbol} pays no funding")
        due = at - at % self.interval + self.interval
        if self._accrues:
            return Prediction(self._rate(due - self.interval) / 10**RATE_DECIMALS, due)
        left = (due - at - 1) // _MINUTE
        doubt = left * _MINUTE / self.interval * self._noise[at // _MINUTE * 5 % _TABLE]
        return Prediction((self._rate(due) + round(_USUAL * doubt)) / 10**RATE_DECIMALS, due)

    def settlements(self, start: int, end: int) -> list[FundingRate]:
        """Ground truth: what is paid in ``[start, end)`` ns, from the market's opening on; nothing by dated ones."""
        if not self.perpetual:
            return []
        start = max(start, self.market.opened)
        return [
            FundingRate(ts=at, rate=self._rate(at) / 10**RATE_DECIMALS, mark_price=self.mark_price(at))
            for at in range(start + -start % self.interval, end, self.interval)
        ]

    def _rate(self, due: int) -> int:
        """The rate paid at *due* in hundred-millionths: often the usual one, as on real exchanges."""
        number = due // self.interval
        noise = self._noise[number * 11 % _TABLE]
        return _USUAL if noise > 0.6 else round(_USUAL * (1 + 3 * noise))

    # ------------------------------------------------------------ open interest

    def open_lots(self, at: int) -> int:
        """The open interest at *at* in lots, whole contracts: tides of days, waves of minutes, ripples of seconds."""
        step = at // _STEP
        tide = 0.2 * math.sin(step * _STEP / DAY * math.tau / 3) + 0.01 * self._noise[step // 60 % _TABLE]
        return self.market.instrument.whole(self._open * (1 + tide + 0.001 * self._noise[step * 13 % _TABLE]))

    def open_value(self, at: int) -> int:
        """Its value at the mark price, in ticks × lots (in lots, which are of the quote asset, if inverse)."""
        lots = self.open_lots(at)
        return lots if self.market.instrument.inverse else lots * self.mark(at)

    def open_interest(self, at: int) -> OpenInterest:
        """Ground truth: the open interest at *at* in base asset, its value in quote asset, and since when."""
        lots, mark = self.open_lots(at), self.mark(at)
        base, quote = self.market.instrument.volumes(lots, lots * mark)
        return OpenInterest(ts=at - at % _STEP, open_interest=base, open_interest_value=quote)

    def open_interests(self, start: int, end: int, span: int) -> list[OpenInterest]:
        """Ground truth: the same at each multiple of *span* ns in ``[start, end)``."""
        start = max(start, self.market.opened)
        return [self.open_interest(at) for at in range(start + -start % span, end, span)]
