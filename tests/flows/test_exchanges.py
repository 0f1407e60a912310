"""An hour of each simulated exchange with everything going wrong: what is stored and reported add up to the truth.

All streams of an exchange run at once, on the connections that they share, a hundred times as fast as real time and by
the simulator's clock. Once it is over, the reported holes are asked of the exchange's history, as the daemon does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from dccd.errors import NoCapability
from dccd.exchanges.base import StreamOptions
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.history import Rest, RestOptions, pages
from dccd.feeds.items import Batch, Broke, Hole, Item, Live, Lost
from dccd.feeds.pool import SocketPool
from dccd.feeds.session import Session, SessionSettings
from dccd.feeds.timing import Backoff
from dccd.records import BookDelta, BookSnapshot, FundingRate, Level, OpenInterest, Record
from dccd.simulator import SimConfig, SimulatedExchange, Simulator
from dccd.simulator.clock import SystemClock
from dccd.simulator.faults import (
    BadChecksum,
    Disconnect,
    Drop,
    Duplicate,
    Fault,
    HttpError,
    HttpMalformed,
    Injected,
    Malformed,
    Reorder,
    Silence,
)
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset, DataType, Symbol
from tests.flows.support import MarketClock

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SPEED = 100.0
HOUR = 3600
DEPTH = 10
SETTLED = 20 * NS


@dataclass(frozen=True)
class Case:
    """An exchange and one of its symbols.

    ``numbered``: a lost frame of trades shows, by ids or by the numbers of a connection's messages; of bybit's and the
    like it can't. ``book_numbered``: so does one of the order book; one of BitMEX's need not, since only a level that
    is named again tells of it: here one comes spoilt instead. ``checksum``: books carry one. ``carried``: a bar opens
    where the one before closed, not with its first trade.
    """

    exchange: str
    symbol: str
    numbered: bool = True
    book_numbered: bool = True
    checksum: bool = False
    carried: bool = False

    def __str__(self) -> str:
        return f"{self.exchange}-{self.symbol.replace('/', '-')}"


CASES = [
    Case("binance", "BTC/USDT"),
    Case("binance", "BTC/USDT:perp"),
    Case("kraken", "BTC/USD", checksum=True),
    Case("bybit", "BTC/USDT", numbered=False),
    Case("bybit", "BTC/USDT:perp", numbered=False),
    Case("okx", "BTC/USDT"),
    Case("okx", "BTC/USDT:perp"),
    Case("coinbase", "BTC/USD"),
    Case("bitfinex", "BTC/USD", checksum=True),
    Case("krakenfutures", "BTC/USD:perp"),
    Case("bitmex", "BTC/USDT:perp", numbered=False, book_numbered=False, carried=True),
]


@dataclass
class Told:
    """What one session said."""

    dataset: Dataset
    items: list[Item] = field(default_factory=list)
    live: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def records(self) -> list[Record]:
        return [record for item in self.items if isinstance(item, Batch) for record in item.records]

    @property
    def holes(self) -> list[Hole]:
        return [item for item in self.items if isinstance(item, Hole)]


@asynccontextmanager
async def market(case: Case) -> AsyncIterator[tuple[Simulator, SimulatedExchange, MarketClock, Rest]]:
    """The simulated exchange, its clock, and its REST."""
    config = SimConfig(
        exchanges=(case.exchange,),
        symbols=("BTC/USDT", "BTC/USD"),
        contracts=("BTC/USDT:perp", "BTC/USD:perp"),
        rate=2.0,
        history=0.1,
        book_depth=50,
        seed=11,
    )
    clock = SystemClock(speed=SPEED)
    async with Simulator(config, clock) as sim:
        there = sim.exchanges[case.exchange]
        feeds_clock = MarketClock(clock)
        options = RestOptions(rest_url=there.rest_url, rate_limit=False, timeout=30.0)
        rest = Rest(case.exchange, options, clock=feeds_clock)
        try:
            yield sim, there, feeds_clock, rest
        finally:
            await rest.aclose()


def datasets(case: Case) -> list[Dataset]:
    """Everything that the exchange has live of the symbol."""
    offer = get_exchange(case.exchange).capabilities.of(Symbol.parse(case.symbol))
    found = []
    for data_type, capability in offer.live.items():
        span = None
        if data_type is DataType.OHLC:
            span = 60 if 60 in capability.spans else min(capability.spans)
        found.append(Dataset.make(case.exchange, data_type, case.symbol, span))
    return found


async def listen(session: Session, told: Told) -> None:
    """Keep all that it says, until cancelled."""
    async with aclosing(session.run()) as items:
        async for item in items:
            told.items.append(item)
            if isinstance(item, Live):
                told.live.set()


async def trouble(case: Case, sim: Simulator, clock: MarketClock) -> list[tuple[int, Injected]]:
    """One fault after the other, a few seconds of market time apart; returns when each was injected, and it."""
    chance, done = random.Random(5), list[tuple[int, Injected]]()
    for _ in range(3):
        faults: list[Fault] = [
            Drop(exchange=case.exchange, data_type="trades"),
            Drop(exchange=case.exchange, data_type="orderbook")
            if case.book_numbered
            else Malformed(exchange=case.exchange, data_type="orderbook", how="garbage"),
            Duplicate(exchange=case.exchange, data_type="trades"),
            Reorder(exchange=case.exchange, data_type="trades"),
            Malformed(exchange=case.exchange, data_type="orderbook", how="truncated"),
            Malformed(exchange=case.exchange, data_type="trades", how="garbage"),
            Disconnect(exchange=case.exchange, clean=True),
            Disconnect(exchange=case.exchange, clean=False),
            Silence(exchange=case.exchange, seconds=90.0),
            HttpError(exchange=case.exchange, status=503),
            HttpMalformed(exchange=case.exchange),
        ]
        if case.checksum:
            faults.append(BadChecksum(exchange=case.exchange, data_type="orderbook"))
        chance.shuffle(faults)
        for fault in faults:
            if isinstance(fault, Disconnect):
                # After a silence there may be no connection yet: BitMEX lets one be opened each 20 seconds.
                await sim.exchanges[case.exchange].subscribed(case.symbol, "trades")
            done.append((clock.wall_ns(), sim.faults.inject(fault)))
            await clock.sleep(HOUR / 40)
    sim.faults.lift()
    return done


async def repaired(told: Told, rest: Rest, clock: MarketClock) -> tuple[list[Record], list[tuple[int, int]]]:
    """What history has of the holes, and those intervals that it doesn't serve."""
    exchange = get_exchange(told.dataset.exchange)
    try:
        exchange.check(told.dataset, live=False)
    except NoCapability:
        return [], [(hole.since, hole.until) for hole in told.holes]
    market = await rest.market(told.dataset.symbol)
    found: list[Record] = []
    unavailable = []
    for hole in told.holes:
        pager = exchange.history(told.dataset, hole.since, hole.until, market)
        async with aclosing(pages(rest, pager, 2, clock=clock)) as served:
            first = None
            async for page in served:
                first = page.start if first is None else min(first, page.start)
                found += page.records
        if first is not None and first > hole.since:
            unavailable.append((hole.since, min(first, hole.until)))
    return found, unavailable


