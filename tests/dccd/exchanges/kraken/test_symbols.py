"""Kraken's names."""

from __future__ import annotations

from dccd.exchanges.kraken import Kraken
from dccd.exchanges.kraken.symbols import ws_symbol
from dccd.symbols import Symbol


def test_names() -> None:
    """WebSocket v2 writes BTC; REST's name doesn't follow from the symbol, so that it is left to ccxt's markets."""
    assert ws_symbol(Symbol.parse("XBT/USD")) == "BTC/USD"
    assert Kraken().market(Symbol.parse("BTC/USD")) is None
