"""What a simulated exchange lists: symbols flow in, decimals of prices and amounts and a price flow out. Pure."""

from __future__ import annotations

import math
import random

import msgspec

from dccd.symbols import Symbol

__all__ = ["Instrument", "instrument"]

# Rough levels, so that a demo looks familiar; anything else gets one from its name.
_USD_PRICES = {
    "BTC": 64_000.0,
    "ETH": 3_200.0,
    "BNB": 580.0,
    "SOL": 150.0,
    "LTC": 75.0,
    "LINK": 14.0,
    "DOT": 6.0,
    "XRP": 0.55,
    "ADA": 0.4,
    "DOGE": 0.12,
    "USDT": 1.0,
    "USDC": 1.0,
    "USD": 1.0,
    "EUR": 1.08,
    "GBP": 1.27,
}


class Instrument(msgspec.Struct, frozen=True):
    """One listed pair. Prices are counted in ticks of ``10**-price_decimals`` quote asset, amounts in lots of
    ``10**-amount_decimals`` base asset; ``price`` (ticks) is where the market hovers.
    """

    symbol: Symbol
    price_decimals: int
    amount_decimals: int
    price: int

    @property
    def lots(self) -> float:
        """A typical trade's size in lots: worth some hundred USD."""
        price = self.price * 0.1**self.price_decimals * _USD_PRICES.get(self.symbol.quote, 1.0)
        return max(2.0, 300.0 / price * 10.0**self.amount_decimals)


def instrument(symbol: Symbol, digits: int, amount_decimals: int | None = None) -> Instrument:
    """The pair *symbol* with prices of *digits* significant digits.

    ``amount_decimals``: fixed (Kraken's 8), or ``None`` to take more for dearer assets, as Binance does.
    """
    price = _usd(symbol.base) / _usd(symbol.quote)
    whole = math.floor(math.log10(price)) + 1
    price_decimals = max(0, min(8, digits - whole))
    if amount_decimals is None:
        amount_decimals = max(0, min(8 - price_decimals, whole, 5))
    return Instrument(symbol, price_decimals, amount_decimals, round(price * 10**price_decimals))


def _usd(asset: str) -> float:
    known = _USD_PRICES.get(asset)
    # Seeded by the name alone: the same asset costs the same wherever it is listed.
    return math.exp(random.Random(asset).uniform(-2, 4)) if known is None else known