def within(ts: int, intervals: Iterable[tuple[int, int]]) -> bool:
    return any(start <= ts < end for start, end in intervals)


def stored(told: Told, more: list[Record], folder: Path) -> list[dict[str, object]]:
    """Rows as a researcher reads them, live and repaired ones in one dataset."""
    writer = SegmentWriter(Layout(folder), "test")
    for records in (told.records, more):
        if records:
            writer.write(told.dataset, table_from_records(told.dataset.data_type, records))
    return Store(folder).read(told.dataset).to_dicts()


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_an_hour_with_faults(case: Case, tmp_path: Path) -> None:
    """Trades complete and each once, bars those of the trades, books the truth's, every break reported."""
    exchange = get_exchange(case.exchange)
    wanted = datasets(case)
    told = {dataset.data_type: Told(dataset) for dataset in wanted}
    settings = SessionSettings(backoff=Backoff(initial=1.0, maximum=5.0), silence=(30.0, 60.0))
    async with asyncio.timeout(240), market(case) as (sim, there, clock, rest):
        sockets = SocketPool(exchange, ws_url=there.ws_url, clock=clock)
        options = StreamOptions(depth=DEPTH, snapshot_interval=20.0)
        sessions = [
            Session(exchange, one, options, rest=rest, sockets=sockets, clock=clock, settings=settings)
            for one in wanted
        ]
        listening = [asyncio.create_task(listen(session, told[session.dataset.data_type])) for session in sessions]
        for one in told.values():
            await one.live.wait()
        await clock.sleep(60)
        begun = clock.wall_ns()
        injected = await trouble(case, sim, clock)
        await clock.sleep(120)
        ended = clock.wall_ns() - SETTLED
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        more = {kind: await repaired(one, rest, clock) for kind, one in told.items()}
        await sockets.aclose()

        assert ended - begun >= HOUR * NS * 0.8
        frames = [one for _, one in injected if not isinstance(one.fault, HttpError | HttpMalformed)]
        idle = [one.fault for one in frames if not one.hits]
        assert not idle, "a fault found nothing to strike"
        check_trades(case, there, told[DataType.TRADES], *more[DataType.TRADES], begun, ended, tmp_path)
        if DataType.OHLC in told:
            check_bars(case, there, told[DataType.OHLC], *more[DataType.OHLC], begun, ended, tmp_path)
        check_book(case, there, told[DataType.ORDERBOOK])
        check_reports(case, told, injected)
        if DataType.FUNDING in told:
            check_funding(there, case, told[DataType.FUNDING])
        if DataType.OPEN_INTEREST in told:
            check_interest(there, case, told[DataType.OPEN_INTEREST])


