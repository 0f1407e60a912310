"""Entries of exchangeInfo."""

from __future__ import annotations

from dccd.simulator.binance.listing import symbol_info
from dccd.simulator.instruments import instrument
from dccd.symbols import Symbol


def test_tick_and_step_follow_the_pair() -> None:
    """Prices and amounts of trades are multiples of what the filters say."""
    info = symbol_info(instrument(Symbol.parse("DOGE/USDT"), digits=7))
    assert (info["symbol"], info["baseAsset"], info["quoteAsset"], info["status"]) == (
        "DOGEUSDT",
        "DOGE",
        "USDT",
        "TRADING",
    )
    filters = {one["filterType"]: one for one in info["filters"]}  # type: ignore[attr-defined]  # JSON
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00000010"
    assert filters["LOT_SIZE"]["stepSize"] == "1.00000000"
