"""Coinbase's channels: a product and the time flow in, frames without their numbers flow out. Pure.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels: market_trades, candles (of
five minutes), level2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dccd.simulator.coinbase.formats import Formats, envelope
from dccd.simulator.venue import Cursor, Listing, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.coinbase.rest import Coinbase

__all__ = ["CHANNELS", "CoinbaseStream", "make_stream"]

CHANNELS = {"market_trades": "trades", "candles": "ohlc", "level2": "orderbook"}
"""The data type of each."""

_BATCH = NS // 4
_SPAN = 300 * NS
_SNAPSHOT_TRADES = 100
_SNAPSHOT_CANDLES = 12
_PER_FRAME = 20  # trades a frame in benchmark mode
_LATENCY = 1_234_567
"""From what happened to its frame's time (ns)."""


class CoinbaseStream(Stream):
    """A subscription; ``first`` gives its snapshot."""

    def __init__(self, channel: str, listing: Listing, formats: Formats) -> None:
        self.channel = channel
        self.name = f"{channel}:{formats.product}"
        self.symbol = listing.symbol.human
        self.data_type = CHANNELS[channel]
        self.product = formats.product
        self.listing = listing
        self.formats = formats

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def first(self, now: int) -> str:
        """The snapshot."""
        raise NotImplementedError


class TradeStream(CoinbaseStream):
    """``market_trades``: the newest hundred, then those of each quarter of a second; newest first in all frames."""

    def __init__(self, venue: Coinbase, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__("market_trades", listing, formats)
        self._cursor = Cursor(venue, listing, now)

    def first(self, now: int) -> str:
        """The trades before those that come."""
        until = self._cursor.next
        runs = self.listing.market.runs(max(0, until - _SNAPSHOT_TRADES), until)
        return self._frame("snapshot", self.formats.trades(runs), now)

    def due(self, now: int) -> list[str]:
        """Trades of all quarters of a second that are over."""
        batches: dict[int, list[tuple[int, str]]] = {}
        for trade in self.formats.trades(self._cursor.until(now - now % _BATCH - 1)):
            batches.setdefault(trade[0] // _BATCH, []).append(trade)
        return [self._frame("update", trades, (batch + 1) * _BATCH) for batch, trades in batches.items()]

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        found = self.formats.trades(self._cursor.take(count))
        parts = [found[n : n + _PER_FRAME] for n in range(0, len(found), _PER_FRAME)]
        return [self._frame("update", part, part[-1][0]) for part in parts]

    def _frame(self, kind: str, trades: list[tuple[int, str]], at: int) -> str:
        items = ",".join([text for _, text in reversed(trades)])
        return envelope("market_trades", at + _LATENCY, f'{{"type":"{kind}","trades":[{items}]}}')


class CandleStream(CoinbaseStream):
    """``candles``: the newest hour's, then each second those that have had trades in it."""

    def __init__(self, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__("candles", listing, formats)
        self._second = now // NS
        self._next = listing.market.index(now + 1)

    def first(self, now: int) -> str:
        """The newest candles, the open one first."""
        newest, opened = now - now % _SPAN, self.listing.market.time(0)
        oldest = max(opened - opened % _SPAN, newest - (_SNAPSHOT_CANDLES - 1) * _SPAN)
        return self._frame("snapshot", list(range(oldest, newest + 1, _SPAN)), now)

    def due(self, now: int) -> list[str]:
        """A frame a second in which something was traded, with the final state of a candle that ended in it."""
        market, out = self.listing.market, []
        for second in range(self._second + 1, now // NS + 1):
            first, self._next = self._next, max(self._next, market.index(second * NS))
            self._second = second
            if first < self._next:
                starts = {market.time(n) // _SPAN * _SPAN for n in (first, self._next - 1)}
                out.append(self._frame("update", sorted(starts), second * NS - 1))
        return out

    def _frame(self, kind: str, starts: list[int], now: int) -> str:
        bar = self.listing.market.bar
        found = [(start, bar(start, min(start + _SPAN, now + 1))) for start in reversed(starts)]
        items = ",".join([self.formats.candle(*one, named=True) for one in found if one[1].trades])
        return envelope("candles", now + _LATENCY, f'{{"type":"{kind}","candles":[{items}]}}')


class BookStream(CoinbaseStream):
    """``level2``, whose frames call themselves ``l2_data``: all levels, then what each step changed."""

    def __init__(self, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__("level2", listing, formats)
        self._step = listing.book.step(now)

    def first(self, now: int) -> str:
        """The book; a snapshot tells no level's time."""
        book = self.listing.book
        bids, asks = book.levels(self._step, book.depth)
        return self._frame("snapshot", self.formats.updates(bids, asks, 0), book.time(self._step))

    def due(self, now: int) -> list[str]:
        """One frame a step."""
        book, out = self.listing.book, []
        for step in range(self._step + 1, book.step(now) + 1):
            self._step = step
            at = book.time(step)
            out.append(self._frame("update", self.formats.updates(*book.changes(step), at), at + _LATENCY))
        return out

    def _frame(self, kind: str, updates: str, at: int) -> str:
        return envelope("l2_data", at, f'{{"type":"{kind}","product_id":"{self.product}","updates":[{updates}]}}')


def make_stream(venue: Coinbase, channel: str, product: str, now: int) -> CoinbaseStream | None:
    """What *channel* (one of CHANNELS) has of *product*; ``None``: it isn't listed."""
    listing = venue.products.get(product)
    if listing is None:
        return None
    formats = venue.formats[product]
    if channel == "market_trades":
        return TradeStream(venue, listing, formats, now)
    return CandleStream(listing, formats, now) if channel == "candles" else BookStream(listing, formats, now)
