"""Live bars of Kraken: ``ohlc`` frames flow in, bars flow out, each closed one once.

Kraken sends the state of the present bar with each trade and never says that one is closed: it is when a later one
begins, or when its end has passed for a moment without that.
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.kraken.frames import KrakenStream, OhlcData, OhlcFrame
from dccd.exchanges.wire import iso_ns
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

__all__ = ["GRACE", "BarStream"]

GRACE = 3 * NS
"""How long after its end a bar may still get a trade (ns): they come a moment late, and clocks differ."""


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
        self._span = dataset.span * NS
        self._open: Bar | None = None
        self._closed: Bar | None = None

    def take(self, frame: OhlcFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars. Raises ValueError."""
        bars = [
            _bar(data, recv_ts) for data in frame.data if data.symbol == self._symbol and data.interval == self._minutes
        ]
        if frame.type == "snapshot":
            bars = [bar for bar in bars if bar.ts + self._span + GRACE > recv_ts]
        for bar in bars:
            self._state(bar, out)
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Close the present bar when its end has passed."""
        if self._open is not None and now >= self._open.ts + self._span + GRACE:
            self._close(self._open, out)
        return None

    def _state(self, bar: Bar, out: list[Record]) -> None:
        closed, now_open = self._closed, self._open
        if closed is not None and bar.ts <= closed.ts:
            # A trade so late that its bar was taken for closed corrects it; what is older than that was overtaken.
            if bar.ts == closed.ts and _trades(bar) > _trades(closed):
                self._close(bar, out)
            return
        if now_open is not None:
            if bar.ts < now_open.ts or (bar.ts == now_open.ts and _trades(bar) < _trades(now_open)):
                return  # overtaken by a later state
            if bar.ts > now_open.ts:
                self._close(now_open, out)
        self._open = bar
        out.append(bar)

    def _close(self, bar: Bar, out: list[Record]) -> None:
        self._closed = msgspec.structs.replace(bar, closed=True)
        if self._open is not None and self._open.ts <= bar.ts:
            self._open = None
        out.append(self._closed)


def _trades(bar: Bar) -> int:
    return bar.trades or 0


def _bar(data: OhlcData, recv_ts: int) -> Bar:
    if data.high < max(data.open, data.close, data.low) or data.low > min(data.open, data.close):
        raise ValueError(f"a bar from {data.low} to {data.high} that isn't")
    values = (data.open, data.high, data.low, data.close, data.volume)
    return Bar(iso_ns(data.interval_begin), *values, trades=data.trades, recv_ts=recv_ts, closed=False)
