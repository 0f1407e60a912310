"""BitMEX's REST for ccxt's machinery, which has had no class of it since 4.5.81: it closed.

Paths, costs, markets and error codes, as far as dccd asks for them, of a server that speaks its API.
https://www.bitmex.com/app/restAPI; what a contract is: https://www.bitmex.com/app/apiOverview (instrument properties).
Importing this imports ccxt.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from ccxt.async_support.base.exchange import Exchange
from ccxt.base.errors import ExchangeError, ExchangeNotAvailable, RateLimitExceeded
from ccxt.base.types import Entry

__all__ = ["bitmex"]

_KINDS = {"FFWCSX": "swap", "FFWCSF": "swap", "FFCCSX": "future"}
"""Perpetuals, those on currencies, and dated contracts; spot, options and indices aren't collected."""
_ASSETS = {"XBT": "BTC", "XBt": "BTC", "USDt": "USDT", "Gwei": "ETH", "LAMp": "SOL"}
"""Assets and their smallest units, where they have other names than elsewhere."""
_PUBLIC = ["public"]
_ONE = {"cost": 1}


class bitmex(Exchange):  # type: ignore[misc]  # ccxt has no types, and names classes by ids
    """What RestClient takes of a class of ccxt's."""

    publicGetInstrumentActive = Entry("instrument/active", _PUBLIC, "GET", _ONE)
    publicGetTrade = Entry("trade", _PUBLIC, "GET", _ONE)
    publicGetTradeBucketed = Entry("trade/bucketed", _PUBLIC, "GET", _ONE)
    publicGetFunding = Entry("funding", _PUBLIC, "GET", _ONE)
    publicGetOrderBookL2 = Entry("orderBook/L2", _PUBLIC, "GET", _ONE)

    def describe(self) -> Any:
        """30 requests a minute and address, for who isn't logged in."""
        return self.deep_extend(
            super().describe(),
            {
                "id": "bitmex",
                "name": "BitMEX",
                "rateLimit": 2000,
                "has": {"swap": True, "future": True, "fetchMarkets": True},
                "urls": {"api": {"public": "https://www.bitmex.com/api/v1"}},
            },
        )

    def sign(
        self,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Any = None,
        headers: Any = None,
        body: Any = None,
    ) -> dict[str, Any]:
        """Nothing is signed: all of it is public."""
        query = f"?{urlencode(params)}" if params else ""
        return {
            "url": f"{self.urls['api']['public']}/{path}{query}",
            "method": method,
            "body": body,
            "headers": headers,
        }

    def handle_errors(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, response: Any, *sent: Any
    ) -> None:
        """Raise what ``{"error":{"message","name"}}`` says, as ccxt's errors."""
        error = response.get("error") if isinstance(response, dict) else None
        if not isinstance(error, dict):
            return
        words = f"{self.id} {error.get('message') or json.dumps(error)}"
        if code == 429:
            raise RateLimitExceeded(words)
        if code >= 500:
            raise ExchangeNotAvailable(words)
        raise ExchangeError(words)

    async def fetch_markets(self, params: Any = None) -> list[dict[str, Any]]:
        """The contracts that are traded now, or were until a day ago."""
        rows = await self.publicGetInstrumentActive(params or {})
        found = [self.parse_market(row) for row in rows or [] if isinstance(row, dict)]
        return [market for market in found if market is not None]

    def parse_market(self, market: Any) -> dict[str, Any] | None:
        """One row of ``instrument``; None for what isn't collected, or doesn't tell what one contract is."""
        kind, size = _KINDS.get(market.get("typ")), self._size(market)
        if kind is None or size is None or not market.get("symbol"):
            return None
        base, quote, settle = (_asset(market.get(name)) for name in ("underlying", "quoteCurrency", "settlCurrency"))
        expiry = self.parse8601(market.get("expiry")) if kind == "future" else None
        inverse, quanto = market.get("isInverse") is True, market.get("isQuanto") is True
        until = "" if expiry is None else f"-{self.yymmdd(expiry)}"
        found: dict[str, Any] = self.safe_market_structure(
            {
                "id": market["symbol"],
                "symbol": f"{base}/{quote}:{settle}{until}",
                "base": base,
                "quote": quote,
                "settle": settle,
                "baseId": market.get("underlying"),
                "quoteId": market.get("quoteCurrency"),
                "settleId": market.get("settlCurrency"),
                "type": kind,
                "spot": False,
                "swap": kind == "swap",
                "future": kind == "future",
                "contract": True,
                "linear": not inverse and not quanto,
                "inverse": inverse,
                "active": market.get("state") == "Open",
                "contractSize": size,
                "expiry": expiry,
                "expiryDatetime": self.iso8601(expiry),
                "info": market,
            }
        )
        return found

    def _size(self, market: Any) -> float | None:
        """What one contract is, of the quote asset where it is inverse, else of the base asset; None: it isn't told.

        Of one that is paid in a third asset it isn't fixed (see ``dccd.exchanges.bitmex.symbols``): 1.
        """

        def number(name: str) -> float | None:
            found = self.safe_number(market, name)
            return float(found) if found else None

        if market.get("isQuanto") is True:
            return 1.0
        inverse, per = market.get("isInverse") is True, number("underlyingToPositionMultiplier")
        if per is not None and not inverse:
            return 1 / per
        times, settled = number("multiplier"), number("underlyingToSettleMultiplier")
        if settled is None and not inverse:
            settled = number("quoteToSettleMultiplier")
        return None if times is None or settled is None else abs(times / settled)


def _asset(name: Any) -> str:
    return _ASSETS.get(str(name), str(name).upper())
