"""The echo: heard behind what was sent before it, and let go with a lost connection."""

from __future__ import annotations

import asyncio

import pytest

from dccd.bus.connection import Bus, Message
from dccd.bus.echo import Echo

pytestmark = pytest.mark.anyio


@pytest.fixture
async def echo(bus: Bus) -> Echo:
    echo = Echo(bus.client, bus.refusal)
    assert await echo.start(bus.inbox_prefix)
    return echo


async def test_it_comes_behind_what_was_sent_before(bus: Bus, echo: Echo) -> None:
    """All that the connection has published is there, at its own subscription, too, once the echo is heard."""
    heard: list[bytes] = []
    there = asyncio.Event()

    async def take(message: Message) -> None:
        heard.append(message.data)
        if len(heard) == 500:
            there.set()

    await bus.subscribe("there", take)
    for number in range(500):
        await bus.publish("there", b"%d" % number)
    async with asyncio.timeout(60):
        await echo.hear()
        await there.wait()
    assert heard == [b"%d" % number for number in range(500)]


async def test_each_is_heard_by_who_waits_for_it(echo: Echo) -> None:
    """Many may wait at once."""
    async with asyncio.timeout(60):
        await asyncio.gather(*(echo.hear() for _ in range(100)))
    assert repr(echo).endswith("101 sent>")


async def test_a_lost_connection_lets_go_who_waits(server, echo: Echo) -> None:
    """An echo that is lost with the connection keeps nobody."""
    await server.freeze()
    waiting = asyncio.ensure_future(echo.hear())
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    echo.lost()
    async with asyncio.timeout(60):
        await waiting
    server.thaw()
