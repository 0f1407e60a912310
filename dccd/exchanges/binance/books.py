"""The live order book of Binance: ``depthUpdate`` frames and REST snapshots flow in, snapshots and deltas flow out.

As "How to manage a local order book correctly" of Binance's WebSocket documentation prescribes: events are kept while a
REST snapshot is on its way; those that it holds already (``u <= lastUpdateId``) are dropped, the first of the others
must reach back to it (``U <= lastUpdateId + 1``; futures: ``pu <= lastUpdateId``), and from there each must go on where
the one before ended (futures: ``pu`` is the ``u`` before). After a break a new snapshot mends the book; the connection
stays.

The futures' documentation asks for ``U <= lastUpdateId <= u`` of the first event. ``pu`` says the same more exactly:
their update ids are those of all symbols together, so that a snapshot may well end between two events of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

import msgspec

from dccd.exchanges.base import Broken, Market, PageRequest, Signal, SnapshotWanted, StreamOptions
from dccd.exchanges.binance.capabilities import DEFAULT_DEPTH, DEPTHS, FUTURES_DEFAULT, FUTURES_DEPTHS, snapshot_limit
from dccd.exchanges.binance.frames import EXCHANGE, BinanceStream, DepthEvent
from dccd.exchanges.book import Book, BookSide
from dccd.exchanges.book_output import BookOutput
from dccd.exchanges.capability import snap_depth
from dccd.exchanges.wire import MS, Decoder, Id, Millis, WireLevel
from dccd.records import Record
from dccd.symbols import NS, Dataset

__all__ = ["DEPTH_BODY", "BookStream", "DepthBody", "depth_request"]

_IDLE = 900.0
_TRIES = 10
_MOST_EVENTS = 20_000
_REFRESH_EVERY = 60 * NS


class DepthBody(msgspec.Struct, gc=False):
    """The answer of ``GET /api/v3/depth``, and of ``/fapi/v1/depth``, which has the matching engine's time, too."""

    last: Id = msgspec.field(name="lastUpdateId")
    bids: list[WireLevel]
    asks: list[WireLevel]
    ms: Millis | None = msgspec.field(name="T", default=None)


DEPTH_BODY: Decoder[DepthBody] = Decoder(EXCHANGE, DepthBody)


def depth_request(endpoint: str, market: str, limit: int) -> PageRequest:
    """Ask for the best *limit* levels a side."""
    return PageRequest(endpoint, {"symbol": market, "limit": limit})


