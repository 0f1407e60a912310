"""What Kraken Futures calls its products, and how it lists one: what is simulated flows in, names flow out. Pure.

Perpetuals are linear here (``PF_XBTUSD``), the contract of this quarter is inverse (``FI_XBTUSD_240628``), that of the
next one linear again (``FF_XBTUSD_240927``): the real exchange has most of them in both kinds.
"""

from __future__ import annotations

from datetime import UTC, datetime

from dccd.simulator.expiries import expiry, expiry_day
from dccd.simulator.instruments import Instrument, instrument
from dccd.symbols import NS, Symbol

__all__ = ["MS", "RESOLUTIONS", "XBT", "instrument_info", "iso", "listed_instrument", "product_id", "uuid"]

MS = 1_000_000
"""Nanoseconds in a millisecond."""

XBT = {"BTC": "XBT"}
"""What it calls assets, where that is another name."""

RESOLUTIONS = ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w")
_PREFIXES = {"perp": "PF", "quarter": "FI", "next_quarter": "FF"}
_ODD = 0xD1B54A32D192ED03A24BAED4963EE407


def product_id(symbol: Symbol, at: int) -> str:
    """``PF_XBTUSD``; of contracts that expire ``FI_XBTUSD_240628``."""
    base = XBT.get(symbol.base, symbol.base)
    name = f"{_PREFIXES[symbol.contract]}_{base}{symbol.quote}"
    return name if symbol.contract == "perp" else f"{name}_{expiry_day(expiry(symbol.contract, at)):%y%m%d}"


def listed_instrument(symbol: Symbol) -> Instrument:
    """Six significant digits of price; contracts of 1 of the base asset, cut into small pieces, or of 1 USD."""
    if symbol.contract == "quarter":
        return instrument(symbol, digits=6, amount_decimals=0, inverse=True)
    return instrument(symbol, digits=6)


def uuid(number: int) -> str:
    """A trade's id: another for each number, in no order."""
    text = f"{number * _ODD % (1 << 128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def iso(at: int) -> str:
    """``2024-05-01T12:00:00.123Z``."""
    return f"{datetime.fromtimestamp(at // NS, UTC):%Y-%m-%dT%H:%M:%S}.{at // MS % 1000:03d}Z"


def instrument_info(pair: Instrument, at: int, opened: int) -> dict[str, object]:
    """A product's entry of ``instruments``."""
    symbol = pair.symbol
    base = XBT.get(symbol.base, symbol.base)
    info: dict[str, object] = {
        "symbol": product_id(symbol, at),
        "type": "futures_inverse" if pair.inverse else "flexible_futures",
        "tickSize": 10**-pair.price_decimals,
        "contractSize": 1,
        "tradeable": True,
        "impactMidSize": 1.0,
        "maxPositionSize": 1_000_000.0,
        "openingDate": iso(opened),
        "marginLevels": [{"numNonContractUnits": 0.0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
        "contractValueTradePrecision": pair.amount_decimals,
        "postOnly": False,
        "feeScheduleUid": "723888f7-0a8e-4183-8648-f920a22339e3",
        "mtf": True,
        "base": symbol.base,
        "quote": symbol.quote,
        "pair": f"{symbol.base}:{symbol.quote}",
        "category": "Layer 1",
        "tags": [],
    }
    if pair.inverse:
        info["underlying"] = f"rr_{base.lower()}{symbol.quote.lower()}"
    if symbol.contract == "perp":
        return info | {"fundingRateCoefficient": 8, "maxRelativeFundingRate": 0.005}
    return info | {"lastTradingTime": iso(expiry(symbol.contract, at))}
