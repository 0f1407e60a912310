"""Binance's futures through the feeds: ccxt's machinery for their REST, and both of their WebSocket paths."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from dccd.exchanges.base import Market
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.history import Rest, RestOptions, pages
from dccd.feeds.items import Batch
from dccd.feeds.pool import SocketPool
from dccd.feeds.rest_client import RestClient
from dccd.feeds.session import Session
from dccd.records import BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.simulator import SimConfig, SimulatedExchange, Simulator
from dccd.simulator.expiries import expiries, expiry_day
from dccd.symbols import NS, Dataset, Symbol

pytestmark = pytest.mark.anyio

BINANCE = get_exchange("binance")
DAY = 86_400 * NS
CONTRACTS = ("perp", "quarter", "next_quarter")


@pytest.fixture
async def there() -> AsyncIterator[SimulatedExchange]:
    """Twelve days of perpetuals and quarters."""
    config = SimConfig(exchanges=("binance",), symbols=("BTC/USDT",), rate=2.0, history=12.0)
    async with asyncio.timeout(60), Simulator(config) as sim:
        yield sim.binance


@pytest.fixture
async def rest(there: SimulatedExchange) -> AsyncIterator[Rest]:
    """A Rest for it."""
    it = Rest("binance", RestOptions(rest_url=there.rest_url, rate_limit=False))
    yield it
    await it.aclose()


async def past(rest: Rest, dataset: Dataset, start: int, end: int) -> list[Record]:
    """What history has, in order."""
    pager = BINANCE.history(dataset, start, end, await rest.market(dataset.symbol))
    found = [record async for page in pages(rest, pager, 4) for record in page.records]
    return sorted(found, key=lambda record: (record.ts, int(getattr(record, "tid", 0))))


async def test_which_contract_is_meant(there: SimulatedExchange, rest: Rest) -> None:
    """A perpetual's name follows from its symbol; the quarters' have the day on which they expire."""
    found = [await rest.market(Symbol("BTC", "USDT", contract)) for contract in CONTRACTS]
    ends = expiries(there.venue.started)
    assert found == [
        Market("BTCUSDT"),
        *(Market(f"BTCUSDT_{expiry_day(end):%y%m%d}", expires=end) for end in ends),
    ]


async def test_what_requests_cost(there: SimulatedExchange) -> None:
    """As ccxt knows it, in weights of futures: by the number of rows where that counts."""

    async def turn(cost: float) -> None:
        pass

    client = await RestClient.open("binance", rest_url=there.rest_url, timeout=10, throttle=turn)
    try:
        asked = {"symbol": "BTCUSDT", "limit": 1000}
        costs = {
            name: client.cost(name, asked)
            for name in (
                "fapiPublicGetAggTrades", "fapiPublicGetKlines", "fapiPublicGetDepth", "fapiPublicGetFundingRate",
                "fapiDataGetOpenInterestHist",
            )
        }  # fmt: skip
        assert list(costs.values()) == [20, 5, 20, 1, 1]
        # All of it together stays below the 2,400 a minute that futures allow.
        assert 60 / client.period <= 2400
    finally:
        await client.aclose()


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_history(there: SimulatedExchange, rest: Rest, contract: str) -> None:
    """Trades, bars, open interest and, of the perpetual, funding are the truth's; so is the book of now."""
    symbol, truth, end = f"BTC/USDT:{contract}", there.truth, there.venue.started - 120 * NS
    trades = await past(rest, Dataset.make("binance", "trades", symbol), end - 7200 * NS, end)
    assert trades == truth.trades(symbol, end - 7200 * NS, end) and len(trades) > 10_000
    bars = await past(rest, Dataset.make("binance", "ohlc", symbol, "1m"), end - DAY, end)
    assert bars == truth.bars(symbol, 60, end - DAY, end) and len(bars) == 1440
    interest = await past(rest, Dataset.make("binance", "open_interest", symbol), end - 9 * DAY, end)
    assert interest == truth.open_interests(symbol, 300, end - 9 * DAY, end) and len(interest) == 2592
    assert isinstance(interest[0], OpenInterest)
    if contract == "perp":
        paid = await past(rest, Dataset.make("binance", "funding", symbol), end - 9 * DAY, end)
        assert [(one.ts, one.rate, one.mark_price) for one in paid if isinstance(one, FundingRate)] == [
            (one.ts, one.rate, one.mark_price) for one in truth.funding(symbol, end - 9 * DAY, end)
        ]
    (book,) = await past(rest, Dataset.make("binance", "orderbook", symbol), end - 1, end)
    assert isinstance(book, BookSnapshot)
    step = book.seq // truth.order_book(symbol).last_id(0) - 1
    expected = truth.book(symbol, truth.order_book(symbol).time(step), 1000)
    assert (book.bids, book.asks) == (expected.bids, expected.asks)


async def first(there: SimulatedExchange, rest: Rest, dataset: Dataset, count: int) -> list[Record]:
    """The first records of a session."""
    pool = SocketPool(BINANCE, ws_url=there.ws_url)
    try:
        records: list[Record] = []
        async with aclosing(Session(BINANCE, dataset, rest=rest, sockets=pool).run()) as items:
            async for item in items:
                records += item.records if isinstance(item, Batch) else []
                if len(records) >= count:
                    break
        return records
    finally:
        await pool.aclose()


@pytest.mark.parametrize("contract", CONTRACTS)
async def test_live(there: SimulatedExchange, rest: Rest, contract: str) -> None:
    """Each kind comes where Binance serves it: trades and mark prices on one path, books on the other."""
    symbol = f"BTC/USDT:{contract}"
    kinds = [Dataset.make("binance", kind, symbol) for kind in ("trades", "orderbook")]
    if contract == "perp":
        kinds.append(Dataset.make("binance", "funding", symbol))
    trades, books, *funding = await asyncio.gather(
        *(first(there, rest, dataset, 1 if dataset.data_type == "funding" else 3) for dataset in kinds)
    )
    ids = [int(str(trade.tid)) for trade in trades if isinstance(trade, Trade)]
    expected = there.truth.numbered(symbol, ids[0], ids[-1])
    assert [(one.ts, one.price, one.amount, one.tid) for one in trades if isinstance(one, Trade)] == [
        (one.ts, one.price, one.amount, one.tid) for one in expected
    ]
    book = books[0]
    assert isinstance(book, BookSnapshot)
    truth = there.truth.order_book(symbol)
    snapshot = truth.snapshot(truth.time(book.seq // truth.last_id(0) - 1), 500)
    assert (book.bids, book.asks) == (snapshot.bids, snapshot.asks) and len(book.bids) == 500
    for (one,) in funding:
        assert isinstance(one, FundingRate)
        assert (one.rate, one.due_ts) == there.truth.derivative(symbol).predicted(one.ts)
