"""Each operation, stream and bucket with each role, at the real server."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from dccd import subjects
from dccd.auth.folder import AuthFolder
from dccd.auth.logins import read_credentials
from dccd.bus.connection import Bus, Message
from dccd.bus.consumer import archived
from dccd.bus.direct import api, get_batch, get_last, stream_state
from dccd.bus.kv import Bucket
from dccd.bus.publisher import Publisher
from dccd.bus.reader import TickReader
from dccd.bus.server import EmbeddedServer
from dccd.bus.service import Service
from dccd.bus.streams import BUCKETS
from dccd.bus.transfer import receive
from dccd.errors import BusRefused
from dccd.operations import OPERATIONS

pytestmark = pytest.mark.anyio

Open = Callable[[str], Awaitable[Bus]]
Nats = Callable[..., Awaitable[str]]
SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"
SEES = ("viewer", "listener")
NO_COLLECTORS = ("operator", "viewer", "listener")


@pytest.fixture
async def done(connect: Open) -> AsyncIterator[Counter[str]]:
    """A host alpha that answers every operation; counts what it was asked."""
    counts: Counter[str] = Counter()
    bus = await connect("collector")

    def handler(name: str) -> Callable[[bytes], Awaitable[bytes]]:
        async def answer(body: bytes) -> bytes:
            counts[name] += 1
            return b'{"done": true}'

        return answer

    async with Service(bus, "alpha", "4.0.0") as service:
        for name in OPERATIONS:
            await service.add(name, handler(name), {"type": "object"}, {"type": "object"}, "")
        yield counts


async def refused(bus: Bus, subject: str, payload: bytes = b"x") -> bool:
    """Whether the server refuses what is published on *subject*."""
    with bus.refusal(subject) as refusal:
        await bus.client.publish(subject, payload)
        await bus.barrier()
        return refusal.done()


@pytest.mark.parametrize("role", ["collector", *NO_COLLECTORS])
async def test_each_operation_with_each_role(connect: Open, done: Counter[str], role: str) -> None:
    """A viewer is answered what is a viewer's and refused the rest, which isn't done; the others are answered all."""
    bus = await connect(role)
    expected: Counter[str] = Counter()
    async with asyncio.timeout(20):
        for name, operation in OPERATIONS.items():
            for subject in (subjects.request(name), subjects.host_request("alpha", name)):
                if role in SEES and operation.role != "viewer":
                    with pytest.raises(BusRefused, match="doesn't let this user publish to dccd"):
                        await bus.request(subject, timeout=30)
                else:
                    assert await bus.request(subject) == b'{"done": true}'
                    expected[name] += 1
    assert done == expected


@pytest.mark.parametrize("role", ["operator", "viewer", None])
async def test_each_operation_with_the_nats_command(nats: Nats, done: Counter[str], role: str | None) -> None:
    """The same with `nats req` and the credentials that `dccd auth` has made; a stranger can't even connect."""
    limit = asyncio.Semaphore(8)

    async def ask(name: str) -> None:
        async with limit:
            told = await nats(role, "req", "--raw", subjects.request(name), "")
        allowed = role == "operator" or (role in SEES and OPERATIONS[name].role == "viewer")
        assert ('"done": true' in told) == allowed, told
        if role is None:
            assert "Authorization Violation" in told
        elif not allowed:
            assert "ermissions" in told

    await asyncio.gather(*(ask(name) for name in OPERATIONS))
    assert set(done) == {
        name for name, op in OPERATIONS.items() if role == "operator" or (role in SEES and op.role == "viewer")
    }


async def test_a_stranger_gets_nothing(server: EmbeddedServer, users: AuthFolder, nats: Nats) -> None:
    """Without credentials, or with those of another bus, nobody connects: nothing is heard, asked or known."""
    other = AuthFolder(users.path.parent / "other")
    other.init("nats://x")
    for login in (None, read_credentials(str(other.credentials("viewer"))).login):
        with pytest.raises(BusRefused, match="refuses who asks"):
            async with asyncio.timeout(5):
                await Bus.open(server.url, "stranger", timeout=30, login=login)
    for command in (["sub", "--count", "1", "dccd.>"], ["sub", "--count", "1", "$SYS.>"], ["micro", "ls"],
                    ["stream", "ls"], ["req", "dccd.nothing", ""]):  # fmt: skip
        assert "Authorization Violation" in await nats(None, *command)


@pytest.mark.parametrize("role", NO_COLLECTORS)
async def test_nobody_else_writes_streams_and_buckets(connect: Open, role: str) -> None:
    """Ticks, events and every bucket are written by collectors only."""
    bus, collector = await connect(role), await connect("collector")
    assert await refused(bus, SUBJECT)
    assert await refused(bus, subjects.run_event("1", "status"))
    assert await refused(bus, "dccd.replay.1.binance.trades.BTC-USDT")
    for bucket in BUCKETS:
        assert await refused(bus, f"$KV.{bucket}.alpha")
        with pytest.raises(BusRefused):
            await Bucket(bus, bucket).put("alpha", b"forged")
        await Bucket(collector, bucket).put("alpha", b"true")
        assert await Bucket(collector, bucket).get("alpha") is not None
    for stream in (subjects.STREAM_TICKS, subjects.STREAM_EVENTS):
        assert (await stream_state(collector, stream)).messages == 0


