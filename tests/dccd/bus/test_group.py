"""Members of a group share messages, and none is lost with a member."""

from __future__ import annotations

import asyncio

import pytest

from dccd import subjects
from dccd.bus import pull
from dccd.bus.connection import Bus
from dccd.bus.direct import api
from dccd.bus.group import GroupReader, StreamMessage, drop_group
from dccd.bus.streams import ensure_streams
from dccd.errors import BusError, BusUnavailable, IdentityError, TicksGone
from tests.dccd.bus.not_now import NotNow
from tests.dccd.bus.numbered import ONE, OTHER, publish
from tests.waiting import Until

pytestmark = pytest.mark.anyio

STREAM = subjects.STREAM_TICKS


@pytest.fixture(autouse=True)
async def streams(bus: Bus) -> None:
    """The streams exist."""
    await ensure_streams(bus)


def number_of(message: StreamMessage) -> int:
    return int(message.data[1:-1])


async def take(reader: GroupReader, count: int, *, ack: bool = True) -> list[StreamMessage]:
    """Read *count* messages, and acknowledge each."""
    found: list[StreamMessage] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await reader.fetch(count - len(found))
    for message in found if ack else []:
        await reader.ack(message)
    return found


async def settled(bus: Bus, group: str = "g") -> None:
    """Wait until the server knows nothing of the group to be unacknowledged."""
    async with asyncio.timeout(60):
        while True:
            info = await api(bus, f"CONSUMER.INFO.{STREAM}.group-{group}", None, dict)
            if info["num_ack_pending"] == 0 and info["num_pending"] == 0:
                return


async def test_each_message_goes_to_one(bus: Bus) -> None:
    """Two members have all of them together, and none twice."""
    await publish(bus, *range(40))
    async with (
        await GroupReader.open(bus, STREAM, "g", [ONE], seq=1, capacity=4) as a,
        await GroupReader.open(bus, STREAM, "g", [ONE], capacity=4) as b,
    ):
        assert (a.joined, b.joined) == (False, True)
        of_a: list[int] = []
        of_b: list[int] = []
        async with asyncio.timeout(20):
            while len(of_a) + len(of_b) < 40:
                for reader, numbers in ((a, of_a), (b, of_b)):
                    for message in await reader.fetch(2, wait=0.05):
                        numbers.append(number_of(message))
                        await reader.ack(message)
        assert sorted(of_a + of_b) == list(range(40))
        assert of_a and of_b


async def test_a_group_goes_on_where_it_was(bus: Bus) -> None:
    """A member that comes later doesn't begin anew, wherever it would begin."""
    await publish(bus, *range(5))
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1) as reader:
        await take(reader, 5)
        await settled(bus)
    await publish(bus, 5)
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1) as reader:
        assert [number_of(m) for m in await take(reader, 1)] == [5]


async def test_what_a_member_leaves_goes_to_another(bus: Bus) -> None:
    """Closing gives back at once what wasn't acknowledged, and the next is told that it is delivered again."""
    await publish(bus, *range(4))
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1) as reader:
        found = await take(reader, 3, ack=False)
        await reader.ack(found[0])
    async with await GroupReader.open(bus, STREAM, "g", [ONE]) as reader:
        again = await take(reader, 3)
        assert sorted(map(number_of, again)) == [1, 2, 3]
        assert {m.delivered for m in again} == {2}


async def test_a_stuck_member_loses_its_messages(bus: Bus, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't acknowledged in time goes to another, and the stuck one isn't given what waited at it."""
    monkeypatch.setattr(pull, "_EXPIRES", 0.2)
    monkeypatch.setattr(pull, "_HEARTBEAT", 0.1)
    await publish(bus, *range(3))
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1, ack_wait=3.0) as stuck:
        (first,) = await take(stuck, 1, ack=False)
        await until(lambda: stuck.statistics()["buffered"] == 2)
        async with await GroupReader.open(bus, STREAM, "g", [ONE]) as other:
            assert other.ack_wait == 3.0
            assert sorted(number_of(m) for m in await take(other, 3)) == [0, 1, 2]
            assert await stuck.fetch(wait=0.01) == []
            await stuck.ack(first)  # too late: harmless
            await settled(bus)


async def test_touching_keeps_what_is_held(bus: Bus) -> None:
    """A step that takes its time isn't overtaken as long as the member says that it lives."""
    await publish(bus, 0, 1)
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1, ack_wait=3.0) as reader:
        found = await take(reader, 2, ack=False)
        for _ in range(12):
            await reader.touch()
            await reader.fetch(wait=0.5)  # twice as long as it may take, in steps
        for message in found:
            await reader.ack(message)
        await settled(bus)
        info = await api(bus, f"CONSUMER.INFO.{STREAM}.group-g", None, dict)
        assert info["num_redelivered"] == 0


