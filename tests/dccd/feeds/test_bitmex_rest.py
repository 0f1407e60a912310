"""BitMEX's REST through our own class for ccxt's machinery: what RestClient takes of it."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.errors import BadSymbol, ExchangeDown, ExchangeError, NoCapability, RateLimited
from dccd.exchanges.base import Market
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.bitmex_rest import bitmex
from dccd.feeds.history import Rest, RestOptions, pages
from dccd.feeds.rest_client import RestClient
from dccd.records import BookSnapshot, FundingRate
from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import HttpError, HttpMalformed
from dccd.symbols import NS, Dataset, Symbol

PERP: dict[str, Any] = {
    "symbol": "LTCUSDT", "typ": "FFWCSX", "state": "Open", "underlying": "LTC", "quoteCurrency": "USDT",
    "settlCurrency": "USDt", "isInverse": False, "isQuanto": False, "multiplier": 100,
    "underlyingToPositionMultiplier": 10000, "quoteToSettleMultiplier": 1000000,
}  # fmt: skip
INVERSE = PERP | {
    "symbol": "XBTM24", "typ": "FFCCSX", "underlying": "XBT", "quoteCurrency": "USD", "settlCurrency": "XBt",
    "expiry": "2024-06-28T12:00:00.000Z", "isInverse": True, "multiplier": -100000000,
    "underlyingToPositionMultiplier": None, "quoteToSettleMultiplier": None,
    "underlyingToSettleMultiplier": -100000000,
}  # fmt: skip
QUANTO = PERP | {
    "symbol": "ETHUSD", "underlying": "ETH", "quoteCurrency": "USD", "settlCurrency": "XBt", "isQuanto": True,
    "underlyingToPositionMultiplier": None, "quoteToSettleMultiplier": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "symbol", "size"),
    [
        (PERP, "LTC/USDT:USDT", 1e-4),
        (PERP | {"underlyingToPositionMultiplier": None}, "LTC/USDT:USDT", 1e-4),
        (PERP | {"underlyingToPositionMultiplier": 0.1}, "LTC/USDT:USDT", 10.0),
        (INVERSE, "BTC/USD:BTC-240628", 1.0),
        (QUANTO, "ETH/USD:BTC", 1.0),
    ],
)
def test_a_market(row: dict[str, Any], symbol: str, size: float) -> None:
    """Names as elsewhere, what one contract is, when it expires."""
    market = bitmex().parse_market(row)
    assert market is not None
    assert (market["symbol"], market["contractSize"]) == (symbol, pytest.approx(size))
    assert (market["inverse"], market["linear"]) == (row is INVERSE, row not in (INVERSE, QUANTO))
    assert market["expiry"] == (1_719_576_000_000 if row is INVERSE else None)
    assert market["active"]


@pytest.mark.parametrize(
    "row",
    [
        {"symbol": "XBT_USDT", "typ": "IFXXXP"},
        {"typ": "FFWCSX"},
        INVERSE | {"multiplier": None},
        PERP | {"underlyingToPositionMultiplier": None, "quoteToSettleMultiplier": None},
    ],
)
def test_what_is_no_market_here(row: dict[str, Any]) -> None:
    """Other kinds, and contracts that don't tell what one is."""
    assert bitmex().parse_market(row) is None


@pytest.mark.anyio
async def test_only_a_named_server_is_asked() -> None:
    """BitMEX itself is not there any more."""
    rest = Rest("bitmex")
    with pytest.raises(NoCapability, match="BitMEX closed"):
        await rest.market(Symbol.parse("BTC/USDT:perp"))
    assert await rest.market(Symbol.parse("BTC/USD:perp")) == Market("XBTUSD", inverse=True)


@pytest.mark.anyio
async def test_markets_and_histories() -> None:
    """Contracts by their ids, what was paid, the book of now, all from the server that is named."""
    config = SimConfig(exchanges=("bitmex",), contracts=("BTC/USDT:perp", "BTC/USD:quarter"), history=36)
    async with Simulator(config) as simulator:
        there = simulator.exchanges["bitmex"]
        rest = Rest("bitmex", RestOptions(rest_url=there.rest_url, rate_limit=False))
        try:
            assert await rest.market(Symbol.parse("BTC/USDT:perp")) == Market("XBTUSDT", 1e-6)
            dated = await rest.market(Symbol.parse("BTC/USD:quarter"))
            assert dated.id.startswith("XBT") and dated.inverse and dated.expires is not None
            with pytest.raises(BadSymbol):
                await rest.market(Symbol.parse("NOPE/USDT:perp"))

            async def past(name: str) -> list[Any]:
                dataset, end = Dataset.parse(name), simulator.started - 15 * NS
                market = await rest.market(dataset.symbol)
                pager = get_exchange("bitmex").history(dataset, end - 86_400 * NS, end, market)
                return [record async for page in pages(rest, pager) for record in page.records]

            paid = await past("bitmex.funding.BTC-USDT_PERP")
            assert paid and all(isinstance(one, FundingRate) for one in paid)
            (book,) = await past("bitmex.orderbook.BTC-USDT_PERP")
            assert isinstance(book, BookSnapshot) and book.bids[0] < book.asks[0]
        finally:
            await rest.aclose()


async def _nothing(cost: float) -> None:
    """Nobody waits for a turn."""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (HttpError(status=429, retry_after=3.0), RateLimited, "Rate limit exceeded"),
        (HttpError(status=503), ExchangeDown, "overloaded"),
        (HttpError(status=500), ExchangeDown, "Server Error"),
    ],
)
async def test_errors(fault: HttpError, kind: type[Exception], words: str) -> None:
    """As ours, in BitMEX's words; those of a request that can't be right too."""
    async with Simulator(SimConfig(exchanges=("bitmex",), history=0.1)) as simulator:
        url = simulator.exchanges["bitmex"].rest_url
        client = await RestClient.open("bitmex", rest_url=url, timeout=10.0, throttle=_nothing)
        try:
            with pytest.raises(ExchangeError, match="binSize must be one of"):
                await client.get("publicGetTradeBucketed", {"symbol": "XBTUSD", "binSize": "7m"})
            simulator.faults.inject(fault)
            with pytest.raises(kind, match=words):
                await client.get("publicGetTrade", {"symbol": "XBTUSD"})
            simulator.faults.inject(HttpMalformed())
            with pytest.raises(ExchangeDown):
                await client.market(Symbol.parse("BTC/USDT:perp"), simulator.started)
            assert client.period == 2.0 and client.cost("publicGetFunding", {}) == 1.0
        finally:
            await client.aclose()
