"""Live trades of Coinbase: ``market_trades`` frames flow in, trades and holes between their ids flow out.

The subscription begins with the recent trades, which after a reconnection often reach back to those that came before.
The ids are those of REST's trades, one more with each trade of a product; Coinbase has left trades out of the feed
without a jump in its messages' numbers, so that only the ids tell.
"""

from __future__ import annotations

from operator import attrgetter

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.coinbase.frames import TAKER, CoinbaseStream, TradeFrame, parse_error
from dccd.exchanges.trade_ids import NumberedTrades, TradeIds
from dccd.exchanges.wire import DECODE_ERRORS, iso_ns
from dccd.records import Record, Trade
from dccd.symbols import Dataset

__all__ = ["TradeStream"]

_DECODER = msgspec.json.Decoder(TradeFrame, strict=False)
_BY_ID = attrgetter("trade_id")


class TradeStream(NumberedTrades, CoinbaseStream[TradeFrame]):
    """Channel ``market_trades``."""

    frame = TradeFrame
    decoder = _DECODER
    channel = "market_trades"

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self._ids = TradeIds()

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: what the base class does in several calls.
        try:
            events = _DECODER.decode(frame).events
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        product = self._product
        trades = [trade for event in events for trade in event.trades if trade.product_id == product]
        if len(trades) > 1:
            trades.sort(key=_BY_ID)  # they come newest first
        try:
            # All times before any id: a frame that can't be read changes nothing.
            times = [iso_ns(trade.time) for trade in trades]
        except ValueError as exc:
            raise parse_error(exc, frame) from exc
        ids, taker = self._ids, TAKER
        for trade, ts in zip(trades, times, strict=True):
            tid = trade.trade_id
            if tid == ids.last + 1:
                ids.last = tid
                ids.last_ts = ts if ts < recv_ts else recv_ts
            elif not ids.accept(tid, ts, recv_ts):
                continue
            out.append(Trade(ts, trade.price, trade.size, taker[trade.side], str(tid), recv_ts))
        if ids.waiting or not self._confirmed:
            return ids.expired(recv_ts) or (self._confirm() if trades else None)
        return None
