"""Kraken's channels on WebSocket v2: a subscription's parameters and the time flow in, its frames flow out. Pure.

https://docs.kraken.com/exchange/api-reference/spot-websocket-v2: trade, ohlc, book, ticker, instrument.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dccd.simulator.book import difference
from dccd.simulator.kraken.formats import Formats, checksum, iso
from dccd.simulator.kraken.names import asset_id
from dccd.simulator.venue import Cursor, Listing, Stream
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.kraken.rest import Kraken

__all__ = ["CHANNELS", "DEPTHS", "MINUTES", "KrakenStream", "Refused", "make_stream", "stream_name"]

DEPTHS = (10, 25, 100, 500, 1000)
MINUTES = (1, 5, 15, 30, 60, 240, 1440, 10_080, 21_600)
CHANNELS = ("trade", "ohlc", "book", "ticker", "instrument")
_SNAPSHOT_TRADES = 50
_SNAPSHOT_CANDLES = 720
_PER_FRAME = 20  # trades a frame in benchmark mode: about what one matching event brings on a busy market


class KrakenStream(Stream):
    """A subscription; ``first`` gives its snapshot."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        """What the acknowledgement says beside channel and symbol."""

    def first(self, now: int) -> list[str]:
        """The snapshot."""
        return []


class _Stream(KrakenStream):
    def __init__(self, name: str, listing: Listing, formats: Formats, data_type: str) -> None:
        super().__init__()
        self.name = name
        self.symbol = listing.symbol.human
        self.data_type = data_type
        self.listing = listing
        self.formats = formats

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class TradeStream(_Stream):
    """``trade``: the last 50 as a snapshot if asked, then all trades of a moment in a frame."""

    def __init__(self, venue: Kraken, name: str, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__(name, listing, formats, "trades")
        self._cursor = Cursor(venue, listing, now)

    def first(self, now: int) -> list[str]:
        """The trades before those that come."""
        until = self._cursor.next
        runs = self.listing.market.runs(max(0, until - _SNAPSHOT_TRADES), until)
        return [self.formats.trade_frame(self.formats.trade_items(runs), "snapshot")]

    def due(self, now: int) -> list[str]:
        """Trades until *now*, a frame for each order that took several levels."""
        out: list[str] = []
        for run in self._cursor.until(now):
            items = self.formats.trade_items([run])
            begin = 0
            for n in range(1, len(items) + 1):
                if n == len(items) or run.ticks[n].offset // 1000 != run.ticks[begin].offset // 1000:
                    out.append(self.formats.trade_frame(items[begin:n]))
                    begin = n
        return out

    def take(self, count: int) -> list[str]:
        """The next *count* numbered trades."""
        items = self.formats.trade_items(self._cursor.take(count))
        return [self.formats.trade_frame(items[n : n + _PER_FRAME]) for n in range(0, len(items), _PER_FRAME)]


class CandleStream(_Stream):
    """``ohlc``: the last 720 candles as a snapshot, then each candle whenever it has had trades."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, minutes: int) -> None:
        super().__init__(name, listing, formats, "ohlc")
        self.result = {"interval": minutes, "warnings": ["timestamp is deprecated, use interval_begin"]}
        self._minutes = minutes
        self._span = minutes * 60 * NS
        self._next = listing.market.index(now + 1)
        self._at = now

    def first(self, now: int) -> list[str]:
        """The newest candles, the last one open."""
        newest, opened = now - now % self._span, self.listing.market.time(0)
        oldest = max(opened - opened % self._span, newest - (_SNAPSHOT_CANDLES - 1) * self._span)
        items = [self._item(start, now) for start in range(oldest, newest + 1, self._span)]
        return [f'{{"channel":"ohlc","type":"snapshot","timestamp":"{iso(now)}","data":[{",".join(items)}]}}']

    def due(self, now: int) -> list[str]:
        """A frame for each candle that has had trades: its final state before the next one's first."""
        market = self.listing.market
        first, self._next = self._next, max(self._next, market.index(now + 1))
        out: list[str] = []
        while first < self._next:
            time = market.time(first)
            start = time - time % self._span
            until = min(now, start + self._span - 1)
            out.append(
                f'{{"channel":"ohlc","type":"update","timestamp":"{iso(until)}","data":[{self._item(start, until)}]}}'
            )
            first = market.index(start + self._span)
        return out

    def _item(self, start: int, now: int) -> str:
        bar = self.listing.market.bar(start, min(start + self._span, now + 1))
        return self.formats.candle_item(self._minutes, start, bar, now)


