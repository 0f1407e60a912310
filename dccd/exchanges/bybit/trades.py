"""Live trades of Bybit: ``publicTrade`` frames flow in, trades flow out.

The one channel of trades. Its ids are those of REST's recent trades (``execId``). They don't follow each other (UUIDs
on linear contracts, numbers shared by all symbols on spot), so that a lost frame can't be told from them. Frames say
``snapshot``, but none holds what has come before.
https://bybit-exchange.github.io/docs/v5/websocket/public/trade
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.bybit.frames import BybitStream, TradeFrame
from dccd.exchanges.wire import DECODE_ERRORS, MS
from dccd.records import Record, Side, Trade

__all__ = ["TradeStream"]

_DECODER = msgspec.json.Decoder(TradeFrame, strict=False)


class TradeStream(BybitStream[TradeFrame]):
    """``publicTrade.{symbol}``, with up to 1,024 trades a frame."""

    decoder = _DECODER

    def __init__(self, url: str, market: str) -> None:
        super().__init__(url, f"publicTrade.{market}")
        self._market = market

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: what the base class does in several calls.
        try:
            data = _DECODER.decode(frame).data
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        market = self._market
        ours = False
        for trade in data:
            if trade.symbol == market:
                ours = True
                side: Side = "buy" if trade.side == "Buy" else "sell"
                out.append(Trade(trade.ms * MS, trade.price, trade.amount, side, trade.tid, recv_ts))
        return self._confirm() if ours and not self._confirmed else None
