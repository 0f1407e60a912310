"""Replies in chunks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from dccd.bus.connection import Bus
from dccd.bus.service import Service
from dccd.bus.transfer import CHUNK, receive
from dccd.errors import RequestError

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object"}


async def test_chunks_arrive_in_order(bus: Bus, service: Service) -> None:
    """A streamed reply has every chunk once, in order, and an end."""
    chunks = [chunk async for chunk in receive(bus, "dccd.rows.read", b"50")]
    assert chunks == [b"%d," % number * 100 for number in range(50)]


async def test_chunks_wait_for_a_slow_reader(bus: Bus) -> None:
    """No more chunks are made than the window holds beyond what the reader has taken."""
    made = 0

    async def endless(body: bytes) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            nonlocal made
            while True:
                made += 1
                yield b"x" * 1000

        return chunks()

    async with Service(bus, "alpha", "1.0.0") as service:
        await service.add("endless", endless, SCHEMA, SCHEMA, "")
        stream = receive(bus, "dccd.endless")
        for taken in range(1, 30):
            await anext(stream)
            await bus.barrier()
            assert made <= taken + 9
        await stream.aclose()
        async with asyncio.timeout(60):
            while service.statistics()["running"]:
                await bus.barrier()


async def test_error_after_some_chunks(bus: Bus, service: Service) -> None:
    """An error in the middle of a streamed reply reaches the reader as itself."""
    got = 0
    with pytest.raises(RequestError, match="went away"):
        async for _ in receive(bus, "dccd.rows.read", b"100"):
            got += 1
    assert got == 67


async def test_reader_that_never_acknowledges(bus: Bus) -> None:
    """A reader that promised to acknowledge and doesn't is given up, and told; what it read from is closed."""
    closed = asyncio.Event()
    async with Service(bus, "alpha", "1.0.0", patience=0.05) as service:

        async def rows(body: bytes) -> AsyncIterator[bytes]:
            async def chunks() -> AsyncIterator[bytes]:
                try:
                    for _ in range(100):
                        yield b"x"
                finally:
                    closed.set()

            return chunks()

        await service.add("rows", rows, SCHEMA, SCHEMA, "")
        replies = []
        done = asyncio.Event()

        async def collect(message) -> None:
            replies.append(message)
            if not message.data:
                done.set()

        await bus.subscribe("_INBOX.collect", collect)
        await bus.client.publish("dccd.rows", b"", "_INBOX.collect", headers={"Dccd-Flow": "ack"})
        async with asyncio.timeout(60):
            await done.wait()
            await closed.wait()
        assert [reply.headers[CHUNK] for reply in replies[:8]] == [str(number) for number in range(1, 9)]
        assert json.loads(replies[8].data)["error"]["reason"] == "slow_reader"
