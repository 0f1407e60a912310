"""Sessions and history against the simulated exchanges, whose truth is known."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import NamedTuple

import pytest

from dccd.errors import BadSymbol, NoProgress, ParseError, SubscriptionRefused
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.fake import FakeRest
from dccd.feeds.history import Rest, RestOptions, pages
from dccd.feeds.pool import SocketPool
from dccd.feeds.session import Batch, Broke, Hole, Item, Live, Lost, Session, SessionSettings, Unparsed
from dccd.feeds.timing import Backoff
from dccd.records import Bar, BookSnapshot, Record, Trade
from dccd.simulator import SimConfig, SimulatedExchange, Simulator
from dccd.simulator.faults import (
    BadChecksum,
    Disconnect,
    Drop,
    Fault,
    HttpError,
    HttpMalformed,
    Malformed,
    RefuseSubscription,
)
from dccd.symbols import NS, Dataset, DataType, Symbol, span_label

pytestmark = pytest.mark.anyio

BOUND = 60.0
SETTLED = 15 * NS
"""So old must a time be for exchanges' history to tell for certain what was before."""


class Known(NamedTuple):
    """What a test must know of an exchange: a pair that it lists, what breaks its books, its REST path of trades.

    The path is empty where REST has only the newest trades. ``refusal``: words by which it refuses for good; others
    may pass, or answer another stream of the connection.
    """

    pair: str
    breaks: type[Drop] | type[BadChecksum] | type[Malformed]
    trades: str
    refusal: str = "not today"


# A missing frame breaks a sequence at once, but a checksum only when it reaches the top. BitMEX's books have neither:
# a missing level shows only if it is named again, a frame that can't be read by itself.
KNOWN = {
    "binance": Known("BTC/USDT", Drop, "aggTrades"),
    "bitfinex": Known("BTC/USD", BadChecksum, "hist", "symbol: invalid"),
    "bitmex": Known("BTC/USDT:perp", Malformed, "trade"),
    "bybit": Known("BTC/USDT", Drop, ""),
    "coinbase": Known("BTC/USD", Drop, "ticker", "BTC-USD is not a valid product"),
    "kraken": Known("BTC/USD", BadChecksum, "Trades"),
    "krakenfutures": Known("BTC/USD:perp", Drop, "executions", "Couldn't subscribe to invalid product `PF_XBTUSD`"),
    "okx": Known("BTC/USDT", Drop, "history-trades"),
}
EXCHANGES = list(KNOWN)
WITH_TRADES = [exchange for exchange, known in KNOWN.items() if known.trades]
CONTRACTS = ("BTC/USDT:perp", "ETH/USDT:perp", "BTC/USD:perp", "ETH/USD:perp")
QUICK = SessionSettings(backoff=Backoff(initial=0.01, maximum=0.1), first_silence=0.5)


@asynccontextmanager
async def simulated(exchange: str, **options: object) -> AsyncIterator[tuple[Simulator, SimulatedExchange, Rest]]:
    """A simulator of one exchange, and a Rest for it."""
    given = {"rate": 200.0, "history": 0.2, "contracts": CONTRACTS, **options}
    config = SimConfig(exchanges=(exchange,), **given)  # type: ignore[arg-type]  # by name
    async with Simulator(config) as sim:
        there = sim.exchanges[exchange]
        waits = Backoff(initial=0.01, maximum=0.1)
        rest = Rest(exchange, RestOptions(rest_url=there.rest_url, rate_limit=False, backoff=waits))
        try:
            yield sim, there, rest
        finally:
            await rest.aclose()


@asynccontextmanager
async def streaming(
    dataset: Dataset, there: SimulatedExchange, rest: Rest
) -> AsyncIterator[AsyncGenerator[Item, None]]:
    """The items of a session."""
    async with sockets(there) as pool, listening(dataset, pool, rest) as items:
        yield items


