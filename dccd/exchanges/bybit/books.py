"""The live order book of Bybit: ``orderbook`` frames flow in, snapshots and deltas flow out.

A subscription begins with a snapshot; each delta's ``u`` must be the one before plus one. When it isn't, or the book is
crossed, the subscription is renewed on the same connection, which brings a new snapshot. A snapshot that comes by
itself is Bybit's own remedy (``u`` is 1 after a restart of the service): what changed since the last delta is unknown.
https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Broken, Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import BookTopic
from dccd.exchanges.bybit.capabilities import DEFAULT_DEPTH, DEPTHS
from dccd.exchanges.bybit.frames import BookFrame, BybitStream
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.wire import MS
from dccd.records import Level, Record

__all__ = ["BookStream"]


class BookStream(BookTopic, BybitStream[BookFrame]):
    """``orderbook.{depth}.{symbol}``. With 1 level a side Bybit sends nothing but snapshots, the same again after three
    quiet seconds: what they change is given out as deltas.
    """

    decoder = msgspec.json.Decoder(BookFrame, strict=False)

    def __init__(self, url: str, market: str, options: StreamOptions) -> None:
        keep, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        super().__init__(url, f"orderbook.{keep}.{market}")
        self._best_only = keep == 1
        self._hold(Book(depth, keep), options)

    def take(self, found: BookFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot or a delta."""
        data = found.data
        u = data.u
        ts = (found.ts if found.cts is None else found.cts) * MS
        if found.type == "snapshot" or u == 1:
            return self._restart(found, ts, recv_ts, out)
        if not self._output.live or u <= self._seq:
            return None  # of the subscription that is being replaced, or sent twice
        if u != self._seq + 1:
            return self._broken(f"updates {self._seq + 1} to {u - 1} are missing")
        changes = self._book.apply(data.bids, data.asks)
        self._seq = u
        if wrong := self._book.wrong:
            return self._broken(f"the book {wrong} at update {u}")
        self._output.change(ts, u, recv_ts, changes, out)
        return None

    def _restart(self, frame: BookFrame, ts: int, recv_ts: int, out: list[Record]) -> Signal | None:
        u, bids, asks = frame.data.u, frame.data.bids, frame.data.asks
        was_live, since, before = self._output.live, self._output.last_ts, self._seq
        shown = self._book.view()
        self._book.reset(bids, asks)
        self._seq = u
        if wrong := self._book.wrong:
            return self._broken(f"the snapshot at update {u} {wrong}")
        if was_live and (u in (before, before + 1) or (self._best_only and u > before)):
            # Nothing lies between: it goes on.
            now = self._book.view()
            changes = _difference(shown[0], now[0]), _difference(shown[1], now[1])
            self._output.change(ts, u, recv_ts, changes, out)
            return None
        self._output.start(ts, u, recv_ts, out)
        if not was_live or since is None:
            return None
        return Broken(f"a snapshot at update {u} came after update {before}", since, "none", max(since, ts))


def _difference(before: list[Level], after: list[Level]) -> list[Level]:
    """What makes *after* of *before*."""
    gone = {price for price, _ in before} - {price for price, _ in after}
    return [(price, 0.0) for price in sorted(gone)] + sorted(set(after) - set(before))