class BookStream(BinanceStream[DepthEvent]):
    """``<symbol>@depth@100ms``."""

    event = DepthEvent

    def __init__(self, dataset: Dataset, options: StreamOptions, market: Market) -> None:
        super().__init__(dataset, market, heartbeat=_IDLE)
        depths, default = (FUTURES_DEPTHS, FUTURES_DEFAULT) if dataset.symbol.contract else (DEPTHS, DEFAULT_DEPTH)
        _, self._depth = snap_depth(depths, options.depth, default)
        self._limit = snapshot_limit(self._depth, depths)
        self._endpoint = "fapiPublicGetDepth" if dataset.symbol.contract else "publicGetDepth"
        self._book = Book(self._depth)
        self._output = BookOutput(self._book, options)
        self._seq = -1  # the last update in the book
        self._joined = False  # it is that of an event, which the next one's pu must name
        self._event_ts: int | None = None
        self._asked = False  # a snapshot is on its way
        self._events: list[DepthEvent] = []  # kept for the snapshot
        self._tries = 0
        # The worst prices that the snapshot told, as keys: what lies deeper is known only as it changes.
        self._known: list[tuple[BookSide, float]] = []
        self._refreshed = 0

    # ------------------------------------------------------------ frames

    def take(self, event: DepthEvent, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one event."""
        live = self._output.live
        if self._asked or not live:
            self._events.append(event)
        if not live:
            self._event_ts = event.ms * MS
            if len(self._events) > _MOST_EVENTS:
                return Broken("no snapshot came for a long time", self._output.last_ts, "reconnect")
            # An event that comes before the answer to SUBSCRIBE confirms; the next one, or tick(), asks then.
            return self._confirm() or (None if self._asked or self._tries else self._ask())
        if event.last <= self._seq:
            return None
        previous = event.previous
        after = event.first - 1 if previous is None else previous  # event.after, without the call
        if after != self._seq:
            if after > self._seq:
                return self._break(f"updates after {self._seq} up to {after} are missing", event)
            if self._joined and previous is not None:
                return self._break(f"the event after {self._seq} says that it follows {previous}", event)
        ts = self._event_ts = event.ms * MS
        changes = self._book.apply(event.bids, event.asks)
        self._seq = event.last
        self._joined = True
        if wrong := self._book.wrong:
            return self._break(f"the book {wrong} at update {event.last}", event)
        self._output.change(ts, event.last, recv_ts, changes, out)
        return None

    def snapshot(self, body: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the REST snapshot, and what has changed since. Raises ParseError."""
        found = DEPTH_BODY.decode(body)
        if not self._asked:
            return None
        events = sorted(self._events, key=attrgetter("first"))
        book, seq, ts = Book(self._depth), found.last, found.ms
        book.reset(found.bids, found.asks)
        for event in events:
            if event.last <= seq:
                continue
            if event.after > seq:
                # Older than what we have, or an event is missing since. A later snapshot has both.
                return self._again(f"the REST snapshot ends at {seq}, the next event follows {event.after}")
            book.apply(event.bids, event.asks)
            seq, ts = event.last, event.ms
        if (wrong := book.wrong) or seq < self._seq:
            told = f", whose book {wrong}" if wrong else ""
            return self._again(f"the REST snapshot at {found.last} doesn't fit the events since{told}")
        self._asked, self._events, self._tries, self._refreshed = False, [], 0, recv_ts
        self._seq, self._joined = seq, seq > found.last
        # Taken over as it is: the output holds on to the book.
        self._book.bids, self._book.asks = book.bids, book.asks
        self._known = [
            (side, known)
            for side, levels, known in (
                (book.bids, found.bids, max((-price for price, _ in found.bids), default=0.0)),
                (book.asks, found.asks, max((price for price, _ in found.asks), default=0.0)),
            )
            if len(levels) >= self._limit
        ]
        if ts is not None:
            self._event_ts = ts * MS
        # Spot's snapshots have no time: that of the event before, or of the moment.
        self._output.start(recv_ts if self._event_ts is None else self._event_ts, seq, recv_ts, out)
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Ask for the book of a market in which nothing happens; give out a snapshot that is due."""
        if self._asked:
            self._output.tick(now, out)
            return None
        if not self._output.live:
            return self._ask() if self._confirmed else None
        self._output.tick(now, out)
        if now - self._refreshed >= _REFRESH_EVERY and self._thin():
            self._refreshed = now
            return self._ask()
        return None

    # ------------------------------------------------------------ snapshots

    def _ask(self) -> SnapshotWanted:
        self._asked = True
        if self._output.live:
            self._events = []  # the book is whole, and only grows thin: nothing older is needed
        return SnapshotWanted(depth_request(self._endpoint, self._market, self._limit))

    def _break(self, reason: str, event: DepthEvent) -> Broken:
        self._output.stop()
        self._events = [event]
        return Broken(reason, self._output.last_ts, "snapshot", request=self._ask().request)

    def _again(self, reason: str) -> Signal | None:
        """Not this snapshot; tick() asks for another, later one."""
        self._asked = False
        self._tries += 1
        return Broken(reason, self._output.last_ts, "reconnect") if self._tries >= _TRIES else None

    def _thin(self) -> bool:
        """Whether fewer than the levels in view lie within what the snapshot told."""
        return any(bisect_right(side.keys, known) < self._depth for side, known in self._known)
