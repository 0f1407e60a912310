"""What a simulated exchange lists: symbols flow in, decimals of prices and amounts and a price flow out. Pure.

Amounts are whole lots throughout. On the wire of a market of contracts they are whole contracts, and here is how:

* linear, one contract being a power of ten of the base asset (OKX's BTC-USDT-SWAP: 0.01 BTC): ``amount_decimals=2``
  makes one lot one contract, and the lots are what goes on the wire;
* linear, any other size: ``contract`` lots are one contract, and each size is a multiple of that;
* inverse (BitMEX's XBTUSD: 1 USD, OKX's BTC-USD-SWAP: 100 USD): ``inverse=True``, lots being of the *quote* asset.
  With ``amount_decimals=0`` and ``contract=1`` (or 100) lots are USD.

The truth is in base asset all the same: records are made by :meth:`Instrument.amount` and :meth:`Instrument.volumes`.
"""

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
    """One listed market. Prices are counted in ticks of ``10**-price_decimals`` quote asset, amounts in lots of
    ``10**-amount_decimals`` base asset (quote asset if ``inverse``); ``price`` (ticks) is where the market hovers.
    ``contract``: how many lots one contract is, which sizes are multiples of.
    """

    symbol: Symbol
    price_decimals: int
    amount_decimals: int
    price: int
    contract: int = 1
    inverse: bool = False

    @property
    def lots(self) -> float:
        """A typical trade's size in lots: worth some hundred USD."""
        quote = _USD_PRICES.get(self.symbol.quote, 1.0)
        price = quote if self.inverse else self.price * 0.1**self.price_decimals * quote
        return max(2.0 * self.contract, 300.0 / price * 10.0**self.amount_decimals)

    @property
    def price_unit(self) -> int:
        """Ticks in one of the quote asset."""
        return int(10**self.price_decimals)

    @property
    def lot_unit(self) -> int:
        """Lots in one of the base asset (quote asset if inverse)."""
        return int(10**self.amount_decimals)

    @property
    def contract_size(self) -> float:
        """How much of the base asset (quote asset if inverse) one contract is."""
        return self.contract / self.lot_unit

    def whole(self, lots: float) -> int:
        """The nearest size that can be traded: whole contracts, at least one."""
        return self.contract * max(1, round(lots / self.contract))

    def amount(self, lots: int, price: int) -> float:
        """*lots* at *price* (ticks) in base asset: as a record has them."""
        return lots * self.price_unit / (price * self.lot_unit) if self.inverse else lots / self.lot_unit

    def volumes(self, volume: int, quote: int) -> tuple[float, float]:
        """A bar's volume in base and in quote asset, from the sums of its lots and of its ticks × lots.

        The base volume of an inverse market is what the lots come to at their average price, which is the sum over
        its trades to some millionths; write the same on the wire.
        """
        prices, amounts = self.price_unit, self.lot_unit
        if self.inverse:
            return (volume * volume * prices / (quote * amounts) if volume else 0.0), volume / amounts
        return volume / amounts, quote / (prices * amounts)


def instrument(
    symbol: Symbol, digits: int, amount_decimals: int | None = None, *, contract: int = 1, inverse: bool = False
) -> Instrument:
    """The market *symbol* with prices of *digits* significant digits.

    ``amount_decimals``: fixed (Kraken's 8), or ``None`` to take more for dearer assets, as Binance does. ``contract``
    and ``inverse`` are for contracts, see above.
    """
    price = _usd(symbol.base) / _usd(symbol.quote)
    whole = math.floor(math.log10(price)) + 1
    price_decimals = max(0, min(8, digits - whole))
    if amount_decimals is None:
        amount_decimals = max(0, min(8 - price_decimals, whole, 5))
    return Instrument(
        symbol, price_decimals, amount_decimals, round(price * 10**price_decimals), contract=contract, inverse=inverse
    )


def _usd(asset: str) -> float:
    known = _USD_PRICES.get(asset)
    # Seeded by the name alone: the same asset costs the same wherever it is listed.
    return math.exp(random.Random(asset).uniform(-2, 4)) if known is None else known
