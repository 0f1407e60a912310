"""Where ccxt is sent: all of an exchange's addresses, whatever their form in ccxt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ccxt.pro
import pytest

from dccd.simulator import Simulator
from tests.dccd.simulator.support import client, redirected

pytestmark = pytest.mark.anyio


def texts(urls: Any) -> Iterator[str]:
    if isinstance(urls, dict):
        for url in urls.values():
            yield from texts(url)
    else:
        yield urls


@pytest.mark.parametrize("id", ["binance", "kraken", "krakenfutures", "bybit", "okx", "coinbase", "bitfinex"])
async def test_no_url_leads_to_the_real_exchange(sim: Simulator, id: str) -> None:
    """Nested ones and those with {hostname}, too; paths stay."""
    urls = getattr(ccxt.pro, id)().urls["api"]
    found = list(texts(redirected(urls, sim.kraken)))
    assert found and all(url.startswith((sim.kraken.rest_url, sim.kraken.ws_url)) for url in found)
    assert [url.split("/", 3)[3:] for url in found] == [url.split("/", 3)[3:] for url in texts(urls)]


async def test_hosts_with_the_same_paths_are_told_apart(sim: Simulator) -> None:
    """By what is put before them."""
    async with client(sim, "binance", paths={"fstream.binance.com": "/market"}) as it:
        assert it.urls["api"]["ws"]["linear"] == f"{sim.binance.ws_url}/market/ws"
        assert it.urls["api"]["ws"]["spot"] == f"{sim.binance.ws_url}/ws"
