"""Live bars of Binance: ``kline`` frames flow in, bars flow out, each closed one once."""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Broken, Market, Signal
from dccd.exchanges.binance.frames import BinanceStream, KlineEvent, parse_error
from dccd.exchanges.wire import MS
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset, span_label

__all__ = ["BarStream"]

_IDLE = 900.0


class BarStream(BinanceStream[KlineEvent]):
    """``<symbol>@kline_<interval>``: the present bar every second or two; the exchange says when it is closed."""

    event = KlineEvent

    def __init__(self, dataset: Dataset, market: Market) -> None:
        assert dataset.span is not None
        super().__init__(dataset, market, heartbeat=max(_IDLE, 3.0 * dataset.span))
        self._interval = span_label(dataset.span)
        self._span = dataset.span * NS
        self._closed: int | None = None
        self._trades = (0, 0)

    def take(self, event: KlineEvent, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one state of a bar."""
        kline = event.kline
        if kline.interval != self._interval:
            return None
        ts = kline.ms * MS
        low, high = kline.low, kline.high
        if not (low <= kline.open <= high and low <= kline.close <= high):
            raise parse_error(f"a bar from {low} to {high} that isn't", msgspec.json.encode(event))
        closed = self._closed
        if closed is not None and ts <= closed:
            return None
        if not kline.closed and self._trades > (ts, kline.trades):
            return None  # overtaken by a later state of the same bar
        self._trades = (ts, kline.trades)
        prices = kline.open, high, low, kline.close
        out.append(Bar(ts, *prices, kline.volume, kline.quote_volume, kline.trades, recv_ts, kline.closed))
        if not kline.closed:
            return None
        self._closed = ts
        if closed is not None and ts > closed + self._span:
            missing = closed + self._span
            return Broken(f"{(ts - missing) // self._span} closed bars are missing", missing, "none", ts)
        return None
