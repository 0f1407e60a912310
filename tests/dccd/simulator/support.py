"""ccxt as a client of the simulator: the judge of fidelity. Only its URLs are changed.

A folder's ``test_ccxt.py`` needs two things: the fixture ``exchanges``, which says what the fixture ``live`` simulates,
and :func:`client`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import ccxt.async_support
import ccxt.pro

from dccd.simulator import SimulatedExchange, Simulator

__all__ = ["bars_since", "client", "redirected"]

_BASE = re.compile(r"^(\w+)://([^/]+)")


def redirected(urls: Any, exchange: SimulatedExchange, paths: Mapping[str, str] | None = None) -> Any:
    """ccxt's own URLs, however they are nested, with another scheme, host and port.

    *paths*: host → what is put before the path. The simulator has all addresses of an exchange on one port: where two
    hosts have the same paths, as Binance's spot and futures streams do, this tells them apart.
    """
    if isinstance(urls, dict):
        return {name: redirected(url, exchange, paths) for name, url in urls.items()}
    found = _BASE.match(urls) if isinstance(urls, str) else None
    if found is None:
        return urls
    base = exchange.ws_url if found[1] in ("ws", "wss") else exchange.rest_url
    return base + (paths or {}).get(found[2].partition(":")[0], "") + urls[found.end() :]


def client(live: Simulator, id: str, paths: Mapping[str, str] | None = None, **options: Any) -> Any:
    """ccxt.pro's class, which is ccxt.async_support's with WebSockets; the latter where there is no other.

    *options* are ccxt's. To be closed by ``async with``.
    """
    it = getattr(ccxt.pro, id, None) or getattr(ccxt.async_support, id)
    it = it({"enableRateLimit": False, "options": options})
    it.urls["api"] = redirected(it.urls["api"], live.exchanges[id], paths)
    if getattr(it, "hostname", None):
        # What ccxt puts for {hostname}, should it make a URL of it elsewhere.
        it.hostname = live.exchanges[id].rest_url.partition("://")[2]
    return it


async def bars_since(it: Any, symbol: str, span: str, since: int, limit: int) -> list[list[float]]:
    """All bars from *since* (ms) to the newest, which grows yet, page by page.

    So may the last one of any page: by the next one it is over, and it is asked for again.
    """
    got: list[list[float]] = []
    while len(page := await it.fetch_ohlcv(symbol, span, since=since, limit=limit)) > 1:
        got += page[:-1]
        since = int(page[-1][0])
    return got + page
