"""Everything offered arrives once, whatever happens to the server."""

from __future__ import annotations

import asyncio
import time

import pytest
from nats.aio.msg import Msg

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api, get_batch
from dccd.bus.outbox import Offer
from dccd.bus.publisher import Publisher
from dccd.bus.streams import TickLimits, ensure_streams
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


async def test_each_acknowledgement_is_told_once(server, bus, until) -> None:
    """With the subject and the time of the first record, also of what was published again after a kill."""
    await ensure_streams(bus)
    told: list[tuple[str, int]] = []
    publisher = Publisher(bus, deadline=1.0, on_ack=lambda *ack: told.append(ack))
    publisher.offer(SUBJECT, b"a", 3, 11, 13)
    await until(lambda: told)
    await server.kill()
    publisher.offer(SUBJECT, b"b", 1, 14, 14)
    await server.start()
    await until(lambda: len(told) == 2)
    assert await publisher.aclose() == 0
    assert told == [(SUBJECT, 11), (SUBJECT, 14)]


async def test_kills_lose_and_repeat_nothing(server, bus, until) -> None:
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
                await until(lambda sent=number: publisher.statistics()["acked"] >= sent - 100)
            kill = asyncio.create_task(kill_and_start())
    assert kill is not None
    await kill
    assert await publisher.drain(30) == 0
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in range(20_000)]
    assert publisher.statistics()["acked"] == 20_000
    assert bus.statistics()["reconnects"] >= 3


async def test_duplicates_are_stored_once(server, bus, until) -> None:
    """A message whose acknowledgement was lost is published again under its id, and stored once."""
    await ensure_streams(bus)
    publisher = Publisher(bus, deadline=0.05)
    # A server that is frozen takes what we send when it goes on: by then the deadline has passed, several times.
    await server.freeze()
    for number in range(20):
        publisher.offer(SUBJECT, b"%d" % number)
    await until(lambda: publisher.statistics()["published_again"] >= 40)
    server.thaw()
    assert await publisher.drain() == 0
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in range(20)]


async def test_room_is_backpressure(server, bus, until) -> None:
    """room() waits while a window of messages is on its way, and not while the server doesn't answer at all."""
    await ensure_streams(bus)
    publisher = Publisher(bus, window=4, deadline=3.0)
    await server.freeze()
    for number in range(4):
        await publisher.room()
        publisher.offer(SUBJECT, b"%d" % number)
    waiting = asyncio.create_task(publisher.room())
    await until(lambda: publisher.statistics()["on_way"] == 4)
    assert not waiting.done()
    async with asyncio.timeout(20):
        await waiting  # nothing was acknowledged for a deadline: the market doesn't wait
    publisher.offer(SUBJECT, b"4")
    async with asyncio.timeout(2.9):
        await publisher.room()
    server.thaw()
    assert await publisher.drain() == 0
    assert publisher.statistics()["on_way"] == 0
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in range(5)]


async def test_room_returns_while_the_bus_is_away(server, bus, until) -> None:
    """A waiting collector goes on at once when the bus goes away, and what it offers is kept and delivered."""
    await ensure_streams(bus)
    publisher = Publisher(bus, window=2, deadline=30)
    await server.freeze()
    publisher.offer(SUBJECT, b"0")
    publisher.offer(SUBJECT, b"1")
    waiting = asyncio.create_task(publisher.room())
    await until(lambda: publisher.statistics()["on_way"] == 2)
    await server.kill()
    async with asyncio.timeout(20):
        await waiting
    for number in range(2, 1000):
        await publisher.room()
        publisher.offer(SUBJECT, b"%d" % number)
    assert publisher.statistics()["waiting"] >= 998
    await server.start()
    assert await publisher.drain(20) == 0
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in range(1000)]


