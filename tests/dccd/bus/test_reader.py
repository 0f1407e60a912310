"""Every tick once and in order, until it is acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api
from dccd.bus.kv import Bucket
from dccd.bus.publisher import Publisher
from dccd.bus.reader import TickReader
from dccd.bus.streams import TickLimits, ensure_streams, renew_epoch, stream_epoch
from dccd.bus.tick_message import LostRange, TickMessage
from dccd.errors import BusUnavailable, StreamReplaced
from tests.dccd.bus.not_now import NotNow
from tests.dccd.bus.numbered import ONE, publish

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def streams(bus: Bus) -> None:
    """The streams exist."""
    await ensure_streams(bus)


async def take(reader: TickReader, count: int) -> list[int]:
    """Read *count* messages; returns the numbers in them."""
    found: list[int] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += [int(message.data[1:-1]) for message in await reader.fetch(count - len(found))]
    return found


async def consumer(bus: Bus) -> dict:
    """The server's view of the archiver's consumer."""
    return await api(bus, f"CONSUMER.INFO.{subjects.STREAM_TICKS}.{await consumer_name(bus)}", None, dict)


async def consumer_name(bus: Bus) -> str:
    """What the archiver's consumer is called, as is noted."""
    found = await Bucket(bus, subjects.BUCKET_PRIVATE).get("alpha")
    assert found is not None
    return found[0].decode()


async def test_reads_in_order_and_keeps_what_is_acknowledged(bus: Bus) -> None:
    """What is acknowledged is not read again by the next reader; the rest is, in order."""
    await publish(bus, *range(10))
    async with await TickReader.open(bus, "alpha") as reader:
        messages: list[TickMessage] = []
        while len(messages) < 10:
            messages += await reader.fetch(10 - len(messages))
        assert [message.seq for message in messages] == list(range(1, 11))
        assert messages[0].subject == ONE and messages[0].at > 1.7e18
        await reader.ack(4)
        assert reader.acked == 4
        assert (await reader.lag()).messages == 6
        assert (await consumer(bus))["ack_floor"]["stream_seq"] == 4
    async with await TickReader.open(bus, "alpha") as reader:
        assert await take(reader, 6) == [4, 5, 6, 7, 8, 9]
        info = await consumer(bus)
        assert (info["config"]["ack_policy"], info["num_ack_pending"]) == ("all", 6)


async def test_takes_over_from_another_reader(bus: Bus) -> None:
    """A reader that follows one which still lives reads from the ack floor at once; the other is told."""
    await publish(bus, *range(5))
    dead = await TickReader.open(bus, "alpha")
    assert await take(dead, 5) == [0, 1, 2, 3, 4]
    async with await TickReader.open(bus, "alpha") as reader:
        async with asyncio.timeout(60):
            assert await take(reader, 5) == [0, 1, 2, 3, 4]
        await reader.ack(5)
        with pytest.raises(StreamReplaced, match="taken over"):
            async with asyncio.timeout(20):
                while True:
                    await dead.fetch()
    await dead.aclose()


async def test_nothing_pending_from_a_dead_process(server, bus: Bus) -> None:
    """What a reader had read and not acknowledged when its connection broke is read again at once."""
    await publish(bus, *range(5))
    theirs = await Bus.open(server.url, "dies")
    dead = await TickReader.open(theirs, "alpha")
    assert await take(dead, 5) == [0, 1, 2, 3, 4]
    await dead.ack(2)
    await theirs.aclose()
    async with await TickReader.open(bus, "alpha") as reader, asyncio.timeout(60):
        assert await take(reader, 3) == [2, 3, 4]
    await dead.aclose()


async def test_fetch_returns_nothing_after_its_wait(bus: Bus) -> None:
    """An empty stream gives an empty list, not an error."""
    async with await TickReader.open(bus, "alpha") as reader:
        assert await reader.fetch(wait=0.01) == []
        await publish(bus, 7)
        assert await take(reader, 1) == [7]


