"""Bitfinex's channels: a subscription and the time flow in, its messages flow out. Pure.

A message is the text after the channel's id, with its time (ms) before: ``1574694478808 "te",[…]``; the session puts
them together, numbers and all. https://docs.bitfinex.com/reference/ws-public-trades, ws-public-candles, ws-public-books
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dccd.simulator.bitfinex.formats import MS, Formats
from dccd.simulator.book import Levels, difference
from dccd.simulator.market import Run
from dccd.simulator.venue import Cursor, Listing, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.bitfinex.rest import Bitfinex

__all__ = ["DATA_TYPES", "SPANS", "BitfinexStream", "Refused", "make_stream", "stream_name"]

_DAY = 86_400
SPANS = {
    "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "3h": 10_800, "6h": 21_600, "12h": 43_200,
    "1D": _DAY, "7D": 7 * _DAY, "14D": 14 * _DAY,
}  # fmt: skip
"""Seconds of each time frame."""
DATA_TYPES = {"trades": "trades", "candles": "ohlc", "book": "orderbook", "status": "open_interest"}
_KEYED = ("candles", "status")
_LENGTHS = ("1", "25", "100", "250")
_SNAPSHOT_TRADES = 30
_SNAPSHOT_CANDLES = 240


class Refused(Exception):
    """A request is refused: Bitfinex's words and code."""

    def __init__(self, words: str, code: int = 10300) -> None:
        self.code = code
        super().__init__(words)


class BitfinexStream(Stream):
    """A subscription. ``chan`` and ``checksums`` are given by the session; ``result`` is what is answered."""

    chan = 0
    result: dict[str, Any]
    checksums: Callable[[], bool] = staticmethod(lambda: False)
    """Whether the connection wants a book's checksums."""

    def first(self, now: int) -> list[str]:
        """The snapshot."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class _Listed(BitfinexStream):
    def __init__(self, name: str, listing: Listing, formats: Formats) -> None:
        self.name = name
        self.symbol = listing.symbol.human
        self.data_type = DATA_TYPES[name.partition(":")[0]]
        self.listing = listing
        self.formats = formats
        self.result = {"symbol": formats.id, "pair": formats.pair}


class TradeStream(_Listed):
    """``trades``: the newest as a snapshot, then each trade twice: executed (``te``), and written down (``tu``)."""

    def __init__(self, venue: Bitfinex, name: str, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__(name, listing, formats)
        self._cursor = Cursor(venue, listing, now)

    def first(self, now: int) -> list[str]:
        """The trades before those that come, newest first."""
        until = self._cursor.next
        rows = self.formats.trade_rows(self.listing.market.runs(max(0, until - _SNAPSHOT_TRADES), until))
        return [f"{now // MS} [{','.join(row for _, row in reversed(rows))}]"]

    def due(self, now: int) -> list[str]:
        """Trades until *now*."""
        return self._messages(self._cursor.until(now))

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        return self._messages(self._cursor.take(count))

    def _messages(self, runs: Iterable[Run]) -> list[str]:
        """Those of one moment together, first all executed, then all written down."""
        out: list[str] = []
        moment: list[str] = []
        at = -1
        for ms, row in self.formats.trade_rows(runs):
            if ms != at:
                out += [f'{at} "tu",{one}' for one in moment]
                moment, at = [], ms
            moment.append(row)
            out.append(f'{ms} "te",{row}')
        return out + [f'{at} "tu",{one}' for one in moment]


class CandleStream(_Listed):
    """``candles``: the newest as a snapshot, then each whenever it has had trades."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, frame: str) -> None:
        super().__init__(name, listing, formats)
        self.result = {"key": f"trade:{frame}:{formats.id}"}
        self._span = SPANS[frame] * NS
        self._next = listing.market.index(now + 1)

    def first(self, now: int) -> list[str]:
        """The newest candles with trades, newest first."""
        newest, opened = now - now % self._span, self.listing.market.time(0)
        oldest = max(opened - opened % self._span, newest - (_SNAPSHOT_CANDLES - 1) * self._span)
        rows = [self._row(start, now) for start in range(newest, oldest - 1, -self._span)]
        return [f"{now // MS} [{','.join(filter(None, rows))}]"]

    def due(self, now: int) -> list[str]:
        """A message for each candle that has had trades: its final state before the next one's first."""
        market = self.listing.market
        first, self._next = self._next, max(self._next, market.index(now + 1))
        out: list[str] = []
        while first < self._next:
            time = market.time(first)
            start = time - time % self._span
            until = min(now, start + self._span - 1)
            out.append(f"{until // MS} {self._row(start, until)}")
            first = market.index(start + self._span)
        return out

    def _row(self, start: int, now: int) -> str:
        market = self.listing.market
        first, last = market.index(start), market.index(min(start + self._span, now + 1))
        return self.formats.candle_row(start, market.aggregate(first, last)) if first < last else ""


