"""Kraken Futures' feeds: a feed's name, a product and the time flow in, frames flow out. Pure.

https://docs.kraken.com/exchange/api-reference/futures-websocket: trade, book, ticker and their neighbours
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from dccd.simulator.krakenfutures.formats import Formats
from dccd.simulator.venue import Cursor, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.krakenfutures.rest import KrakenFutures

__all__ = ["FEEDS", "FuturesStream", "make_stream"]

FEEDS = {"trade": "trades", "book": "orderbook", "ticker": ""}
"""Feed → data type; ``ticker`` holds two of those."""
_SNAPSHOT_TRADES = 100


class FuturesStream(Stream):
    """A feed of one product; :meth:`first` gives the snapshot it begins with."""

    feed: str

    def __init__(self, formats: Formats) -> None:
        self.formats = formats
        self.listing = formats.listing
        self.name = f"{self.feed}:{formats.id}"
        self.symbol = self.listing.symbol.human
        self.data_type = FEEDS[self.feed]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def first(self, now: int) -> list[str]:
        """What comes right after the subscription, and again when it is asked for again."""


class TradeStream(FuturesStream):
    """``trade``: the newest hundred, then a frame a trade. ``seq`` is the trade's number."""

    feed = "trade"

    def __init__(self, formats: Formats, cursor: Cursor) -> None:
        super().__init__(formats)
        self._cursor = cursor

    def first(self, now: int) -> list[str]:
        """The trades before those that come."""
        until = self._cursor.next
        return [self.formats.trade_snapshot(self.listing.market.runs(max(0, until - _SNAPSHOT_TRADES), until))]

    def due(self, now: int) -> list[str]:
        """Trades until *now*."""
        return self.formats.trade_frames(self._cursor.until(now))

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        return self.formats.trade_frames(self._cursor.take(count))


class BookStream(FuturesStream):
    """``book``: the whole of it, then a frame for each level that changes.

    What goes comes first, so that no frame leaves a crossed book. On the real exchange all see the same numbers; here
    each subscription counts on from its snapshot's, since how many changes there were before isn't known.
    """

    feed = "book"

    def __init__(self, formats: Formats, now: int) -> None:
        super().__init__(formats)
        self._book = self.listing.book
        self._step = self._book.step(now)
        self._seq = self._book.last_id(self._step)

    def first(self, now: int) -> list[str]:
        """The book."""
        bids, asks = self._book.levels(self._step, self._book.depth)
        return [self.formats.book_snapshot(bids, asks, self._seq, self._book.time(self._step))]

    def due(self, now: int) -> list[str]:
        """What changed, level by level."""
        out: list[str] = []
        book, frame = self._book, self.formats.book_frame
        for step in range(self._step + 1, book.step(now) + 1):
            at, (bids, asks) = book.time(step), book.changes(step)
            changes = [("buy", *level) for level in bids] + [("sell", *level) for level in asks]
            for side, price, lots in sorted(changes, key=lambda change: change[2] > 0):
                self._seq += 1
                out.append(frame(side, price, lots, self._seq, at))
            self._step = step
        return out


class TickerStream(FuturesStream):
    """``ticker``: all fields each second."""

    feed = "ticker"

    def __init__(self, formats: Formats, now: int) -> None:
        super().__init__(formats)
        # The feed of two data types: a fault is for the first that the contract has.
        self.data_type = "funding" if self.listing.symbol.contract == "perp" else "open_interest"
        self._turn = now // NS

    def first(self, now: int) -> list[str]:
        """The state of now."""
        return [self.formats.ticker_frame(now)]

    def due(self, now: int) -> list[str]:
        """A frame for each second that has begun."""
        turns = range(self._turn + 1, now // NS + 1)
        self._turn = max(self._turn, now // NS)
        return [self.formats.ticker_frame(turn * NS) for turn in turns]


def make_stream(venue: KrakenFutures, name: str, now: int) -> FuturesStream | None:
    """The stream called ``feed:product``; ``None``: there is no such feed, or product."""
    feed, _, product = name.partition(":")
    formats = venue.formats.get(product)
    if formats is None:
        return None
    if feed == "trade":
        return TradeStream(formats, Cursor(venue, formats.listing, now))
    if feed == "book":
        return BookStream(formats, now)
    return TickerStream(formats, now) if feed == "ticker" else None
