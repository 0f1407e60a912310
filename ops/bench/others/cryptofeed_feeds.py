"""cryptofeed's feeds, one a case, fed by hand: cases flow in, its ``message_handler`` and what it takes flow out.

What would come over the network is set instead: the list of symbols, the connection, the REST snapshot of a book. All
else is its own: JSON, books, checksums (which it verifies by default where there are any), sequence numbers, its calls
of callbacks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from cases import Case
from cryptofeed.defines import CANDLES, FUNDING, L2_BOOK, OPEN_INTEREST, TRADES
from cryptofeed.exchanges import (
    OKX,
    Binance,
    BinanceFutures,
    Bitfinex,
    Bybit,
    Coinbase,
    Kraken,
    KrakenFutures,
)
from cryptofeed.symbols import Symbols

__all__ = ["Absent", "Feed"]

FEEDS = {
    "binance spot": Binance,
    "binance perp": BinanceFutures,
    "bitfinex": Bitfinex,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "kraken": Kraken,
    "krakenfutures": KrakenFutures,
    "okx": OKX,
}
CHANNELS = {
    "trades": TRADES,
    "ohlc": CANDLES,
    "orderbook": L2_BOOK,
    "funding": FUNDING,
    "open_interest": OPEN_INTEREST,
}
_DEPTH = re.compile(r'"depth":(\d+)')
_TIME = re.compile(r",\d+\]$")
_REQUEST_ID = re.compile(r',"subId":\d+')


class Absent(Exception):
    """Raised when cryptofeed lacks the exchange or the channel."""


class _Connection:
    """What message handlers look at of a connection."""

    def __init__(self, url: str, subscription: dict[str, list[str]]) -> None:
        self.address = url
        self.uuid = self.id = "bench"
        self.subscription = subscription

    async def write(self, _text: str) -> None:
        """What is asked for has been answered already."""


class _Loud(logging.Handler):
    """A frame that cryptofeed only warns of is one that it doesn't take: no figure is worth anything then."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError(record.getMessage())


log = logging.getLogger("cryptofeed")
log.addHandler(_Loud(logging.WARNING))
log.propagate = False


class Feed:
    """A new feed of the case's channel. Raises Absent.

    *closed_bars*: bars that aren't closed are left out, which is its default; dccd gives them all.
    """

    def __init__(self, case: Case, closed_bars: bool = False) -> None:
        kind = "perp" if ":" in case.symbol else "spot"
        self._case = case
        self.calls = 0
        factory = FEEDS.get(case.exchange) or FEEDS.get(f"{case.exchange} {kind}")
        if factory is None:
            raise Absent
        channel = CHANNELS[case.data_type]
        # Binance's open interest is polled over REST there: no channel.
        if channel not in factory.websocket_channels or (case.exchange, channel) == ("binance", OPEN_INTEREST):
            raise Absent
        pair = case.symbol.partition(":")[0]
        name = pair.replace("/", "-") + ("-PERP" if kind == "perp" else "")
        native = pair if case.exchange == "kraken" or (case.exchange, kind) == ("bybit", "spot") else case.native
        types = {name: "perpetual" if kind == "perp" else "spot"}
        Symbols.set(factory.id, {name: native}, {"instrument_type": types, "tick_size": {}})
        more: dict[str, Any] = {"candle_closed_only": closed_bars}
        if case.exchange == "kraken" and case.data_type == "orderbook":
            # Its own default is 1,000 levels; the book on the wire is cut at what was subscribed to.
            more["max_depth"] = next(int(found[1]) for _, _, text in case.before if (found := _DEPTH.search(text)))
        self._feed = factory(symbols=[name], channels=[channel], callbacks={channel: self._take}, **more)
        self._feed.http_conn.read = self._snapshot
        subscription = {factory.websocket_channels[channel]: [native]}
        self.connection = _Connection("wss://bench/linear" if kind == "perp" else "wss://bench/spot", subscription)
        self.handler: Callable[[str, _Connection, float], Awaitable[None]] = self._feed.message_handler

    async def start(self) -> None:
        """Subscribe, and take what comes before."""
        await self._feed.subscribe(self.connection)
        for kind, ts, text in self._case.before:
            # Binance's streams are in its URL: it asks for nothing, and no answer comes.
            if kind == "frame" and not (self._case.exchange == "binance" and '"stream"' not in text):
                await self.handler(self.adapted(text), self.connection, ts / 1e9)

    def adapted(self, text: str) -> str:
        """A frame as it would be had cryptofeed subscribed: Bitfinex's without times and ids not asked for."""
        if self._case.exchange != "bitfinex":
            return text
        return _TIME.sub("]", text) if text[:1] == "[" else _REQUEST_ID.sub("", text)

    async def _take(self, _object: object, _receipt_timestamp: float) -> None:
        self.calls += 1

    async def _snapshot(self, *_: object, **__: object) -> str:
        return next(text for kind, _, text in self._case.before if kind == "snapshot")
