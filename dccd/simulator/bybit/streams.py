"""Bybit's public topics: a topic and the time flow in, frames flow out. Pure.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook and its neighbours
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from typing import TYPE_CHECKING

from dccd.simulator.book import Levels, difference
from dccd.simulator.bybit.formats import Formats
from dccd.simulator.bybit.names import BARS, MS
from dccd.simulator.intervals import Interval
from dccd.simulator.venue import Cursor, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.bybit.rest import Bybit

__all__ = ["DEPTHS", "BybitStream", "first_u", "make_stream"]

DEPTHS = (1, 50, 200, 1000)
_TOPIC = re.compile(r"(publicTrade|tickers|kline\.(\w+)|orderbook\.(\d+))\.([\w-]+)")
_PER_FRAME = 20  # trades a frame in benchmark mode
_MOST_PER_FRAME = 1024
_AGAIN = 3 * NS  # the best level is sent again after as long without a change
_SLOWEST = 60 * NS  # a bar that doesn't change is sent again after as long


def first_u(step: int, every: int) -> int:
    """The number of the frame of *step* of a topic that has one each *every* steps; 1 is a restart's."""
    return 1000 + step // every


class BybitStream(Stream):
    """A topic of one market; :meth:`first` gives the snapshot it begins with."""

    def __init__(self, topic: str, formats: Formats, data_type: str) -> None:
        self.name = topic
        self.symbol = formats.listing.symbol.human
        self.data_type = data_type
        self.formats = formats

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @abstractmethod
    def first(self, now: int) -> list[str]:
        """What comes right after the subscription."""


class TradeStream(BybitStream):
    """``publicTrade``: all trades of a taker's order in a frame; nothing of the past."""

    def __init__(self, topic: str, formats: Formats, cursor: Cursor) -> None:
        super().__init__(topic, formats, "trades")
        self._cursor = cursor

    def first(self, now: int) -> list[str]:
        """Nothing: the next trade."""
        return []

    def due(self, now: int) -> list[str]:
        """Trades until *now*."""
        out: list[str] = []
        for run in self._cursor.until(now):
            items, begin = self.formats.trade_items([run]), 0
            for n in range(1, len(items) + 1):
                if n == len(items) or run.ticks[n].offset // 1000 != run.ticks[begin].offset // 1000:
                    at = (run.start + run.ticks[n - 1].offset) // MS + 2
                    out += [
                        self._frame(items[m : min(n, m + _MOST_PER_FRAME)], at)
                        for m in range(begin, n, _MOST_PER_FRAME)
                    ]
                    begin = n
        return out

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        out: list[str] = []
        for run in self._cursor.take(count):
            items, at = self.formats.trade_items([run]), (run.start + run.ticks[-1].offset) // MS
            out += [self._frame(items[n : n + _PER_FRAME], at) for n in range(0, len(items), _PER_FRAME)]
        return out

    def _frame(self, items: list[str], ms: int) -> str:
        return f'{{"topic":"{self.name}","type":"snapshot","ts":{ms},"data":[{",".join(items)}]}}'


class KlineStream(BybitStream):
    """``kline``: the open bar each second if it changed, else each minute, and each bar once when it closes."""

    def __init__(self, topic: str, formats: Formats, now: int, interval: Interval) -> None:
        super().__init__(topic, formats, "ohlc")
        self._interval = interval
        self._start = interval.start(now)
        self._turn = now // NS
        self._sent = now
        self._seen = formats.listing.market.index(now + 1)

    def first(self, now: int) -> list[str]:
        """The open bar."""
        return [self._frame(now)]

    def due(self, now: int) -> list[str]:
        """Bars closed until *now*, and the open one if it is its turn."""
        out: list[str] = []
        while (end := self._interval.shift(self._start, 1)) <= now:
            out.append(self._frame(end, closed=True))
            self._start = end
        if now // NS > self._turn:
            self._turn = now // NS
            last = self.formats.listing.market.index(now + 1)
            if last != self._seen or now - self._sent >= _SLOWEST:
                self._seen, self._sent = last, now
                out.append(self._frame(now))
        return out

    def _frame(self, now: int, *, closed: bool = False) -> str:
        return self.formats.kline_frame(self.name, self._interval, self._start, now, closed=closed)


