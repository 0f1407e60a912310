"""OKX's public channels: a channel, an instrument and the time flow in, frames flow out. Pure.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel and its neighbours
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from dccd.simulator.book import Levels, difference
from dccd.simulator.intervals import Interval
from dccd.simulator.okx.formats import Formats
from dccd.simulator.okx.names import BARS, MS
from dccd.simulator.venue import Cursor, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.okx.rest import Okx

__all__ = ["DATA_TYPES", "DEPTH", "OkxStream", "make_stream"]

DEPTH = 400
DATA_TYPES = {
    "trades": "trades",
    "trades-all": "trades",
    "books": "orderbook",
    "books5": "orderbook",
    "bbo-tbt": "orderbook",
    "funding-rate": "funding",
    "open-interest": "open_interest",
}
"""What a channel is of; that of candles is ``ohlc``."""
_BUSINESS = ("trades-all", "candle")
_QUIET = 60 * NS  # an open candle that doesn't change is sent again after as long


class OkxStream(Stream):
    """A channel of one market."""

    def __init__(self, channel: str, formats: Formats) -> None:
        self.name = f"{channel}:{formats.id}"
        self.symbol = formats.listing.symbol.human
        self.data_type = "ohlc" if channel.startswith("candle") else DATA_TYPES.get(channel, "")
        self.formats = formats
        self._head = f'{{"arg":{{"channel":"{channel}","instId":"{formats.id}"}}'

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def first(self, now: int) -> list[str]:
        """What comes right after the subscription."""
        return []

    def frame(self, data: str, action: str = "") -> str:
        """A frame with one element of data."""
        kind = f',"action":"{action}"' if action else ""
        return f'{self._head}{kind},"data":[{data}]}}'


class TradeStream(OkxStream):
    """``trades-all``: a frame for each match; ``trades``: for each price that a taker's order was filled at."""

    def __init__(self, channel: str, formats: Formats, cursor: Cursor) -> None:
        super().__init__(channel, formats)
        self._cursor = cursor
        self._all = channel == "trades-all"

    def due(self, now: int) -> list[str]:
        """Trades until *now*."""
        if self._all:
            return list(map(self.frame, self.formats.trades(self._cursor.until(now))))
        return [self.frame(item) for run in self._cursor.until(now) for item in self.formats.summed_trades(run)]

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        return list(map(self.frame, self.formats.trades(self._cursor.take(count))))


class CandleStream(OkxStream):
    """``candle``: the open one each second if it changed, else each minute, and each once when it is complete."""

    def __init__(self, channel: str, formats: Formats, now: int, interval: Interval) -> None:
        super().__init__(channel, formats)
        self._interval = interval
        self._start = interval.start(now)
        self._turn = now // NS
        self._sent = now
        self._seen = formats.listing.market.index(now + 1)

    def first(self, now: int) -> list[str]:
        """The open candle."""
        return [self._frame(now)]

    def due(self, now: int) -> list[str]:
        """Candles completed until *now*, and the open one if it is its turn."""
        out: list[str] = []
        while (end := self._interval.shift(self._start, 1)) <= now:
            out.append(self._frame(end, complete=True))
            self._start = end
        if now // NS > self._turn:
            self._turn = now // NS
            last = self.formats.listing.market.index(now + 1)
            if last != self._seen or now - self._sent >= _QUIET:
                self._seen, self._sent = last, now
                out.append(self._frame(now))
        return out

    def _frame(self, now: int, *, complete: bool = False) -> str:
        end = self._interval.shift(self._start, 1)
        bar = self.formats.listing.market.bar(self._start, min(end, now + 1))
        return self.frame(self.formats.candle(self._start, bar, complete=complete))


class BookStream(OkxStream):
    """``books``: a snapshot of 400 levels, then what changed in them, removals told, each naming the one before."""

    def __init__(self, channel: str, formats: Formats, now: int) -> None:
        super().__init__(channel, formats)
        self._book = formats.listing.book
        self._step = self._book.step(now)
        self._seen = self._book.levels(self._step, DEPTH)

    def first(self, now: int) -> list[str]:
        """The book."""
        return [self._frame("snapshot", *self._seen, -1)]

    def due(self, now: int) -> list[str]:
        """A frame a step."""
        out: list[str] = []
        for step in range(self._step + 1, self._book.step(now) + 1):
            levels, before = self._book.levels(step, DEPTH), self._book.last_id(self._step)
            bids, asks = (difference(self._seen[n], levels[n], bids=n == 0) for n in (0, 1))
            self._step, self._seen = step, levels
            out.append(self._frame("update", bids, asks, before))
        return out

    def _frame(self, action: str, bids: Levels, asks: Levels, before: int) -> str:
        data, seq = self.formats.book(bids, asks, self._book.time(self._step)), self._book.last_id(self._step)
        return self.frame(f'{{{data},"checksum":0,"seqId":{seq},"prevSeqId":{before}}}', action)


