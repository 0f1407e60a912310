"""Live trades of BitMEX: rows of ``trade`` flow in, trades flow out.

The table has the ids of REST's ``/trade`` (``trdMatchID``), so that what is repaired is the same trade. They don't
follow one another: a hole can't be seen by them. The partial's rows, the last trade or some, are left out: they came
before the connection was lost, or lie in the hole that is repaired anyway.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.bitmex.frames import Action, BitmexStream, Frame, parse_error
from dccd.exchanges.bitmex.symbols import counted, is_quanto
from dccd.exchanges.wire import DECODE_ERRORS, Price, Traded, iso_ns
from dccd.records import Record, Side, Trade
from dccd.symbols import Dataset

__all__ = ["TradeMaker", "TradeRow", "TradeStream"]

_NO_ID = "00000000-0000-0000-0000-000000000000"
_SIDES: dict[str | None, Side] = {"Buy": "buy", "Sell": "sell"}


class TradeRow(msgspec.Struct, gc=False):
    """One trade; ``side`` is the taker's, ``size`` in contracts, ``home`` in base asset."""

    timestamp: str
    symbol: str
    size: Traded
    price: Price
    side: Literal["Buy", "Sell", ""] | None = None
    tid: str | None = msgspec.field(name="trdMatchID", default=None)
    home: Traded | None = msgspec.field(name="homeNotional", default=None)


_DECODER = msgspec.json.Decoder(Frame[TradeRow], strict=False)


class TradeMaker:
    """Trades from rows, live ones and past ones alike."""

    __slots__ = ("_market",)

    def __init__(self, dataset: Dataset, market: Market) -> None:
        self._market = None if is_quanto(dataset.symbol, market) else counted(market)

    def __repr__(self) -> str:
        return f"<TradeMaker {self._market}>"

    def trade(self, row: TradeRow, recv_ts: int | None = None) -> Trade:
        """The trade. Raises ValueError."""
        amount = row.home
        if amount is None:
            # Early rows lack it; a contract's size tells it, except where there is no such.
            if self._market is None:
                raise ValueError("a trade without homeNotional")
            amount = self._market.base(row.size, row.price)
        tid = None if not row.tid or row.tid == _NO_ID else row.tid
        return Trade(iso_ns(row.timestamp), row.price, amount, _SIDES.get(row.side), tid, recv_ts)


class TradeStream(BitmexStream[TradeRow]):
    """Table ``trade``."""

    decoder = _DECODER

    def __init__(self, dataset: Dataset, market: Market) -> None:
        super().__init__("trade", market)
        self._maker = TradeMaker(dataset, market)

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines of a collector: what the base class does in several calls.
        try:
            found = _DECODER.decode(frame)
        except DECODE_ERRORS as exc:
            return self._other(frame, exc)
        if not self._confirmed or found.action != "insert" or found.table != "trade":
            return super().receive(frame, recv_ts, out)
        symbol, trade = self._symbol, self._maker.trade
        try:
            out += [trade(row, recv_ts) for row in found.data if row.symbol == symbol]
        except ValueError as exc:
            raise parse_error(exc, frame) from exc
        return None

    def take(self, action: Action, rows: list[TradeRow], recv_ts: int, out: list[Record]) -> Signal | None:
        """The partial, which begins it; trades are neither updated nor deleted."""
        if action != "partial":
            raise ValueError(f"{action} of a trade")
        return None
