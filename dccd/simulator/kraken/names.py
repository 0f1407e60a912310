"""Kraken's names of assets and pairs: symbols flow in, ids of three vintages flow out. Pure.

Old assets have four letters on the REST API (``XXBT``, ``ZUSD``), and BTC and DOGE go by XBT and XDG there and in the
``altname``; WebSocket v2 says BTC/USD. As listed by https://api.kraken.com/0/public/Assets and AssetPairs.
"""

from __future__ import annotations

from dccd.symbols import Symbol

__all__ = ["alt_asset", "asset_id", "pair_aliases", "pair_alt", "pair_id", "ws_name"]

_ALT = {"BTC": "XBT", "DOGE": "XDG"}
_CRYPTO = {"XBT", "XDG", "ETH", "ETC", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC"}
_FIAT = {"USD", "EUR", "GBP", "CAD", "JPY", "AUD"}
_FIAT_OLD_PAIRS = {"USD", "EUR", "GBP", "CAD", "JPY"}


def alt_asset(asset: str) -> str:
    """``XBT`` for BTC."""
    return _ALT.get(asset, asset)


def asset_id(asset: str) -> str:
    """``XXBT`` for BTC, ``ZUSD`` for USD, ``SOL`` for SOL."""
    alt = alt_asset(asset)
    return f"X{alt}" if alt in _CRYPTO else f"Z{alt}" if alt in _FIAT else alt


def pair_alt(symbol: Symbol) -> str:
    """``XBTUSD``."""
    return alt_asset(symbol.base) + alt_asset(symbol.quote)


def pair_id(symbol: Symbol) -> str:
    """``XXBTZUSD`` for an old pair of old assets, else as the altname."""
    base, quote = asset_id(symbol.base), asset_id(symbol.quote)
    old = base != alt_asset(symbol.base) and symbol.base != "DOGE"
    old_quote = symbol.quote in _FIAT_OLD_PAIRS or quote in ("XXBT", "XETH")
    return base + quote if old and old_quote else pair_alt(symbol)


def ws_name(symbol: Symbol) -> str:
    """``XBT/USD``: as AssetPairs and WebSocket v1 say it."""
    return f"{alt_asset(symbol.base)}/{alt_asset(symbol.quote)}"


def pair_aliases(symbol: Symbol) -> set[str]:
    """All that REST takes for a pair."""
    return {
        pair_id(symbol),
        pair_alt(symbol),
        ws_name(symbol),
        symbol.human,
        symbol.base + symbol.quote,
        asset_id(symbol.base) + asset_id(symbol.quote),
    }