def check_trades(
    case: Case,
    there: SimulatedExchange,
    told: Told,
    more: list[Record],
    unavailable: list[tuple[int, int]],
    begun: int,
    ended: int,
    folder: Path,
) -> None:
    """All that happened is stored once, or lies in a hole that the exchange doesn't serve any more."""
    rows = [row for row in stored(told, more, folder) if begun <= int(str(row["TS"])) < ended]
    got = [(row["TS"], row["price"], row["amount"], row["side"], row["tid"]) for row in rows]
    truth = [(t.ts, t.price, t.amount, t.side, t.tid) for t in there.truth.trades(case.symbol, begun, ended)]
    lost = set(truth) - set(got)
    assert len(got) == len(set(got))
    assert set(got) <= set(truth)
    reported = [(hole.since, hole.until) for hole in told.holes]
    if case.numbered:
        assert all(within(trade[0], reported) for trade in lost)
    assert all(within(trade[0], unavailable) for trade in lost) or not case.numbered
    assert len(truth) > 1000 and len(got) > len(truth) // 2


def check_bars(
    case: Case,
    there: SimulatedExchange,
    told: Told,
    more: list[Record],
    unavailable: list[tuple[int, int]],
    begun: int,
    ended: int,
    folder: Path,
) -> None:
    """Closed bars are those that the trades come to."""
    span = told.dataset.span or 0
    rows = {int(str(row["TS"])): row for row in stored(told, more, folder)}
    missing = []
    for before, bar in pairwise(there.truth.bars(case.symbol, span, begun, ended - span * NS)):
        row = rows.get(bar.ts)
        if row is None:
            missing.append(bar)
            continue
        opening = before.close if case.carried else bar.open
        assert (row["open"], row["high"], row["low"], row["close"]) == (opening, bar.high, bar.low, bar.close)
        assert row["volume"] == pytest.approx(bar.volume, rel=1e-9)
        if row["trades"] is not None:
            assert row["trades"] == bar.trades
        if row["quote_volume"] is not None:
            assert row["quote_volume"] == pytest.approx(bar.quote_volume, rel=1e-6)
    reported = [(hole.since - span * NS, hole.until + span * NS) for hole in told.holes]
    assert all(bar.trades == 0 or within(bar.ts, reported) for bar in missing)
    assert len(rows) >= 30 * 60 // span


