from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import aiohttp
import ccxt.async_support
import pytest

from dccd.errors import BadSymbol
from dccd.feeds.rest_client import RestClient, rebase, retry_after
from dccd.symbols import NS, Symbol


def test_a_base_url_replaces_scheme_host_and_port_in_the_whole_table() -> None:
    """Each URL keeps its own path, templates of hosts and nested tables included; what is no HTTP URL stays."""
    table = {
        "public": "https://api.binance.com/api/v3",
        "nested": {"spot": "https://{hostname}/v5", "ws": "wss://stream.binance.com/ws"},
        "version": 3,
    }
    assert rebase(table, "http://127.0.0.1:8080") == {
        "public": "http://127.0.0.1:8080/api/v3",
        "nested": {"spot": "http://127.0.0.1:8080/v5", "ws": "wss://stream.binance.com/ws"},
        "version": 3,
    }
    assert rebase("https://api.kraken.com", "http://proxy:1/kraken/") == "http://proxy:1/kraken"


@pytest.mark.parametrize(("value", "seconds"), [("17", 17.0), (None, None), ("", None), ("soon", None)])
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    """A number is seconds; what is neither a number nor a date says nothing."""
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    """A date is the time until then, and never negative."""
    wait = retry_after(formatdate(time.time() + 60, usegmt=True))
    assert wait is not None
    assert 55 < wait <= 60
    assert retry_after(formatdate(0, usegmt=True)) == 0.0


HOUR = 3600 * NS
T0 = 1_700_000_000 * NS
DECEMBER, MARCH = 1_703_836_800 * NS, 1_711_699_200 * NS
"""Last Fridays of their quarters."""


class Markets:
    """What a client takes of one of ccxt's exchange objects, to name markets: *expiries* (ns) of its contracts."""

    def __init__(self, *expiries: int) -> None:
        self.options: dict[str, Any] = {"fetchMarkets": {"types": ["spot", "linear"]}}
        self.expiries = list(expiries)
        self.loads = 0

    def prepare_request_headers(self, headers: dict[str, str]) -> dict[str, str]:
        return headers

    async def load_markets(self, reload: bool) -> dict[str, Any]:
        self.loads += 1
        found = {"BTC/USD": {"id": "BTCUSD", "base": "BTC", "quote": "USD", "spot": True}}
        if self.options["fetchMarkets"]["types"] != ["spot"]:
            for number, expiry in enumerate(self.expiries):
                dated = {"future": True, "settle": "USD", "expiry": expiry // 1_000_000}
                found[f"dated {number}"] = {"id": f"BTC_{number}", "base": "BTC", "quote": "USD", **dated}
        return found


@pytest.mark.anyio
async def test_spots_list_does_not_make_that_of_contracts_new() -> None:
    """A contract that was listed since is found, whatever other list was loaded meanwhile, by the time that is told."""
    api = Markets(DECEMBER)
    quarter, spot = Symbol.parse("BTC/USD:next_quarter"), Symbol.parse("BTC/USD")
    async with aiohttp.ClientSession() as session:
        client = RestClient("binance", ccxt.async_support, api, session)
        with pytest.raises(BadSymbol):
            await client.market(quarter, T0)
        api.expiries.append(MARCH)
        assert (await client.market(spot, T0 + 2 * HOUR)).id == "BTCUSD"
        assert (await client.market(quarter, T0 + 2 * HOUR)).id == "BTC_1"
        assert api.loads == 3
        await client.market(quarter, T0 + 3 * HOUR)
        assert api.loads == 3
        await client.market(quarter, T0 + 4 * HOUR)
        assert api.loads == 4
