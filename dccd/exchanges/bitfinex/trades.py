"""Live trades of Bitfinex: messages of channel ``trades`` flow in, trades flow out.

Each trade comes twice: ``te`` when it is executed, ``tu`` when it has been written down. The second one is taken: it is
what history has, with the same id and time, and they come in order, so that what a lost connection still owed is newer
than what came. Ids count all of Bitfinex's trades, so that they jump within a market; the connection's numbers tell a
loss. The channel begins with the newest trades, which have come before, or are in the hole that is repaired anyway.
https://docs.bitfinex.com/reference/ws-public-trades
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.bitfinex.frames import EXCHANGE, BitfinexStream, Signed, parse_error
from dccd.exchanges.wire import DECODE_ERRORS, MS, Decoder, Id, Millis, Price
from dccd.records import Record, Trade

__all__ = ["TradeRow", "TradeStream", "make_trade"]


class TradeRow(msgspec.Struct, array_like=True, gc=False):
    """One trade, on WebSocket and REST; a negative amount is a taker's sale."""

    tid: Id
    ms: Millis
    amount: Signed
    price: Price


class _Trade(msgspec.Struct, array_like=True, gc=False):
    """``[17470,"tu",[401597395,1574694478808,0.005,7245.3],2,1574694478900]``"""

    chan: Id
    kind: Literal["te", "tu"]
    trade: TradeRow


class _Trades(msgspec.Struct, array_like=True, gc=False):
    chan: Id
    trades: list[TradeRow]


_TRADE: Decoder[_Trade] = Decoder(EXCHANGE, _Trade)
_TRADES: Decoder[_Trades] = Decoder(EXCHANGE, _Trades)
_decode = _TRADE.raw.decode


class TradeStream(BitfinexStream):
    """Channel ``trades``."""

    channel = "trades"

    def __init__(self, market: str) -> None:
        super().__init__({"symbol": market})

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines: what the base class does in several calls, of a trade only.
        try:
            found = _decode(frame)
        except DECODE_ERRORS:
            return super().receive(frame, recv_ts, out)
        row = found.trade
        amount = row.amount
        if not amount:
            raise parse_error("a trade of nothing", frame)
        if found.kind == "tu" and found.chan == self._chan:
            ts, price, tid = row.ms * MS, row.price, str(row.tid)
            if amount > 0:
                out.append(Trade(ts, price, amount, "buy", tid, recv_ts))
            else:
                out.append(Trade(ts, price, -amount, "sell", tid, recv_ts))
        return None

    def take(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot, of which only whether it is one. Raises what decoders do."""
        _TRADES.raw.decode(frame)
        return None


def make_trade(row: TradeRow) -> Trade:
    """The record of a past one. Raises ValueError for an amount of 0."""
    if not row.amount:
        raise ValueError("a trade of nothing")
    return Trade(row.ms * MS, row.price, abs(row.amount), "buy" if row.amount > 0 else "sell", str(row.tid))
