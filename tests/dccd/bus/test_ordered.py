"""From the past into the present: each message once and in order, whatever dies."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus import incoming
from dccd.bus.connection import Bus
from dccd.bus.direct import api, stream_state
from dccd.bus.following import Followers
from dccd.bus.ordered import OrderedReader
from dccd.bus.publisher import Publisher
from dccd.bus.streams import TickLimits, ensure_streams, renew_epoch
from dccd.errors import BusUnavailable, RequestError, StreamReplaced, TicksGone
from tests.dccd.bus.numbered import ONE, OTHER, publish
from tests.waiting import Until

pytestmark = pytest.mark.anyio

STREAM = subjects.STREAM_TICKS


@pytest.fixture(autouse=True)
async def streams(bus: Bus) -> None:
    """The streams exist."""
    await ensure_streams(bus)


async def read(bus: Bus, filters: list[str] | None = None, **how: Any) -> OrderedReader:
    """A reader for which what a daemon does is done right here."""
    return await OrderedReader.open(bus, Followers(bus, "here").follow, "ticks", filters or [ONE], **how)


async def consumers(bus: Bus) -> list[str]:
    """Those that the stream has."""
    found: list[str] | None = (await api(bus, f"CONSUMER.NAMES.{STREAM}", None, dict))["consumers"]
    return found or []


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
    async with await read(bus, seq=4) as reader:
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
    async with await read(bus, since=between) as reader:
        assert await take(reader, 2) == [2, 3]


async def test_from_now_on(bus: Bus) -> None:
    """Without a place to start nothing of the past comes, and all that is published once it is open."""
    await publish(bus, 0, 1)
    async with await read(bus) as reader:
        await publish(bus, 2, 3)
        assert await take(reader, 2) == [2, 3]


@pytest.mark.parametrize("filters", [["dccd.ticks.*.trades.BTC-USD"], [OTHER, "dccd.ticks.okx.>"]], ids=str)
async def test_only_what_matches(bus: Bus, filters: list[str]) -> None:
    """A filter with wildcards, or several."""
    await publish(bus, 0)
    await publish(bus, 1, subject=OTHER)
    await publish(bus, 2)
    await publish(bus, 3, subject=OTHER)
    async with await read(bus, filters, seq=1) as reader:
        assert await take(reader, 2) == [1, 3]


async def test_nothing_comes_in_time(bus: Bus) -> None:
    """A fetch returns nothing after its wait, and what comes afterwards isn't missed."""
    async with await read(bus) as reader:
        assert await reader.fetch(wait=0.05) == []
        await publish(bus, 5)
        assert await take(reader, 1) == [5]


async def test_a_kill_of_the_server_in_the_middle(server, bus: Bus, until: Until) -> None:
    """Killed with kill -9 while the past is read, again while it is live: each message once, in order."""
    await publish(bus, *range(3000))
    async with await read(bus, seq=1) as reader:
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
    async with await read(bus, seq=1) as reader:
        assert await take(reader, 1) == [0]
        for name in await consumers(bus):
            await api(bus, f"CONSUMER.DELETE.{STREAM}.{name}", None, dict)
        await publish(bus, 4)
        assert await take(reader, 4) == [1, 2, 3, 4]


async def test_a_message_that_is_missing(bus: Bus) -> None:
    """One that was lost on the way is noticed by the next, and by a heartbeat where none follows: it comes."""
    await publish(bus, 0)
    async with await read(bus, seq=1) as reader:
        assert await take(reader, 1) == [0]
        reader._number -= 1  # as if one had come that it hasn't had
        await publish(bus, 1)
        assert await take(reader, 1) == [1]
        before = reader.statistics()["resets"]
        assert before >= 2
        reader._number -= 1
        async with asyncio.timeout(20):
            while reader.statistics()["resets"] == before:
                assert await reader.fetch(wait=0.1) == []
        await publish(bus, 2)
        assert await take(reader, 1) == [2]


BIG = 1 << 19


async def publish_big(bus: Bus, *numbers: int) -> None:
    """Messages of half a MiB."""
    async with Publisher(bus) as publisher:
        for number in numbers:
            publisher.offer(ONE, b"[%d]" % number + b" " * BIG)
            await publisher.room()
        assert await publisher.drain(30) == 0


async def stalled(bus: Bus, reader: OrderedReader) -> None:
    """Wait until the server sends no more since it waits for an answer."""
    (name,) = await consumers(bus)
    async with asyncio.timeout(20):
        before = -1
        while before != (at := await delivered(bus, name)) or not reader._credit:
            before = at
            await asyncio.sleep(0.05)


