"""The live order book of Kraken Futures: ``book`` frames flow in, snapshots and deltas flow out.

A subscription begins with the whole book. Each frame after it changes one level (those of one moment come one by one),
and its number must be the one before plus one. When it isn't, or the book is crossed, the subscription is renewed on
the same connection, which brings a new snapshot.
https://docs.kraken.com/exchange/api-reference/futures-websocket/book
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Broken, Market, Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import BookTopic
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.krakenfutures.capabilities import DEFAULT_DEPTH, DEPTHS
from dccd.exchanges.krakenfutures.frames import BookFrame, BookLevel, FuturesStream, WholeBookFrame
from dccd.exchanges.wire import MS
from dccd.records import Level, Record
from dccd.symbols import NS

__all__ = ["BookStream"]


class BookStream(BookTopic, FuturesStream[BookFrame | WholeBookFrame]):
    """Feed ``book``. It has all levels, which are all kept: one far away may come into view later."""

    decoder = msgspec.json.Decoder(BookFrame | WholeBookFrame, strict=False)

    def __init__(self, market: Market, options: StreamOptions) -> None:
        super().__init__("book", market)
        _, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        self._base = market.to_base
        self._hold(Book(depth), options)
        self._recv_ts = 0  # of the last frame in the book

    def take(self, found: BookFrame | WholeBookFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the whole book or one level. Raises ValueError."""
        if isinstance(found, WholeBookFrame):
            return self._start(found, recv_ts, out)
        output, seq, ts = self._output, found.seq, found.ms * MS
        if not output.live:
            self._waiting = self._waiting or recv_ts
            return None
        if seq <= self._seq and ts <= (output.last_ts or 0):
            return None  # sent twice
        if seq != self._seq + 1:
            return self._broken(f"change {seq} came after {self._seq}")
        amount = found.qty
        if self._base is not None and amount:
            amount = self._base(amount, found.price)
        if ts > (output.last_ts or 0):
            # Only now the moment before is whole: on its way the book may well have been crossed.
            if wrong := self._book.wrong:
                return self._broken(f"the book {wrong} at change {self._seq}")
            output.settle(recv_ts, out)
        self._seq, self._recv_ts = seq, recv_ts
        level = [(found.price, amount)]
        changes = self._book.apply(level, ()) if found.side == "buy" else self._book.apply((), level)
        if self._book.too_deep:
            return self._broken(f"the book {self._book.wrong} at change {seq}")
        output.change(ts, seq, recv_ts, changes, out, more=True)
        return None

    def _start(self, found: WholeBookFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        was_live, since, before = self._output.live, self._output.last_ts, self._seq
        if was_live and found.seq == before:
            return None  # nothing lies between
        bids, asks = self._levels(found.bids), self._levels(found.asks)
        self._book.reset(bids, asks)
        self._seq, self._recv_ts, self._waiting = found.seq, recv_ts, 0
        if wrong := self._book.wrong:
            return self._broken(f"the snapshot at change {found.seq} {wrong}")
        ts = found.ms * MS
        self._output.start(ts, found.seq, recv_ts, out)
        if not was_live or since is None:
            return None
        return Broken(f"a snapshot at change {found.seq} came after change {before}", since, "none", max(since, ts))

    def _levels(self, levels: list[BookLevel]) -> list[Level]:
        if self._base is None:
            return [(level.price, level.qty) for level in levels]
        return [(level.price, self._base(level.qty, level.price)) for level in levels]

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Give out a snapshot that is due; but soon after a change the rest of its moment may be under way."""
        if self._output.live:
            if now - self._recv_ts < NS:
                return None
            if wrong := self._book.wrong:
                return self._broken(f"the book {wrong} at change {self._seq}")
        return super().tick(now, out)
