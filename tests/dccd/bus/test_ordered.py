"""From the past into the present: each message once and in order, whatever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api, stream_state
from dccd.bus.ordered import OrderedReader
from dccd.bus.publisher import Publisher
from dccd.bus.streams import TickLimits, ensure_streams, renew_epoch
from dccd.errors import BusUnavailable, JetStreamError, StreamReplaced, TicksGone

pytestmark = pytest.mark.anyio

ONE, OTHER = "dccd.ticks.binance.trades.BTC-USDT", "dccd.ticks.kraken.trades.BTC-USD"
STREAM = subjects.STREAM_TICKS
Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture(autouse=True)
async def streams(bus: Bus) -> None:
    """The streams exist."""
    await ensure_streams(bus)


async def publish(bus: Bus, *numbers: int, subject: str = ONE) -> None:
    """Store a message for each of *numbers*."""
    async with Publisher(bus) as publisher:
        for number in numbers:
            publisher.offer(subject, b"[%d]" % number)
        assert await publisher.drain() == 0


async def take(reader: OrderedReader, count: int) -> list[int]:
    """Read *count* messages; returns the numbers in them."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += [int(message.data[1:-1]) for message in await reader.fetch(count - len(found))]
    return found


async def test_from_a_message_on_and_live(bus: Bus) -> None:
    """What is stored from a sequence number on comes first, what is published then follows."""
    await publish(bus, *range(10))
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=4) as reader:
        assert await take(reader, 7) == list(range(3, 10))
        await publish(bus, 10, 11)
        messages = await reader.fetch(1, wait=10)
        assert (messages[0].seq, messages[0].subject, messages[0].data) == (11, ONE, b"[10]")
        assert messages[0].at > 1.7e18 and messages[0].id is not None
        assert await take(reader, 1) == [11]
        assert reader.next == 13


async def test_from_a_time_on(bus: Bus) -> None:
    """What the bus has stored before that time doesn't come."""
    await publish(bus, 0, 1)
    between = (await stream_state(bus, STREAM)).now
    await publish(bus, 2, 3)
    async with await OrderedReader.open(bus, STREAM, [ONE], since=between) as reader:
        assert await take(reader, 2) == [2, 3]


async def test_from_now_on(bus: Bus) -> None:
    """Without a place to start nothing of the past comes, and all that is published once it is open."""
    await publish(bus, 0, 1)
    async with await OrderedReader.open(bus, STREAM, [ONE]) as reader:
        await publish(bus, 2, 3)
        assert await take(reader, 2) == [2, 3]


@pytest.mark.parametrize("filters", [["dccd.ticks.*.trades.BTC-USD"], [OTHER, "dccd.ticks.okx.>"]], ids=str)
async def test_only_what_matches(bus: Bus, filters: list[str]) -> None:
    """A filter with wildcards, or several."""
    await publish(bus, 0)
    await publish(bus, 1, subject=OTHER)
    await publish(bus, 2)
    await publish(bus, 3, subject=OTHER)
    async with await OrderedReader.open(bus, STREAM, filters, seq=1) as reader:
        assert await take(reader, 2) == [1, 3]


async def test_nothing_comes_in_time(bus: Bus) -> None:
    """A fetch returns nothing after its wait, and what comes afterwards isn't missed."""
    async with await OrderedReader.open(bus, STREAM, [ONE]) as reader:
        assert await reader.fetch(wait=0.05) == []
        await publish(bus, 5)
        assert await take(reader, 1) == [5]


async def test_a_kill_of_the_server_in_the_middle(server, bus: Bus, until: Until) -> None:
    """Killed with kill -9 while the past is read, again while it is live: each message once, in order."""
    await publish(bus, *range(3000))
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=1, capacity=500) as reader:
        found = await take(reader, 700)
        await server.kill()
        await server.start()
        found += await take(reader, 2300)
        await publish(bus, *range(3000, 3010))
        found += await take(reader, 5)
        await server.kill()
        await until(lambda: not bus.connected)
        await server.start()
        await bus.wait_connected(10)
        await publish(bus, *range(3010, 3020))
        found += await take(reader, 15)
        assert found == list(range(3020))
        assert reader.statistics()["resets"] >= 3


