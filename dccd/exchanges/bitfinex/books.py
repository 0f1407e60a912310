"""The live order book of Bitfinex: messages of channel ``book`` flow in, snapshots and deltas flow out.

Each message has one level; the book is whole again only when all that changed at once has come, which the checksum
after it tells. So levels are collected until then, the book is changed by all of them, verified, and given out. When it
isn't Bitfinex's, the subscription is renewed on the same connection, which brings a new snapshot.
https://docs.bitfinex.com/reference/ws-public-books
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dccd.exchanges.base import Signal, StreamOptions
from dccd.exchanges.bitfinex.capabilities import DEFAULT_DEPTH, DEPTHS
from dccd.exchanges.bitfinex.checksum import Checksum
from dccd.exchanges.bitfinex.frames import EXCHANGE, BitfinexStream, Signed
from dccd.exchanges.book import Book
from dccd.exchanges.book_stream import UNREAD, UnnumberedBook
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.wire import DECODE_ERRORS, MS, Count, Decoder, Id, Millis, Price
from dccd.records import Level, Record
from dccd.symbols import NS

__all__ = ["BookRow", "BookStream", "split"]


class BookRow(msgspec.Struct, array_like=True, gc=False):
    """One level, on WebSocket and REST: so many orders, none where it goes; a negative amount is an ask's."""

    price: Price
    count: Count
    amount: Signed


class _Update(msgspec.Struct, array_like=True, gc=False):
    """``[17082,[7254.5,0,1],2,1574694478900]``"""

    chan: Id
    level: BookRow
    seq: Id | None = None
    ms: Millis | None = None


class _Snapshot(msgspec.Struct, array_like=True, gc=False):
    chan: Id
    levels: list[BookRow]
    seq: Id | None = None
    ms: Millis | None = None


class _Check(msgspec.Struct, array_like=True, gc=False):
    """``[17082,"cs",-890884919,3,1574694478900]``"""

    chan: Id
    kind: Literal["cs"]
    checksum: Annotated[int, Meta(ge=-(2**31), lt=2**31)]
    seq: Id | None = None
    ms: Millis | None = None


_UPDATE: Decoder[_Update] = Decoder(EXCHANGE, _Update)
_SNAPSHOT: Decoder[_Snapshot] = Decoder(EXCHANGE, _Snapshot)
_CHECK: Decoder[_Check] = Decoder(EXCHANGE, _Check)
_decode = _UPDATE.raw.decode
_OTHERS = {b'"c', b'"h', b"[[", b"[]"}
"""What the content of a checksum, a heartbeat and a snapshot begins with."""
_PATIENCE = 5 * NS
"""So long changes wait for their checksum, which follows at once unless a connection is slow or a machine busy: without
it the book may be one that never was, with some of a moment's changes."""


class BookStream(UnnumberedBook, BitfinexStream):
    """Channel ``book``, precision P0 (five significant digits, as many as prices have), frequency F0 (at once).

    The numbers of messages begin anew with each connection: ``seq`` is the time when a change came (ns), or one more.
    The checksum is of the best 25 levels a side.
    """

    channel = "book"

    def __init__(self, market: str, options: StreamOptions) -> None:
        length, depth = snap_depth(DEPTHS, options.depth, DEFAULT_DEPTH)
        super().__init__({"symbol": market, "prec": "P0", "freq": "F0", "len": str(length)})
        # All levels are kept: Bitfinex removes those that leave its view, after those that come into it perhaps.
        self._hold(Book(depth), options)
        self._checksum = Checksum(self._book)
        self._bids: list[Level] = []
        self._asks: list[Level] = []
        self._since = 0  # when the first of those came
        self._ts = 0  # the last one's time
        self._checked = False  # checksums come: changes wait for them

    def subscribe(self) -> list[str]:
        """A new subscription: nothing of one before counts any more."""
        self._bids, self._asks = [], []
        return super().subscribe()

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        # The hottest lines: what the base class does in several calls, of a level only.
        at = frame.find(b",") + 1
        if frame[at : at + 2] in _OTHERS:
            return super().receive(frame, recv_ts, out)
        try:
            update = _decode(frame)
        except DECODE_ERRORS:
            return super().receive(frame, recv_ts, out)
        price, count, amount = update.level.price, update.level.count, update.level.amount
        if not amount:
            return super().receive(frame, recv_ts, out)  # a level of no side
        if update.chan != self._chan or not self._output.live:
            return None
        if self._unread:
            return self._broken(UNREAD)
        if not self._bids and not self._asks:
            self._since = recv_ts
        if amount > 0:
            self._bids.append((price, amount if count else 0.0))
        else:
            self._asks.append((price, -amount if count else 0.0))
        ms = update.ms
        self._ts = recv_ts if ms is None else ms * MS
        return None if self._checked else self._settle(self._ts, recv_ts, out)

    def take(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take all levels, or a checksum. Raises what decoders do, or ValueError."""
        at = frame.find(b",") + 1
        if frame[at : at + 2] == b'"c':
            check = _CHECK.raw.decode(frame)
            if check.chan != self._chan or not self._output.live:
                return None
            if self._unread:
                return self._broken(UNREAD)
            self._checked = True
            return self._settle(_time(check.ms, recv_ts), recv_ts, out, check.checksum)
        snapshot = _SNAPSHOT.raw.decode(frame)
        bids, asks = split(snapshot.levels)
        if snapshot.chan != self._chan:
            return None
        return self._start(bids, asks, _time(snapshot.ms, recv_ts), recv_ts, out)

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Give out what no checksum came for in time, and a snapshot that is due."""
        if self._unread or not (self._bids or self._asks):
            return super().tick(now, out)
        return self._settle(self._ts, now, out) if now - self._since > _PATIENCE else None

    def _may_be_ours(self, frame: bytes) -> bool:
        return self._chan is not None and frame.startswith((b"[%d," % self._chan, b"[%d]" % self._chan))

    def _start(self, bids: list[Level], asks: list[Level], ts: int, recv_ts: int, out: list[Record]) -> Signal | None:
        self._bids, self._asks = [], []
        self._book.reset(bids, asks)
        self._checksum.reset()
        if wrong := self._book.wrong:
            return self._broken(f"the snapshot {wrong}")
        self._output.start(ts, self._next(recv_ts), recv_ts, out)
        return self._confirm()

    def _settle(self, ts: int, recv_ts: int, out: list[Record], checksum: int | None = None) -> Signal | None:
        """Change the book by what has been collected, and give that out."""
        bids, asks = self._bids, self._asks
        self._bids, self._asks = [], []
        changes = self._book.apply(bids, asks)
        self._checksum.forget(bids, asks)
        if checksum is not None and not self._checksum.matches(checksum):
            return self._broken(f"the book's checksum is not {checksum}")
        if wrong := self._book.wrong:
            return self._broken(f"the book {wrong}")
        if bids or asks:
            self._output.change(ts, self._next(recv_ts), recv_ts, changes, out)
        return None


def split(rows: list[BookRow]) -> tuple[list[Level], list[Level]]:
    """Bids and asks of a whole book. Raises ValueError for a level that is none."""
    if any(not row.count or not row.amount for row in rows):
        raise ValueError("a book with a level of nothing")
    bids = [(row.price, row.amount) for row in rows if row.amount > 0]
    asks = [(row.price, -row.amount) for row in rows if row.amount < 0]
    return bids, asks


def _time(ms: int | None, recv_ts: int) -> int:
    """The exchange's time of a message; ours where it has none."""
    return recv_ts if ms is None else ms * MS
