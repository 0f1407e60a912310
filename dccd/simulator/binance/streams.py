"""Binance's market streams: a name and the time flow in, payloads flow out. Pure.

https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dccd.simulator.binance.formats import MS, Formats
from dccd.simulator.book import Changes, Levels
from dccd.simulator.intervals import INTERVALS, Interval
from dccd.simulator.venue import Cursor, Listing, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.binance.rest import Binance

__all__ = ["BookTickerStream", "DepthStream", "KlineStream", "PartialDepthStream", "TradeStream", "make_stream"]

_NAME = re.compile(
    r"([a-z0-9]+)@(aggTrade|trade|bookTicker|miniTicker|avgPrice|kline_(\w+)|depth(5|10|20)?(@100ms|@1000ms)?)"
)


class _Stream(Stream):
    def __init__(self, name: str, listing: Listing, formats: Formats, data_type: str) -> None:
        self.name = name
        self.symbol = listing.symbol.human
        self.data_type = data_type
        self.listing = listing
        self.formats = formats

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class TradeStream(_Stream):
    """``aggTrade`` and ``trade``: every trade, one a frame."""

    def __init__(self, name: str, listing: Listing, formats: Formats, cursor: Cursor, *, single: bool) -> None:
        super().__init__(name, listing, formats, "trades")
        self._encode = formats.trade_frames if single else formats.agg_frames
        self._cursor = cursor

    def due(self, now: int) -> list[str]:
        """Trades until *now*."""
        return self._encode(self._cursor.until(now))

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        return self._encode(self._cursor.take(count))


class KlineStream(_Stream):
    """``kline_<interval>``: the open bar every one or two seconds if it changed, and each bar once when it closes."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, interval: Interval) -> None:
        super().__init__(name, listing, formats, "ohlc")
        self._interval = interval
        self._start = interval.start(now)
        self._every = NS if interval.name == "1s" else 2 * NS
        self._turn = now // self._every
        self._seen = -1

    def due(self, now: int) -> list[str]:
        """Bars closed until *now*, and the open one if it is its turn."""
        out = []
        while (end := self._interval.shift(self._start, 1)) <= now:
            out.append(self.formats.kline_frame(self._interval, self._start, end, end, closed=True))
            self._start = end
        if now // self._every > self._turn:
            self._turn = now // self._every
            last = self.listing.market.index(now + 1)
            if last != self._seen:
                self._seen = last
                end = self._interval.shift(self._start, 1)
                out.append(self.formats.kline_frame(self._interval, self._start, end, now, closed=False))
        return out


class DepthStream(_Stream):
    """``depth``: what changed, every 100 or 1,000 ms."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, every: int) -> None:
        super().__init__(name, listing, formats, "orderbook")
        self._every = max(1, every // listing.book.step_ns)
        self._step = listing.book.step(now)

    def due(self, now: int) -> list[str]:
        """One frame for each interval that has ended."""
        book, out = self.listing.book, []
        until = book.step(now)
        while self._step + self._every <= until:
            first, self._step = self._step, self._step + self._every
            bids, asks = _merged([book.changes(step) for step in range(first + 1, self._step + 1)])
            ids = book.last_id(first) + 1, book.last_id(self._step)
            out.append(self.formats.depth_frame(book.time(self._step), *ids, bids, asks))
        return out


class PartialDepthStream(_Stream):
    """``depth5``, ``depth10``, ``depth20``: the best levels, every 100 or 1,000 ms."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, levels: int, every: int) -> None:
        super().__init__(name, listing, formats, "orderbook")
        self._levels = levels
        self._every = max(1, every // listing.book.step_ns)
        self._turn = listing.book.step(now) // self._every

    def due(self, now: int) -> list[str]:
        """The newest state, if it is its turn."""
        book = self.listing.book
        step = book.step(now)
        if step // self._every == self._turn:
            return []
        before, self._turn = self._turn, step // self._every
        ids = book.last_id(before * self._every) + 1, book.last_id(step)
        return [self.formats.partial_frame(book.time(step), *ids, *book.levels(step, self._levels))]


class BookTickerStream(_Stream):
    """``bookTicker``: the best levels whenever they change."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__(name, listing, formats, "")
        self._step = listing.book.step(now)

    def due(self, now: int) -> list[str]:
        """One frame a step: the touch changes with each."""
        book, out = self.listing.book, []
        for step in range(self._step + 1, book.step(now) + 1):
            (bid,), (ask,) = book.levels(step, 1)
            out.append(self.formats.ticker_frame(book.time(step), book.last_id(step), bid, ask))
            self._step = step
        return out


class MiniTickerStream(_Stream):
    """``miniTicker`` and ``avgPrice``: statistics of the last day, or of five minutes, every second."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, *, average: bool) -> None:
        super().__init__(name, listing, formats, "")
        self._average = average
        self._turn = now // NS

    def due(self, now: int) -> list[str]:
        """The statistics at *now*, if a second has gone by."""
        if now // NS == self._turn:
            return []
        self._turn = now // NS
        market, text = self.listing.market, self.formats
        if self._average:
            bar = market.bar(now - 300 * NS, now + 1)
            average = bar.quote // bar.volume if bar.volume else bar.close
            last = market.time(max(0, market.index(now + 1) - 1))
            return [
                f'{{"e":"avgPrice","E":{now // MS},"s":"{text.id}","i":"5m","w":"{text.price(average)}",'
                f'"T":{last // MS}}}'
            ]
        bar = market.bar(now - 86_400 * NS, now + 1)
        return [
            f'{{"e":"24hrMiniTicker","E":{now // MS},"s":"{text.id}","c":"{text.price(bar.close)}",'
            f'"o":"{text.price(bar.open)}","h":"{text.price(bar.high)}","l":"{text.price(bar.low)}",'
            f'"v":"{text.amount(bar.volume)}","q":"{text.quote(bar.quote)}"}}'
        ]


def _merged(changes: list[Changes]) -> Changes:
    """Changes of several steps as one: the last amount of each level."""
    if len(changes) == 1:
        return changes[0]
    sides: list[Levels] = []
    for side in (0, 1):
        last: dict[int, int] = {}
        for change in changes:
            last.update(change[side])
        sides.append(sorted(last.items(), reverse=side == 0))
    return sides[0], sides[1]


def make_stream(venue: Binance, name: str, now: int) -> Stream | None:
    """The stream called *name*; ``None`` if there is none (Binance then stays silent about it)."""
    found = _NAME.fullmatch(name)
    listing = venue.by_id.get(found[1].upper()) if found else None
    if found is None or listing is None:
        return None
    formats = venue.formats[listing.symbol.human]
    kind, levels, speed = found[2], found[4], found[5]
    if kind in ("aggTrade", "trade"):
        return TradeStream(name, listing, formats, Cursor(venue, listing, now), single=kind == "trade")
    if kind == "bookTicker":
        return BookTickerStream(name, listing, formats, now)
    if kind in ("miniTicker", "avgPrice"):
        return MiniTickerStream(name, listing, formats, now, average=kind == "avgPrice")
    if found[3]:
        interval = INTERVALS.get(found[3])
        return KlineStream(name, listing, formats, now, interval) if interval else None
    every = NS // 10 if speed == "@100ms" else NS
    if levels:
        return PartialDepthStream(name, listing, formats, now, int(levels), every)
    return DepthStream(name, listing, formats, now, every)