def check_book(case: Case, there: SimulatedExchange, told: Told) -> None:
    """Every snapshot is the truth's book on both sides, and so is what the deltas make of the one before."""
    known = False  # whether the deltas go on from the last snapshot
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    compared = rebuilt = last_ts = 0
    for item in told.items:
        known = known and not isinstance(item, Lost | Broke)
        for record in item.records if isinstance(item, Batch) else []:
            if isinstance(record, BookSnapshot):
                last_ts = check_snapshot(case, there, record, last_ts)
                compared += 1
                if known:
                    assert (dict(record.bids), dict(record.asks)) == (bids, asks)
                    rebuilt += 1
                known, bids, asks = True, dict(record.bids), dict(record.asks)
            else:
                assert isinstance(record, BookDelta)
                assert known, "a delta of a book that is broken"
                for side, levels in ((bids, record.bids), (asks, record.asks)):
                    for price, amount in levels:
                        if amount:
                            side[price] = amount
                        else:
                            del side[price]
                assert len(bids) <= DEPTH and len(asks) <= DEPTH
                last_ts = record.ts
    assert compared > 100 and rebuilt > 80


def check_snapshot(case: Case, there: SimulatedExchange, found: BookSnapshot, last_ts: int) -> int:
    """It is the truth's book at its time, or at that of the last change before it; return which."""
    times = [found.ts, last_ts]
    if case.exchange == "binance":
        # Spot's REST snapshots have no time of their own, but the number of their last update.
        book = there.truth.order_book(case.symbol)
        times.append(book.time(found.seq // book.last_id(0) - 1))
    assert len(found.bids) == len(found.asks) == DEPTH
    for at in filter(None, times):
        truth = there.truth.book(case.symbol, at, DEPTH)
        if (_levels(found.bids), _levels(found.asks)) == (_levels(truth.bids), _levels(truth.asks)):
            return at
    raise AssertionError(f"the snapshot at {found.ts} is not the book")


def _levels(levels: list[Level]) -> list[tuple[float, float]]:
    """Amounts to the last digits of a conversion from contracts."""
    return [(price, float(f"{amount:.9g}")) for price, amount in levels]


def check_reports(case: Case, told: dict[DataType, Told], injected: list[tuple[int, Injected]]) -> None:
    """Each frame that was lost or spoilt was noticed by its stream, each end of a connection by all of its streams.

    Whether that cost a record, ids, bars and numbers tell: then there is a hole, which the other checks hold to the
    truth.
    """
    for at, one in injected:
        if not isinstance(one.fault, Drop | Malformed | BadChecksum):
            continue
        kind = DataType(one.fault.data_type)
        if kind is DataType.TRADES and not case.numbered and isinstance(one.fault, Drop):
            continue
        assert any(_around(item, at) for item in told[kind].items), f"{one.fault} at {at} was not reported"
    for one_told in told.values():
        assert sum(isinstance(item, Lost) for item in one_told.items) >= 6
    # Coinbase's books have no numbers of their own: a message that is missing ends the connection.
    assert case.exchange == "coinbase" or any(isinstance(item, Broke) for item in told[DataType.ORDERBOOK].items)


def _around(item: Item, at: int) -> bool:
    """Whether it reports something that went wrong at about *at* (ns)."""
    if isinstance(item, Hole):
        return item.since < at + 200 * NS and item.until > at - 200 * NS
    return isinstance(item, Lost | Broke) and abs(item.at - at) < 200 * NS


def check_funding(there: SimulatedExchange, case: Case, told: Told) -> None:
    """Each announced rate is the truth's of that second."""
    derivative = there.truth.derivative(case.symbol)
    rates = [record for record in told.records if isinstance(record, FundingRate)]
    assert rates
    for record in rates:
        assert any(
            (predicted := derivative.predicted(record.ts - back * NS)).rate == pytest.approx(record.rate, abs=1e-9)
            and record.due_ts in (None, predicted.due)
            for back in (0, 1, 2)
        )


def check_interest(there: SimulatedExchange, case: Case, told: Told) -> None:
    """Each open interest is the truth's of that second."""
    derivative = there.truth.derivative(case.symbol)
    found = [record for record in told.records if isinstance(record, OpenInterest)]
    assert found
    for record in found:
        truths = [derivative.open_interest(record.ts - back * NS) for back in (0, 1, 2)]
        assert any(record.open_interest == pytest.approx(truth.open_interest) for truth in truths)


def test_every_exchange_is_here() -> None:
    """Whoever adds an exchange adds a case."""
    from dccd.exchanges.registry import EXCHANGES

    assert {case.exchange for case in CASES} >= set(EXCHANGES)
