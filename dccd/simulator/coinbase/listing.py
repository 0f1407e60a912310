"""How Coinbase describes products and currencies: what is listed flows in, entries of its lists flow out. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from dccd.simulator.coinbase.formats import Formats
from dccd.simulator.venue import Listing
from dccd.symbols import NS

__all__ = ["crypto_currencies", "fiat_currencies", "product_info", "rates"]

_FIAT = {"USD": "US Dollar", "EUR": "Euro", "GBP": "British Pound"}


def product_info(listing: Listing, text: Formats, now: int) -> dict[str, object]:
    """A product's entry of ``market/products``."""
    pair, market = listing.instrument, listing.market
    day, before = market.bar(now - 86_400 * NS, now + 1), market.bar(now - 2 * 86_400 * NS, now - 86_400 * NS)
    tick, lot = _unit(pair.price_decimals), _unit(pair.amount_decimals)
    base, quote = pair.symbol.base, pair.symbol.quote
    return {
        "product_id": text.product,
        "price": text.price(day.close),
        "price_percentage_change_24h": str((day.close - day.open) * 100 / day.open),
        "volume_24h": text.amount(day.volume),
        "volume_percentage_change_24h": str((day.volume - before.volume) * 100 / before.volume if before.volume else 0),
        "base_increment": lot,
        "quote_increment": tick,
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": lot,
        "base_max_size": "3400",
        "base_name": base,
        "quote_name": _FIAT.get(quote, quote),
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": base,
        "quote_display_symbol": quote,
        "view_only": False,
        "price_increment": tick,
        "display_name": text.product,
        "product_venue": "CBE",
    }


def fiat_currencies(assets: Iterable[str]) -> list[dict[str, object]]:
    """Entries of ``v2/currencies``."""
    return [{"id": asset, "name": _FIAT[asset], "min_size": "0.01"} for asset in assets if asset in _FIAT]


def crypto_currencies(assets: Iterable[str]) -> list[dict[str, object]]:
    """Entries of ``v2/currencies/crypto``."""
    return [
        {
            "asset_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, asset)),
            "code": asset,
            "name": asset,
            "color": "#0433FF",
            "sort_index": 100 + n,
            "exponent": 8,
            "type": "crypto",
            "address_regex": "^(?:0x)?[0-9a-fA-F]{40}$",
        }
        for n, asset in enumerate(assets)
        if asset not in _FIAT
    ]


def rates(listings: Iterable[Listing], now: int) -> dict[str, str]:
    """``rates`` of ``v2/exchange-rates``: how much of each asset a dollar buys."""
    found = {"USD": "1.0"}
    for listing in listings:
        market = listing.market
        if listing.symbol.quote in ("USD", "USDT"):
            price = market.price(market.index(now + 1) - 1) / listing.instrument.price_unit
            found.setdefault(listing.symbol.base, f"{1 / price:.12f}")
            found.setdefault(listing.symbol.quote, "1.0")
    return found


def _unit(decimals: int) -> str:
    return f"{10**-decimals:.{decimals}f}"
