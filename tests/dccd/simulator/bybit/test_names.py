"""What Bybit calls symbols and trades."""

from __future__ import annotations

from uuid import UUID

import pytest

from dccd.simulator.bybit.names import BARS, category, market_id, spot_trade_id, uuid
from dccd.symbols import NS, Symbol

AT = 1_714_564_800 * NS


@pytest.mark.parametrize(
    ("symbol", "kind", "name"),
    [
        ("BTC/USDT", "spot", "BTCUSDT"),
        ("BTC/USDC", "spot", "BTCUSDC"),
        ("BTC/USDT:perp", "linear", "BTCUSDT"),
        ("BTC/USDC:perp", "linear", "BTCPERP"),
        ("BTC/USDT:quarter", "linear", "BTCUSDT-28JUN24"),
        ("BTC/USDC:next_quarter", "linear", "BTC-27SEP24"),
    ],
)
def test_names(symbol: str, kind: str, name: str) -> None:
    """The same name may be in both categories."""
    assert (category(Symbol.parse(symbol)), market_id(Symbol.parse(symbol), AT)) == (kind, name)


def test_trade_ids() -> None:
    """Numbers on spot, UUIDs of contracts: each another, and none follows from the one before."""
    assert spot_trade_id(2).isdecimal() and int(spot_trade_id(2)) != int(spot_trade_id(1)) + 1
    made = [uuid(number) for number in range(1, 1000)]
    assert len(set(made)) == 999 and all(str(UUID(text)) == text for text in made)


def test_bars() -> None:
    """All of Bybit's, weeks from Mondays."""
    assert sorted(BARS) == sorted(["1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M"])
    assert BARS["720"].start(AT + 1) == AT
