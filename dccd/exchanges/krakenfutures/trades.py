"""Live trades of Kraken Futures: ``trade`` frames flow in, trades and holes between their numbers flow out.

The id is ``uid``, as in the history; ids don't follow one another, but each product's frames are numbered. The snapshot
of the newest 100 trades only tells the number that the next trade follows: they have come before the connection was
lost, or are in the hole that is repaired anyway.
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.krakenfutures.frames import FuturesStream, TradeFrame, TradesFrame, parse_error
from dccd.exchanges.trade_ids import NumberedTrades, TradeIds
from dccd.exchanges.wire import DECODE_ERRORS, MS
from dccd.records import Record, Trade

__all__ = ["TradeStream"]

_DECODER = msgspec.json.Decoder(TradeFrame | TradesFrame, strict=False)


class TradeStream(NumberedTrades, FuturesStream[TradeFrame | TradesFrame]):
    """Feed ``trade``; liquidations and blocks are trades, too."""

    decoder = _DECODER

    def __init__(self, market: Market) -> None:
        super().__init__("trade", market)
        self._ids = TradeIds()
        self._base = market.to_base

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: what the base class does in several calls.
        try:
            found = _DECODER.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        if type(found) is not TradeFrame:
            return super().receive(frame, recv_ts, out)
        if found.product != self._product:
            return None
        ids, seq, ts, amount = self._ids, found.seq, found.ms * MS, found.qty
        if self._base is not None:
            try:
                amount = self._base(amount, found.price)
            except ValueError as exc:
                raise parse_error(exc, frame) from exc
        if seq == ids.last + 1:
            ids.last = seq
            ids.last_ts = ts if ts < recv_ts else recv_ts
        elif not ids.accept(seq, ts, recv_ts):
            return None
        out.append(Trade(ts, found.price, amount, found.side, found.uid, recv_ts))
        if ids.waiting or not self._confirmed:
            return ids.expired(recv_ts) or self._confirm()
        return None

    def take(self, found: TradeFrame | TradesFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """The snapshot."""
        if isinstance(found, TradesFrame) and self._ids.last < 0 and found.trades:
            newest = max(found.trades, key=_number)
            self._ids.accept(newest.seq, newest.ms * MS, recv_ts)
        return None


def _number(trade: TradeFrame) -> int:
    return trade.seq
