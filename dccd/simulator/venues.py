"""Which exchanges can be simulated: an id flows in, the class that speaks its formats flows out.

A new one adds a line.
"""

from __future__ import annotations

from dccd.simulator.binance import Binance
from dccd.simulator.bitfinex import Bitfinex
from dccd.simulator.bitmex import Bitmex
from dccd.simulator.bybit import Bybit
from dccd.simulator.coinbase import Coinbase
from dccd.simulator.kraken import Kraken
from dccd.simulator.krakenfutures import KrakenFutures
from dccd.simulator.okx import Okx
from dccd.simulator.venue import Venue

__all__ = ["EXCHANGES", "VENUES"]

VENUES: dict[str, type[Venue]] = {
    "binance": Binance,
    "bitfinex": Bitfinex,
    "bitmex": Bitmex,
    "bybit": Bybit,
    "coinbase": Coinbase,
    "kraken": Kraken,
    "krakenfutures": KrakenFutures,
    "okx": Okx,
}
"""By id, as ccxt's."""

EXCHANGES = tuple(VENUES)
"""The ids."""
