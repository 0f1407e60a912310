"""What BitMEX calls its contracts: symbols flow in, ids flow out. Pure."""

from __future__ import annotations

from dccd.simulator.expiries import expiry, expiry_day
from dccd.symbols import Symbol

__all__ = ["asset", "contract_id", "is_inverse", "settled_in"]

_MONTHS = {3: "H", 6: "M", 9: "U", 12: "Z"}


def asset(name: str) -> str:
    """``XBT`` for BTC."""
    return "XBT" if name == "BTC" else name


def is_inverse(symbol: Symbol) -> bool:
    """Whether its contracts are worth one of the quote asset, and paid in the base asset."""
    return (symbol.base, symbol.quote) == ("BTC", "USD")


def settled_in(symbol: Symbol) -> tuple[str, int]:
    """The smallest unit of the asset that it is paid in, and how many of them are one."""
    return ("XBt", 10**8) if is_inverse(symbol) else ("USDt", 10**6)


def contract_id(symbol: Symbol, at: int) -> str:
    """``XBTUSD``, ``XBTUSDT``; of a dated one at *at* (ns) ``XBTM24``, ``XBTUSDTM24``."""
    if symbol.contract == "perp":
        return asset(symbol.base) + symbol.quote
    day = expiry_day(expiry(symbol.contract, at))
    quote = "" if is_inverse(symbol) else symbol.quote
    return f"{asset(symbol.base)}{quote}{_MONTHS[day.month]}{day:%y}"
