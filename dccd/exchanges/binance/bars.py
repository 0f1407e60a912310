"""Live bars of Binance: ``kline`` frames flow in, bars flow out, each closed one once."""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.binance.frames import BinanceStream, KlineEvent, parse_error
from dccd.exchanges.open_bars import ClosedBars
from dccd.exchanges.wire import MS
from dccd.records import Bar, Record
from dccd.symbols import Dataset, span_label

__all__ = ["BarStream"]

_IDLE = 900.0


class BarStream(BinanceStream[KlineEvent]):
    """``<symbol>@kline_<interval>``: the present bar every second or two; the exchange says when it is closed."""

    event = KlineEvent

    def __init__(self, dataset: Dataset, market: Market) -> None:
        assert dataset.span is not None
        super().__init__(dataset, market, heartbeat=max(_IDLE, 3.0 * dataset.span))
        self._interval = span_label(dataset.span)
        self._bars = ClosedBars(dataset.span)

    def take(self, event: KlineEvent, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one state of a bar."""
        kline = event.kline
        if kline.interval != self._interval:
            return None
        ts = kline.ms * MS
        low, high = kline.low, kline.high
        if not (low <= kline.open <= high and low <= kline.close <= high):
            raise parse_error(f"a bar from {low} to {high} that isn't", msgspec.json.encode(event))
        prices = kline.open, high, low, kline.close
        bar = Bar(ts, *prices, kline.volume, kline.quote_volume, kline.trades, recv_ts, kline.closed)
        return self._bars.take((bar,), out)