@asynccontextmanager
async def sockets(there: SimulatedExchange) -> AsyncIterator[SocketPool]:
    """The connections to an exchange."""
    pool = SocketPool(get_exchange(there.id), ws_url=there.ws_url)
    try:
        yield pool
    finally:
        await pool.aclose()


@asynccontextmanager
async def listening(dataset: Dataset, pool: SocketPool, rest: Rest) -> AsyncIterator[AsyncGenerator[Item, None]]:
    """The items of a session on one of these connections."""
    session = Session(get_exchange(dataset.exchange), dataset, rest=rest, sockets=pool, settings=QUICK)
    async with aclosing(session.run()) as items, asyncio.timeout(BOUND):
        yield items


async def records_until(
    items: AsyncGenerator[Item, None], enough: Callable[[list[Record], list[Item]], bool]
) -> tuple[list[Record], list[Item]]:
    """All records, and all that isn't a batch, until both are enough."""
    records: list[Record] = []
    said: list[Item] = []
    while not enough(records, said):
        item = await anext(items)
        if isinstance(item, Batch):
            records += item.records
        else:
            said.append(item)
    return records, said


def bare(records: Iterable[Record]) -> list[tuple[object, ...]]:
    """Trades without the time at which they were received, in the order of their times, each once."""
    trades = [record for record in records if isinstance(record, Trade)]
    return sorted({(trade.ts, trade.tid or "", trade.price, trade.amount, trade.side) for trade in trades})


def check_run(records: list[Record], there: SimulatedExchange, dataset: Dataset) -> None:
    """They are trades that happened, each once or more, and none between the first and the last of them is missing."""
    got = [record for record in records if isinstance(record, Trade)]
    times = [trade.ts for trade in got]
    truth = list(there.truth.trades(dataset.symbol.human, min(times), max(times) + 1))
    place = {trade.tid: n for n, trade in enumerate(truth)}
    places = {place[trade.tid] for trade in got}
    assert bare(got) == bare(truth[min(places) : max(places) + 1])


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_every_trade_that_was_sent_arrives(exchange: str) -> None:
    """20,000 trades as fast as they can be taken: same ids, times, prices, amounts and sides, each once."""
    dataset = Dataset.make(exchange, "trades", KNOWN[exchange].pair)
    # Trades of one second: a time far ahead would be none.
    flood = simulated(exchange, total=20_000, rate=20_000.0, history=0.01)
    async with flood as (_, there, rest), streaming(dataset, there, rest) as items:
        records, said = await records_until(items, lambda records, said: len(records) >= 20_000)
    assert len(bare(records)) == len(records)
    check_run(records, there, dataset)
    assert [type(item) for item in said if not isinstance(item, Live)][1:] == []


