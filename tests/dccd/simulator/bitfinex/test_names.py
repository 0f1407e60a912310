"""Bitfinex's names, as its own lists have them."""

from __future__ import annotations

import pytest

from dccd.simulator.bitfinex.names import pair_id
from dccd.symbols import Symbol


@pytest.mark.parametrize(
    ("symbol", "id"),
    [
        ("BTC/USD", "BTCUSD"), ("BTC/USDT", "BTCUST"), ("DOGE/USD", "DOGE:USD"), ("ATOM/USDC", "ATOUDC"),
        ("BTC/USDT:perp", "BTCF0:USTF0"), ("DOGE/USDT:perp", "DOGEF0:USTF0"),
    ],
)  # fmt: skip
def test_pairs(symbol: str, id: str) -> None:
    """Three letters each, a colon where there are more."""
    assert pair_id(Symbol.parse(symbol)) == id
