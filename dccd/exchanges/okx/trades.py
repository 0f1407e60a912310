"""Live trades of OKX: ``trades-all`` frames flow in, trades and holes between their ids flow out.

``trades-all`` has each match, as the history does. ``trades`` sums up those that a taker order had at one price, under
the id of the last one (``count`` says how many): they would be stored beside those of the history. Recordings made
before that was so have ``trades``, so frames of either are taken.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-all-trades-channel
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, field

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.okx.frames import BUSINESS, OkxStream, PushFrame, parse_error
from dccd.exchanges.trade_ids import NumberedTrades, TradeIds
from dccd.exchanges.wire import DECODE_ERRORS, MS, Id, Millis, Price, Traded
from dccd.records import Record, Side, Trade

__all__ = ["TradeData", "TradeStream"]


class TradeData(msgspec.Struct, gc=False):
    """One trade; ``size`` in base asset or contracts, ``side`` the taker's, ``count`` of matches summed up."""

    tid: Id = field(name="tradeId")
    price: Price = field(name="px")
    size: Traded = field(name="sz")
    side: Side
    ms: Millis = field(name="ts")
    count: Annotated[int, Meta(ge=1, le=1000)] = 1  # each id is looked at


TradeFrame = PushFrame[TradeData]
_DECODER = msgspec.json.Decoder(TradeFrame, strict=False)


class TradeStream(NumberedTrades, OkxStream[TradeFrame]):
    """Ids are consecutive in each instrument: of three summed up under id 123 the others are 122 and 121.

    OKX doesn't promise it, but recordings of swaps, futures and spot have no jump. Were one no loss, it would only be
    fetched in vain: history is asked by time.
    """

    decoder = _DECODER

    def __init__(self, market: Market) -> None:
        super().__init__(BUSINESS, "trades-all", market)
        self._ids = TradeIds()
        self._base = market.to_base

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: what the base class does in several calls.
        try:
            found = _DECODER.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        arg = found.arg
        if arg.inst != self._inst or arg.channel not in _CHANNELS:
            return None
        if (base := self._base) is not None:
            try:
                for trade in found.data:
                    trade.size = base(trade.size, trade.price)
            except ValueError as exc:
                raise parse_error(exc, frame) from exc
        ids = self._ids
        for trade in found.data:
            tid = trade.tid
            ts = trade.ms * MS
            if trade.count > 1:
                first = max(0, tid - trade.count + 1)
                if not any([ids.accept(one, ts, recv_ts) for one in range(first, tid + 1)]):
                    continue
            elif tid == ids.last + 1:
                ids.last = tid
                ids.last_ts = ts if ts < recv_ts else recv_ts
            elif not ids.accept(tid, ts, recv_ts):
                continue
            out.append(Trade(ts, trade.price, trade.size, trade.side, str(tid), recv_ts))
        if ids.waiting or not self._confirmed:
            return ids.expired(recv_ts) or self._confirm()
        return None


_CHANNELS = frozenset({"trades-all", "trades"})