async def test_overflow_is_reported_once_a_subject(server, bus, until) -> None:
    """What doesn't fit is dropped from one point on and reported with its records and its times; the rest arrives."""
    await ensure_streams(bus)
    overflows: list[tuple[str, int, int, int]] = []
    other = "dccd.ticks.kraken.trades.BTC-USD"
    publisher = Publisher(bus, buffer_bytes=100_000, on_overflow=lambda *overflow: overflows.append(overflow))
    await server.kill()
    await until(lambda: not bus.connected)
    accepted = 0
    for number in range(200):
        subject = other if number % 4 == 3 else SUBJECT
        publisher.offer(subject, b"%04d" % number * 250, count=3, first_ts=number * 10, last_ts=number * 10 + 9)
        accepted += not publisher.statistics()["overflowing"]
    assert 60 < accepted < 100
    assert not overflows
    await server.start()
    assert await publisher.drain(20) == 0
    assert [message[:4] for message in await stored(bus)] == [b"%04d" % number for number in range(accepted)]
    dropped = range(accepted, 200)
    theirs = [number for number in dropped if number % 4 == 3]
    ours = [number for number in dropped if number % 4 != 3]
    assert sorted(overflows) == [
        (SUBJECT, 3 * len(ours), ours[0] * 10, ours[-1] * 10 + 9),
        (other, 3 * len(theirs), theirs[0] * 10, theirs[-1] * 10 + 9),
    ]
    publisher.offer(SUBJECT, b"after")
    assert await publisher.drain() == 0
    await publisher.aclose()
    assert (await stored(bus))[-1] == b"after"
    assert len(overflows) == 2
    assert publisher.statistics()["dropped_messages"] == len(dropped)


async def test_a_message_larger_than_the_buffer_is_taken_where_nothing_waits(bus, until) -> None:
    """Dropping it would begin an overflow that nothing ends: it ends when what waits has left."""
    await ensure_streams(bus)
    async with Publisher(bus, buffer_bytes=1000) as publisher:
        assert publisher.offer(SUBJECT, b"1" * 2000)
        assert not publisher.offer(SUBJECT, b"2")
        await until(lambda: not publisher.overflowing)
        assert publisher.offer(SUBJECT, b"3" * 2000)
        assert await publisher.drain() == 0
    assert [message[:1] for message in await stored(bus)] == [b"1", b"3"]


async def test_what_is_left_at_the_end_is_reported(server, bus, until) -> None:
    """Closing while the bus is away reports what could not be delivered, and is quick."""
    await ensure_streams(bus)
    overflows: list[tuple[str, int, int, int]] = []
    publisher = Publisher(bus, on_overflow=lambda *overflow: overflows.append(overflow))
    await server.kill()
    await until(lambda: not bus.connected)
    publisher.offer(SUBJECT, b"[]", count=2, first_ts=5, last_ts=6)
    publisher.offer(SUBJECT, b"[]", count=2, first_ts=7, last_ts=8)
    async with asyncio.timeout(60):
        assert await publisher.aclose(timeout=0.05) == 2
    assert overflows == [(SUBJECT, 4, 5, 8)]
    assert await publisher.aclose() == 0
    with pytest.raises(BusUnavailable):
        publisher.offer(SUBJECT, b"[]")


async def test_a_stream_that_comes_late(bus, until) -> None:
    """While no stream takes the messages they are published again, and arrive in order once it is there."""
    publisher = Publisher(bus)
    assert publisher.waiting_since is None
    begun = time.monotonic()
    for number in range(200):
        publisher.offer(SUBJECT, b"%d" % number)
    first = publisher.waiting_since
    assert first is not None
    assert begun <= first <= time.monotonic()
    await until(lambda: publisher.statistics()["refused"] >= 64)
    assert publisher.waiting_since == first
    await ensure_streams(bus)
    assert await publisher.drain(20) == 0
    assert publisher.waiting_since is None
    await publisher.aclose()
    assert sorted(await stored(bus), key=int) == [b"%d" % number for number in range(200)]


