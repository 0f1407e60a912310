"""What a stream holds, without a consumer."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import decode_reply, get_batch, get_last, renew_epoch, rfc3339_ns, same_stream, stream_state
from dccd.bus.server import CONF, EmbeddedServer
from dccd.bus.streams import ensure_bucket, ensure_streams
from dccd.errors import BusError, BusUnavailable, JetStreamError, StreamReplaced
from tests.dccd.bus.not_now import NotNow

pytestmark = pytest.mark.anyio


async def test_batch_of_a_subject(bus: Bus) -> None:
    """A batch has the messages of a subject from a number on, and says how many follow."""
    await ensure_streams(bus)
    for number in range(10):
        await bus.jetstream.publish(f"dccd.events.host.{number % 2}.up", b"%d" % number)
    batch = await get_batch(bus, subjects.STREAM_EVENTS, 4, 2, "dccd.events.host.1.>")
    assert [(message.seq, message.data) for message in batch.messages] == [(4, b"3"), (6, b"5")]
    assert batch.pending == 2
    nothing = await get_batch(bus, subjects.STREAM_EVENTS, 11, 2)
    assert (nothing.messages, nothing.pending) == ([], 0)


async def test_a_stream_that_is_not_there(bus: Bus) -> None:
    """Asking for the state of no stream is an error with JetStream's code."""
    with pytest.raises(JetStreamError) as caught:
        await stream_state(bus, "NOPE")
    assert caught.value.code == 404


async def test_a_stream_that_is_another_by_now(bus: Bus) -> None:
    """What was deleted or made anew isn't taken for what it was."""
    await ensure_streams(bus)
    name = subjects.STREAM_EVENTS
    state = await stream_state(bus, name)
    assert (await same_stream(bus, name, state.epoch)).epoch == state.epoch
    await renew_epoch(bus, name)
    with pytest.raises(StreamReplaced, match="made anew"):
        await same_stream(bus, name, state.epoch)
    await bus.jetstream.delete_stream(name)
    with pytest.raises(StreamReplaced, match="deleted"):
        await same_stream(bus, name, state.epoch)


@pytest.mark.parametrize(
    ("code", "err_code", "raised"),
    [
        (503, 10008, BusUnavailable),  # no leader
        (503, 10023, BusUnavailable),  # insufficient resources
        (503, 10039, BusUnavailable),  # JetStream not enabled for account, as while it starts
        (503, 10077, BusUnavailable),  # failed to store
        (503, 10163, BusUnavailable),  # compare-and-set, while what it compares with is under way
        (429, 10167, BusUnavailable),  # the stream is given too much
        (500, 10118, BusUnavailable),  # none of the stream's servers is there
        (500, 10119, BusUnavailable),  # the same of a consumer
        (500, 10194, JetStreamError),  # offline, since a newer server made it
        (404, 10059, JetStreamError),
        (400, 10071, JetStreamError),
        (500, 10047, JetStreamError),
    ],
)
def test_what_a_refusal_means(code: int, err_code: int, raised: type[BusError]) -> None:
    """What passes by itself is "not now", whichever its reason, as a bus that is away; all else is for the caller."""
    reply = b'{"error":{"code":%d,"err_code":%d,"description":"in its words"}}' % (code, err_code)
    with pytest.raises(BusError, match="a subject: in its words") as caught:
        decode_reply("a subject", reply, dict)
    assert type(caught.value) is raised
    if isinstance(caught.value, JetStreamError):
        assert (caught.value.code, caught.value.err_code) == (code, err_code)


async def test_a_stream_that_cannot_be_asked_now(refusing: NotNow) -> None:
    """It isn't taken for one that is gone, nor for another."""
    await ensure_streams(refusing)
    name = subjects.STREAM_EVENTS
    epoch = (await stream_state(refusing, name)).epoch
    refusing.refuses = "STREAM.INFO"
    with pytest.raises(BusUnavailable):
        await stream_state(refusing, name)
    with pytest.raises(BusUnavailable):
        await same_stream(refusing, name, epoch)
    refusing.refuses = "STREAM.UPDATE"
    with pytest.raises(BusUnavailable):
        await renew_epoch(refusing, name)
    refusing.refuses = None
    assert (await same_stream(refusing, name, epoch)).epoch == epoch


async def test_messages_that_nobody_has_now(bus: Bus) -> None:
    """Reads without a consumer know the same answer as a status, and tell it from a refusal."""
    with pytest.raises(BusUnavailable):
        await get_batch(bus, "NOPE", 1, 1)
    for subject in ("a.b", "a.*"):
        with pytest.raises(BusUnavailable):
            await get_last(bus, "NOPE", subject)
    await ensure_streams(bus)
    with pytest.raises(JetStreamError, match="Malformed") as caught:
        await get_batch(bus, subjects.STREAM_EVENTS, 1, 1 << 70)
    assert caught.value.code == 408


async def test_a_server_that_has_no_room(tmp_path: Path) -> None:
    """The real one answers so when its streams hold more than it may store."""
    subject, conf = "$KV.b.k", tmp_path / "small.conf"
    conf.write_text(CONF.read_text().replace("max_file_store: 1PB", "max_file_store: 50KB"))
    async with (
        EmbeddedServer(tmp_path / "nats", port=0, on_log=lambda level, text: None) as server,
        await Bus.open(server.url, "test") as bus,
    ):
        await ensure_bucket(bus, "b")
        decode_reply(subject, (await bus.exchange(subject, bytes(100_000))).data, dict)
    async with (
        EmbeddedServer(tmp_path / "nats", port=0, conf=conf, on_log=lambda level, text: None) as server,
        await Bus.open(server.url, "test") as bus,
    ):
        with pytest.raises(BusUnavailable, match="insufficient resources"):
            decode_reply(subject, (await bus.exchange(subject, b"1")).data, dict)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-11-23T23:22:35.191730917Z", 1795476155_191730917),
        ("2026-11-23T23:22:35.19Z", 1795476155_190000000),
        ("1970-01-01T00:00:01Z", 1_000_000_000),
    ],
)
def test_time_stamps(text: str, ns: int) -> None:
    """A server's time stamp keeps its nanoseconds."""
    assert rfc3339_ns(text) == ns
