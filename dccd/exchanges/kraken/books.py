"""The live order book of Kraken: ``book`` frames flow in, snapshots and deltas flow out, checksums verified.

After each update the book is cut to the depth subscribed to, and the CRC32 of its best ten levels a side must be what
the frame says. When it isn't, the subscription is renewed on the same connection, which brings a new snapshot.
https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
"""

from __future__ import annotations

import re

import msgspec

from dccd.exchanges.base import Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import UNREAD, UnnumberedBook
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.kraken.capabilities import DEFAULT_DEPTH, DEPTHS
from dccd.exchanges.kraken.checksum import Checksum, TextLevel, number
from dccd.exchanges.kraken.frames import BookFrame, KrakenStream, WrittenFrame, WrittenLevel
from dccd.exchanges.wire import iso_ns
from dccd.records import Level, Record
from dccd.symbols import Dataset

__all__ = ["BookStream"]

_WRITTEN = msgspec.json.Decoder(WrittenFrame)
_Texts = tuple[list[TextLevel], list[TextLevel]]
"""Bids and asks."""


class BookStream(UnnumberedBook, KrakenStream[BookFrame]):
    """Channel ``book``. Kraken numbers nothing: ``seq`` is the time when a frame came (ns), or one more.

    A level below the best ten is in no checksum until it comes up to them.
    """

    named = re.compile(rb'"symbol"\s*:\s*"([^"]*)"')
    frame = BookFrame
    decoder = msgspec.json.Decoder(BookFrame, strict=False)

    def __init__(self, dataset: Dataset, options: StreamOptions) -> None:
        keep, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        super().__init__(dataset, {"depth": keep, "snapshot": True})
        self._hold(Book(depth, keep), options)
        self._checksum = Checksum(self._book)
        self._mark, self._name = b'"book"', self._symbol.encode()

    def take(self, found: BookFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot or updates. Raises ValueError."""
        # All numbers and times first: a frame that can't be read changes nothing.
        read = [
            (
                item,
                [(level.price, level.qty) for level in data.bids],
                [(level.price, level.qty) for level in data.asks],
                recv_ts if data.timestamp is None else iso_ns(data.timestamp),  # snapshots have come without a time
                data.checksum,
            )
            for item, data in enumerate(found.data)
            if data.symbol == self._symbol
        ]
        if self._unread:
            return self._broken(UNREAD)
        texts: list[_Texts] | None = None
        tells = self._checksum.tells
        if found.type == "snapshot" or not all(tells(bids) and tells(asks) for _, bids, asks, _, _ in read):
            texts = _texts(self._frame)
        for item, bids, asks, ts, checksum in read:
            if texts is not None and found.type == "snapshot":
                broken = self._start(texts[item], ts, checksum, recv_ts, out)
            elif self._output.live:
                changes = self._book.apply(bids, asks)
                if texts is None:
                    self._checksum.forget(bids, asks)
                else:
                    self._checksum.take(*texts[item])
                broken = self._verify(checksum, item if texts is None else None)
                if broken is None:
                    self._output.change(ts, self._next(recv_ts), recv_ts, changes, out)
            else:
                continue  # of the subscription that is being replaced
            if broken is not None:
                return broken
        return None

    def _start(self, texts: _Texts, ts: int, checksum: int, recv_ts: int, out: list[Record]) -> Signal | None:
        bids, asks = texts
        self._book.reset(_levels(bids), _levels(asks))
        self._checksum.reset()
        self._checksum.take(bids, asks)
        if not self._checksum.settle(checksum):
            return self._broken(f"the snapshot's checksum is not {checksum}")
        if wrong := self._book.wrong:
            return self._broken(f"the snapshot {wrong}")
        self._output.start(ts, self._next(recv_ts), recv_ts, out)
        return None

    def _verify(self, checksum: int, item: int | None) -> Signal | None:
        """Whether the book is Kraken's. *item*: which of the frame's items was taken without its texts."""
        if not self._checksum.matches(checksum) and (item is None or not self._reread(item, checksum)):
            return self._broken(f"the book's checksum is not {checksum}")
        wrong = self._book.wrong
        return self._broken(f"the book {wrong}") if wrong else None

    def _reread(self, item: int, checksum: int) -> bool:
        """The same, its texts being looked at: they may have more decimals than were seen in an empty snapshot."""
        try:
            texts = _texts(self._frame)
        except ValueError:
            return False
        self._checksum.take(*texts[item])
        return self._checksum.matches(checksum)


def _texts(frame: bytes) -> list[_Texts]:
    """Bids and asks of each item of a frame. Raises ValueError."""
    return [(_read(data.bids), _read(data.asks)) for data in _WRITTEN.decode(frame).data]


def _read(levels: list[WrittenLevel]) -> list[TextLevel]:
    read = []
    for level in levels:
        price, amount = number(level.price), number(level.qty)
        read.append((float(price), float(amount), price, amount))
    return read


def _levels(levels: list[TextLevel]) -> list[Level]:
    return [(price, amount) for price, amount, _, _ in levels]
