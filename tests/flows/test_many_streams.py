"""Two hundred order books of one exchange at once: a few connections, no limit run into, every book whole."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

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
from tests.market_time import MarketClock, going

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BOOKS = 200
SPEED = 10.0
STEP = 0.2


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
    async with asyncio.timeout(300), Simulator(config, clock) as sim:
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

        def arrived() -> bool:
            """A message that is under way for long by this clock, which is fast, would count to a later second."""
            sent = sum(int(one["sent"]) for one in sockets.statistics()["connections"])
            return int(there.statistics()["frames_received"]) >= sent

        try:
            async with going(clock, speed=SPEED, step=STEP, settled=arrived):
                sizes = await asyncio.gather(*(first_book(session) for session in sessions))
            statistics = there.statistics()
        finally:
            await sockets.aclose()
            await rest.aclose()
    assert all(size == (100, 100) for size in sizes)
    assert statistics["answers"] == {"200": BOOKS}
    assert statistics["requests"]["/api/v3/depth"] == BOOKS
    assert sockets.statistics()["opens"] <= 2
