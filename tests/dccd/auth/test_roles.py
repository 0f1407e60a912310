"""Each operation, stream and bucket with each role, at the real server."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.auth.folder import AuthFolder
from dccd.auth.logins import read_credentials
from dccd.auth.permissions import Role, access
from dccd.bus.connection import Bus, Message
from dccd.bus.consumer import archived
from dccd.bus.direct import api, get_batch, get_last, stream_state
from dccd.bus.following import Followers
from dccd.bus.journal import EventLog
from dccd.bus.kv import Bucket
from dccd.bus.ordered import OrderedReader
from dccd.bus.publisher import Publisher
from dccd.bus.reader import TickReader
from dccd.bus.server import EmbeddedServer
from dccd.bus.service import Service
from dccd.bus.streams import BUCKETS
from dccd.bus.transfer import receive
from dccd.errors import BusRefused, RequestError
from dccd.operations import OPERATIONS

pytestmark = pytest.mark.anyio

Open = Callable[[str], Awaitable[Bus]]
Nats = Callable[..., Awaitable[str]]
SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"
SEES = ("viewer", "reader")
NO_COLLECTORS = ("operator", "viewer", "reader")


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
            async with asyncio.timeout(20):
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
    async with asyncio.timeout(60):
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


async def test_a_reader_reads_streams_by_itself(connect: Open) -> None:
    """It hears ticks live, alone or in a group, and reads both streams from the beginning with any client."""
    collector, viewer = await connect("collector"), await connect("reader")
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Message) -> None:
        heard.put_nowait(message.data)

    await viewer.subscribe("dccd.ticks.>", hear)
    await viewer.subscribe("dccd.ticks.binance.>", hear, queue="strategies")
    async with Publisher(collector) as ticks, Publisher(collector, stream=subjects.STREAM_EVENTS) as events:
        ticks.offer(SUBJECT, b"[]")
        events.offer(subjects.run_event("1", "status"), b"{}")
        assert await ticks.drain() == await events.drain() == 0
    async with asyncio.timeout(60):
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
    collector, viewer = await connect("collector"), await connect("reader")
    await collector.jetstream.publish(SUBJECT, b"[]")
    async with await TickReader.open(collector, "alpha") as reader, asyncio.timeout(60):
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
    """Answers and deliveries that a reader has JetStream send to an operator's operation aren't taken for requests."""
    collector, viewer = await connect("collector"), await connect("reader")
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
        async with asyncio.timeout(60):
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
    """A tick that JetStream hands out where a reader has told it to is no tick of that dataset to the archiver."""
    collector, viewer = await connect("collector"), await connect("reader")
    await collector.jetstream.publish(SUBJECT, b"[]")
    question = b'{"last_by_subj": "dccd.ticks.binance.>"}'
    await viewer.client.publish("$JS.API.DIRECT.GET.DCCD_TICKS", question, reply="dccd.ticks.kraken.trades.ETH-USD")
    await viewer.barrier()
    found: list[bytes] = []
    async with await TickReader.open(collector, "alpha") as reader, asyncio.timeout(60):
        while len(found) < 2:
            found += [message.data for message in await reader.fetch()]
    assert found == [b"[]", b'"an answer of JetStream, which somebody has had sent here"']


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_who_is_no_reader_asks_jetstream_nothing(connect: Open, role: str) -> None:
    """Nor answers it: of its subjects only flow control is theirs."""
    bus = await connect(role)
    for subject in (
        "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.DCCD_TICKS", "$JS.API.DIRECT.GET.DCCD_TICKS",
        "$JS.API.DIRECT.GET.KV_dccd_archivers.$KV.dccd_archivers.alpha", "$JS.API.STREAM.MSG.GET.KV_dccd_runs",
        "$JS.API.CONSUMER.CREATE.DCCD_TICKS", "$JS.API.CONSUMER.MSG.NEXT.DCCD_TICKS.x", "$JS.ACK.DCCD_TICKS.x",
        "$JS.ACK.DCCD_TICKS.x.1.1.1.1.0", "$JS.FC.KV_dccd_runs.x.y", "$SYS.REQ.USER.INFO",
    ):  # fmt: skip
        assert await refused(bus, subject)


TARGETS = (
    "$KV.dccd_runs.x", "$KV.dccd_jobs.alpha.job.x", "$KV.dccd_config.alpha", SUBJECT, "dccd.ticks.x",
    "dccd.events.run.x.status", "dccd.replay.x.status", "dccd.jobs.run_all", "dccd.host.alpha.jobs.run_all",
    "dccd.flow.x.y", "$JS.API.STREAM.PURGE.KV_dccd_runs", "$JS.API.STREAM.DELETE.DCCD_TICKS",
    "$JS.ACK.DCCD_TICKS.x.1.1.1.1.0", "$SRV.PING", "_INBOX.collector.acks.x.1",
)  # fmt: skip
"""Where something would do harm, or what others know of who listens there."""


@pytest.fixture
async def daemon(connect: Open) -> AsyncIterator[Counter[str]]:
    """A host alpha whose ``follow`` and ``journal`` are the real ones; it counts what it was asked of others."""
    counts: Counter[str] = Counter()
    bus = await connect("collector")
    kept = {"follow": (m.Follow, Followers(bus, "alpha").follow), "journal": (m.Journal, EventLog(bus, "alpha").read)}

    def handler(name: str) -> Callable[[bytes], Awaitable[bytes]]:
        async def answer(body: bytes) -> bytes:
            counts[name] += 1
            if name not in kept:
                return b'{"done": true}'
            kind, do = kept[name]
            try:
                return msgspec.json.encode(await do(msgspec.json.decode(body, type=kind)))  # type: ignore[operator]
            except msgspec.DecodeError as exc:
                raise RequestError(400, "malformed", str(exc)) from exc

        return answer

    async with Service(bus, "alpha", "4.0.0") as service:
        for name in OPERATIONS:
            await service.add(name, handler(name), {"type": "object"}, {"type": "object"}, "")
        yield counts


class Watch:
    """What streams and buckets hold, and what else comes where nobody may publish."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.heard: list[str] = []

    async def open(self) -> None:
        for subject in ("dccd.>", "$SRV.>", "_INBOX.collector.acks.>"):
            await self._bus.subscribe(subject, self._hear)

    async def _hear(self, message: Message) -> None:
        self.heard.append(message.subject)

    async def ends(self) -> dict[str, tuple[int, int, int]]:
        """Of each stream its last number, how many messages it has, and consumers that aren't followers'."""
        listed = await api(self._bus, "STREAM.LIST", None, dict)
        await self._bus.barrier()
        return {
            one["config"]["name"]: (one["state"]["last_seq"], one["state"]["messages"], one["state"]["consumer_count"])
            for one in listed["streams"]
        }


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_nothing_can_be_had_put_anywhere(connect: Open, daemon: Counter[str], role: Role) -> None:
    """Whatever a viewer or an operator publishes, with whatever subject for the answer: no answer of anybody comes into
    a stream or a bucket, nor to any other subject where they may not publish; requests aren't done."""
    collector, bus = await connect("collector"), await connect(role)
    await collector.jetstream.publish(SUBJECT, b"[]")
    await collector.jetstream.publish("dccd.events.run.1.status", b'{"kind": "run.status"}')
    await Bucket(collector, subjects.BUCKET_RUNS).put("x", b"true")
    watch = Watch(await connect("collector"))
    await watch.open()
    before = await watch.ends()
    follow = b'{"stream": "ticks", "seq": 1, "inbox": "_INBOX.%s.x"}' % role.encode()
    allowed = [pattern.replace("*", "alpha").replace(".>", ".x.y") for pattern in access(role).publish]
    sent = 0
    for target in TARGETS:
        for subject in allowed:
            for body in (b"", follow if subject.endswith("follow") else b'{"last_by_subj": "dccd.ticks.>", "seq": 1}'):
                await bus.client.publish(subject, body, reply=target)
                sent += 1
        await bus.barrier()
    assert sent > 1000
    async with asyncio.timeout(20):
        await collector.request("dccd.health")
        await collector.request("dccd.host.alpha.health")
    assert daemon == {"health": 2}  # none of the others was done
    assert await watch.ends() == before
    came = Counter(subject for subject in watch.heard if subject in TARGETS)
    own = Counter(subject for subject in allowed if subject in TARGETS)  # what this user has itself published there
    # The server lets nobody name an acknowledgement for the answer.
    times = 2 * sum(not target.startswith("$JS.ACK.") for target in TARGETS)
    assert came == Counter({subject: number * times for subject, number in own.items()})


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_what_is_followed_comes_to_one_s_own_inbox_only(connect: Open, daemon: Counter[str], role: str) -> None:
    """A delivery to anything else is refused: a bucket, a stream's subject, others' inboxes, and any wildcard."""
    collector, bus = await connect("collector"), await connect(role)
    await collector.jetstream.publish(SUBJECT, b"[]")
    watch = Watch(await connect("collector"))
    await watch.open()
    before = await watch.ends()
    others = [f"_INBOX.{other}.x.y" for other in ("collector", "operator", "viewer", "reader") if other != role]
    mine = f"_INBOX.{role}"
    wild = [mine, f"{mine}.*", f"{mine}.>", "_INBOX.>", f"{mine}.x y", f"{mine}..x", f"{mine}.x\r\nPUB", "_INBOX.x",
            "_R_.x", "_INBOX", f"{mine}.acks.x", mine + ".x" * 100]  # fmt: skip
    for inbox in (*TARGETS, *others, *wild):
        for stream in ("ticks", "events"):
            with pytest.raises(RequestError) as told:
                await bus.request("dccd.follow", msgspec.json.encode({"stream": stream, "last": 1, "inbox": inbox}))
            assert (told.value.code, told.value.reason) == (400, "malformed")
    assert await watch.ends() == before
    arrived = asyncio.Event()

    async def hear(message: Message) -> None:
        arrived.set()

    await bus.subscribe(f"_INBOX.{role}.mine.x", hear)
    ask = {"stream": "ticks", "seq": 1, "inbox": f"_INBOX.{role}.mine.x"}
    await bus.request("dccd.follow", msgspec.json.encode(ask))
    async with asyncio.timeout(60):
        await arrived.wait()