@pytest.mark.parametrize("role", NO_COLLECTORS)
async def test_nobody_else_changes_streams(connect: Open, role: str) -> None:
    """Streams and buckets are neither made, changed, purged nor deleted, and no message of them is."""
    bus = await connect(role)
    names = (subjects.STREAM_TICKS, subjects.STREAM_EVENTS, *(f"KV_{bucket}" for bucket in BUCKETS))
    async with asyncio.timeout(10):
        for name in (*names, "OTHER"):
            for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN"):
                with pytest.raises(BusRefused):
                    await bus.exchange(f"$JS.API.STREAM.{verb}.{name}", b"{}", 30)


@pytest.mark.parametrize("role", NO_COLLECTORS)
async def test_nobody_listens_to_others(connect: Open, done: Counter[str], role: str) -> None:
    """Inboxes of other roles, requests, acknowledgements and the system's subjects can't be subscribed to."""
    bus = await connect(role)
    others = {"collector", *NO_COLLECTORS} - {role}
    for subject in (
        ">", "*", "dccd.>", "dccd.*", "dccd.health", "dccd.host.>", "dccd.flow.>", "_INBOX.>", "_INBOX.*",
        *(f"_INBOX.{other}.>" for other in others), "$KV.>", "$JS.>", "$JS.ACK.>", "$JS.EVENT.>", "$SRV.>", "$SYS.>",
    ):  # fmt: skip
        with pytest.raises(BusRefused, match="subscribe"):
            await bus.subscribe(subject, _ignore)
        with pytest.raises(BusRefused, match="subscribe"):
            await bus.subscribe(subject, _ignore, queue="dccd")


async def test_who_sees_hears_and_reads_the_past(connect: Open) -> None:
    """A viewer hears ticks live, alone or in a group, and reads both streams from the beginning."""
    collector, viewer = await connect("collector"), await connect("viewer")
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Message) -> None:
        heard.put_nowait(message.data)

    await viewer.subscribe("dccd.ticks.>", hear)
    await viewer.subscribe("dccd.ticks.binance.>", hear, queue="strategies")
    async with Publisher(collector) as ticks, Publisher(collector, stream=subjects.STREAM_EVENTS) as events:
        ticks.offer(SUBJECT, b"[]")
        events.offer(subjects.run_event("1", "status"), b"{}")
        assert await ticks.drain() == await events.drain() == 0
    async with asyncio.timeout(10):
        assert [await heard.get(), await heard.get()] == [b"[]", b"[]"]
        for stream, subject in ((subjects.STREAM_TICKS, SUBJECT), (subjects.STREAM_EVENTS, "dccd.events.>")):
            assert (await get_last(viewer, stream, subject)) is not None
            assert len((await get_batch(viewer, stream, 1, 10)).messages) == 1
            subscription = await viewer.jetstream.subscribe(subject, ordered_consumer=True)
            await subscription.next_msg(5)
            await subscription.unsubscribe()


@pytest.mark.parametrize("role", NO_COLLECTORS)
async def test_the_archiver_s_consumer_is_out_of_reach(connect: Open, role: str) -> None:
    """Nobody else learns its name, so that nobody can read on or acknowledge in its place."""
    bus = await connect(role)
    for verb in ("NAMES", "LIST"):
        with pytest.raises(BusRefused):
            await bus.exchange(f"$JS.API.CONSUMER.{verb}.{subjects.STREAM_TICKS}", b"{}", 30)
    bucket = subjects.BUCKET_PRIVATE
    for question in ("", f".$KV.{bucket}.alpha", f".$KV.{bucket}.>"):
        with pytest.raises(BusRefused):
            await bus.exchange(f"$JS.API.DIRECT.GET.KV_{bucket}{question}", b"{}", 30)
    for call in ("STREAM.MSG.GET", "CONSUMER.CREATE"):
        with pytest.raises(BusRefused):
            await bus.exchange(f"$JS.API.{call}.KV_{bucket}", b"{}", 30)


async def test_how_far_ticks_are_stored_is_no_secret(connect: Open) -> None:
    """Who reads what is stored and goes on with the stream may ask where these meet."""
    collector, viewer = await connect("collector"), await connect("viewer")
    await collector.jetstream.publish(SUBJECT, b"[]")
    async with await TickReader.open(collector, "alpha") as reader, asyncio.timeout(10):
        await reader.ack((await reader.fetch())[0].seq)
        assert await archived(viewer, "alpha", reader.epoch) == 1


