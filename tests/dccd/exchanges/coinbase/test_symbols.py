"""What Coinbase calls things."""

from __future__ import annotations

import pytest

from dccd.exchanges.coinbase import Coinbase
from dccd.exchanges.coinbase.symbols import feed_id, product_id
from dccd.symbols import Symbol


@pytest.mark.parametrize(
    ("text", "rest", "feed"),
    [
        ("XBT/USD", "BTC-USD", "BTC-USD"),
        ("CELO/USD", "CGLD-USD", "CGLD-USD"),
        ("ETH/BTC", "ETH-BTC", "ETH-BTC"),
        ("BTC/USDC", "BTC-USDC", "BTC-USD"),
        ("CELO/USDC", "CGLD-USDC", "CGLD-USD"),
        ("EURC/USDC", "EURC-USDC", "EURC-USDC"),
    ],
)
def test_products(text: str, rest: str, feed: str) -> None:
    """By name on REST; on the WebSocket what trades in USDC goes by USD."""
    symbol = Symbol.parse(text)
    assert (product_id(symbol), feed_id(symbol)) == (rest, feed)
    market = Coinbase().market(symbol)
    assert market is not None and market.id == rest and market.contract == 1
