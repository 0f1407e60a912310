"""Listings: familiar pairs at familiar prices, unknown ones at prices of their own."""

from __future__ import annotations

from dccd.simulator.instruments import instrument
from dccd.symbols import Symbol


def test_known_pairs_have_the_usual_decimals() -> None:
    """BTC/USDT as Binance lists it, BTC/USD as Kraken does."""
    binance = instrument(Symbol.parse("BTC/USDT"), digits=7)
    assert (binance.price_decimals, binance.amount_decimals, binance.price) == (2, 5, 6_400_000)
    kraken = instrument(Symbol.parse("BTC/USD"), digits=6, amount_decimals=8)
    assert (kraken.price_decimals, kraken.amount_decimals, kraken.price) == (1, 8, 640_000)


def test_any_pair_fits_into_eight_decimals() -> None:
    """Whatever the pair, prices are far above a tick, and price times amount has at most eight decimals."""
    for text in ("DOGE/BTC", "PEPE/USDT", "BTC/EUR", "A1/B2", "USDC/USDT"):
        pair = instrument(Symbol.parse(text), digits=7)
        assert pair.price > 100
        assert pair.price_decimals + pair.amount_decimals <= 8
        assert pair.lots >= 2
        assert pair == instrument(Symbol.parse(text), digits=7)