@pytest.mark.parametrize("exchange", WITH_TRADES)
@pytest.mark.parametrize("clean", [True, False])
async def test_a_hole_is_repaired_by_a_backfill_of_just_that_interval(exchange: str, clean: bool) -> None:
    """Live records, and history of the reported holes, together are every trade from the first to the last."""
    dataset = Dataset.make(exchange, "trades", KNOWN[exchange].pair)
    rate = 40.0 if exchange == "coinbase" else 200.0  # it gives 100 trades of any second at most
    async with simulated(exchange, rate=rate) as (sim, there, rest), streaming(dataset, there, rest) as items:
        records: list[Record] = []
        holes: list[Hole] = []
        for _ in range(2):
            before, _ = await records_until(items, lambda records, said: len(records) >= 20)
            sim.faults.inject(Disconnect(exchange=exchange, clean=clean))
            after, said = await records_until(items, lambda records, said: said != [] and Lost in map(type, said))
            back, more = await records_until(items, lambda records, said: len(records) >= 20)
            records += before + after + back
            holes += [item for item in [*said, *more] if isinstance(item, Hole)]
        live = len(bare(records))
        market = await rest.market(dataset.symbol)
        for hole in holes:
            pager = get_exchange(exchange).history(dataset, hole.since, hole.until, market)
            records += [record async for page in pages(rest, pager, 2) for record in page.records]
        check_run(records, there, dataset)
        assert len(bare(records)) < live + 2_000


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_streams_share_a_connection_and_come_back_to_one(exchange: str) -> None:
    """Trades of two markets, a book and bars together: each gets what is its own, before and after a loss."""
    pair = KNOWN[exchange].pair
    kinds = [
        ("trades", pair, None),
        ("trades", pair.replace("BTC", "ETH"), None),
        ("orderbook", pair, None),
    ]
    bars = get_exchange(exchange).capabilities.of(Symbol.parse(pair)).live.get(DataType.OHLC)
    if bars is not None:
        kinds.append(("ohlc", pair, span_label(bars.spans[0])))
    datasets = [Dataset.make(exchange, kind, symbol, span) for kind, symbol, span in kinds]
    async with simulated(exchange) as (sim, there, rest), sockets(there) as pool, AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(listening(dataset, pool, rest)) for dataset in datasets]

        async def all_until(enough: Callable[[list[Record], list[Item]], bool]) -> list[list[Record]]:
            return [
                records for records, _ in await asyncio.gather(*(records_until(items, enough) for items in streams))
            ]

        # Binance sends a bar each second or two only.
        before = await all_until(lambda records, said: len(records) >= 5 or Bar in map(type, records))
        # OKX has its books at one address, trades and bars at another one.
        sockets_at = 2 if exchange == "okx" else 1
        assert pool.statistics()["opens"] == sockets_at
        assert sum(one["streams"] for one in pool.statistics()["connections"]) == len(datasets)
        sim.faults.inject(Disconnect(exchange=exchange, clean=False))
        await all_until(lambda records, said: Lost in map(type, said))
        after = await all_until(lambda records, said: len(records) >= 5 or Bar in map(type, records))
        assert pool.statistics()["opens"] == 2 * sockets_at
        assert [one["unclaimed"] for one in pool.statistics()["connections"]] == [0] * sockets_at
    assert isinstance(before[2][0], BookSnapshot)
    for dataset, *found in zip(datasets[:2], before, after, strict=False):
        for records in found:
            check_run(records, there, dataset)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_bad_frames_are_told_of_and_cost_nothing_else(exchange: str) -> None:
    """A frame cut off in the middle is a sample for people and a hole in the trades; the stream goes on."""
    dataset = Dataset.make(exchange, "trades", KNOWN[exchange].pair)
    async with simulated(exchange) as (sim, there, rest), streaming(dataset, there, rest) as items:
        await records_until(items, lambda records, said: len(records) >= 5)
        sim.faults.inject(Malformed(exchange=exchange, data_type="trades"))
        _, said = await records_until(items, lambda records, said: Unparsed in map(type, said))
        assert Lost not in map(type, said)
        records, _ = await records_until(items, lambda records, said: len(records) >= 5)
        assert records


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_book_is_built_mended_and_rebuilt(exchange: str) -> None:
    """Snapshot first (though REST fails at first); a broken sequence or checksum is mended, and a hole."""
    dataset = Dataset.make(exchange, "orderbook", KNOWN[exchange].pair)
    async with simulated(exchange) as (sim, there, rest), streaming(dataset, there, rest) as items:
        sim.faults.inject(HttpError(exchange=exchange, status=503, path="depth"))
        records, _ = await records_until(items, lambda records, said: len(records) >= 5)
        assert isinstance(records[0], BookSnapshot)
        bids, asks = records[0].bids, records[0].asks
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert bids[0] < asks[0]
        sim.faults.inject(KNOWN[exchange].breaks(exchange=exchange, data_type="orderbook"))
        records, said = await records_until(items, lambda records, said: Hole in map(type, said))
        # Coinbase's books have no numbers of their own: a message that is missing ends the connection.
        assert (Lost if exchange == "coinbase" else Broke) in map(type, said)
        records, _ = await records_until(items, lambda records, said: len(records) >= 1)
        assert isinstance(records[0], BookSnapshot)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_refused_subscription_has_the_exchange_s_words(exchange: str) -> None:
    """The session ends with what the exchange said."""
    dataset = Dataset.make(exchange, "trades", KNOWN[exchange].pair)
    async with simulated(exchange) as (sim, there, rest), streaming(dataset, there, rest) as items:
        sim.faults.inject(RefuseSubscription(exchange=exchange, message=KNOWN[exchange].refusal))
        with pytest.raises(SubscriptionRefused, match=KNOWN[exchange].refusal):
            await records_until(items, lambda records, said: False)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_symbol_that_isn_t_listed_is_found_out(exchange: str) -> None:
    """Kraken refuses it; Binance accepts it and stays silent, until REST is asked."""
    dataset = Dataset.make(exchange, "trades", KNOWN[exchange].pair.replace("BTC", "NOPE"))
    async with simulated(exchange) as (_, there, rest), streaming(dataset, there, rest) as items:
        with pytest.raises((BadSymbol, SubscriptionRefused)):
            await records_until(items, lambda records, said: False)


