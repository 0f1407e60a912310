"""What Bybit calls symbols, categories and bars, and how it describes a market: what is listed flows in. Pure."""

from __future__ import annotations

from dccd.simulator.expiries import expiry, expiry_day
from dccd.simulator.instruments import Instrument
from dccd.simulator.intervals import INTERVALS, Interval
from dccd.symbols import Symbol

__all__ = ["BARS", "CATEGORIES", "MS", "category", "instrument_info", "market_id", "spot_trade_id", "uuid"]

MS = 1_000_000
"""Nanoseconds in a millisecond."""

CATEGORIES = ("spot", "linear", "inverse", "option")

_MINUTES = {1: "1m", 3: "3m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 120: "2h", 240: "4h", 360: "6h", 720: "12h"}
BARS: dict[str, Interval] = {
    **{str(minutes): INTERVALS[name] for minutes, name in _MINUTES.items()},
    "D": INTERVALS["1d"],
    "W": INTERVALS["1w"],
    "M": INTERVALS["1M"],
}
"""Bars by Bybit's names of them."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_ODD = 0x9E3779B97F4A7C15F39CC0605CEDC835


def category(symbol: Symbol) -> str:
    """Where *symbol* is listed."""
    return "linear" if symbol.contract else "spot"


def market_id(symbol: Symbol, at: int) -> str:
    """``BTCUSDT``; in USDC ``BTCPERP``; of contracts that expire ``BTCUSDT-28JUN24``, in USDC ``BTC-28JUN24``."""
    usdc = symbol.contract and symbol.quote == "USDC"
    if symbol.contract in ("", "perp"):
        return f"{symbol.base}PERP" if usdc else symbol.base + symbol.quote
    day = expiry_day(expiry(symbol.contract, at))
    return f"{symbol.base if usdc else symbol.base + symbol.quote}-{day.day}{_MONTHS[day.month - 1]}{day:%y}"


def spot_trade_id(number: int) -> str:
    """Spot's ids are numbers, shared by all symbols, so that they don't follow each other."""
    return str(2_290_000_000_000_000_000 + 7 * number)


def uuid(number: int) -> str:
    """A contract's trade has one: another for each number, in no order."""
    text = f"{number * _ODD % (1 << 128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def instrument_info(pair: Instrument, at: int, opened: int, funding_interval: int) -> dict[str, object]:
    """A market's entry of ``instruments-info``."""
    symbol = pair.symbol
    tick, lot = (
        f"{10**-pair.price_decimals:.{pair.price_decimals}f}",
        f"{10**-pair.amount_decimals:.{pair.amount_decimals}f}",
    )
    info: dict[str, object] = {
        "symbol": market_id(symbol, at),
        "status": "Trading",
        "baseCoin": symbol.base,
        "quoteCoin": symbol.quote,
    }
    if not symbol.contract:
        return info | {
            "innovation": "0",
            "marginTrading": "utaOnly",
            "stTag": "0",
            "lotSizeFilter": {
                "basePrecision": lot,
                "quotePrecision": f"{10 ** -(pair.price_decimals + pair.amount_decimals):.12f}".rstrip("0"),
                "minOrderQty": lot,
                "maxOrderQty": "100",
                "minOrderAmt": "5",
                "maxOrderAmt": "4000000",
            },
            "priceFilter": {"tickSize": tick},
        }
    dated = symbol.contract != "perp"
    return info | {
        "contractType": "LinearFutures" if dated else "LinearPerpetual",
        "launchTime": str(opened // MS),
        "deliveryTime": str(expiry(symbol.contract, at) // MS) if dated else "0",
        "deliveryFeeRate": "0.0005" if dated else "",
        "priceScale": str(pair.price_decimals),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "minOrderQty": lot,
            "qtyStep": lot,
            "postOnlyMaxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 0 if dated else funding_interval // (60 * 10**9),
        "settleCoin": symbol.quote,
        "copyTrading": "both",
        "isPreListing": False,
    }
