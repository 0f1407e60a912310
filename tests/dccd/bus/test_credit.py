"""Messages to a receiver that takes its time: none is lost, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from dccd import subjects
from dccd.bus import credit
from dccd.bus.connection import Bus
from dccd.bus.credit import CreditReceiver, CreditSender, heard_by_anybody
from dccd.errors import BusUnavailable
from tests.dccd.bus.conftest import Server

pytestmark = pytest.mark.anyio

SUBJECT, FLOW = "dccd.replay.r1.status", "dccd.flow.secret"


@pytest.fixture
async def other(server: Server) -> AsyncIterator[Bus]:
    """A second connection: the receiver's."""
    async with await Bus.open(server.url, "receiver") as bus:
        yield bus


class Pair:
    """A sender and a receiver, and what the latter got."""

    def __init__(self, bus: Bus, other: Bus) -> None:
        self.changed = asyncio.Event()
        self.sender = CreditSender(bus, FLOW, self.changed.set)
        self.receiver = CreditReceiver(other, subjects.replayed("r1"))
        self.most = 0
        self.got: list[int] = []

    async def send(self, count: int) -> None:
        for number in range(1, count + 1):
            while not self.sender.room:
                self.changed.clear()
                await self.changed.wait()
            await self.sender.send(SUBJECT, b"%d" % number)
            self.most = max(self.most, self.sender.number - self.sender.acked)

    async def receive(self, count: int) -> None:
        async with contextlib.aclosing(self.receiver.messages(10.0)) as messages:
            async for message in messages:
                assert message is not None
                self.got.append(int(message.data))
                if len(self.got) == count:
                    return


@pytest.fixture
async def pair(bus: Bus, other: Bus) -> AsyncIterator[Pair]:
    pair = Pair(bus, other)
    await pair.receiver.open()
    await pair.sender.start()
    await pair.receiver.begin(FLOW)
    yield pair
    await pair.receiver.aclose()
    await pair.sender.stop()


async def test_a_receiver_gets_each_in_order_and_no_more_than_a_window_waits(pair: Pair) -> None:
    """However fast they are sent: what isn't acknowledged is bounded."""
    async with asyncio.timeout(30):
        await asyncio.gather(pair.send(5000), pair.receive(5000))
    assert pair.got == [*range(1, 5001)]
    assert credit.WINDOW_MESSAGES // 2 < pair.most <= credit.WINDOW_MESSAGES


