"""What the simulated OKX calls markets and bars."""

from __future__ import annotations

import pytest

from dccd.simulator.okx.names import BARS, contract_value, inst_id, inst_type, listed_instrument, listing_info
from dccd.symbols import NS, Symbol


@pytest.mark.parametrize(
    ("symbol", "id", "kind", "value"),
    [
        ("BTC/USDT", "BTC-USDT", "SPOT", ""),
        ("BTC/USDT:perp", "BTC-USDT-SWAP", "SWAP", "0.01"),
        ("ETH/USDT:perp", "ETH-USDT-SWAP", "SWAP", "0.1"),
        ("BTC/USD:perp", "BTC-USD-SWAP", "SWAP", "100"),
        ("SOL/USD:perp", "SOL-USD-SWAP", "SWAP", "10"),
        ("BTC/USDT:quarter", "BTC-USDT-240628", "FUTURES", "0.01"),
        ("BTC/USDT:next_quarter", "BTC-USDT-240927", "FUTURES", "0.01"),
    ],
)
def test_markets(start: int, symbol: str, id: str, kind: str, value: str) -> None:
    """As OKX writes them, contracts with their sizes."""
    parsed = Symbol.parse(symbol)
    pair = listed_instrument(parsed)
    info = listing_info(pair, start, start)
    assert (inst_id(parsed, start), inst_type(parsed)) == (id, kind)
    assert (info["instId"], info["instType"], info["ctVal"]) == (id, kind, value)
    assert not value or contract_value(pair) == value
    assert info["alias"] == (parsed.contract if kind == "FUTURES" else "")


def test_days_begin_in_hong_kong_or_by_utc() -> None:
    """There are two of each bar of six hours and longer."""
    at = 1_714_564_800 * NS  # noon UTC
    day, local = BARS["1Dutc"], BARS["1D"]
    assert (at - day.start(at)) // (3600 * NS) == 12
    assert (at - local.start(at)) // (3600 * NS) == 20
    assert local.shift(local.start(at), 1) - local.start(at) == 86_400 * NS
    assert local.start(local.start(at)) == local.start(at)
