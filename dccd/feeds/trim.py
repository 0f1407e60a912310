"""ccxt's unified structures cut to what is used here: its objects flow in, JSON for dccd.exchanges.unified flows out.

What ccxt returns has the exchange's raw answer inside of each record, which is most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["METHODS", "bars", "book", "encode", "trades"]

encode = msgspec.json.Encoder().encode
"""NaN and infinity become null, which is no price."""


def trades(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Trades, without what can be told from the rest."""
    return [{key: one.get(key) for key in ("timestamp", "price", "amount", "side", "id")} for one in found]


def bars(found: Iterable[Iterable[Any]]) -> list[list[Any]]:
    """Bars: time, open, high, low, close, volume; some exchanges have more."""
    return [[*row][:6] for row in found]


def book(found: Mapping[str, Any], depth: int | None = None) -> dict[str, Any]:
    """A book to *depth* levels a side; some exchanges give an id or a count with each level."""
    sides = {side: [(level[0], level[1]) for level in [*found[side]][:depth]] for side in ("bids", "asks")}
    return {**sides, "timestamp": found.get("timestamp"), "nonce": found.get("nonce")}


def _picked(*keys: str) -> Callable[[Any], Any]:
    return lambda found: [{key: one.get(key) for key in ("timestamp", *keys)} for one in found]


METHODS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "fetchTrades": ("fetch_trades", trades),
    "fetchOHLCV": ("fetch_ohlcv", bars),
    "fetchOrderBook": ("fetch_order_book", book),
    "fetchFundingRateHistory": ("fetch_funding_rate_history", _picked("fundingRate")),
    "fetchOpenInterestHistory": (
        "fetch_open_interest_history",
        _picked("openInterestAmount", "openInterestValue"),
    ),
}
"""The unified methods of REST: what Python calls each, and what is kept of its result."""