async def delivered(bus: Bus, consumer: str) -> int:
    found: int = (await api(bus, f"CONSUMER.INFO.{STREAM}.{consumer}", None, dict))["delivered"]["consumer_seq"]
    return found


async def test_what_is_held_is_bounded(bus: Bus) -> None:
    """A caller that doesn't read has what flow control lets through, and the server goes on when it reads."""
    await publish_big(bus, *range(120))
    async with await read(bus, seq=1, room=1 << 20) as reader:
        await stalled(bus, reader)
        assert reader.statistics()["bytes"] < 6 << 20
        assert await take_big(reader, 120) == list(range(120))
        assert reader.statistics()["resets"] == 1
        assert reader.statistics()["bytes"] == 0


async def take_big(reader: OrderedReader, count: int) -> list[int]:
    return [int(one.data.split(b"]")[0][1:]) for one in await _all(reader, count)]


async def test_what_fell_off_unread_is_told(bus: Bus) -> None:
    """A reader that stood still for too long gets what it holds, then TicksGone with when the stream begins now."""
    await publish_big(bus, *range(40))
    async with await read(bus, seq=1, room=1 << 20) as reader:
        await stalled(bus, reader)
        held = reader.statistics()["buffered"]
        assert 2 < held < 30
        await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 39}, dict)
        reader._asked_at -= 2  # as if it had stood still for two seconds
        assert await take_big(reader, held) == list(range(held))
        with pytest.raises(TicksGone) as told:
            await take(reader, 1)
        assert told.value.begins is not None and told.value.begins > 1.7e18


async def test_old_messages_of_others_that_fall_off_are_no_loss(server, bus: Bus, until: Until) -> None:
    """A reader that has read everything goes on after a reconnection, though the stream begins later by now."""
    await publish(bus, 0)
    async with await read(bus, seq=1) as reader:
        assert await take(reader, 1) == [0]
        await publish(bus, *range(50), subject=OTHER)
        await until(lambda: reader.next == 52)  # a heartbeat says so
        await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 40}, dict)
        await server.kill()
        await server.start()
        await bus.wait_connected(10)
        await publish(bus, 1)
        assert await take(reader, 1) == [1]


async def test_nobody_makes_it_again(server, bus: Bus, until: Until) -> None:
    """While no daemon answers a reader goes on; one that has to be set up again waits for a daemon to be back."""
    followers, away = Followers(bus, "here"), False

    async def ask(what: m.Follow) -> m.Followed:
        if away:
            raise BusUnavailable("nobody answers")
        return await followers.follow(what)

    await publish(bus, 0)
    async with await OrderedReader.open(bus, ask, "ticks", [ONE], seq=1) as reader:
        away = True
        await publish(bus, 1)
        assert await take(reader, 2) == [0, 1]
        await server.kill()
        await server.start()
        await bus.wait_connected(10)
        await publish(bus, 2)
        assert await reader.fetch(wait=0.5) == []
        away = False
        assert await take(reader, 1) == [2]


async def test_busy_is_not_the_end(bus: Bus) -> None:
    """A stream that has as many readers as it may refuses another; one that has to come back waits for its turn."""
    full = Followers(bus, "here", of_a_stream=1)
    async with await OrderedReader.open(bus, full.follow, "ticks", [ONE]) as reader:
        with pytest.raises(RequestError) as refused:
            await OrderedReader.open(bus, full.follow, "ticks", [ONE])
        assert (refused.value.code, refused.value.reason) == (503, "busy")
        reader._want_reset()  # its old one is there for five seconds
        await publish(bus, 0)
        assert await take(reader, 1) == [0]


async def test_the_newest(bus: Bus) -> None:
    """With the last so many of those that match, and what comes."""
    await publish(bus, *range(10))
    await publish(bus, *range(5), subject=OTHER)
    async with await read(bus, last=1) as reader:
        found = await take(reader, 1)
        assert reader.end == 15
        while found[-1] != 9:
            found += await take(reader, 1)
        await publish(bus, 10)
        assert await take(reader, 1) == [10]


async def test_a_start_that_has_fallen_off(bus: Bus) -> None:
    """Who wants to go on where nothing is any more is told at once."""
    await publish(bus, *range(5))
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 4}, dict)
    with pytest.raises(TicksGone):
        await read(bus, seq=3)


