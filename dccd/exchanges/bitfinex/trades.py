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
from dccd.exchanges.bitfinex.frames import EXCHANGE, BitfinexStream, Signed
from dccd.exchanges.wire import MS, Decoder, Id, Millis, Price
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

    def take(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one trade; of a snapshot only whether it is one. Raises what decoders do, or ValueError."""
        if frame.find(b",[") == frame.find(b","):
            _TRADES.raw.decode(frame)
            return None
        found = _decode(frame)
        if found.chan == self._chan and found.kind == "tu":
            out.append(make_trade(found.trade, recv_ts))
        return None


def make_trade(row: TradeRow, recv_ts: int | None = None) -> Trade:
    """The record of it. Raises ValueError for an amount of 0."""
    amount = row.amount
    if amount > 0:
        return Trade(row.ms * MS, row.price, amount, "buy", str(row.tid), recv_ts)
    if not amount:
        raise ValueError("a trade of nothing")
    return Trade(row.ms * MS, row.price, -amount, "sell", str(row.tid), recv_ts)
