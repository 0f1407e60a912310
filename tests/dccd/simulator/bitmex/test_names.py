"""What BitMEX calls its contracts."""

from __future__ import annotations

import pytest

from dccd.simulator.bitmex.names import contract_id, settled_in
from dccd.symbols import NS, Symbol

MAY = 1_714_564_800 * NS  # 2024-05-01


@pytest.mark.parametrize(
    ("symbol", "id", "settle"),
    [
        ("BTC/USD:perp", "XBTUSD", "XBt"),
        ("BTC/USDT:perp", "XBTUSDT", "USDt"),
        ("ETH/USDT:perp", "ETHUSDT", "USDt"),
        ("BTC/USD:quarter", "XBTM24", "XBt"),
        ("BTC/USDT:next_quarter", "XBTUSDTU24", "USDt"),
    ],
)
def test_ids(symbol: str, id: str, settle: str) -> None:
    """XBT for BTC; dated ones by the letter of their month."""
    assert contract_id(Symbol.parse(symbol), MAY) == id
    assert settled_in(Symbol.parse(symbol))[0] == settle
