"""An hour of a simulated exchange with everything going wrong: a case flows in, what its sessions said flows out.

Market time goes by in steps: when the machine is busy for a second, no minute of it is lost.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.history import Rest, RestOptions, pages
from dccd.feeds.items import Batch, Broke, Hole, Item, Live, Lost
from dccd.feeds.session import Session
from dccd.records import Record
from dccd.simulator import SimConfig, SimulatedExchange, Simulator
from dccd.simulator.clock import ManualClock
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
from dccd.symbols import Dataset, DataType, Symbol
from tests.market_time import MarketClock, going

__all__ = ["HOUR", "Case", "Told", "datasets", "listen", "market", "repaired", "trouble"]

SPEED = 60.0
STEP = 0.6
"""Seconds of market time that go by at once."""
HOUR = 3600
REST_FAULTS = 2
"""So often each of them strikes while the holes of one dataset are repaired."""


@dataclass(frozen=True)
class Case:
    """An exchange and one of its symbols.

    ``numbered``: a lost frame of trades shows, by ids or by the numbers of a connection's messages; of bybit's and the
    like it can't. ``book_numbered``: so does one of the order book; one of BitMEX's need not, since only a level that
    is named again tells of it: here one comes spoilt instead, though it tells whose it is. ``checksum``: books carry
    one. ``healed``: it is all that they carry, so that a frame is missed only if the next one doesn't make it good.
    ``carried``: a bar opens where the one before closed, not with its first trade.
    """

    exchange: str
    symbol: str
    numbered: bool = True
    book_numbered: bool = True
    checksum: bool = False
    healed: bool = False
    carried: bool = False

    def __str__(self) -> str:
        return f"{self.exchange}-{self.symbol.replace('/', '-')}"


@dataclass
class Told:
    """What one session said."""

    dataset: Dataset
    items: list[Item] = field(default_factory=list)
    live: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def records(self) -> list[Record]:
        return [record for item in self.items if isinstance(item, Batch) for record in item.records]

    def reaches(self, ts: int) -> bool:
        """Whether its newest record is of *ts* (ns) or later, and no loss after it waits for the end of its hole."""
        for item in reversed(self.items):
            if isinstance(item, Lost | Broke):
                return False
            if isinstance(item, Batch):
                return item.records[-1].ts >= ts
        return False

    @property
    def holes(self) -> list[Hole]:
        return [item for item in self.items if isinstance(item, Hole)]


@asynccontextmanager
async def market(case: Case) -> AsyncIterator[tuple[Simulator, SimulatedExchange, MarketClock, Rest]]:
    """The simulated exchange, its clock, and its REST."""
    config = SimConfig(
        exchanges=(case.exchange,),
        symbols=("BTC/USDT", "BTC/USD"),
        contracts=("BTC/USDT:perp", "BTC/USD:perp", "BTC/USDT:quarter"),
        rate=2.0,
        history=0.1,
        book_depth=50,
        seed=11,
    )
    clock = ManualClock(time.time_ns())
    async with Simulator(config, clock) as sim, going(clock, speed=SPEED, step=STEP):
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


async def trouble(case: Case, sim: Simulator, clock: MarketClock) -> list[Injected]:
    """One fault after the other, a minute and a half of market time apart."""
    chance, done = random.Random(5), list[Injected]()
    for _ in range(3):
        faults: list[Fault] = [
            Drop(exchange=case.exchange, data_type="trades"),
            Drop(exchange=case.exchange, data_type="orderbook")
            if case.book_numbered
            else Malformed(exchange=case.exchange, data_type="orderbook", how="types"),
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
            done.append(sim.faults.inject(fault))
            await clock.sleep(HOUR / 40)
    sim.faults.lift()
    return done


async def repaired(
    told: Told, sim: Simulator, rest: Rest, clock: MarketClock
) -> tuple[list[Record], list[tuple[int, int]]]:
    """What history has of the holes although REST fails, and those intervals that it doesn't serve."""
    dataset = told.dataset
    exchange = get_exchange(dataset.exchange)
    market = await rest.market(dataset.symbol)
    faults: list[Fault] = [
        HttpError(exchange=exchange.id, status=503, count=REST_FAULTS),
        HttpMalformed(exchange=exchange.id, count=REST_FAULTS),
    ]
    injected = [sim.faults.inject(fault) for fault in faults]
    found: list[Record] = []
    unavailable: list[tuple[int, int]] = []
    for hole in told.holes:
        until = min(hole.until, clock.wall_ns())  # one told in advance
        pager = exchange.history(dataset, hole.since, until, market)
        covered: list[tuple[int, int]] = []
        async with aclosing(pages(rest, pager, 2, clock=clock)) as served:
            async for page in served:
                covered.append((page.start, page.end))
                found += page.records
        unavailable += left(hole.since, until, covered)
    if told.holes:
        assert all(one.hits == REST_FAULTS for one in injected), "REST was asked too little to fail"
    sim.faults.lift()
    return found, unavailable


def left(start: int, end: int, covered: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of ``[start, end)`` is not covered."""
    found = []
    for begin, until in [*sorted(covered), (end, end)]:
        if begin > start:
            found.append((start, min(begin, end)))
        start = max(start, until)
    return [(begin, until) for begin, until in found if begin < until]
