"""BitMEX's tables on the WebSocket: a topic and the time flow in, its frames flow out. Pure.

https://www.bitmex.com/app/wsAPI: ``trade``, ``tradeBin1m`` and its like, ``orderBookL2``, ``orderBookL2_25``,
``instrument``, ``funding``, each of one contract (``trade:XBTUSD``): a partial first, then what changes.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from dccd.simulator.bitmex.formats import Formats, dumps, iso
from dccd.simulator.book import Levels, difference
from dccd.simulator.venue import Cursor, Listing, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.bitmex.rest import Bitmex

__all__ = ["BINS", "TABLES", "BitmexStream", "make_stream"]

BINS = {"1m": 60 * NS, "5m": 300 * NS, "1h": 3600 * NS, "1d": 86_400 * NS}
TABLES = {
    "trade": "trades",
    **{f"tradeBin{name}": "ohlc" for name in BINS},
    "orderBookL2": "orderbook",
    "orderBookL2_25": "orderbook",
    "instrument": "",
    "funding": "",
}
"""Table → data type; ``instrument`` holds two of those."""

_BEST = 25  # levels a side of orderBookL2_25
_PER_FRAME = 20  # trades a frame in benchmark mode
_TYPES = {"symbol": "symbol", "timestamp": "timestamp", "price": "float"}


class BitmexStream(Stream):
    """A subscription; ``first`` gives its partial."""

    keys: tuple[str, ...] = ()

    def __init__(self, table: str, formats: Formats) -> None:
        self.table = table
        self.formats = formats
        self.name = f"{table}:{formats.id}"
        self.listing: Listing = formats.listing
        self.symbol = self.listing.symbol.human
        self.data_type = TABLES[table]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def rows(self) -> list[str]:
        """The rows that there are when it begins."""

    def first(self) -> list[str]:
        """The partial."""
        head = {
            "table": self.table,
            "action": "partial",
            "keys": self.keys,
            "types": _TYPES,
            "foreignKeys": {"symbol": "instrument"},
            "attributes": {"symbol": "parted"},
            "filter": {"symbol": self.formats.id},
        }
        return [f'{dumps(head)[:-1]},"data":[{",".join(self.rows())}]}}']

    def frame(self, action: str, rows: list[str]) -> str:
        """Rows that are new, changed or gone."""
        return f'{{"table":"{self.table}","action":"{action}","data":[{",".join(rows)}]}}'


class TradeStream(BitmexStream):
    """``trade``: the last one, then all of a taker's order in a frame."""

    def __init__(self, venue: Bitmex, formats: Formats, now: int) -> None:
        super().__init__("trade", formats)
        self._cursor = Cursor(venue, formats.listing, now)

    def rows(self) -> list[str]:
        """The last trade."""
        last = self._cursor.next
        return self.formats.trades(self.listing.market.runs(max(0, last - 1), last))

    def due(self, now: int) -> list[str]:
        """Trades until *now*."""
        out: list[str] = []
        for run in self._cursor.until(now):
            rows, begin = self.formats.trades([run]), 0
            for n in range(1, len(rows) + 1):
                if n == len(rows) or run.ticks[n].offset // 1000 != run.ticks[begin].offset // 1000:
                    out.append(self.frame("insert", rows[begin:n]))
                    begin = n
        return out

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        rows = self.formats.trades(self._cursor.take(count))
        return [self.frame("insert", rows[n : n + _PER_FRAME]) for n in range(0, len(rows), _PER_FRAME)]


class BarStream(BitmexStream):
    """``tradeBin…``: the last closed one, then each when it is closed, those without a trade too."""

    def __init__(self, table: str, formats: Formats, now: int) -> None:
        super().__init__(table, formats)
        self._span = BINS[table.removeprefix("tradeBin")]
        self._next = now - now % self._span
        """When the present one began."""

    def rows(self) -> list[str]:
        """The last closed one, if the market was there then."""
        start = self._next - self._span
        return [self._row(start)] if start + self._span > self.listing.market.time(0) else []

    def due(self, now: int) -> list[str]:
        """Those closed until *now*."""
        out = []
        while self._next + self._span <= now:
            out.append(self.frame("insert", [self._row(self._next)]))
            self._next += self._span
        return out

    def _row(self, start: int) -> str:
        market, end = self.listing.market, start + self._span
        return self.formats.bar(end, market.price(market.index(start) - 1), market.bar(start, end))


