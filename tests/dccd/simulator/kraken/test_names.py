"""Kraken's names, as its own Assets and AssetPairs have them."""

from __future__ import annotations

import pytest

from dccd.simulator.kraken.names import asset_id, pair_aliases, pair_alt, pair_id, ws_name
from dccd.symbols import Symbol


@pytest.mark.parametrize(
    ("symbol", "id", "alt", "ws"),
    [
        ("BTC/USD", "XXBTZUSD", "XBTUSD", "XBT/USD"),
        ("BTC/USDT", "XBTUSDT", "XBTUSDT", "XBT/USDT"),
        ("ETH/EUR", "XETHZEUR", "ETHEUR", "ETH/EUR"),
        ("ETH/BTC", "XETHXXBT", "ETHXBT", "ETH/XBT"),
        ("DOGE/USD", "XDGUSD", "XDGUSD", "XDG/USD"),
        ("SOL/USD", "SOLUSD", "SOLUSD", "SOL/USD"),
    ],
)
def test_pairs(symbol: str, id: str, alt: str, ws: str) -> None:
    """Id, altname and wsname of a pair."""
    pair = Symbol.parse(symbol)
    assert (pair_id(pair), pair_alt(pair), ws_name(pair)) == (id, alt, ws)
    assert {id, alt, ws, symbol} <= pair_aliases(pair)


def test_assets() -> None:
    """Old assets have a letter more."""
    assert [asset_id(asset) for asset in ("BTC", "ETH", "USD", "DOGE", "SOL", "USDT")] == [
        "XXBT",
        "XETH",
        "ZUSD",
        "XXDG",
        "SOL",
        "USDT",
    ]
