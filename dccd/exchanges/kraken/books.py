"""The live order book of Kraken: ``book`` frames flow in, snapshots and deltas flow out, checksums verified.

After each update the book is cut to the depth subscribed to, and the CRC32 of its best ten levels a side must be what
the frame says. When it isn't, the subscription is renewed on the same connection, which brings a new snapshot.
https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Broken, Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_output import BookOutput
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.kraken.capabilities import DEFAULT_DEPTH, DEPTHS
from dccd.exchanges.kraken.checksum import Checksum, TextLevel, number
from dccd.exchanges.kraken.frames import BookFrame, BookLevel, KrakenStream
from dccd.exchanges.wire import iso_ns
from dccd.records import Level, Record
from dccd.symbols import Dataset

__all__ = ["BookStream"]


class BookStream(KrakenStream[BookFrame]):
    """Channel ``book``.

    Kraken numbers nothing: ``seq`` is the time when a frame came (ns), one more where that hasn't moved on, so that it
    goes on growing over reconnections.
    """

    frame = BookFrame
    decoder = msgspec.json.Decoder(BookFrame, strict=False)

    def __init__(self, dataset: Dataset, options: StreamOptions) -> None:
        keep, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        super().__init__(dataset, {"depth": keep, "snapshot": True})
        self._book = Book(depth, keep)
        self._checksum = Checksum(self._book)
        self._output = BookOutput(self._book, options)
        self._seq = 0

    def resubscribe(self) -> list[str]:
        """A new subscription: updates of the one before don't count any more."""
        self._output.stop()
        return super().resubscribe()

    @property
    def confirms(self) -> bool:
        """Updates without a snapshot before are those of the subscription that is being replaced."""
        return self._output.live

    def take(self, frame: BookFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot or updates. Raises ValueError."""
        # All numbers and times first: a frame that can't be read changes nothing.
        read = [
            (_read(data.bids), _read(data.asks), _time(data.timestamp, recv_ts), data.checksum)
            for data in frame.data
            if data.symbol == self._symbol
        ]
        for bids, asks, ts, checksum in read:
            if frame.type == "snapshot":
                broken = self._start(bids, asks, ts, checksum, recv_ts, out)
            elif self._output.live:
                broken = self._update(bids, asks, ts, checksum, recv_ts, out)
            else:
                continue  # of the subscription that is being replaced
            if broken is not None:
                return broken
        return None

    def _start(
        self, bids: list[TextLevel], asks: list[TextLevel], ts: int, checksum: int, recv_ts: int, out: list[Record]
    ) -> Signal | None:
        self._book.reset(_levels(bids), _levels(asks))
        self._checksum.reset()
        self._checksum.take(bids, asks)
        if not self._checksum.settle(checksum):
            return self._broken(f"the snapshot's checksum is not {checksum}")
        self._output.start(ts, self._next(recv_ts), recv_ts, out)
        return None

    def _update(
        self, bids: list[TextLevel], asks: list[TextLevel], ts: int, checksum: int, recv_ts: int, out: list[Record]
    ) -> Signal | None:
        changes = self._book.apply(_levels(bids), _levels(asks))
        self._checksum.take(bids, asks)
        if not self._checksum.matches(checksum):
            return self._broken(f"the book's checksum is not {checksum}")
        if self._book.crossed:
            return self._broken("the book is crossed")
        self._output.change(ts, self._next(recv_ts), recv_ts, changes, out)
        return None

    def _broken(self, reason: str) -> Broken:
        self._output.stop()
        return Broken(reason, self._output.last_ts, "resubscribe")

    def _next(self, recv_ts: int) -> int:
        self._seq = max(self._seq + 1, recv_ts)
        return self._seq

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Give out a snapshot that is due."""
        self._output.tick(now, out)
        return None


def _read(levels: list[BookLevel]) -> list[TextLevel]:
    read = []
    for level in levels:
        price, amount = number(level.price), number(level.qty)
        value = float(price)
        if not value:
            raise ValueError("a level with no price")
        read.append((value, float(amount), price, amount))
    return read


def _time(text: str | None, recv_ts: int) -> int:
    """Snapshots have come without a time."""
    return recv_ts if text is None else iso_ns(text)


def _levels(levels: list[TextLevel]) -> list[Level]:
    return [(price, amount) for price, amount, _, _ in levels]
