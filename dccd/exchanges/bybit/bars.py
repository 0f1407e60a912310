"""Live bars of Bybit: ``kline`` frames flow in, bars flow out, each closed one once.

https://bybit-exchange.github.io/docs/v5/websocket/public/kline
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Broken, Signal
from dccd.exchanges.bybit.frames import BybitStream, KlineFrame
from dccd.exchanges.bybit.symbols import INTERVALS
from dccd.exchanges.open_bars import check_bar
from dccd.exchanges.wire import MS
from dccd.records import Bar, Record
from dccd.symbols import NS

__all__ = ["BarStream"]


class BarStream(BybitStream[KlineFrame]):
    """``kline.{interval}.{symbol}``: the present bar each 1 to 60 seconds; ``confirm`` says that it is closed."""

    decoder = msgspec.json.Decoder(KlineFrame, strict=False)

    def __init__(self, url: str, market: str, span: int) -> None:
        super().__init__(url, f"kline.{INTERVALS[span]}.{market}")
        self._span = span * NS
        self._closed: int | None = None
        self._state = (0, 0.0)  # of the newest bar: when it opens and how much was traded

    def take(self, found: KlineFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars. Raises ValueError."""
        # All bars first: a frame that can't be read changes nothing.
        bars = [
            check_bar(
                Bar(
                    data.start * MS,
                    data.open,
                    data.high,
                    data.low,
                    data.close,
                    data.volume,
                    data.turnover,
                    None,
                    recv_ts,
                    data.confirm,
                )
            )
            for data in found.data
        ]
        broken: Broken | None = None
        for bar in bars:
            broken = self._take(bar, out) or broken
        return broken

    def _take(self, bar: Bar, out: list[Record]) -> Broken | None:
        closed = self._closed
        if closed is not None and bar.ts <= closed:
            return None
        if not bar.closed and self._state > (bar.ts, bar.volume):
            return None  # overtaken by a later state of the same bar
        self._state = (bar.ts, bar.volume)
        out.append(bar)
        if not bar.closed:
            return None
        self._closed = bar.ts
        if closed is not None and bar.ts > closed + self._span:
            missing = closed + self._span
            return Broken(f"{(bar.ts - missing) // self._span} closed bars are missing", missing, "none", bar.ts)
        return None