@pytest.mark.parametrize("role", NO_COLLECTORS)
async def test_what_a_configuration_hides_is_out_of_reach(connect: Open, role: str) -> None:
    """Its secrets are masked in replies, so nobody reads the bucket that has them."""
    bus = await connect(role)
    for call in ("STREAM.MSG.GET", "DIRECT.GET", "STREAM.INFO"):
        with pytest.raises(BusRefused):
            await bus.exchange(f"$JS.API.{call}.KV_{subjects.BUCKET_CONFIG}", b"{}", 30)


async def test_what_jetstream_sends_where_it_is_told_does_nothing(connect: Open, done: Counter[str]) -> None:
    """Answers and deliveries that a viewer has JetStream send to an operator's operation aren't taken for requests."""
    collector, viewer = await connect("collector"), await connect("viewer")
    await collector.jetstream.publish(SUBJECT, b"[]")
    target = subjects.request("jobs.run_all")
    # An empty answer, as that nothing is found, is an empty request: all jobs would run.
    for subject in ("$JS.API.DIRECT.GET.DCCD_TICKS", "$JS.API.STREAM.INFO.DCCD_TICKS", "dccd.health"):
        await viewer.client.publish(subject, b'{"last_by_subj": "nothing"}', reply=target)
    config = {"deliver_subject": target, "ack_policy": "none", "headers_only": True, "name": "sly"}
    body = {"stream_name": subjects.STREAM_TICKS, "config": config}
    await api(viewer, f"CONSUMER.CREATE.{subjects.STREAM_TICKS}.sly", body, dict)
    state = await stream_state(collector, subjects.STREAM_TICKS)
    assert await collector.request("dccd.health")
    assert state.messages == 1
    assert done["jobs.run_all"] == 0


async def test_acknowledgements_of_the_bus_can_not_be_made_up(connect: Open, done: Counter[str]) -> None:
    """The inbox in a tick message is of no use to who hears it, by itself or by having the daemon answer there."""
    collector, viewer = await connect("collector"), await connect("viewer")
    replies: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Message) -> None:
        replies.put_nowait(message.reply)

    await viewer.subscribe("dccd.ticks.>", hear)
    publisher = Publisher(collector)
    try:
        publisher.offer(SUBJECT, b"[]")
        assert await publisher.drain() == 0
        async with asyncio.timeout(5):
            inbox = (await replies.get()).rpartition(".")[0]
        assert await refused(viewer, f"{inbox}.2")
        # What no stream takes is published again and again: only a made-up answer would end that.
        publisher.offer("dccd.elsewhere", b"[]")
        await viewer.client.publish("dccd.health", b"", reply=f"{inbox}.2")
        await viewer.barrier()
        await collector.request("dccd.health")
        assert publisher.statistics()["acked"] == 1
    finally:
        await publisher.aclose(timeout=0)


async def test_no_ticks_are_made_of_answers(connect: Open) -> None:
    """A tick that JetStream hands out where somebody has told it to is no tick of that dataset to the archiver."""
    collector, viewer = await connect("collector"), await connect("viewer")
    await collector.jetstream.publish(SUBJECT, b"[]")
    question = b'{"last_by_subj": "dccd.ticks.binance.>"}'
    await viewer.client.publish("$JS.API.DIRECT.GET.DCCD_TICKS", question, reply="dccd.ticks.kraken.trades.ETH-USD")
    await viewer.barrier()
    found: list[bytes] = []
    async with await TickReader.open(collector, "alpha") as reader, asyncio.timeout(10):
        while len(found) < 2:
            found += [message.data for message in await reader.fetch()]
    assert found == [b"[]", b'"an answer of JetStream, which somebody has had sent here"']


async def test_a_listener_has_nothing_sent_anywhere(connect: Open) -> None:
    """Who may not read streams can't ask JetStream anything, nor the services' monitoring."""
    bus = await connect("listener")
    for subject in (
        "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.DCCD_TICKS", "$JS.API.DIRECT.GET.DCCD_TICKS",
        "$JS.API.CONSUMER.CREATE.DCCD_TICKS", "$JS.ACK.DCCD_TICKS.x", "$SRV.INFO", "$SYS.REQ.USER.INFO",
    ):  # fmt: skip
        assert await refused(bus, subject)


async def test_replies_in_chunks(connect: Open) -> None:
    """Who may ask gets replies of any size, and acknowledges chunks, on a subject of its transfer only."""
    collector, viewer = await connect("collector"), await connect("viewer")
    token = secrets.token_bytes(1000)

    async def read(body: bytes) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield token

        return chunks()

    async with Service(collector, "alpha", "4.0.0") as service:
        await service.add("read", read, {}, {}, "")
        assert [chunk async for chunk in receive(viewer, "dccd.read", timeout=5)] == [token] * 50
    with pytest.raises(BusRefused):
        async for _ in receive(viewer, "dccd.streams.start", timeout=30):
            pass


async def _ignore(message: Message) -> None:
    pass
