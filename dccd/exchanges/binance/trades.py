"""Live trades of Binance: ``aggTrade`` frames flow in, trades and holes between their ids flow out."""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.binance.frames import BinanceStream, TradeEvent, Wrapped
from dccd.exchanges.trade_ids import NumberedTrades, TradeIds
from dccd.exchanges.wire import DECODE_ERRORS, MS
from dccd.records import Record, Trade
from dccd.symbols import Dataset

__all__ = ["TradeStream"]

_DAY = 86_400.0
_DECODER = msgspec.json.Decoder(Wrapped[TradeEvent], strict=False)


class TradeStream(NumberedTrades, BinanceStream[TradeEvent]):
    """``<symbol>@aggTrade``."""

    event = TradeEvent

    def __init__(self, dataset: Dataset, market: Market) -> None:
        # Some markets go hours without a trade; Binance itself ends every connection after a day.
        super().__init__(dataset, market, heartbeat=_DAY)
        self._ids = TradeIds()

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: the base class's receive and take() in one, without their calls.
        try:
            wrapped = _DECODER.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc, recv_ts, out)
        if wrapped.stream != self.topic:
            return None
        event = wrapped.data
        ids = self._ids
        tid = event.tid
        ts = event.ms * MS
        if tid == ids.last + 1:
            ids.last = tid
            ids.last_ts = ts if ts < recv_ts else recv_ts
        elif not ids.accept(tid, ts, recv_ts):
            return None
        out.append(Trade(ts, event.price, event.amount, "sell" if event.maker else "buy", str(tid), recv_ts))
        if ids.waiting or not self._confirmed:
            return self._ids.expired(recv_ts) or self._confirm()
        return None

    def take(self, event: TradeEvent, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one event that came raw."""
        ts = event.ms * MS
        if self._ids.accept(event.tid, ts, recv_ts):
            out.append(Trade(ts, event.price, event.amount, "sell" if event.maker else "buy", str(event.tid), recv_ts))
        return self._ids.expired(recv_ts)
