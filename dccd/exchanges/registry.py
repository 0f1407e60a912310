"""The table of exchanges that have a folder here, and the way to all others."""

from __future__ import annotations

from collections.abc import Callable

from dccd.errors import NoCapability
from dccd.exchanges.base import Exchange
from dccd.exchanges.binance import Binance
from dccd.exchanges.bitfinex import Bitfinex
from dccd.exchanges.bitmex import Bitmex
from dccd.exchanges.bybit import Bybit
from dccd.exchanges.coinbase import Coinbase
from dccd.exchanges.kraken import Kraken
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.exchanges.okx import Okx

__all__ = ["EXCHANGES", "get", "knows", "look_elsewhere"]

EXCHANGES: dict[str, Exchange] = {
    "binance": Binance(),
    "bitfinex": Bitfinex(),
    "bitmex": Bitmex(),
    "bybit": Bybit(),
    "coinbase": Coinbase(),
    "kraken": Kraken(),
    "krakenfutures": KrakenFutures(),
    "okx": Okx(),
}


_elsewhere: Callable[[str], Exchange] | None = None


def look_elsewhere(find: Callable[[str], Exchange] | None) -> None:
    """Let *find* tell the exchanges that have no folder; it raises NoCapability. ``None``: there are no others.

    ``dccd.feeds.elsewhere`` has it, from ccxt, which takes half a second to import: whoever runs exchanges sets it, and
    who only reads or asks doesn't.
    """
    global _elsewhere
    _elsewhere = find


def knows(exchange: str) -> bool:
    """Whether :func:`get` can say whether there is such an exchange: nobody looks elsewhere where ccxt isn't loaded."""
    return exchange in EXCHANGES or _elsewhere is not None


def get(exchange: str) -> Exchange:
    """Return the exchange called *exchange*. Raises NoCapability that lists those there are."""
    try:
        return EXCHANGES[exchange]
    except KeyError:
        if _elsewhere is not None:
            return _elsewhere(exchange)
        raise NoCapability(
            exchange, f"no exchange {exchange!r} here; there are {', '.join(sorted(EXCHANGES))}", "exchange"
        ) from None
