"""The seam to ccxt: an endpoint's name and parameters flow in, the raw body of the answer flows out.

ccxt knows each exchange's endpoints, costs, signatures, markets and error codes; aiohttp carries the request. What is
not taken of ccxt is its ``fetch``, which decodes each body, and its throttler (see :mod:`dccd.feeds.limiter`). Of an
exchange that has no folder here ccxt's unified methods are called, and the body is what they return.
ccxt is imported on first use, in a thread: it takes half a second and 100 MB that a process may never need.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp

from dccd.errors import BadSymbol, DccdError, ExchangeDown, ExchangeError, NoCapability, ParseError, RateLimited
from dccd.exchanges import registry
from dccd.exchanges.base import Market
from dccd.exchanges.markets import Listed, choose
from dccd.feeds import trim
from dccd.feeds.network import why
from dccd.symbols import NS, Symbol

__all__ = ["RestClient", "rebase", "retry_after"]

# An error is told in a few words. What is longer, under a status of 200, is data, and isn't decoded here to find out.
_ERROR_BODY = 2048
# ccxt knows most words for a market that isn't there, but not these of Kraken's and Coinbase's.
_BAD_SYMBOL = re.compile(r"EQuery:Unknown asset pair|Product [A-Z0-9-]+ not supported")
_WEIGHT = "X-MBX-USED-WEIGHT-1M"
_SETTINGS = {"enableRateLimit": True, "timeout_on_exit": 0, "userAgent": "dccd"}
_MARKETS_FOR = 3600 * NS
"""For how long a list of dated contracts counts (ns): new ones are listed when others expire."""


class RestClient:
    """One ccxt exchange object and its HTTP session. Make it with :meth:`open`, inside the event loop."""

    def __init__(
        self, exchange: str, ccxt: Any, api: Any, session: aiohttp.ClientSession, rest_url: str | None = None
    ) -> None:
        self.exchange = exchange
        self._ccxt = ccxt
        self._api = api
        self._session = session
        self._rest_url = rest_url
        self._unified = exchange not in registry.EXCHANGES
        self._entries: dict[str, Any] = {}
        self._headers: dict[str, str] = api.prepare_request_headers({})
        self._markets: dict[bool, dict[str, Any]] = {}
        self._loaded_at: dict[bool, int] = {}
        self._loading = asyncio.Lock()
        self.used_weight: int | None = None
        """What the exchange says that this address has used of its minute's weight, where it says so."""
        self.bytes = 0

    @classmethod
    async def open(
        cls, exchange: str, *, rest_url: str | None, timeout: float, throttle: Callable[[float], Awaitable[None]]
    ) -> RestClient:
        """*throttle* is awaited before requests that ccxt makes by itself. Raises NoCapability."""
        known = registry.EXCHANGES.get(exchange)
        if known is not None and known.closed and rest_url is None:
            raise NoCapability(exchange, f"{known.closed}, and no other server is named", "exchange")
        ccxt, base = await asyncio.to_thread(_import, exchange)
        if base is None:
            raise NoCapability(exchange, f"ccxt knows no exchange {exchange!r}", "exchange")

        async def turn(self: Any, cost: float | None = None) -> None:
            await throttle(1.0 if cost is None else cost)

        session = aiohttp.ClientSession(
            # No limit here: the limiter decides how many are in flight.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            # With no proxy set, aiohttp would still ask two threads about it for each request.
            trust_env=bool(getproxies()),
        )
        try:
            api = type(base.__name__, (base,), {"throttle": turn})(
                {**_SETTINGS, "session": session, "timeout": int(timeout * 1000)}
            )
            if rest_url is not None:
                api.urls["api"] = rebase(api.urls["api"], rest_url)
        except BaseException:
            await session.close()
            raise
        return cls(exchange, ccxt, api, session, rest_url)

    @property
    def period(self) -> float:
        """Seconds that a request of cost 1 keeps the next one away."""
        return float(self._api.rateLimit) / 1000

    def cost(self, endpoint: str, params: dict[str, Any]) -> float:
        """What a request counts against the rate limit. Raises NoCapability for an endpoint that ccxt doesn't know."""
        entry = self._entry(endpoint)
        return float(self._api.calculate_rate_limiter_cost(entry.api, entry.method, entry.path, params, entry.config))

    async def get(self, endpoint: str, params: dict[str, Any]) -> bytes:
        """Perform one request and return the body as it came. Raises ExchangeError and its kinds.

        That of a unified method (see :meth:`is_unified`) is what it returns, as JSON.
        """
        if self.is_unified(endpoint):
            return await self._call(endpoint, params)
        entry = self._entry(endpoint)
        request = self._api.sign(entry.path, entry.api, entry.method, params)
        headers = self._headers
        if request["headers"]:
            headers = self._api.prepare_request_headers(request["headers"])
        url, method, sent = request["url"], request["method"], request["body"]
        try:
            async with self._session.request(method, url, headers=headers, data=sent) as response:
                body = await response.read()
        except TimeoutError as exc:
            raise ExchangeDown(self.exchange, f"{self.exchange} doesn't answer in time: {url}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            told = f"{words}: {url}" if (words := why(exc)) else exc
            raise ExchangeDown(self.exchange, f"{self.exchange} can't be reached: {told}") from exc
        self.bytes += len(body)
        if (weight := response.headers.get(_WEIGHT)) is not None and weight.isdecimal():
            self.used_weight = int(weight)
        if response.status != 200 or len(body) <= _ERROR_BODY:
            self._check(response, url, method, headers, body, sent)
        return body

    def at_hand(self, symbol: Symbol) -> bool:
        """Whether :meth:`market` has its answer without asking."""
        return symbol.contract in ("", "perp") and self._spot_only(symbol) in self._markets

    async def market(self, symbol: Symbol, now: int) -> Market:
        """What the exchange calls *symbol* at *now* (ns), from its markets (loaded once; those of dated contracts again
        when one has expired). Raises BadSymbol.
        """
        markets = await self._load_markets(now, spot_only=self._spot_only(symbol))
        found = choose(symbol, map(self._listed, markets.values()), now)
        if symbol.contract not in ("", "perp") and (found is None or self._loaded_at[False] + _MARKETS_FOR < now):
            markets = await self._load_markets(now, spot_only=False, newer_than=now - _MARKETS_FOR)
            found = choose(symbol, map(self._listed, markets.values()), now)
        if found is None:
            raise BadSymbol(self.exchange, f"{self.exchange} doesn't list {symbol}")
        return found

    def is_unified(self, endpoint: str) -> bool:
        """Whether *endpoint* is one of ccxt's unified methods, which asks for its turns by itself."""
        return self._unified and endpoint in trim.METHODS

    def live(self, make: Callable[[Any, dict[str, Any]], Any]) -> Any:
        """ccxt.pro's exchange object, which shares this one's HTTP session and markets.

        *make* gets ccxt.pro's class and the settings for it.
        """
        import ccxt.pro

        kind = getattr(ccxt.pro, self.exchange)
        api = make(kind, {**_SETTINGS, "session": self._session, "timeout": self._api.timeout})
        if self._rest_url is not None:
            api.urls["api"] = rebase(api.urls["api"], self._rest_url)
        if self._api.markets:
            api.set_markets_from_exchange(self._api)
        return api

    async def aclose(self) -> None:
        """Close the HTTP session."""
        await self._api.close()
        await self._session.close()

    # ------------------------------------------------------------ inner

    async def _call(self, method: str, params: dict[str, Any]) -> bytes:
        """One of ccxt's unified methods, which asks for its turns by itself. Raises as :meth:`get`."""
        name, cut = trim.METHODS[method]
        try:
            body: bytes = trim.encode(cut(await getattr(self._api, name)(**params)))
        except self._ccxt.NotSupported as exc:
            raise NoCapability(self.exchange, str(exc)) from exc
        except self._ccxt.BaseError as exc:
            raise self._translate(exc) from exc
        except DccdError:
            raise
        except Exception as exc:
            # ccxt expects an answer in the exchange's form, and takes it apart without looking.
            told = f"ccxt can't read what {self.exchange} sent for {method}: {type(exc).__name__}: {exc}"
            raise ParseError(self.exchange, told) from exc
        self.bytes += len(body)
        return body

    def _listed(self, market: Any) -> Listed:
        """One of ccxt's markets, in the words of dccd.exchanges.markets; unified methods know it by ccxt's symbol."""
        return _listed(market, str(market["symbol" if self._unified else "id"]))

    def _entry(self, endpoint: str) -> Any:
        """ccxt's declaration of an endpoint: path, API, method, costs."""
        try:
            return self._entries[endpoint]
        except KeyError:
            # In the class that declares it: ccxt puts plain functions of the same names before it.
            declared = (vars(kind).get(endpoint) for kind in type(self._api).__mro__)
            entry = next((found for found in declared if hasattr(found, "config")), None)
            if entry is None:
                raise NoCapability(self.exchange, f"ccxt's {self.exchange} has no endpoint {endpoint}") from None
            self._entries[endpoint] = entry
            return entry

    def _check(
        self, response: aiohttp.ClientResponse, url: str, method: str, headers: dict[str, str], body: bytes, sent: Any
    ) -> None:
        """Let ccxt find the error in an answer, if there is one, and raise it as ours."""
        text = body.decode(errors="replace").strip()
        status, reason = response.status, response.reason or ""
        api = self._api
        try:
            given = dict(response.headers)
            api.handle_errors(status, reason, url, method, given, text, api.parse_json(text), headers, sent)
            api.handle_http_status_code(status, reason, url, method, text)
            if status >= 400:
                raise self._ccxt.ExchangeError(f"{self.exchange} {status} {reason} {text[:300]}")
        except self._ccxt.BaseError as exc:
            raise self._translate(exc, status, retry_after(response.headers.get("Retry-After"))) from exc

    def _translate(self, exc: Exception, status: int | None = None, wait: float | None = None) -> DccdError:
        """ccxt's error as one of ours, in the exchange's words."""
        words, ccxt, exchange = str(exc)[:600], self._ccxt, self.exchange
        if status in (418, 429) or isinstance(exc, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
            return RateLimited(exchange, words, wait)
        if isinstance(exc, ccxt.BadSymbol) or _BAD_SYMBOL.search(words):
            return BadSymbol(exchange, words)
        if status is None and isinstance(exc, ccxt.NetworkError) and (told := why(exc)) is not None:
            # ccxt says what it asked for only.
            words = f"{exchange} can't be reached: {told}: {words}"
        # ccxt calls 404 and 451 "not available" too; asking those again is no use.
        if isinstance(exc, ccxt.OperationFailed) and (status is None or status < 400 or status in (408, 425)):
            return ExchangeDown(exchange, words)
        if status is not None and status >= 500:
            return ExchangeDown(exchange, words)
        return ExchangeError(exchange, words)

    def _spot_only(self, symbol: Symbol) -> bool:
        """Whether the list of spot markets alone has *symbol*."""
        # Unified methods look their market up by themselves, in the list that was loaded last.
        return not symbol.contract and not self._unified

    async def _load_markets(self, now: int, spot_only: bool, newer_than: int = 0) -> dict[str, Any]:
        async with self._loading:
            if spot_only not in self._markets or self._loaded_at[spot_only] < newer_than:
                api = self._api
                types = api.options.get("fetchMarkets")
                if isinstance(types, dict) and "types" in types:
                    # Several exchanges keep contracts apart: two more requests that spot has no use for.
                    everything = types.setdefault("dccd_types", list(types["types"]))
                    types["types"] = ["spot"] if spot_only else everything
                try:
                    markets = await api.load_markets(reload=True)
                except self._ccxt.BaseError as exc:
                    raise self._translate(exc) from exc
                if not markets:
                    # ccxt takes an answer that it can't parse for an empty one.
                    raise ExchangeDown(self.exchange, f"{self.exchange} answers with no markets")
                self._markets[spot_only] = markets
                self._loaded_at[spot_only] = now
            return self._markets[spot_only]


def rebase(table: Any, base: str) -> Any:
    """*table* (a URL, or dicts of them) with *base*'s scheme, host and port; each keeps its path, after *base*'s."""
    if isinstance(table, dict):
        return {key: rebase(value, base) for key, value in table.items()}
    if isinstance(table, str) and table.startswith("http"):
        to = urlsplit(base)
        return f"{to.scheme}://{to.netloc}{to.path.rstrip('/')}{urlsplit(table).path}"
    return table


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3); None when it is neither."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _import(exchange: str) -> tuple[Any, Any]:
    """ccxt, and its class of *exchange*; ours of one that it has dropped, None of one that it never had."""
    import ccxt.async_support as ccxt

    if exchange in ccxt.exchanges:
        return ccxt, getattr(ccxt, exchange)
    if exchange == "bitmex":
        from dccd.feeds.bitmex_rest import bitmex

        return ccxt, bitmex
    return ccxt, None


def _listed(market: Any, id: str) -> Listed:
    kind = "spot" if market.get("spot") else "perp" if market.get("swap") else "dated" if market.get("future") else ""
    expiry = market.get("expiry")
    return Listed(
        id=id,
        base=str(market["base"]),
        quote=str(market["quote"]),
        kind=kind if market.get("active") is not False or kind == "spot" else "",
        settle=str(market.get("settle") or ""),
        contract=float(market.get("contractSize") or 1.0),
        inverse=bool(market.get("inverse")),
        expires=None if expiry is None else int(expiry) * 1_000_000,
    )