async def test_a_start_behind_the_end(bus: Bus) -> None:
    """Who wants to go on behind what the stream has isn't left to wait for it: the stream isn't the one that it was."""
    await publish(bus, *range(3))
    async with await read(bus, seq=4) as reader:
        await publish(bus, 3)
        assert await take(reader, 1) == [3]
    with pytest.raises(StreamReplaced):
        await read(bus, seq=6)


async def test_what_comes_while_it_looks(bus: Bus, until: Until) -> None:
    """A message that is newer than the daemon's answer doesn't pass for the sign of another stream."""
    follow = Followers(bus, "here").follow

    async def late(ask: m.Follow) -> m.Followed:
        told = await follow(ask)
        if ask.inbox is None:
            await publish(bus, 1)
            await until(lambda: reader.next == 3)
        return told

    await publish(bus, 0)
    async with await OrderedReader.open(bus, late, "ticks", [ONE], seq=1) as reader:
        assert await take(reader, 1) == [0]
        await answered(reader, until)
        assert await take(reader, 1) == [1]
        assert await reader.fetch(1, 0) == []


async def test_a_daemon_that_is_busy_when_it_looks(bus: Bus, until: Until) -> None:
    """A refusal for now ends no reader, whatever it was about to do: it is set up again."""
    follow, refusals = Followers(bus, "here").follow, 1

    async def busy(ask: m.Follow) -> m.Followed:
        nonlocal refusals
        if ask.inbox is None and refusals:
            refusals -= 1
            raise RequestError(503, "busy", "try again")
        return await follow(ask)

    await publish(bus, 0)
    async with await OrderedReader.open(bus, busy, "ticks", [ONE], seq=1) as reader:
        assert await take(reader, 1) == [0]
        await answered(reader, until)
        assert await reader.fetch(1, 0) == [] and not refusals
        await publish(bus, 1)
        assert await take(reader, 1) == [1]


async def answered(reader: OrderedReader, until: Until) -> None:
    """As if flow control had asked two seconds ago, and there was room only now: until that is settled."""
    reader._credit, reader._asked_at = "$JS.FC.of.nobody", time.monotonic() - 2
    reader._wake.set()
    await until(lambda: not reader._credit or reader._failure is not None)


async def test_closed_while_nobody_answers(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is closed while it waits for a daemon listens to nothing afterwards, also once that answers."""
    monkeypatch.setattr(incoming, "_CLOSING", 0.05)
    follow, silent, answers = Followers(bus, "here").follow, asyncio.Event(), asyncio.Event()

    async def slow(ask: m.Follow) -> m.Followed:
        if ask.inbox is None:
            silent.set()
            await answers.wait()
        return await follow(ask)

    await publish(bus, 0)
    reader = await OrderedReader.open(bus, slow, "ticks", [ONE], seq=1)
    heard = len(bus.client._subs)
    reader._want_reset()
    async with asyncio.timeout(60):
        await silent.wait()
        await reader.aclose()
        assert len(bus.client._subs) == heard - 1
        answers.set()
        assert reader._pumping is not None
        await reader._pumping
    assert len(bus.client._subs) == heard - 1


async def test_a_stream_made_anew(bus: Bus) -> None:
    """Sequence numbers that mean something else end the reader."""
    await publish(bus, 0)
    async with await read(bus, seq=1) as reader:
        assert await take(reader, 1) == [0]
        await renew_epoch(bus, STREAM)
        reader._want_reset()
        with pytest.raises(StreamReplaced):
            await take(reader, 1)


async def test_no_stream(bus: Bus) -> None:
    """There is nothing to read without one; one that is deleted ends its readers."""
    async with await read(bus) as reader:
        await api(bus, f"STREAM.DELETE.{STREAM}", None, dict)
        with pytest.raises(RequestError) as told:
            await read(bus)
        assert (told.value.code, told.value.reason) == (404, "no_stream")
        with pytest.raises(StreamReplaced):
            await take(reader, 1)


async def test_a_closed_connection_ends_it(server, bus: Bus) -> None:
    """A reader whose connection is closed doesn't wait for ever."""
    async with asyncio.timeout(60):
        other = await Bus.open(server.url, "other")
        reader = await read(other)
        await other.aclose()
        with pytest.raises(BusUnavailable):
            await reader.fetch(wait=None)
        await reader.aclose()
        await reader.aclose()


async def test_limits_of_a_stream(bus: Bus) -> None:
    """With a stream that keeps little, a reader that keeps up misses nothing."""
    await ensure_streams(bus, TickLimits(max_bytes=1 << 20))
    async with await read(bus) as reader:
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