async def test_a_kill_of_the_server(server, bus: Bus) -> None:
    """Through kills of the server every message comes once and in order, and acknowledgements work after it."""
    async with Publisher(bus, deadline=1.0) as publisher, await TickReader.open(bus, "alpha", capacity=500) as reader:
        seen: list[int] = []
        last = 0

        async def publish_all() -> None:
            for number in range(6_000):
                await publisher.room()
                publisher.offer(ONE, b"[%d]" % number)
                if number % 20 == 0:
                    await asyncio.sleep(0)

        publishing = asyncio.create_task(publish_all())
        for kill_at in (1_000, 3_000, 6_000):
            async with asyncio.timeout(30):
                while len(seen) < kill_at:
                    for message in await reader.fetch(100):
                        seen.append(int(message.data[1:-1]))
                        last = message.seq
                    if len(seen) % 3 == 0 and last:
                        await reader.ack(last)
            if kill_at < 6_000:
                await server.kill()
                await server.start()
        await publishing
        assert seen == list(range(6_000))
        await reader.ack(last)
        assert (await consumer(bus))["ack_floor"]["stream_seq"] == 6_000
        assert reader.statistics()["resets"] >= 3


async def test_acknowledging_after_a_kill(server, bus: Bus) -> None:
    """A message that was read before a kill can be acknowledged after it."""
    await publish(bus, *range(50))
    async with await TickReader.open(bus, "alpha") as reader:
        await take(reader, 50)
        await server.kill()
        acknowledging = asyncio.create_task(reader.ack(50))
        await server.start()
        await acknowledging
        assert await reader.fetch(wait=0.05) == []
        await publish(bus, 50)
        assert await take(reader, 1) == [50]


async def test_what_fell_off_before_is_a_lost_range(bus: Bus) -> None:
    """Messages that the stream's limits removed while nobody read are reported with their sequence numbers."""
    await publish(bus, *range(10))
    async with await TickReader.open(bus, "alpha") as reader:
        await take(reader, 10)
        await reader.ack(3)
    await api(bus, f"STREAM.PURGE.{subjects.STREAM_TICKS}", {"seq": 8}, dict)
    lost: list[LostRange] = []
    async with await TickReader.open(bus, "alpha", on_lost=lost.append) as reader:
        assert await take(reader, 3) == [7, 8, 9]
        assert [(gap.first, gap.last) for gap in lost] == [(4, 7)]
        assert lost[0].until is not None
        await reader.ack(10)
    lost.clear()
    async with await TickReader.open(bus, "alpha", on_lost=lost.append) as reader:
        assert not lost


async def test_everything_fell_off(bus: Bus) -> None:
    """An emptied stream is a loss up to its end, too."""
    await publish(bus, *range(5))
    async with await TickReader.open(bus, "alpha") as reader:
        await take(reader, 5)
        await reader.ack(2)
    await api(bus, f"STREAM.PURGE.{subjects.STREAM_TICKS}", None, dict)
    lost: list[LostRange] = []
    async with await TickReader.open(bus, "alpha", on_lost=lost.append) as reader:
        assert lost == [LostRange(3, 5, None, None)]
        await publish(bus, 5)
        assert await take(reader, 1) == [5]


async def test_what_falls_off_while_reading(bus: Bus) -> None:
    """A reader that is too slow for the stream's limits reports the range between what it read before and after."""
    lost: list[LostRange] = []
    async with await TickReader.open(bus, "alpha", on_lost=lost.append, capacity=4) as reader:
        await publish(bus, *range(50))
        first = await take(reader, 1)
        await api(bus, f"STREAM.PURGE.{subjects.STREAM_TICKS}", {"seq": 41}, dict)
        rest = []
        while not rest or rest[-1] != 49:
            rest += await take(reader, 1)
        (gap,) = lost
        assert first + rest == [*range(gap.first - 1), *range(40, 50)]
        assert gap.last == 40 and gap.since is not None and gap.until is not None and gap.since <= gap.until
        await reader.ack(50)
        assert reader.statistics()["lost"] == gap.last - gap.first + 1


async def test_acknowledging_what_has_fallen_off_since(bus: Bus) -> None:
    """Messages that were read, written slowly, and fell off meanwhile are as good as acknowledged: nothing waits."""
    await publish(bus, *range(10))
    async with await TickReader.open(bus, "alpha") as reader:
        assert len(await take(reader, 10)) == 10
        await api(bus, f"STREAM.PURGE.{subjects.STREAM_TICKS}", {"seq": 9}, dict)
        reader._want_reset()  # as after a jump, or when the bus was away: what was delivered counts no more
        await publish(bus, 10)
        assert await take(reader, 1) == [10]
        await reader.ack(7, timeout=5)
        assert reader.acked == 7
        await reader.ack(11, timeout=5)
    async with await TickReader.open(bus, "alpha") as reader:
        assert reader.acked == 11


