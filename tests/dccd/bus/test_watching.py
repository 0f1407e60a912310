"""Changes of a bucket as they come."""

from __future__ import annotations

import asyncio

import pytest

from dccd.bus.connection import Bus, Message
from dccd.bus.direct import api
from dccd.bus.kv import Bucket, Entry
from dccd.bus.streams import ensure_bucket
from dccd.bus.watching import Watch
from dccd.errors import BusUnavailable, StreamReplaced
from tests.dccd.bus.not_now import NotNow

pytestmark = pytest.mark.anyio


async def test_watch(bucket: Bucket) -> None:
    """A watch gives what exists, a mark, and then each change."""
    await bucket.put("a.1", b"1")
    await bucket.put("b.1", b"2")
    watch = bucket.watch("a.>")
    async with asyncio.timeout(60):
        assert (await anext(watch)).key == "a.1"
        assert await anext(watch) is None
        await bucket.put("b.1", b"3")
        await bucket.put("a.2", b"4")
        await bucket.delete("a.1")
        second, third = await anext(watch), await anext(watch)
        assert (second.key, second.value, second.deleted) == ("a.2", b"4", False)
        assert (third.key, third.deleted) == ("a.1", True)
        await watch.aclose()


async def test_watch_of_nothing_begins_with_the_mark(bucket: Bucket) -> None:
    """An empty bucket has its mark at once."""
    watch = bucket.watch()
    async with asyncio.timeout(60):
        assert await anext(watch) is None
    await watch.aclose()


async def test_watch_answers_nobody_else(bus: Bus, bucket: Bucket) -> None:
    """What somebody puts into its inbox is no request: nothing is published where that says."""
    heard = []

    async def hear(message: Message) -> None:
        heard.append(message)

    await bus.subscribe("dccd.elsewhere", hear)
    before = set(bus.client._subs)
    watch = bucket.watch()
    assert await anext(watch) is None
    inboxes = [bus.client._subs[one].subject for one in set(bus.client._subs) - before]
    for inbox in inboxes:
        await bus.client.publish(inbox.replace("*", "x"), b"", reply="dccd.elsewhere")
    await bus.barrier()
    await bucket.put("k", b"1")
    assert (await anext(watch)).key == "k"
    await bus.barrier()
    assert not heard
    await watch.aclose()


async def test_watch_comes_back_after_a_kill(server, bus: Bus, bucket: Bucket) -> None:
    """A watch misses nothing through a kill of the server, and is back within a few seconds."""
    watch = bucket.watch()
    assert await anext(watch) is None
    for number in range(3):
        await bucket.put("k", b"%d" % number)
        entry = await anext(watch)
        assert isinstance(entry, Entry) and entry.value == b"%d" % number
        await server.kill()
        await server.start()
    await bus.wait_connected(10)
    await bucket.put("k", b"last")
    async with asyncio.timeout(60):
        entry = await anext(watch)
    assert entry.value == b"last"
    await watch.aclose()


async def test_watch_of_a_deleted_bucket(bus: Bus, bucket: Bucket) -> None:
    """A watch ends with an error when its bucket is deleted."""
    watch = bucket.watch()
    assert await anext(watch) is None
    await api(bus, "STREAM.DELETE.KV_dccd_runs", None, dict)
    with pytest.raises(StreamReplaced):
        async with asyncio.timeout(60):
            await anext(watch)


@pytest.mark.parametrize("refuses", ["STREAM.INFO", "CONSUMER.CREATE"])
async def test_a_watch_that_cannot_begin_now(refusing: NotNow, refuses: str) -> None:
    """The bus is away, for who wants to watch; one under way is mended once it can be."""
    await ensure_bucket(refusing, "b")
    bucket = Bucket(refusing, "b")
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await anext(bucket.watch())
    refusing.refuses = None
    watch = Watch(refusing, "KV_b", "$KV.b.>")
    await watch.start()
    assert await watch.next() is None
    refusing.refuses, refusing.refused = refuses, []
    watch._connection_changed(True)
    coming = asyncio.ensure_future(watch.next())
    async with asyncio.timeout(60):
        while len(refusing.refused) < 2:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        refusing.refuses = None
        await bucket.put("k", b"1")
        assert (await coming).data == b"1"
    await watch.stop()
