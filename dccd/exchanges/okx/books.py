"""The live order book of OKX: ``books`` frames flow in, snapshots and deltas flow out, sequence numbers verified.

A subscription begins with a snapshot of 400 levels a side; what leaves them is told with size 0. Each update names the
one before (``prevSeqId``). When that isn't the last one we had, when the checksum is wrong (see ``checksum.py``) or the
book is crossed, the subscription is renewed on the same connection, which brings a new snapshot.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from dccd.exchanges.base import Broken, Market, Signal, StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import UNREAD, UnnumberedBook
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.okx.capabilities import DEPTH, DEPTHS
from dccd.exchanges.okx.checksum import Checksum, TextLevel
from dccd.exchanges.okx.frames import EXCHANGE, PUBLIC, Arg, OkxStream
from dccd.exchanges.wire import MS, Amount, Decoder, Id, Millis, Price
from dccd.records import Level, Record

__all__ = ["BookData", "BookLevel", "BookStream", "to_levels"]

Seq = Annotated[int, Meta(ge=-1, lt=2**62)]


class BookLevel(msgspec.Struct, array_like=True, gc=False):
    """A price and the size there, in base asset or contracts, 0 where the level is gone (and the count of orders)."""

    price: Price
    size: Amount


class BookData(msgspec.Struct, gc=False):
    """A snapshot or an update. Recordings of before 2023 have no sequence numbers."""

    bids: list[BookLevel]
    asks: list[BookLevel]
    ms: Millis = field(name="ts")
    seq: Id | None = field(name="seqId", default=None)
    before: Seq | None = field(name="prevSeqId", default=None)
    checksum: int = 0


class BookFrame(msgspec.Struct, gc=False):
    """A frame of channel ``books``."""

    arg: Arg
    action: Literal["snapshot", "update"]
    data: list[BookData]


class _TextData(msgspec.Struct, gc=False):
    bids: list[TextLevel]
    asks: list[TextLevel]


class _TextFrame(msgspec.Struct, gc=False):
    data: list[_TextData]


_TEXT: Decoder[_TextFrame] = Decoder(EXCHANGE, _TextFrame)


def to_levels(levels: list[BookLevel], base: Callable[[float, float], float] | None) -> list[Level]:
    """*levels* in base asset, which *base* makes of contracts. Raises ValueError."""
    if base is None:
        return [(level.price, level.size) for level in levels]
    return [(level.price, base(level.size, level.price)) for level in levels]


class BookStream(UnnumberedBook, OkxStream[BookFrame]):
    """Channel ``books``. Without sequence numbers ``seq`` is the time when a frame came (ns), or one more."""

    named = re.compile(rb'"instId"\s*:\s*"([^"]*)"')
    decoder = msgspec.json.Decoder(BookFrame, strict=False)

    def __init__(self, market: Market, options: StreamOptions) -> None:
        super().__init__(PUBLIC, "books", market)
        keep, depth = snap_depth(DEPTHS, options.depth, DEPTH)
        self._base = market.to_base
        self._hold(Book(depth, keep), options)
        self._mark, self._name = b'"books"', self._inst.encode()
        self._checksum = Checksum(self._book)
        self._verifying = self._numbered = False  # the snapshot had a checksum, a number
        self._seq = self._before = -1  # the last update in the book, and the one that it followed

    def take(self, found: BookFrame, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take a snapshot or updates. Raises ValueError or ParseError."""
        begins, live = found.action == "snapshot", self._output.live
        if live and not begins and self._numbered and any([None in (data.seq, data.before) for data in found.data]):
            raise ValueError("an update without its numbers")
        texts: list[_TextData] | list[None] = [None] * len(found.data)
        if self._verifying or (begins and any([data.checksum for data in found.data])):
            texts = _TEXT.decode(self._frame).data
        base = self._base
        sides = [(to_levels(data.bids, base), to_levels(data.asks, base)) for data in found.data]
        if self._unread:
            return self._broken(UNREAD)
        for data, text, (bids, asks) in zip(found.data, texts, sides, strict=True):
            if begins:
                broken = self._start(data, bids, asks, text, recv_ts, out)
            elif self._output.live:
                broken = self._update(data, bids, asks, text, recv_ts, out)
            else:
                # Of the subscription that is being replaced; or the snapshot is missing.
                self._waiting = self._waiting or recv_ts
                continue
            if broken is not None:
                return broken
        return None

    def _may_be_ours(self, frame: bytes) -> bool:
        return not self._numbered and super()._may_be_ours(frame)  # else the next one's numbers tell it

    def _start(
        self,
        data: BookData,
        bids: list[Level],
        asks: list[Level],
        text: _TextData | None,
        recv_ts: int,
        out: list[Record],
    ) -> Broken | None:
        self._book.reset(bids, asks)
        self._seq, self._before = self._number(data, recv_ts), -1
        self._numbered, self._waiting = data.seq is not None, 0
        self._checksum.reset()
        self._verifying = text is not None and data.checksum != 0
        if not self._verified(data, text):
            return self._broken(f"the snapshot's checksum is not {data.checksum}")
        if wrong := self._book.wrong:
            return self._broken(f"the snapshot {wrong}")
        self._output.start(data.ms * MS, self._seq, recv_ts, out)
        return None

    def _update(
        self,
        data: BookData,
        bids: list[Level],
        asks: list[Level],
        text: _TextData | None,
        recv_ts: int,
        out: list[Record],
    ) -> Broken | None:
        if data.before is not None and data.before != self._seq:
            if (data.before, data.seq) == (self._before, self._seq):
                return None  # the last one, sent twice
            return self._broken(f"what came after update {self._seq} is missing: {data.seq} follows {data.before}")
        # When nothing changes for a minute, an empty update has the number of the one before. After maintenance numbers
        # may start anew, which an update tells whose own number is smaller than that of the one before.
        self._before, self._seq = self._seq, self._number(data, recv_ts)
        changes = self._book.apply(bids, asks)
        if not self._verified(data, text):
            return self._broken(f"the book's checksum is not {data.checksum}")
        if wrong := self._book.wrong:
            return self._broken(f"the book {wrong} at update {self._seq}")
        self._output.change(data.ms * MS, self._seq, recv_ts, changes, out)
        return None

    def _verified(self, data: BookData, text: _TextData | None) -> bool:
        """Whether the book is OKX's, as far as the frame tells."""
        if not self._verifying or text is None:
            return True
        self._checksum.take(-1, [level.price for level in data.bids], text.bids)
        self._checksum.take(1, [level.price for level in data.asks], text.asks)
        return not data.checksum or self._checksum.matches(data.checksum)

    def _number(self, data: BookData, recv_ts: int) -> int:
        return max(self._seq + 1, recv_ts) if data.seq is None else data.seq