async def test_a_stream_made_anew(bus: Bus) -> None:
    """A reader whose stream was deleted and made again says so, after what it had read; the next has a new epoch."""
    await publish(bus, 1, 2)
    reader = await TickReader.open(bus, "alpha")
    epoch = reader.epoch
    assert await take(reader, 2) == [1, 2]
    await api(bus, f"STREAM.DELETE.{subjects.STREAM_TICKS}", None, dict)
    await ensure_streams(bus)
    with pytest.raises(StreamReplaced):
        async with asyncio.timeout(20):
            while True:
                await reader.fetch()
    with pytest.raises(StreamReplaced):
        await reader.ack(2)
    await reader.aclose()
    await publish(bus, 3)
    async with await TickReader.open(bus, "alpha") as reader:
        assert reader.epoch != epoch
        assert await take(reader, 1) == [3]


async def test_a_consumer_that_somebody_deleted(bus: Bus) -> None:
    """A deleted consumer is made again where the acknowledged ended."""
    await publish(bus, *range(6))
    async with await TickReader.open(bus, "alpha") as reader:
        assert await take(reader, 4) == [0, 1, 2, 3]
        await reader.ack(3)
        await api(bus, f"CONSUMER.DELETE.{subjects.STREAM_TICKS}.{await consumer_name(bus)}", None, dict)
        await publish(bus, 6)
        assert await take(reader, 3) == [4, 5, 6]
        await reader.ack(7)
        assert (await consumer(bus))["ack_floor"]["stream_seq"] == 7
    async with await TickReader.open(bus, "alpha") as reader:
        await publish(bus, 7)
        assert await take(reader, 1) == [7]


async def test_a_stream_that_lost_its_end(bus: Bus) -> None:
    """When the store knows of more than the stream has, the epoch is another and what is left is read again."""
    await publish(bus, *range(5))
    async with await TickReader.open(bus, "alpha") as reader:
        await take(reader, 5)
        await reader.ack(5)
    before = await stream_epoch(bus, subjects.STREAM_TICKS)
    async with await TickReader.open(bus, "alpha", stored=9) as reader:
        assert reader.epoch != before
        assert await take(reader, 5) == [0, 1, 2, 3, 4]
    assert await stream_epoch(bus, subjects.STREAM_TICKS) == reader.epoch
    assert await renew_epoch(bus, subjects.STREAM_TICKS) == before + "+2"
    await ensure_streams(bus, TickLimits(max_age=3600))
    assert await stream_epoch(bus, subjects.STREAM_TICKS) == before + "+2"


async def test_closed_reader(bus: Bus) -> None:
    """A closed reader says so."""
    reader = await TickReader.open(bus, "alpha")
    await reader.aclose()
    await reader.aclose()
    with pytest.raises(BusUnavailable):
        await reader.fetch()


@pytest.mark.parametrize("refuses", ["STREAM.INFO", "CONSUMER.INFO", r"^\$KV", "CONSUMER.RESET"])
async def test_a_stream_that_cannot_be_read_now(refusing: NotNow, refuses: str) -> None:
    """Who begins is told that the bus is away; who reads and acknowledges goes on when it can, without a loss."""
    await publish(refusing, *range(3))
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await TickReader.open(refusing, "alpha")
    refusing.refuses = None
    async with await TickReader.open(refusing, "alpha") as reader:
        assert await take(reader, 3) == [0, 1, 2]
        refusing.refuses, refusing.refused = refuses, []
        reader._want_reset()
        acknowledged = asyncio.ensure_future(reader.ack(3))
        async with asyncio.timeout(20):
            while len(refusing.refused) < 2 and not acknowledged.done():  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
            refusing.refuses = None
            await acknowledged
            await publish(refusing, 3)
            assert await take(reader, 1) == [3]
        assert reader.acked == 3


async def test_what_is_wanted_while_the_reader_is_set_back_is_another_time(bus: Bus, monkeypatch: Any) -> None:
    """An acknowledgement that failed meanwhile may be behind the place to which it is set back."""
    await publish(bus, *range(3))
    async with await TickReader.open(bus, "alpha") as reader:
        assert await take(reader, 3) == [0, 1, 2]
        reset, times, begun, go, again = reader._consumer.reset, list[int](), *(asyncio.Event() for _ in range(3))

        async def held_up(seq: int) -> None:
            times.append(seq)
            (again if begun.is_set() else begun).set()
            await go.wait()
            await reset(seq)

        monkeypatch.setattr(reader._consumer, "reset", held_up)
        async with asyncio.timeout(60):
            reader._want_reset()
            await begun.wait()
            reader._want_reset()
            go.set()
            await again.wait()
            await reader.ack(3)
        assert (times, reader.acked) == ([1, 1], 3)
