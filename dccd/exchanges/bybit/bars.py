"""Live bars of Bybit: ``kline`` frames flow in, bars flow out, each closed one once.

https://bybit-exchange.github.io/docs/v5/websocket/public/kline
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.bybit.frames import BybitStream, KlineFrame
from dccd.exchanges.bybit.symbols import INTERVALS
from dccd.exchanges.open_bars import ClosedBars, check_bar
from dccd.exchanges.wire import MS
from dccd.records import Bar, Record

__all__ = ["BarStream"]


class BarStream(BybitStream[KlineFrame]):
    """``kline.{interval}.{symbol}``: the present bar each 1 to 60 seconds; ``confirm`` says that it is closed."""

    decoder = msgspec.json.Decoder(KlineFrame, strict=False)

    def __init__(self, url: str, market: str, span: int) -> None:
        super().__init__(url, f"kline.{INTERVALS[span]}.{market}")
        self._bars = ClosedBars(span)

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
        return self._bars.take(bars, out)