class TopStream(OkxStream):
    """``books5`` and ``bbo-tbt``: the best levels whole, whenever they have changed."""

    def __init__(self, channel: str, formats: Formats, now: int) -> None:
        super().__init__(channel, formats)
        self._book = formats.listing.book
        self._depth = 5 if channel == "books5" else 1
        self._step = self._book.step(now)
        self._seen: tuple[Levels, Levels] | None = None

    def first(self, now: int) -> list[str]:
        """The levels."""
        return self._frames(self._step)

    def due(self, now: int) -> list[str]:
        """A frame for each step in which they changed."""
        steps = range(self._step + 1, self._book.step(now) + 1)
        self._step = max(self._step, self._book.step(now))
        return [frame for step in steps for frame in self._frames(step)]

    def _frames(self, step: int) -> list[str]:
        levels = self._book.levels(step, self._depth)
        if levels == self._seen:
            return []
        self._seen = levels
        data = self.formats.book(*levels, self._book.time(step))
        return [self.frame(f'{{{data},"instId":"{self.formats.id}","seqId":{self._book.last_id(step)}}}')]


class StateStream(OkxStream):
    """What is sent anew at multiples of a time, if it has changed: tickers, mark price, funding rate, open interest."""

    def __init__(
        self, channel: str, formats: Formats, now: int, every: int, state: Callable[[int], dict[str, str]], always: bool
    ) -> None:
        super().__init__(channel, formats)
        self._every = every
        self._turn = now // every
        self._state = state
        self._always = always
        self._seen: dict[str, str] = {}

    def first(self, now: int) -> list[str]:
        """The present state."""
        return self._frames(now)

    def due(self, now: int) -> list[str]:
        """A frame for each turn that has come."""
        turns = range(self._turn + 1, now // self._every + 1)
        self._turn = max(self._turn, now // self._every)
        return [frame for turn in turns for frame in self._frames(turn * self._every)]

    def _frames(self, at: int) -> list[str]:
        state = self._state(at)
        known = {name: text for name, text in state.items() if name != "ts"}
        if known == self._seen and not self._always:
            return []
        self._seen = known
        return [self.frame(json.dumps(state, separators=(",", ":")))]


def _interest(formats: Formats, at: int) -> dict[str, str]:
    contracts, base, usd = formats.interest(at)
    # It moves in steps of a second, and tells since when it is so.
    ts = str((at - at % NS) // MS)
    return {"instId": formats.id, "instType": formats.type, "oi": contracts, "oiCcy": base, "oiUsd": usd, "ts": ts}


def make_stream(venue: Okx, business: bool, channel: str, inst: str, now: int) -> OkxStream | None:
    """The stream of *channel* and *inst* at the address that has it; ``None`` if there is none."""
    formats = venue.formats.get(inst)
    if formats is None or channel.startswith(_BUSINESS) != business:
        return None
    contract = formats.listing.symbol.contract
    if channel in ("trades", "trades-all"):
        return TradeStream(channel, formats, Cursor(venue, formats.listing, now))
    if channel.startswith("candle"):
        interval = BARS.get(channel.removeprefix("candle"))
        return CandleStream(channel, formats, now, interval) if interval else None
    if channel == "books":
        return BookStream(channel, formats, now)
    if channel in ("books5", "bbo-tbt"):
        return TopStream(channel, formats, now)
    if channel == "tickers":
        return StateStream(channel, formats, now, NS // 10, formats.ticker, always=False)
    if channel == "mark-price" and contract:
        return StateStream(channel, formats, now, NS // 5, formats.mark_price, always=False)
    if channel == "funding-rate" and contract == "perp":
        return StateStream(channel, formats, now, 60 * NS, formats.funding, always=True)
    if channel == "open-interest" and contract:
        return StateStream(channel, formats, now, 3 * NS, lambda at: _interest(formats, at), always=False)
    return None
