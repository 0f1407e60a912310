"""Subscriptions, at the real server: what a callback may do, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from dccd.bus.connection import Bus
from dccd.bus.subscription import Message

pytestmark = pytest.mark.anyio


async def test_a_callback_that_fails(bus: Bus) -> None:
    """A callback that raises, even CancelledError, gets the next message all the same."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def fail(message: Message) -> None:
        got.put_nowait(message.data)
        raise asyncio.CancelledError if message.data == b"1" else ValueError

    await bus.subscribe("s", fail)
    for data in (b"1", b"2", b"3"):
        await bus.publish("s", data)
    async with asyncio.timeout(60):
        assert [await got.get() for _ in range(3)] == [b"1", b"2", b"3"]
    assert bus.statistics()["errors"]["callback"] == 2


async def test_what_is_pending_when_it_ends_is_dropped(bus: Bus, until) -> None:
    """A callback that stands still has the next message only if nobody unsubscribes before."""
    got: list[bytes] = []
    go_on = asyncio.Event()

    async def stand_still(message: Message) -> None:
        got.append(message.data)
        await go_on.wait()

    subscription = await bus.subscribe("s.*", stand_still)
    for data in (b"1", b"2", b"3"):
        await bus.publish("s.a", data)
    await until(lambda: subscription.pending == 2 and got)
    assert repr(subscription) == "<Subscription s.* pending=2>"
    await subscription.unsubscribe()
    go_on.set()
    await bus.barrier()
    assert got == [b"1"]


async def test_it_ends_with_its_connection(server) -> None:
    """Ending it on a connection that is closed is no error."""
    async with await Bus.open(server.url, "test") as bus:

        async def note(message: Message) -> None:
            pass

        subscription = await bus.subscribe("s", note)
    await subscription.unsubscribe()