async def test_nobody_answers_flow_control(connect: Open, daemon: Counter[str]) -> None:
    """An answer to it that names a subject for an answer lets the delivery go on, and nothing comes to that subject."""
    collector, bus = await connect("collector"), await connect("viewer")
    async with Publisher(collector) as ticks:
        for _ in range(20):
            ticks.offer(SUBJECT, b"[%s]" % (b" " * (1 << 19)))
            await ticks.room()
        assert await ticks.drain() == 0
    watch = Watch(await connect("collector"))
    await watch.open()
    came, all_came = 0, asyncio.Event()

    async def hear(message: Message) -> None:
        nonlocal came
        came += message.reply.startswith("$JS.ACK.")
        if came == 20:
            all_came.set()
        if message.reply.startswith("$JS.FC."):
            for target in TARGETS:
                await bus.client.publish(message.reply, b"x", reply=target)

    before = await watch.ends()
    await bus.subscribe("_INBOX.viewer.mine.x", hear)
    ask = {"stream": "ticks", "seq": 1, "inbox": "_INBOX.viewer.mine.x"}
    await bus.request("dccd.follow", msgspec.json.encode(ask))
    async with asyncio.timeout(20):
        await all_came.wait()
    after = await watch.ends()
    assert {name: counts[:2] for name, counts in after.items()} == {name: counts[:2] for name, counts in before.items()}
    assert not [subject for subject in watch.heard if subject in TARGETS]


async def test_who_listens_reads_the_past(connect: Open, daemon: Counter[str]) -> None:
    """A viewer and an operator have ticks and events delivered, from the beginning on and live."""
    collector = await connect("collector")
    await collector.jetstream.publish(SUBJECT, b"[]")
    await collector.jetstream.publish("dccd.events.run.1.status", b'{"kind": "run.status"}')
    for role in NO_COLLECTORS:
        bus = await connect(role)

        async def ask(what: m.Follow, bus: Bus = bus) -> m.Followed:
            return msgspec.json.decode(await bus.request("dccd.follow", msgspec.json.encode(what)), type=m.Followed)

        for stream, name in (("ticks", SUBJECT), ("events", "dccd.events.run.1.status")):
            async with await OrderedReader.open(bus, ask, stream, [name], seq=1) as reader:  # type: ignore[arg-type]
                assert [message.subject for message in await reader.fetch(wait=10)] == [name]
        page = msgspec.json.decode(await bus.request("dccd.journal"), type=m.JournalPage)
        assert [entry.event for entry in page.events] == [{"kind": "run.status"}]


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
