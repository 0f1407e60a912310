"""What Kraken calls a symbol."""

from __future__ import annotations

from dccd.symbols import Symbol

__all__ = ["ws_symbol"]


def ws_symbol(symbol: Symbol) -> str:
    """``BTC/USD``: WebSocket v2 writes BTC as all do, where REST has XXBTZUSD (which ccxt's markets tell)."""
    return f"{symbol.base}/{symbol.quote}"