@pytest.mark.parametrize("exchange", WITH_TRADES)
@pytest.mark.parametrize(
    ("fault", "retries"),
    [
        (lambda path: None, 0),
        (lambda path: HttpError(status=429, retry_after=0.0, path=path), 1),
        (lambda path: HttpError(status=503, skip=1, count=2, path=path), 2),
        (lambda path: HttpMalformed(skip=1, path=path), 0),
    ],
    ids=["well", "429", "503", "malformed"],
)
async def test_history_is_whole_whatever_goes_wrong(
    exchange: str, fault: Callable[[str], Fault | None], retries: int
) -> None:
    """Trades of ten minutes, several pages at once, are exactly those that happened."""
    dataset = Dataset.make(exchange, "trades", KNOWN[exchange].pair)
    async with simulated(exchange, rate=20.0) as (sim, there, rest), asyncio.timeout(BOUND):
        end = sim.started - SETTLED
        start = end - 600 * NS
        if (wrong := fault(KNOWN[exchange].trades)) is not None:
            sim.faults.inject(wrong)
        pager = get_exchange(exchange).history(dataset, start, end, await rest.market(dataset.symbol))
        got = [record async for page in pages(rest, pager, 4) for record in page.records]
        assert bare(got) == bare(list(there.truth.trades(dataset.symbol.human, start, end)))
        assert len(bare(got)) == len(got)
        assert pager.position == end
        assert rest.statistics()["retries"] == retries


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_bars_are_those_of_the_market(exchange: str) -> None:
    """An hour of minutes, closed ones only, as the trades make them."""
    dataset = Dataset.make(exchange, "ohlc", KNOWN[exchange].pair, "1m")
    async with simulated(exchange, rate=5.0) as (sim, there, rest), asyncio.timeout(BOUND):
        end = (sim.started - SETTLED) // (60 * NS) * 60 * NS
        start = end - 3600 * NS
        pager = get_exchange(exchange).history(dataset, start, end, await rest.market(dataset.symbol))
        got = [record async for page in pages(rest, pager, 4) for record in page.records]
        wanted = there.truth.bars(dataset.symbol.human, 60, start, end)
        assert [record.ts for record in got] == [bar.ts for bar in wanted]
        assert all(isinstance(record, Bar) and record.closed for record in got)
        assert dataset.data_type is DataType.OHLC


class Recorder:
    """Asks an exchange, and keeps what it answered."""

    def __init__(self, rest: Rest) -> None:
        self.exchange, self._rest = rest.exchange, rest
        self.bodies: list[bytes] = []

    async def get(self, request: PageRequest, *, urgent: bool = False) -> bytes:
        self.bodies.append(await self._rest.get(request, urgent=urgent))
        return self.bodies[-1]


