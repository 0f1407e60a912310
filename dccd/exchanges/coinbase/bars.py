"""Live bars of Coinbase: ``candles`` frames flow in, bars of five minutes flow out, each closed one once.

Coinbase sends the state of the present bar each second and never says that one is closed.
"""

from __future__ import annotations

from operator import attrgetter

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.coinbase.frames import Candle, CandleFrame, CoinbaseStream
from dccd.exchanges.open_bars import OpenBars, check_bar
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

__all__ = ["BarStream"]

_BY_TIME = attrgetter("ts")


class BarStream(CoinbaseStream[CandleFrame]):
    """Channel ``candles``. Bars of its snapshot that were closed by then are history's, and aren't given out here."""

    frame = CandleFrame
    decoder = msgspec.json.Decoder(CandleFrame, strict=False)
    channel = "candles"

    def __init__(self, dataset: Dataset) -> None:
        assert dataset.span is not None
        super().__init__(dataset)
        self._bars = OpenBars(dataset.span)

    def take(self, found: CandleFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars. Raises ValueError."""
        read = []
        for event in found.events:
            bars = [_bar(candle, recv_ts) for candle in event.candles if candle.product_id == self._product]
            if event.type == "snapshot":
                bars = [bar for bar in bars if not self._bars.is_over(bar, recv_ts)]
            read += sorted(bars, key=_BY_TIME)
        for bar in read:
            self._bars.take(bar, out)
        return None

    def _is_of_us(self, found: CandleFrame) -> bool:
        # Of what isn't, nothing is taken in any case; but it doesn't confirm.
        return self._confirmed or any(
            candle.product_id == self._product for event in found.events for candle in event.candles
        )

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Close the present bar when its end has passed."""
        self._bars.tick(now, out)
        return None


def _bar(candle: Candle, recv_ts: int) -> Bar:
    values = (candle.open, candle.high, candle.low, candle.close, candle.volume)
    return check_bar(Bar(candle.start * NS, *values, recv_ts=recv_ts, closed=False))