class BookStream(BybitStream):
    """``orderbook``: a snapshot, then what changed in the depth, removals told. Of the best level snapshots only."""

    def __init__(self, topic: str, formats: Formats, now: int, depth: int) -> None:
        super().__init__(topic, formats, "orderbook")
        self._book = formats.listing.book
        self._depth = depth
        slow = depth == 1000 or (depth == 200 and formats.category == "spot")
        self._every = max(1, (NS // 5 if slow else NS // 10) // self._book.step_ns)
        self._step = self._book.step(now) // self._every * self._every
        self._seen = self._book.levels(self._step, depth)
        self._sent = now

    def first(self, now: int) -> list[str]:
        """The book."""
        return [self._frame("snapshot", *self._seen)]

    def due(self, now: int) -> list[str]:
        """A frame for each change."""
        out: list[str] = []
        until = self._book.step(now)
        while self._step + self._every <= until:
            self._step += self._every
            levels = self._book.levels(self._step, self._depth)
            before, self._seen = self._seen, levels
            if self._depth == 1:
                if levels != before or self._book.time(self._step) - self._sent >= _AGAIN:
                    self._sent = self._book.time(self._step)
                    out.append(self._frame("snapshot", *levels))
                continue
            bids, asks = (difference(before[n], levels[n], bids=n == 0) for n in (0, 1))
            # The touch changes with each step: no number is left out.
            out.append(self._frame("delta", bids, asks))
        return out

    def _frame(self, kind: str, bids: Levels, asks: Levels) -> str:
        ms = self._book.time(self._step) // MS
        data = self.formats.book(bids, asks, first_u(self._step, self._every), self._book.last_id(self._step))
        return f'{{"topic":"{self.name}","type":"{kind}","ts":{ms + 3},"data":{{{data}}},"cts":{ms}}}'


class TickerStream(BybitStream):
    """``tickers``: of a contract a snapshot, then each second the fields that changed; on spot snapshots only."""

    def __init__(self, topic: str, formats: Formats, now: int) -> None:
        contract = formats.listing.symbol.contract
        # The topic of two data types: a fault is for the first that the contract has.
        super().__init__(topic, formats, "funding" if contract == "perp" else "open_interest" if contract else "")
        self._turn = now // NS
        self._seen: dict[str, str] = {}

    def first(self, now: int) -> list[str]:
        """All fields."""
        return [self._frame(now, "snapshot")]

    def due(self, now: int) -> list[str]:
        """A frame for each second that has begun."""
        turns = range(self._turn + 1, now // NS + 1)
        self._turn = now // NS
        kind = "delta" if self.formats.category == "linear" else "snapshot"
        return [frame for turn in turns if (frame := self._frame(turn * NS, kind))]

    def _frame(self, at: int, kind: str) -> str:
        fields = self.formats.ticker(at)
        changed = fields
        if kind == "delta":
            changed = {name: text for name, text in fields.items() if self._seen.get(name) != text}
            if not changed:
                return ""
        self._seen = fields
        data = json.dumps({"symbol": self.formats.id} | changed, separators=(",", ":"))
        return f'{{"topic":"{self.name}","type":"{kind}","data":{data},"cs":{at // MS},"ts":{at // MS}}}'


def make_stream(venue: Bybit, category: str, topic: str, now: int) -> BybitStream | None:
    """The stream of *topic*; ``None`` if there is none."""
    found = _TOPIC.fullmatch(topic)
    formats = venue.formats.get((category, found[4])) if found else None
    if found is None or formats is None:
        return None
    if found[1] == "publicTrade":
        return TradeStream(topic, formats, Cursor(venue, formats.listing, now))
    if found[1] == "tickers":
        return TickerStream(topic, formats, now)
    if found[2]:
        interval = BARS.get(found[2])
        return KlineStream(topic, formats, now, interval) if interval else None
    depth = int(found[3])
    return BookStream(topic, formats, now, depth) if depth in DEPTHS else None