class BookStream(_Listed):
    """``book``: all levels, then what each step changed, a message a level, and the checksum of the result."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, length: str) -> None:
        super().__init__(name, listing, formats)
        self.result = {"symbol": formats.id, "prec": "P0", "freq": "F0", "len": length, "pair": formats.pair}
        self._length = int(length)
        self._step = listing.book.step(now)
        self._seen = listing.book.levels(self._step, self._length)

    def first(self, now: int) -> list[str]:
        """The book, and its checksum."""
        ms = self.listing.book.time(self._step) // MS
        return [f"{ms} [{','.join(self.formats.level_rows(*self._seen))}]", *self._check(ms)]

    def due(self, now: int) -> list[str]:
        """What goes of a step's changes comes before what is new, so that the book is never crossed on the way."""
        out: list[str] = []
        for step in range(self._step + 1, self.listing.book.step(now) + 1):
            levels = self.listing.book.levels(step, self._length)
            bids = difference(self._seen[0], levels[0], bids=True)
            asks = difference(self._seen[1], levels[1], bids=False)
            self._step, self._seen = step, levels
            ms = self.listing.book.time(step) // MS
            rows = self.formats.level_rows(_gone(bids), _gone(asks)) + self.formats.level_rows(_left(bids), _left(asks))
            out += [f"{ms} {row}" for row in rows] + (self._check(ms) if rows else [])
        return out

    def _check(self, ms: int) -> list[str]:
        return [f'{ms} "cs",{self.formats.checksum(*self._seen)}'] if self.checksums() else []


class StateStream(_Listed):
    """``status``: what a perpetual is at, each second."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__(name, listing, formats)
        self.result = {"key": f"deriv:{formats.id}"}
        self._second = now // NS

    def first(self, now: int) -> list[str]:
        """Its present state."""
        return [self._state(self._second * NS)]

    def due(self, now: int) -> list[str]:
        """Each second's."""
        first, self._second = self._second + 1, max(self._second, now // NS)
        return [self._state(second * NS) for second in range(first, self._second + 1)]

    def _state(self, at: int) -> str:
        return f"{at // MS} {self.formats.state_row(self.listing.derivative, at)}"


def _gone(levels: Levels) -> Levels:
    return [level for level in levels if not level[1]]


def _left(levels: Levels) -> Levels:
    return [level for level in levels if level[1]]


def stream_name(request: dict[str, Any]) -> str:
    """``trades:tBTCUSD``, ``candles:trade:1m:tBTCUSD``: one subscription of each a connection. Raises Refused."""
    channel = request.get("channel")
    if channel not in DATA_TYPES:
        raise Refused("channel: unknown", 10302)
    name = request.get("key" if channel in _KEYED else "symbol")
    if not isinstance(name, str):
        raise Refused("key: invalid" if channel in _KEYED else "symbol: invalid")
    return f"{channel}:{name}"


def make_stream(venue: Bitfinex, request: dict[str, Any], now: int) -> BitfinexStream:
    """The stream that *request* asks for. Raises Refused."""
    name = stream_name(request)
    channel, _, rest = name.partition(":")
    frame = ""
    if channel == "candles":
        kind, frame, rest = [*rest.split(":", 2), "", ""][:3]
        if kind != "trade" or frame not in SPANS:
            raise Refused("key: invalid")
    elif channel == "status":
        kind, _, rest = rest.partition(":")
        if kind != "deriv" or not rest.endswith("F0"):
            raise Refused("key: invalid")
    formats = venue.formats.get(rest)
    if formats is None:
        raise Refused("key: invalid" if channel in _KEYED else "symbol: invalid")
    listing = venue.by_id[rest]
    if channel == "status":
        return StateStream(name, listing, formats, now)
    if channel == "trades":
        return TradeStream(venue, name, listing, formats, now)
    if channel == "candles":
        return CandleStream(name, listing, formats, now, frame)
    length = str(request.get("len") or "25")
    if length not in _LENGTHS or request.get("prec", "P0") != "P0" or request.get("freq", "F0") != "F0":
        raise Refused("len: invalid" if length not in _LENGTHS else "prec: invalid")
    return BookStream(name, listing, formats, now, length)
