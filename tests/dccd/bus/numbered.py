"""Ticks of two datasets in the stream, for the tests of who reads it."""

from __future__ import annotations

from dccd.bus.connection import Bus
from dccd.bus.publisher import Publisher

ONE, OTHER = "dccd.ticks.binance.trades.BTC-USDT", "dccd.ticks.kraken.trades.BTC-USD"


async def publish(bus: Bus, *numbers: int, subject: str = ONE) -> None:
    """Store a message for each of *numbers*."""
    async with Publisher(bus) as publisher:
        for number in numbers:
            publisher.offer(subject, b"[%d]" % number)
        assert await publisher.drain() == 0
