"""Live bars of Kraken: ``ohlc`` frames flow in, bars flow out, each closed one once.

Kraken sends the state of the present bar with each trade and never says that one is closed.
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.kraken.frames import KrakenStream, OhlcData, OhlcFrame
from dccd.exchanges.open_bars import OpenBars, check_bar
from dccd.exchanges.wire import iso_ns
from dccd.records import Bar, Record
from dccd.symbols import Dataset

__all__ = ["BarStream"]


class BarStream(KrakenStream[OhlcFrame]):
    """Channel ``ohlc``, with its snapshot, which completes the bar that is open when the subscription begins.

    Bars of the snapshot that were closed by then are history's, and aren't given out here.
    """

    frame = OhlcFrame
    decoder = msgspec.json.Decoder(OhlcFrame, strict=False)

    def __init__(self, dataset: Dataset) -> None:
        assert dataset.span is not None
        super().__init__(dataset, {"interval": dataset.span // 60, "snapshot": True})
        self._minutes = dataset.span // 60
        self._bars = OpenBars(dataset.span)

    def take(self, found: OhlcFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars. Raises ValueError."""
        bars = [
            _bar(data, recv_ts) for data in found.data if data.symbol == self._symbol and data.interval == self._minutes
        ]
        for bar in bars:
            if found.type == "update" or not self._bars.is_over(bar, recv_ts):
                self._bars.take(bar, out)
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Close the present bar when its end has passed."""
        self._bars.tick(now, out)
        return None


def _bar(data: OhlcData, recv_ts: int) -> Bar:
    values = (data.open, data.high, data.low, data.close, data.volume)
    ts = iso_ns(data.interval_begin)
    return check_bar(Bar(ts, *values, trades=data.trades, recv_ts=recv_ts, closed=False))
