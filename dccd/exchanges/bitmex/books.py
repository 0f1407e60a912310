"""The live order book of BitMEX: rows of ``orderBookL2`` flow in, snapshots and deltas flow out.

Levels go by an id, which an update or deletion may name without the price: it is kept by id. Nothing is numbered and
there is no checksum; but an id that is inserted twice, updated or deleted without being there, or at another price,
shows that something is missing, and a frame that can't be read may have been a change. Then the subscription is renewed
on the same connection, which brings a new partial.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from dccd.exchanges.base import Market, Signal, StreamOptions
from dccd.exchanges.bitmex.capabilities import DEFAULT_DEPTH, DEPTHS, THROTTLED_DEPTH
from dccd.exchanges.bitmex.frames import Action, BitmexStream, Frame
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import UNREAD, UnnumberedBook
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.wire import Count, Id, Price, iso_ns
from dccd.records import Level, Record

__all__ = ["BookRow", "BookStream", "levels_of"]


class BookRow(msgspec.Struct, gc=False):
    """A level, or what is said of one; ``size`` in contracts."""

    symbol: str
    id: Id
    side: Literal["Buy", "Sell"]
    size: Count | None = None
    price: Price | None = None
    timestamp: str | None = None


class BookStream(UnnumberedBook, BitmexStream[BookRow]):
    """Table ``orderBookL2``, or ``orderBookL2_25`` where that is deep enough: it is sent less often.

    ``seq`` is the time when a frame came (ns), or one more.
    """

    named = re.compile(rb'"symbol"\s*:\s*"([^"]*)"')
    decoder = msgspec.json.Decoder(Frame[BookRow], strict=False)

    def __init__(self, options: StreamOptions, market: Market) -> None:
        offered, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        super().__init__("orderBookL2_25" if offered == THROTTLED_DEPTH else "orderBookL2", market)
        self._base = market.base
        self._hold(Book(depth), options)
        self._mark, self._name = f'"{self._table}"'.encode(), self._symbol.encode()
        self._prices: dict[tuple[int, str], float] = {}

    def take(self, action: Action, rows: list[BookRow], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take levels. Raises ValueError."""
        if not rows and action != "partial":
            return None  # has been seen
        stamp = rows[-1].timestamp if rows else None
        ts = recv_ts if stamp is None else iso_ns(stamp)
        if action == "partial":
            return self._start(rows, ts, recv_ts, out)
        if not self._output.live:
            return None
        if self._unread:
            return self._broken(UNREAD)
        wrong, bids, asks = self._read(action, rows)
        if wrong:
            return self._broken(wrong)
        if self._output.last_ts is not None and ts > self._output.last_ts:
            self._output.settle(recv_ts, out)  # deletions, updates and insertions of one moment come one by one
        if action != "update":
            for row in rows:
                if row.price is not None and action == "insert":
                    self._prices[row.id, row.side] = row.price
                else:
                    del self._prices[row.id, row.side]
        changes = self._book.apply(bids, asks)
        if wrong := self._book.wrong:
            return self._broken(f"the book {wrong}")
        self._output.change(ts, self._next(recv_ts), recv_ts, changes, out, more=True)
        return None

    def _read(self, action: Action, rows: list[BookRow]) -> tuple[str, list[Level], list[Level]]:
        """What doesn't fit the levels there are, if anything; new amounts of bids, and of asks. Raises ValueError."""
        prices, base = self._prices, self._base
        wrong = ""
        bids: list[Level] = []
        asks: list[Level] = []
        if len(rows) > 1 and len({(row.id, row.side) for row in rows}) < len(rows):
            raise ValueError("a level twice")
        for row in rows:
            key, price, size = (row.id, row.side), row.price, row.size
            known = prices.get(key)
            if action == "delete":
                size = 0
            elif not size:
                raise ValueError("a level without a size")
            if action == "insert":
                if price is None:
                    raise ValueError("a level without a price")
                if known is not None or self._holds(row.side, price):
                    wrong = f"level {row.id} at {price:g} was there already"
            elif known is None:
                wrong = f"level {row.id} wasn't there"
                continue
            elif price is not None and price != known:
                wrong = f"level {row.id} is at {price:g}, and was at {known:g}"
            else:
                price = known
            (bids if row.side == "Buy" else asks).append((price, base(size, price) if size else 0.0))
        return wrong, bids, asks

    def _holds(self, side: str, price: float) -> bool:
        return -price in self._book.bids.amounts if side == "Buy" else price in self._book.asks.amounts

    def _start(self, rows: list[BookRow], ts: int, recv_ts: int, out: list[Record]) -> Signal | None:
        bids, asks = levels_of(rows, self._base)
        self._prices = {(row.id, row.side): row.price for row in rows if row.price}
        self._book.reset(bids, asks)
        if wrong := self._book.wrong:
            return self._broken(f"the partial {wrong}")
        self._unread = False
        self._output.start(ts, self._next(recv_ts), recv_ts, out)
        return None


def levels_of(rows: list[BookRow], base: Callable[[float, float], float]) -> tuple[list[Level], list[Level]]:
    """The whole book's levels: bids, asks; *base* makes base asset of contracts. Raises ValueError."""
    bids: list[Level] = []
    asks: list[Level] = []
    for row in rows:
        if row.price is None or not row.size:
            raise ValueError("a level without a price or size")
        (bids if row.side == "Buy" else asks).append((row.price, base(row.size, row.price)))
    if len(dict(bids)) != len(bids) or len(dict(asks)) != len(asks) or len({row.id for row in rows}) != len(rows):
        raise ValueError("a level twice")
    return bids, asks