async def test_a_consumer_that_is_gone(bus: Bus) -> None:
    """Deleted by whomever, it is made again behind the last message."""
    await publish(bus, *range(4))
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=1, capacity=2) as reader:
        assert await take(reader, 1) == [0]
        await api(bus, f"CONSUMER.DELETE.{STREAM}.{reader.statistics()['consumer']}", None, dict)
        await publish(bus, 4)
        assert await take(reader, 4) == [1, 2, 3, 4]


async def test_what_is_held_is_bounded(bus: Bus, until: Until) -> None:
    """A caller that doesn't read has its capacity of messages, and the server isn't asked for more."""
    await publish(bus, *range(100))
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=1, capacity=10) as reader:
        await until(lambda: reader.statistics()["buffered"] == 10)
        await publish(bus, *range(100, 120))
        assert reader.statistics()["buffered"] == 10
        assert await take(reader, 120) == list(range(120))


async def test_what_fell_off_unread_is_told(bus: Bus, until: Until) -> None:
    """A reader that stood still for too long gets what it holds, then TicksGone with when the stream begins now."""
    await publish(bus, *range(10))
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=1, capacity=4) as reader:
        await until(lambda: reader.statistics()["buffered"] == 4)
        await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 8}, dict)
        reader._ended_at -= 2  # as if it had stood still for two seconds
        assert await take(reader, 4) == [0, 1, 2, 3]
        with pytest.raises(TicksGone) as told:
            await take(reader, 1)
        assert told.value.begins is not None and told.value.begins > 1.7e18


async def test_old_messages_of_others_that_fall_off_are_no_loss(server, bus: Bus, until: Until) -> None:
    """A reader that has read everything goes on after a reconnection, though the stream begins later by now."""
    await publish(bus, 0)
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=1) as reader:
        assert await take(reader, 1) == [0]
        await publish(bus, *range(50), subject=OTHER)
        await until(lambda: reader.caught_up)
        reader._idle()  # a request that found nothing for five seconds
        await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 40}, dict)
        reader._sure_at += 3_000_000_000  # it has been idle since
        await server.kill()
        await server.start()
        await bus.wait_connected(10)
        await publish(bus, 1)
        assert await take(reader, 1) == [1]


async def test_a_start_that_has_fallen_off(bus: Bus) -> None:
    """Who wants to go on where nothing is any more is told at once."""
    await publish(bus, *range(5))
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 4}, dict)
    with pytest.raises(TicksGone):
        await OrderedReader.open(bus, STREAM, [ONE], seq=3)


async def test_a_stream_made_anew(bus: Bus) -> None:
    """Sequence numbers that mean something else end the reader."""
    await publish(bus, 0)
    async with await OrderedReader.open(bus, STREAM, [ONE], seq=1) as reader:
        assert await take(reader, 1) == [0]
        await renew_epoch(bus, STREAM)
        reader._want_reset()
        with pytest.raises(StreamReplaced):
            await take(reader, 1)


async def test_no_stream(bus: Bus) -> None:
    """There is nothing to read without one."""
    with pytest.raises(JetStreamError) as told:
        await OrderedReader.open(bus, "NOTHING", [ONE])
    assert told.value.code == 404


async def test_a_closed_connection_ends_it(server, bus: Bus) -> None:
    """A reader whose connection is closed doesn't wait for ever."""
    async with asyncio.timeout(10):
        other = await Bus.open(server.url, "other")
        reader = await OrderedReader.open(other, STREAM, [ONE])
        await other.aclose()
        with pytest.raises(BusUnavailable):
            await reader.fetch(wait=None)
        await reader.aclose()
        await reader.aclose()


async def test_limits_of_a_stream(bus: Bus) -> None:
    """With a stream that keeps little, a reader that keeps up misses nothing."""
    await ensure_streams(bus, TickLimits(max_bytes=1 << 20))
    async with await OrderedReader.open(bus, STREAM, [ONE]) as reader:
        found: list[int] = []
        async with Publisher(bus) as publisher:
            for number in range(400):
                publisher.offer(ONE, b"[%d]" % number + b" " * 8192)
                if number % 50 == 49:
                    assert await publisher.drain() == 0
                    found += [int(m.data.split(b"]")[0][1:]) for m in await _all(reader, 50)]
        assert found == list(range(400))
        assert (await stream_state(bus, STREAM)).first > 1


async def _all(reader: OrderedReader, count: int) -> list:
    found: list = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await reader.fetch(count - len(found))
    return found