async def test_refused_comes_again(bus: Bus) -> None:
    """At once, and to be told from the first time."""
    await publish(bus, 0)
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1) as reader:
        (message,) = await take(reader, 1, ack=False)
        await reader.refuse(message)
        (again,) = await take(reader, 1)
        assert (number_of(again), again.delivered) == (0, 2)


async def test_a_kill_of_the_server(server, bus: Bus) -> None:
    """Killed with kill -9 in the middle: every message comes, none twice to the only member."""
    await publish(bus, *range(500))
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1) as reader:
        found = [number_of(m) for m in await take(reader, 200)]
        held = await take(reader, 20, ack=False)
        await server.kill()
        await server.start()
        await bus.wait_connected(10)
        for message in held:
            await reader.ack(message)
        found += [number_of(m) for m in [*held, *await take(reader, 280)]]
        assert sorted(found) == list(range(500))
        assert len(set(found)) == 500
        await publish(bus, 500)
        assert [number_of(m) for m in await take(reader, 1)] == [500]
        await settled(bus)


async def test_another_selection_is_refused(bus: Bus) -> None:
    """A group is of its subjects: who shares others by the same name is told so."""
    async with await GroupReader.open(bus, STREAM, "g", [ONE, OTHER]):
        with pytest.raises(BusError, match=r"group g shares dccd\.ticks\.binance.*kraken"):
            await GroupReader.open(bus, STREAM, "g", [OTHER])
        async with await GroupReader.open(bus, STREAM, "g", [OTHER, ONE]) as second:
            assert second.joined


async def test_dropping(bus: Bus) -> None:
    """A group that is dropped begins anew, and ends who reads it; one that isn't there is nothing to drop."""
    await publish(bus, 0)
    async with await GroupReader.open(bus, STREAM, "g", [ONE], seq=1) as reader:
        await take(reader, 1)
        assert await drop_group(bus, STREAM, "g")
        with pytest.raises(TicksGone):
            await take(reader, 1)
    assert not await drop_group(bus, STREAM, "g")
    async with await GroupReader.open(bus, STREAM, "g", [ONE], since=0 + 10**18) as reader:
        assert not reader.joined
        assert [number_of(m) for m in await take(reader, 1)] == [0]


@pytest.mark.parametrize("name", ["", "a b", "a.b", "*", "x" * 33])
async def test_no_name(bus: Bus, name: str) -> None:
    """What can't be a name on the bus is refused."""
    with pytest.raises(IdentityError):
        await GroupReader.open(bus, STREAM, name, [ONE])


@pytest.mark.parametrize("refuses", ["STREAM.INFO", "CONSUMER.INFO", "CONSUMER.CREATE"])
async def test_a_group_that_cannot_be_joined_now(refusing: NotNow, refuses: str) -> None:
    """The bus is away: it is neither there nor gone, and who joins later makes it."""
    await publish(refusing, 0)
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await GroupReader.open(refusing, STREAM, "g", [ONE], seq=1)
    refusing.refuses = None
    async with await GroupReader.open(refusing, STREAM, "g", [ONE], seq=1) as reader:
        assert not reader.joined
        await take(reader, 1)


async def test_a_group_that_cannot_be_dropped_now(refusing: NotNow) -> None:
    """Who drops it is told that the bus is away, not that there was none."""
    async with await GroupReader.open(refusing, STREAM, "g", [ONE]):
        pass
    refusing.refuses = "CONSUMER.DELETE"
    with pytest.raises(BusUnavailable):
        await drop_group(refusing, STREAM, "g")
    refusing.refuses = None
    assert await drop_group(refusing, STREAM, "g")