async def test_bytes_bound_the_window_too(pair: Pair) -> None:
    """Large messages wait sooner."""
    sent = 0
    while pair.sender.room:
        await pair.sender.send(SUBJECT, bytes(500_000))
        sent += 1
    assert sent == -(-credit.WINDOW_BYTES // 500_000)
    assert not pair.sender.settled


async def test_a_receiver_that_takes_none_has_none_sent(pair: Pair) -> None:
    """Being there says nothing of having taken any."""
    async with asyncio.timeout(60):
        while not pair.sender.heard:
            await pair.changed.wait()
    while pair.sender.room:
        await pair.sender.send(SUBJECT, b"1")
    assert (pair.sender.number, pair.sender.acked) == (credit.WINDOW_MESSAGES, 0)


async def test_a_killed_server_costs_nothing(pair: Pair, server: Server) -> None:
    """What was on its way is sent again when it is back; the receiver has each once."""
    async with asyncio.timeout(60):
        receiving = asyncio.create_task(pair.receive(20_000))
        sending = asyncio.create_task(pair.send(20_000))
        for _ in range(3):
            before = len(pair.got)
            while len(pair.got) < before + 1000:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
            await server.kill()
            await server.start()
        await asyncio.gather(receiving, sending)
    assert pair.got == [*range(1, 20_001)]
    assert pair.sender.sent_again > 0


async def test_what_the_receiver_missed_it_asks_for(pair: Pair, other: Bus) -> None:
    """A message that never came shows by the one after it."""
    async with asyncio.timeout(60):
        await pair.send(3)
        while pair.receiver._came < 3:
            await other.barrier()
        pair.receiver._came = 1  # as if two had been lost
        pair.receiver._arrived.clear()
        await pair.sender.send(SUBJECT, b"4")
        await pair.receive(3)
    assert pair.got == [2, 3, 4]
    assert pair.receiver.again == 1


async def test_what_is_lost_on_the_way_without_a_sign(pair: Pair, bus: Bus, other: Bus) -> None:
    """The last message, or the last acknowledgement: what the sender says of itself later shows it."""
    sender, receiver = pair.sender, pair.receiver
    assert sender._subscription is not None and receiver._subscription is not None
    async with asyncio.timeout(60):
        await sender.send("dccd.nowhere", b"1")  # as if a route had been lost
        sender._on_way[0] = msgspec.structs.replace(sender._on_way[0], subject=SUBJECT)
        await receiver.compare(sender.number, sender.acked)
        await pair.receive(1)
        receiver.flow = "dccd.nowhere"
        await receiver._ack()
        receiver.flow = FLOW
        await receiver.compare(sender.number, sender.acked)
        while not sender.settled:
            pair.changed.clear()
            await pair.changed.wait()
    assert (pair.got, receiver.again, sender.acked) == ([1], 1, 1)


async def test_nonsense_on_the_flow_subject_is_none(pair: Pair, other: Bus) -> None:
    """Whoever knows the subject may publish there: what is no number that was sent moves no window."""
    async with asyncio.timeout(60):
        await pair.send(2)
        for text in (b"", b"x", b"-1", b"9" * 40, b"1 again and again", b"99"):
            await other.publish(FLOW, text)
        await pair.receive(2)
        while pair.sender.acked < 2:
            pair.changed.clear()
            await pair.changed.wait()
    assert pair.sender.acked == 2


async def test_without_flow_control_messages_have_numbers(bus: Bus, other: Bus) -> None:
    """And go out as they are given; while the bus is away there is no room, and sending says so."""
    receiver = CreditReceiver(other, subjects.replayed("r1"))
    await receiver.open()
    sender = CreditSender(bus, None, lambda: None)
    await sender.start()
    assert [await sender.send(SUBJECT, b"x") for _ in range(3)] == [1, 2, 3]
    assert [sender.room, sender.settled] == [True, True]
    async with contextlib.aclosing(receiver.messages(5.0)) as messages:
        found = [await anext(messages) for _ in range(3)]
    assert [message.headers[subjects.NUMBER] for message in found if message and message.headers] == ["1", "2", "3"]
    await bus.aclose()
    assert [sender.room] == [False]
    with pytest.raises(BusUnavailable):
        await sender.send(SUBJECT, b"x")
    assert sender.number == 3
    await receiver.aclose()
    await sender.stop()


async def test_a_quiet_sender_is_noticed(pair: Pair) -> None:
    """After so long without a message there is none to give."""
    async with contextlib.aclosing(pair.receiver.messages(0.01)) as messages:
        assert await anext(messages) is None


async def test_whether_anybody_listens_is_known(bus: Bus, other: Bus) -> None:
    """At once, also of a wildcard; of a closed bus nobody does."""
    assert not await heard_by_anybody(bus, SUBJECT, b"{}")
    receiver = CreditReceiver(other, subjects.replayed("r1"))
    await receiver.open()
    assert await heard_by_anybody(bus, SUBJECT, b"{}")
    await receiver.aclose()
    await bus.aclose()
    assert not await heard_by_anybody(bus, SUBJECT, b"{}")


async def test_a_busy_server_doesnt_pass_for_somebody_who_listens(server: Server, bus: Bus) -> None:
    """Whether there is anybody is known when it says so, and nothing is taken for granted before."""
    subscriptions = len(bus.client._subs)
    await server.freeze()
    asking = asyncio.ensure_future(heard_by_anybody(bus, SUBJECT, b"{}"))
    done, _ = await asyncio.wait({asking}, timeout=0.5)
    assert not done
    server.thaw()
    assert not await asking
    assert len(bus.client._subs) == subscriptions
