"""Live bars of OKX: ``candle`` frames flow in, bars flow out, each closed one once.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-candlesticks-channel
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.okx.frames import BUSINESS, OkxStream, PushFrame
from dccd.exchanges.okx.symbols import BARS
from dccd.exchanges.open_bars import ClosedBars, check_bar
from dccd.exchanges.wire import MS, Amount, Millis, Price
from dccd.records import Bar, Record

__all__ = ["BarStream", "Candle", "to_bar"]


class Candle(msgspec.Struct, array_like=True, gc=False):
    """A bar: ``size`` in base asset (spot) or contracts, ``currency`` in quote asset (spot) or base asset.

    ``state`` is 1 once it is complete.
    """

    ms: Millis
    open: Price
    high: Price
    low: Price
    close: Price
    size: Amount
    currency: Amount
    quote: Amount
    state: Literal["0", "1"]


def to_bar(candle: Candle, spot: bool, recv_ts: int | None = None, closed: bool = True) -> Bar:
    """The bar that *candle* is. OKX gives contracts' volume in base asset, too. Raises ValueError."""
    volume = candle.size if spot else candle.currency
    prices = candle.open, candle.high, candle.low, candle.close
    return check_bar(Bar(candle.ms * MS, *prices, volume, candle.quote, None, recv_ts, closed))


class BarStream(OkxStream[PushFrame[Candle]]):
    """``candle1m`` and the like: the present bar once a second at most; the exchange says when it is complete."""

    decoder = msgspec.json.Decoder(PushFrame[Candle], strict=False)

    def __init__(self, span: int, market: Market, *, spot: bool) -> None:
        super().__init__(BUSINESS, f"candle{BARS[span]}", market)
        self._spot = spot
        self._bars = ClosedBars(span)

    def take(self, found: PushFrame[Candle], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars. Raises ValueError."""
        bars = [to_bar(candle, self._spot, recv_ts, candle.state == "1") for candle in found.data]
        return self._bars.take(bars if len(bars) == 1 else sorted(bars, key=_opened), out)


def _opened(bar: Bar) -> int:
    return bar.ts