async def bodies_of(rest: Rest, pager: HistoryPager, count: int) -> tuple[list[bytes], list[bytes]]:
    """All bodies until *count* of them held records, and these."""
    recorder, full = Recorder(rest), []
    async with aclosing(pages(recorder, pager, 1)) as found:
        async for page in found:
            if page.records:
                full.append(recorder.bodies[-1])
            if len(full) == count:
                break
    return recorder.bodies, full


@pytest.mark.parametrize(
    "wrong",
    [
        lambda before, full: full[:1],
        lambda before, full: full[:2],
        lambda before, full: [*before, *[full[0]] * 1000],
        lambda before, full: [*before, *[full[-1]] * 1000],
    ],
    ids=["one page", "two by turns", "back to the first", "the last one again"],
)
@pytest.mark.parametrize("kind", ["trades", "ohlc", "funding", "open_interest"])
@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_a_history_that_repeats_itself_ends(
    exchange: str, kind: str, wrong: Callable[[list[bytes], list[bytes]], list[bytes]]
) -> None:
    """Whatever comes again, a backfill of many pages fails soon with what is wrong, and covers nothing by it."""
    offer = get_exchange(exchange).capabilities
    pairs = [
        pair for pair in (KNOWN[exchange].pair, *CONTRACTS[:3:2]) if kind in offer.of(Symbol.parse(pair)).historical
    ]
    if not pairs:
        assert not any(DataType(kind) in one.historical for one in (offer.spot, offer.perp) if one is not None)
        return
    dataset = Dataset.make(exchange, kind, pairs[0], "5m" if kind == "ohlc" else None)
    async with simulated(exchange, rate=20.0, history=30.0) as (sim, _, rest), asyncio.timeout(BOUND):
        end = sim.started - SETTLED
        start = end - (3000 if kind == "trades" else 25 * 86_400) * NS
        market = await rest.market(dataset.symbol)
        pager = get_exchange(exchange).history(dataset, start, end, market)
        before, full = await bodies_of(rest, pager, 3)
        if pager.done:
            # There isn't more than these few pages.
            assert len(before) <= 4
            return
        answers = itertools.cycle(wrong(before, full))
        again = FakeRest(answer=lambda request: next(answers))
        pager = get_exchange(exchange).history(dataset, start, end, market)
        with pytest.raises((NoProgress, ParseError)):
            async for _ in pages(again, pager, 1):
                pass
        assert len(again.requests) < 1000
        assert pager.position < end


async def test_markets_of_ccxt_name_the_symbols() -> None:
    """Where a name doesn't follow from the symbol, ccxt's markets have it: loaded once for all who ask."""
    async with simulated("kraken") as (_, _, rest), asyncio.timeout(BOUND):
        symbols = [Dataset.make("kraken", "trades", name).symbol for name in ("BTC/USD", "ETH/USD", "BTC/USD")]
        names = await asyncio.gather(*(rest.market(symbol) for symbol in symbols))
        assert [name.id for name in names] == ["XXBTZUSD", "XETHZUSD", "XXBTZUSD"]
        asked = rest.statistics()["requests"]
        await rest.market(symbols[0])
        assert rest.statistics()["requests"] == asked


@pytest.mark.parametrize("fault", [HttpMalformed(path="AssetPairs"), HttpError(status=503, path="AssetPairs")])
async def test_markets_are_asked_for_again_when_that_fails(fault: Fault) -> None:
    """An answer that can't be read is no empty list of markets."""
    async with simulated("kraken") as (sim, _, rest), asyncio.timeout(BOUND):
        sim.faults.inject(fault)
        assert await rest.market(Dataset.make("kraken", "trades", "BTC/USD").symbol) == Market("XXBTZUSD")
        assert rest.statistics()["retries"] == 1
        with pytest.raises(BadSymbol, match="NOPE/USD"):
            await rest.market(Dataset.make("kraken", "trades", "NOPE/USD").symbol)