async def test_a_message_that_the_stream_never_takes(bus) -> None:
    """A message over the stream's own maximum is reported, and doesn't hold up the others."""
    await ensure_streams(bus)
    there = (await api(bus, f"STREAM.INFO.{subjects.STREAM_TICKS}", None, dict))["config"]
    await api(bus, f"STREAM.UPDATE.{subjects.STREAM_TICKS}", {**there, "max_msg_size": 500}, dict)
    overflows: list[tuple[str, int, int, int]] = []
    async with Publisher(bus, on_overflow=lambda *overflow: overflows.append(overflow)) as publisher:
        publisher.offer(SUBJECT, b"1")
        publisher.offer(SUBJECT, bytes(2000), count=7, first_ts=1, last_ts=2)
        publisher.offer(SUBJECT, b"2")
        assert await publisher.drain() == 0
    assert overflows == [(SUBJECT, 7, 1, 2)]
    assert await stored(bus) == [b"1", b"2"]


async def test_too_large_for_the_bus(bus) -> None:
    """An offer that no message can hold is refused at once with the sizes, and is a ValueError."""
    publisher = Publisher(bus)
    with pytest.raises(PayloadTooLarge, match="split") as caught:
        publisher.offer(SUBJECT, bytes(publisher.max_payload + 1))
    assert isinstance(caught.value, ValueError)
    await ensure_streams(bus)
    publisher.offer(SUBJECT, bytes(publisher.max_payload))
    assert await publisher.drain() == 0
    await publisher.aclose()
    assert bus.connected


async def test_ids_that_the_server_has_forgotten(bus) -> None:
    """A message that was stored long before it is published again is found in the stream, not stored twice."""
    await ensure_streams(bus, TickLimits(duplicate_window=0.1))
    publisher = Publisher(bus, deadline=0.2, duplicate_window=0.1)

    async def lost(message: object) -> None:
        """No acknowledgement reaches us, as when the connection breaks in between."""

    publisher._answered = lost
    for number in range(10):
        publisher.offer(SUBJECT, b"%d" % number)
    assert await publisher.drain() == 0
    statistics = publisher.statistics()
    assert (statistics["acked"], statistics["published_again"]) == (10, 0)
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in range(10)]


async def test_an_old_message_that_is_not_stored_is_published_again_though_later_ones_are(bus) -> None:
    """What the stream has is told by ids: the newest one on the subject passed for all before it, and one was lost."""
    await ensure_streams(bus, TickLimits(duplicate_window=0.1))
    publisher = Publisher(bus, deadline=1.0, duplicate_window=0.1)
    send, answered = publisher._send, publisher._answered
    lost = {3, 4}

    async def sent(offer: Offer) -> None:
        """Two of the window don't reach the stream at first."""
        if offer.number in lost:
            lost.remove(offer.number)
            publisher._outbox.sent(offer, time.monotonic())
        else:
            await send(offer)

    async def heard(message: Msg) -> None:
        """Nor does the acknowledgement of one that does."""
        if not message.subject.endswith(".2"):
            await answered(message)

    publisher._send, publisher._answered = sent, heard
    for number in range(1, 9):
        publisher.offer(SUBJECT, b"%d" % number)
    assert await publisher.drain() == 0
    await publisher.aclose()
    assert await stored(bus) == [b"%d" % number for number in (1, 2, 5, 6, 7, 8, 3, 4)]
    assert publisher.statistics()["published_again"] == 2


async def test_a_lost_acknowledgement_is_noticed_under_steady_traffic(bus) -> None:
    """What is overdue is published again though new messages keep the publisher busy."""
    await ensure_streams(bus)
    publisher = Publisher(bus, deadline=2.0)
    answered = publisher._answered
    lost = True

    async def heard(message: Msg) -> None:
        """The first acknowledgement of the first message is lost."""
        nonlocal lost
        if lost and message.subject.endswith(".1"):
            lost = False
        else:
            await answered(message)

    publisher._answered = heard
    async with publisher, asyncio.timeout(60):
        while publisher.statistics()["duplicates"] == 0:
            publisher.offer(SUBJECT, b"x")
            await asyncio.sleep(0.02)  # the traffic
    assert publisher.statistics()["published_again"] >= 1
