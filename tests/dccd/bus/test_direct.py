"""What a stream holds, without a consumer."""

from __future__ import annotations

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import get_batch, renew_epoch, rfc3339_ns, same_stream, stream_state
from dccd.bus.streams import ensure_streams
from dccd.errors import JetStreamError, StreamReplaced

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
