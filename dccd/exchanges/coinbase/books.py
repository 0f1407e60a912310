"""The live order book of Coinbase: ``level2`` frames flow in, snapshots and deltas flow out.

A snapshot of all levels, then each changed level's new amount. There are no numbers or checksums of the book's own: the
router sees to it that no message of the connection is missing. A crossed book is broken, and one of which a frame could
not be read; the subscription is renewed on the same connection then, which brings a new snapshot.
"""

from __future__ import annotations

import re

import msgspec

from dccd.exchanges.base import Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import UNREAD, UnnumberedBook
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.coinbase.capabilities import DEFAULT_DEPTH, DEPTHS
from dccd.exchanges.coinbase.frames import CoinbaseStream, Level2Frame, Level2Update
from dccd.exchanges.wire import iso_ns
from dccd.records import Level, Record
from dccd.symbols import Dataset

__all__ = ["BookStream"]


class BookStream(UnnumberedBook, CoinbaseStream[Level2Frame]):
    """Channel ``level2``.

    The messages' numbers begin anew with each connection: ``seq`` is the time when a frame came (ns), or one more.
    """

    named = re.compile(rb'"product_id"\s*:\s*"([^"]*)"')
    frame = Level2Frame
    decoder = msgspec.json.Decoder(Level2Frame, strict=False)
    channel = "level2"

    def __init__(self, dataset: Dataset, options: StreamOptions) -> None:
        super().__init__(dataset)
        _, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        self._hold(Book(depth), options)
        self._mark, self._name = b'"l2_data"', self._product.encode()

    def take(self, found: Level2Frame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot or updates. Raises ValueError."""
        # All times first: a frame that can't be read changes nothing.
        read = [
            (event.type, *_read(event.updates, found.timestamp))
            for event in found.events
            if event.product_id == self._product
        ]
        if self._unread:
            return self._broken(UNREAD)
        for kind, bids, asks, ts in read:
            if kind == "snapshot":
                broken = self._start(bids, asks, ts, recv_ts, out)
            elif self._output.live:
                broken = self._update(bids, asks, ts, recv_ts, out)
            else:
                continue  # of the subscription that is being replaced
            if broken is not None:
                return broken
        return None

    def _start(self, bids: list[Level], asks: list[Level], ts: int, recv_ts: int, out: list[Record]) -> Signal | None:
        self._book.reset(bids, asks)
        if wrong := self._book.wrong:
            return self._broken(f"the snapshot {wrong}")
        self._output.start(ts, self._next(recv_ts), recv_ts, out)
        return None

    def _update(self, bids: list[Level], asks: list[Level], ts: int, recv_ts: int, out: list[Record]) -> Signal | None:
        changes = self._book.apply(bids, asks)
        if wrong := self._book.wrong:
            return self._broken(f"the book {wrong}")
        self._output.change(ts, self._next(recv_ts), recv_ts, changes, out)
        return None


def _read(updates: list[Level2Update], sent: str) -> tuple[list[Level], list[Level], int]:
    """Bids, asks, and the newest change's time by the matching engine (ns). Raises ValueError.

    A snapshot tells no times (1970): then it is when it was sent.
    """
    bids: list[Level] = []
    asks: list[Level] = []
    ts, known = 0, ""
    for one in updates:
        if one.event_time != known:  # few of many levels have another one
            known = one.event_time
            ts = max(ts, iso_ns(known))
        if one.side == "bid":
            bids.append((one.price_level, one.new_quantity))
        else:
            asks.append((one.price_level, one.new_quantity))
    return bids, asks, ts or iso_ns(sent)
