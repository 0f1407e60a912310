"""The table of exchanges that have a folder here."""

from __future__ import annotations

from dccd.errors import NoCapability
from dccd.exchanges.base import Exchange
from dccd.exchanges.binance import Binance
from dccd.exchanges.coinbase import Coinbase
from dccd.exchanges.kraken import Kraken

__all__ = ["EXCHANGES", "get"]

EXCHANGES: dict[str, Exchange] = {"binance": Binance(), "coinbase": Coinbase(), "kraken": Kraken()}


def get(exchange: str) -> Exchange:
    """Return the exchange called *exchange*. Raises NoCapability that lists those there are."""
    try:
        return EXCHANGES[exchange]
    except KeyError:
        raise NoCapability(
            exchange, f"no exchange {exchange!r} here; there are {', '.join(sorted(EXCHANGES))}", "exchange"
        ) from None
