"""Bitfinex's names of assets and pairs: symbols flow in, ids flow out. Pure.

Assets have three letters where Bitfinex could help it; what has more is parted by a colon. As listed by
https://api-pub.bitfinex.com/v2/conf/pub:list:pair:exchange
"""

from __future__ import annotations

from dccd.symbols import Symbol

__all__ = ["asset_id", "pair_id"]

_ASSETS = {
    "USDT": "UST",
    "USDC": "UDC",
    "ALGO": "ALG",
    "ATOM": "ATO",
    "DASH": "DSH",
    "IOTA": "IOT",
    "MANA": "MNA",
    "QTUM": "QTM",
    "TUSD": "TSD",
}


def asset_id(asset: str) -> str:
    """``UST`` for USDT."""
    return _ASSETS.get(asset, asset)


def pair_id(symbol: Symbol) -> str:
    """``BTCUSD``, ``DOGE:USD``; of a perpetual ``BTCF0:USTF0``."""
    base, quote = asset_id(symbol.base), asset_id(symbol.quote)
    if symbol.contract:
        return f"{base}F0:{quote}F0"
    return base + quote if len(base) == len(quote) == 3 else f"{base}:{quote}"
