"""Live trades of Kraken: ``trade`` frames flow in, trades and holes between their ids flow out.

Without a snapshot: its 50 trades have come before the connection was lost, or are in the hole that is repaired anyway.
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.kraken.frames import KrakenStream, TradeFrame, parse_error
from dccd.exchanges.trade_ids import NumberedTrades, TradeIds
from dccd.exchanges.wire import DECODE_ERRORS, iso_ns
from dccd.records import Record, Trade
from dccd.symbols import Dataset

__all__ = ["TradeStream"]

_DECODER = msgspec.json.Decoder(TradeFrame, strict=False)


class TradeStream(NumberedTrades, KrakenStream[TradeFrame]):
    """Channel ``trade``. Ids are consecutive in a book ("Trade identifier is a sequence number, unique per book")."""

    frame = TradeFrame
    decoder = _DECODER

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset, {"snapshot": False})
        self._ids = TradeIds()

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: what the base class does in several calls.
        try:
            data = _DECODER.decode(frame).data
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        try:
            # All times before any id: a frame that can't be read changes nothing.
            times = [iso_ns(trade.timestamp) for trade in data]
        except ValueError as exc:
            raise parse_error(exc, frame) from exc
        ids, symbol = self._ids, self._symbol
        for trade, ts in zip(data, times, strict=True):
            if trade.symbol != symbol:
                continue
            tid = trade.trade_id
            if tid == ids.last + 1:
                ids.last = tid
                ids.last_ts = ts if ts < recv_ts else recv_ts
            elif not ids.accept(tid, ts, recv_ts):
                continue
            out.append(Trade(ts, trade.price, trade.qty, trade.side, str(tid), recv_ts))
        if ids.waiting or not self._confirmed:
            return ids.expired(recv_ts) or self._confirm()
        return None