class BookStream(_Stream):
    """``book``: a snapshot, then what changed within the subscribed depth, each with the checksum of the result."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int, depth: int) -> None:
        super().__init__(name, listing, formats, "orderbook")
        self.result = {"depth": depth}
        self._depth = depth
        self._step = listing.book.step(now)
        self._seen = listing.book.levels(self._step, depth)

    def first(self, now: int) -> list[str]:
        """The book."""
        bids, asks = self._seen
        at = self.listing.book.time(self._step)
        return [self.formats.book_frame("snapshot", bids, asks, checksum(bids, asks), at)]

    def due(self, now: int) -> list[str]:
        """One frame a step. A level that falls out of the depth is not mentioned: the client cuts its book."""
        book, out = self.listing.book, []
        for step in range(self._step + 1, book.step(now) + 1):
            levels = book.levels(step, self._depth)
            bids = difference(self._seen[0], levels[0], bids=True, depth=self._depth)
            asks = difference(self._seen[1], levels[1], bids=False, depth=self._depth)
            self._step, self._seen = step, levels
            if bids or asks:
                out.append(self.formats.book_frame("update", bids, asks, checksum(*levels), book.time(step)))
        return out


class TickerStream(_Stream):
    """``ticker``: the touch and the day's statistics, when a second has gone by."""

    def __init__(self, name: str, listing: Listing, formats: Formats, now: int) -> None:
        super().__init__(name, listing, formats, "")
        self._turn = now // NS

    def first(self, now: int) -> list[str]:
        """The statistics."""
        return [self._frame("snapshot", now)]

    def due(self, now: int) -> list[str]:
        """The statistics once a second."""
        if now // NS == self._turn:
            return []
        self._turn = now // NS
        return [self._frame("update", now)]

    def _frame(self, kind: str, now: int) -> str:
        price, amount = self.formats.price, self.formats.amount
        bar = self.listing.market.bar(now - 86_400 * NS, now + 1)
        ((bid, bid_lots),), ((ask, ask_lots),) = self.listing.book.levels(self.listing.book.step(now), 1)
        change = bar.close - bar.open
        return (
            f'{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{self.symbol}","bid":{price(bid)},'
            f'"bid_qty":{amount(bid_lots)},"ask":{price(ask)},"ask_qty":{amount(ask_lots)},"last":{price(bar.close)},'
            f'"volume":{amount(bar.volume)},"vwap":{price(round(bar.quote / bar.volume) if bar.volume else 0)},'
            f'"low":{price(bar.low)},"high":{price(bar.high)},"change":{"-" if change < 0 else ""}{price(abs(change))},'
            f'"change_pct":{change * 100 / bar.open:.2f},"timestamp":"{iso(now)}"}}]}}'
        )


class InstrumentStream(KrakenStream):
    """``instrument``: all assets and pairs once; nothing changes."""

    name = "instrument"
    symbol = ""
    data_type = ""

    def __init__(self, venue: Kraken) -> None:
        super().__init__()
        self._venue = venue

    def first(self, now: int) -> list[str]:
        """The lists."""
        assets, pairs = {}, []
        for listing in self._venue.listings.values():
            pair = listing.instrument
            for asset in (pair.symbol.base, pair.symbol.quote):
                assets[asset] = {
                    "id": asset,
                    "status": "enabled",
                    "precision": 10 if asset_id(asset) != asset else 8,
                    "precision_display": 5,
                    "borrowable": False,
                    "collateral_value": 0.0,
                }
            pairs.append(
                {
                    "symbol": pair.symbol.human,
                    "base": pair.symbol.base,
                    "quote": pair.symbol.quote,
                    "status": "online",
                    "qty_precision": pair.amount_decimals,
                    "qty_increment": 10**-pair.amount_decimals,
                    "price_precision": pair.price_decimals,
                    "price_increment": 10**-pair.price_decimals,
                    "cost_precision": 5,
                    "cost_min": 0.5,
                    "marginable": False,
                    "has_index": True,
                    "qty_min": 0.0001,
                }
            )
        data = {"assets": list(assets.values()), "pairs": pairs}
        return [json.dumps({"channel": "instrument", "type": "snapshot", "data": data}, separators=(",", ":"))]

    def due(self, now: int) -> list[str]:
        """Nothing."""
        return []


class Refused(Exception):
    """A request is refused, in Kraken's words."""


def make_stream(venue: Kraken, params: dict[str, Any], symbol: str, now: int) -> KrakenStream:
    """The stream that ``params`` ask for of *symbol*. Raises Refused."""
    channel, name = params["channel"], stream_name(params, symbol)
    if channel == "instrument":
        return InstrumentStream(venue)
    listing = venue.listings.get(symbol)
    if listing is None:
        raise Refused(f"Currency pair not supported {symbol}")
    formats = venue.formats[symbol]
    if channel == "trade":
        return TradeStream(venue, name, listing, formats, now)
    if channel == "ohlc":
        return CandleStream(name, listing, formats, now, _minutes(params))
    if channel == "book":
        return BookStream(name, listing, formats, now, _choice(params, "depth", 10, DEPTHS, "Subscription depth"))
    return TickerStream(name, listing, formats, now)


def stream_name(params: dict[str, Any], symbol: str) -> str:
    """``trade:BTC/USD``, ``ohlc:BTC/USD:5``: one subscription of each a connection. Raises Refused."""
    channel = str(params["channel"])
    if channel == "instrument":
        return channel
    return f"{channel}:{symbol}:{_minutes(params)}" if channel == "ohlc" else f"{channel}:{symbol}"


def _minutes(params: dict[str, Any]) -> int:
    return _choice(params, "interval", 1, MINUTES, "Subscription ohlc interval")


def _choice(params: dict[str, Any], name: str, default: int, allowed: tuple[int, ...], what: str) -> int:
    value = params.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or value not in allowed:
        raise Refused(f"{what} not supported")
    return int(value)