class BookStream(BitmexStream):
    """``orderBookL2``, or its 25 best levels a side: what goes, what changes and what comes each in a frame."""

    keys = ("symbol", "id", "side")

    def __init__(self, table: str, formats: Formats, now: int) -> None:
        super().__init__(table, formats)
        self._whole = table == "orderBookL2"
        self._step = self.listing.book.step(now)
        self._seen = self.listing.book.levels(self._step, self.listing.book.depth if self._whole else _BEST)
        self._there = tuple({price for price, _ in side} for side in self._seen)

    def rows(self) -> list[str]:
        """All levels: asks, then bids, from high to low."""
        bids, asks = self._seen
        at = self.listing.book.time(self._step)
        level = self.formats.level
        return [level(price, "Sell", lots, at) for price, lots in reversed(asks)] + [
            level(price, "Buy", lots, at) for price, lots in bids
        ]

    def due(self, now: int) -> list[str]:
        """Up to three frames a step, all of its time."""
        book, out = self.listing.book, []
        while self._step < book.step(now):
            self._step += 1
            at, found = book.time(self._step), dict[str, list[str]](delete=[], update=[], insert=[])
            for side, there, changes in zip(("Buy", "Sell"), self._there, self._changes(), strict=True):
                for price, lots in changes:
                    action = "delete" if not lots else "update" if price in there else "insert"
                    found[action].append(self.formats.level(price, side, lots, at))
                    (there.add if lots else there.discard)(price)
            out += [self.frame(action, rows) for action, rows in found.items() if rows]
        return out

    def _changes(self) -> tuple[Levels, Levels]:
        """What the step changed on both sides."""
        book = self.listing.book
        if self._whole:
            return book.changes(self._step)
        before, self._seen = self._seen, book.levels(self._step, _BEST)
        bids, asks = (
            difference(old, new, bids=side == 0) for side, (old, new) in enumerate(zip(before, self._seen, strict=True))
        )
        return bids, asks


class InstrumentStream(BitmexStream):
    """``instrument``: the whole row, then each second what has changed of it."""

    keys = ("symbol",)

    def __init__(self, formats: Formats, now: int) -> None:
        super().__init__("instrument", formats)
        self._turn = now // NS
        self._now = now
        self._seen = formats.moving(now)

    def rows(self) -> list[str]:
        """The row."""
        return [dumps(self.formats.instrument(self._now))]

    def due(self, now: int) -> list[str]:
        """A row for each second that changed something."""
        out = []
        for turn in range(self._turn + 1, now // NS + 1):
            self._turn, moving = turn, self.formats.moving(turn * NS)
            changed = {name: value for name, value in moving.items() if self._seen.get(name) != value}
            self._seen = moving
            if changed:
                row = {"symbol": self.formats.id, **changed, "timestamp": iso(turn * NS)}
                out.append(self.frame("update", [dumps(row)]))
        return out


class FundingStream(BitmexStream):
    """``funding``: the last payment, then each."""

    def __init__(self, venue: Bitmex, formats: Formats, now: int) -> None:
        super().__init__("funding", formats)
        self._since = now + 1
        self._interval = venue.funding_interval

    def rows(self) -> list[str]:
        """The last payment, if the market was there then."""
        return self._payments(self._since - self._interval, self._since)

    def due(self, now: int) -> list[str]:
        """Payments until *now*."""
        since, self._since = self._since, max(self._since, now + 1)
        return [self.frame("insert", [row]) for row in self._payments(since, self._since)]

    def _payments(self, start: int, end: int) -> list[str]:
        return [self.formats.payment(one.ts, one.rate) for one in self.listing.derivative.settlements(start, end)]


def make_stream(venue: Bitmex, topic: str, now: int) -> BitmexStream | None:
    """The stream called *topic*; ``None``: there is no such table, or no such contract."""
    table, _, id = topic.partition(":")
    formats = venue.formats.get(id)
    if formats is None or table not in TABLES:
        return None
    if table == "trade":
        return TradeStream(venue, formats, now)
    if table.startswith("tradeBin"):
        return BarStream(table, formats, now)
    if table.startswith("orderBook"):
        return BookStream(table, formats, now)
    return InstrumentStream(formats, now) if table == "instrument" else FundingStream(venue, formats, now)
