"""Two hundred order books of one exchange at once: a few connections, no limit run into, every book whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from dccd.exchanges.base import StreamOptions
from dccd.exchanges.registry import get as get_exchange
from dccd.feeds.history import Rest, RestOptions
from dccd.feeds.items import Batch, Lost
from dccd.feeds.pool import SocketPool
from dccd.feeds.session import Session
from dccd.records import BookSnapshot
from dccd.simulator import SimConfig, Simulator
from dccd.simulator.clock import ManualClock
from dccd.symbols import Dataset
from tests.flows.support import MarketClock

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BOOKS = 200
SPEED = 10.0
STEP = 0.2
"""Seconds of market time that go by at once: where a machine is busy for a moment, no more of them do."""


@asynccontextmanager
async def going(clock: ManualClock) -> AsyncIterator[None]:
    """Time goes by meanwhile."""

    async def go() -> None:
        while True:
            await asyncio.sleep(STEP / SPEED)
            clock.advance(STEP)

    task = asyncio.create_task(go())
    try:
        yield
    finally:
        task.cancel()


async def first_book(session: Session) -> tuple[int, int]:
    """How many levels a side the first book has, once it is there; nothing may be lost before."""
    async with aclosing(session.run()) as items:
        async for item in items:
            assert not isinstance(item, Lost), item.reason
            if isinstance(item, Batch):
                (first,) = item.records[:1]
                assert isinstance(first, BookSnapshot)
                return len(first.bids), len(first.asks)
    raise AssertionError("the session ended")


async def test_two_hundred_books_start_within_the_limits() -> None:
    """With the exchange's limits on, REST answers no request with 429, and no connection is ended."""
    symbols = tuple(f"A{n:03d}/USDT" for n in range(BOOKS))
    config = SimConfig(exchanges=("binance",), symbols=symbols, rate=0.1, history=0.01, book_depth=150, limits=True)
    clock = ManualClock(time.time_ns())
    feeds_clock = MarketClock(clock)
    async with asyncio.timeout(300), Simulator(config, clock) as sim, going(clock):
        there = sim.exchanges["binance"]
        exchange = get_exchange("binance")
        # The simulator counts by its own clock, which the limiter paces by, too.
        rest = Rest("binance", RestOptions(rest_url=there.rest_url), clock=feeds_clock)
        sockets = SocketPool(exchange, ws_url=there.ws_url, clock=feeds_clock)
        sessions = [
            Session(
                exchange,
                Dataset.make("binance", "orderbook", symbol),
                StreamOptions(depth=100),
                rest=rest,
                sockets=sockets,
                clock=feeds_clock,
            )
            for symbol in symbols
        ]
        try:
            sizes = await asyncio.gather(*(first_book(session) for session in sessions))
            statistics = there.statistics()
        finally:
            await sockets.aclose()
            await rest.aclose()
    assert all(size == (100, 100) for size in sizes)
    assert statistics["answers"] == {"200": BOOKS}
    assert statistics["requests"]["/api/v3/depth"] == BOOKS
    assert sockets.statistics()["opens"] <= 2
