"""Everything offered arrives once, whatever happens to the server."""

from __future__ import annotations

import asyncio
import signal

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import get_batch
from dccd.bus.publisher import Publisher
from dccd.bus.streams import TickLimits, ensure_streams, stream_state
from dccd.errors import BusUnavailable, PayloadTooLarge

pytestmark = pytest.mark.anyio

SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"


async def stored(bus: Bus) -> list[bytes]:
    """Every message of the ticks' stream, in its order."""
    found: list[bytes] = []
    seq = 1
    while True:
        batch = await get_batch(bus, subjects.STREAM_TICKS, seq, 1000)
        found += [message.data for message in batch.messages]
        if not batch.pending:
            return found
        seq = batch.messages[-1].seq + 1


async def until(condition, timeout: float = 20.0) -> None:
    """Wait until *condition* holds, by yielding to the loop that makes it so."""
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.001)


async def test_kills_lose_and_repeat_nothing(server, bus) -> None:
    """20,000 messages through three kills of the server are in the stream once each, in the order of the offers."""
    await ensure_streams(bus)
    publisher = Publisher(bus, deadline=1.0)
    kill: asyncio.Task[None] | None = None

    async def kill_and_start() -> None:
        await server.kill()
        await server.start()

    for number in range(20_000):
        await publisher.room()
        publisher.offer(SUBJECT, b"%d" % number)
        if number in (4_000, 9_000, 15_000):
            if kill is not None:
                await kill
                await until(lambda: publisher.statistics()["acked"] >= number - 100)
            kill = asyncio.create_task(kill_and_start())
    assert kill is not None
    await kill
    assert await publisher.drain(30) == 0
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in range(20_000)]
    assert publisher.statistics()["acked"] == 20_000
    assert bus.statistics()["reconnects"] >= 3
