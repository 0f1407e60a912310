"""ccxt's own classes take the simulator for BitMEX, where there are such.

ccxt dropped BitMEX after 4.5.81, the exchange having closed. With that version all of these run.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import ccxt
import pytest

from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import HttpError
from dccd.symbols import NS
from tests.dccd.simulator.support import client

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif("bitmex" not in ccxt.exchanges, reason=f"ccxt {ccxt.__version__} has no BitMEX: it closed"),
]

MS = 1_000_000
MINUTE = 60 * NS
IDS = {"BTC/USD:BTC": "BTC/USD:perp", "BTC/USDT:USDT": "BTC/USDT:perp", "ETH/USDT:USDT": "ETH/USDT:perp"}
SYMBOLS = ["BTC/USD:BTC", "BTC/USDT:USDT"]


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """What ``live`` simulates."""
    return ("bitmex",)


def contracts(live: Simulator, symbol: str, amount: float, price: float) -> int:
    """What ccxt calls an amount here: contracts."""
    pair = live.exchanges["bitmex"].venue.listings[IDS[symbol]].instrument
    return round(amount * price if pair.inverse else amount * pair.lot_unit)


async def test_markets(live: Simulator) -> None:
    """All contracts; what one is, and when it expires."""
    async with client(live, "bitmex") as it:
        markets = await it.load_markets()
        assert set(IDS) <= set(markets)
        assert (markets["BTC/USDT:USDT"]["contractSize"], markets["BTC/USDT:USDT"]["linear"]) == (1e-6, True)
        assert (markets["BTC/USD:BTC"]["inverse"], markets["BTC/USD:BTC"]["swap"]) == (True, True)
        dated = [market for market in markets.values() if market["future"]]
        assert len(dated) == 2 and all(market["expiry"] for market in dated)


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_pages_of_bars(live: Simulator, symbol: str) -> None:
    """From one time on, by their opening times."""
    truth = live.exchanges["bitmex"].truth
    since = live.clock.now() - 20 * 3600 * NS
    since -= since % MINUTE
    async with client(live, "bitmex") as it:
        got = await it.fetch_ohlcv(symbol, "1m", since=since // MS, limit=1000)
    bars = truth.bars(IDS[symbol], 60, since - MINUTE, since + 1000 * MINUTE)
    assert [row[0] * MS for row in got] == [bar.ts for bar in bars[1:]]
    assert [row[1:5] for row in got] == [[before.close, bar.high, bar.low, bar.close] for before, bar in pairwise(bars)]


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_pages_of_trades(live: Simulator, symbol: str) -> None:
    """From one time on; sizes in contracts."""
    truth = live.exchanges["bitmex"].truth
    since = live.clock.now() - 3600 * NS
    since -= since % MS
    async with client(live, "bitmex") as it:
        got = await it.fetch_trades(symbol, since=since // MS, limit=1000)
    expected = truth.trades(IDS[symbol], since, since + 3600 * NS)[:1000]
    assert len(got) == 1000
    assert {(one["id"], one["timestamp"] * MS, one["price"], one["amount"], one["side"]) for one in got} == {
        (one.tid, one.ts, one.price, contracts(live, symbol, one.amount, one.price), one.side) for one in expected
    }


async def test_a_book(live: Simulator) -> None:
    """Both sides, best first."""
    async with client(live, "bitmex") as it:
        book = await it.fetch_order_book("BTC/USD:BTC", 30)
    assert len(book["bids"]) == len(book["asks"]) == 30
    assert book["bids"][0][0] < book["asks"][0][0]


async def test_funding(live: Simulator) -> None:
    """What was paid, and what will be."""
    truth = live.exchanges["bitmex"].truth
    opened = truth.opened("BTC/USD:perp")
    async with client(live, "bitmex") as it:
        paid = await it.fetch_funding_rate_history("BTC/USD:BTC", since=opened // MS, limit=100)
        rates = await it.fetch_funding_rates(SYMBOLS)
    assert [(one["timestamp"] * MS, one["fundingRate"]) for one in paid] == [
        (one.ts, one.rate) for one in truth.funding("BTC/USD:perp", opened, live.clock.now())
    ]
    due = {symbol: truth.derivative(IDS[symbol]).predicted(live.clock.now()).due for symbol in SYMBOLS}
    assert {symbol: rates[symbol]["fundingTimestamp"] * MS for symbol in SYMBOLS} == due


async def test_watching_trades(live: Simulator) -> None:
    """They are the truth's."""
    async with client(live, "bitmex", tradesLimit=100) as it:
        got: list[Any] = []
        while len(got) < 20:
            got += await it.watch_trades("BTC/USDT:USDT")
    truth = live.exchanges["bitmex"].truth
    known = {one.tid: one for one in truth.trades("BTC/USDT:perp", got[0]["timestamp"] * MS - NS, live.clock.now())}
    assert all((one["timestamp"] * MS, one["price"]) == (known[one["id"]].ts, known[one["id"]].price) for one in got)


async def test_watching_bars(live: Simulator) -> None:
    """A minute goes by in a second."""
    async with client(live, "bitmex") as it:
        await it.watch_ohlcv("BTC/USD:BTC", "1m")
        bar = (await it.watch_ohlcv("BTC/USD:BTC", "1m"))[-1]
    (truth,) = live.exchanges["bitmex"].truth.bars("BTC/USD:perp", 60, bar[0] * MS, bar[0] * MS + 1)
    assert bar[2:5] == [truth.high, truth.low, truth.close]


@pytest.mark.parametrize("limit", [None, 25])
async def test_watching_a_book(limit: int | None) -> None:
    """After all frames of a time it is the truth's of then, on both sides."""
    config = SimConfig(exchanges=("bitmex",), seed=5, rate=2, history=1, speed=3, book_depth=100)
    good = 0
    async with asyncio.timeout(120), Simulator(config) as simulator, client(simulator, "bitmex") as it:
        truth = simulator.exchanges["bitmex"].truth
        while good < 5:
            book = await it.watch_order_book("BTC/USD:BTC", limit)
            whole = truth.book("BTC/USD:perp", (book["timestamp"] + 1) * MS, limit or 100)
            sides = [[level[0] for level in book[side]] for side in ("bids", "asks")]
            good += sides == [[price for price, _ in side] for side in (whole.bids, whole.asks)]


@pytest.mark.parametrize(
    ("status", "error"), [(429, ccxt.DDoSProtection), (503, ccxt.ExchangeNotAvailable), (500, ccxt.ExchangeError)]
)
async def test_errors(live: Simulator, status: int, error: type[Exception]) -> None:
    """ccxt knows them by status and words."""
    async with client(live, "bitmex") as it:
        await it.load_markets()
        live.faults.inject(HttpError(exchange="bitmex", status=status, count=1))
        with pytest.raises(error):
            await it.fetch_trades("BTC/USD:BTC", limit=5)
