"""What Bybit calls a symbol, a category and a span. ``BTCUSDT`` is listed on spot and among the linear contracts alike:
the category, and on WebSocket the URL, tells them apart.
"""

from __future__ import annotations

from typing import Literal

from dccd.symbols import Symbol, parse_span

__all__ = ["INTERVALS", "QUOTES", "URLS", "Category", "category", "market_id"]

Category = Literal["spot", "linear"]

URLS: dict[Category, str] = {
    "spot": "wss://stream.bybit.com/v5/public/spot",
    "linear": "wss://stream.bybit.com/v5/public/linear",
}
"""https://bybit-exchange.github.io/docs/v5/ws/connect"""

QUOTES = ("USDT", "USDC")
"""What linear contracts are quoted and settled in; those in USD are inverse, and aren't collected here."""

INTERVALS = {
    **{60 * minutes: str(minutes) for minutes in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    parse_span("1d"): "D",
    parse_span("1w"): "W",
}
"""Bybit's names of bars by their span in seconds; its months have none."""


def category(symbol: Symbol) -> Category:
    """Where *symbol* is listed."""
    return "linear" if symbol.contract else "spot"


def market_id(symbol: Symbol) -> str | None:
    """``BTCUSDT``; ``BTCPERP`` for the perpetual in USDC. None where the name doesn't follow from the symbol."""
    if not symbol.contract:
        return symbol.base + symbol.quote
    if symbol.contract == "perp":
        return {"USDT": f"{symbol.base}USDT", "USDC": f"{symbol.base}PERP"}.get(symbol.quote)
    return None
