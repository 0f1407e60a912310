"""What Coinbase calls a symbol: symbols flow in, product ids flow out."""

from __future__ import annotations

from dccd.symbols import Symbol

__all__ = ["feed_id", "product_id"]

_ASSETS = {"CELO": "CGLD"}
"""Assets that go by another name there."""
_OWN_BOOKS = ("USDT", "EURC")
"""The assets that have a book of their own in USDC."""


def product_id(symbol: Symbol) -> str:
    """``BTC-USD``: its name on REST."""
    return f"{_ASSETS.get(symbol.base, symbol.base)}-{_ASSETS.get(symbol.quote, symbol.quote)}"


def feed_id(symbol: Symbol) -> str:
    """Its name on the WebSocket, where BTC-USDC is BTC-USD: both trade in one book, and only that name is sent.

    https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
    """
    if symbol.quote == "USDC" and symbol.base not in _OWN_BOOKS:
        return product_id(Symbol(symbol.base, "USD"))
    return product_id(symbol)
