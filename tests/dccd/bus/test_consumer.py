"""Who may say how far an archiver is."""

from __future__ import annotations

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumer import ArchiverConsumer
from dccd.bus.direct import api, stream_state
from dccd.bus.streams import ensure_streams
from dccd.errors import BusUnavailable, StreamReplaced
from tests.dccd.bus.not_now import NotNow

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ticks(bus: Bus) -> None:
    """Ten messages in the stream of ticks."""
    await ensure_streams(bus)
    for number in range(10):
        await bus.jetstream.publish("dccd.ticks.a.trades.B-C", b"%d" % number)


async def taken(bus: Bus, stored: int = 0) -> tuple[ArchiverConsumer, bool]:
    """A consumer that was taken over, and whether there was one before."""
    consumer = ArchiverConsumer(bus, subjects.STREAM_TICKS, "alpha")
    return consumer, await consumer.take_over(await stream_state(bus, subjects.STREAM_TICKS), stored)


@pytest.mark.usefixtures("ticks")
async def test_the_note_is_what_counts(bus: Bus) -> None:
    """The next owner begins where the last has noted, whatever the server's consumer says."""
    consumer, known = await taken(bus)
    assert (known, consumer.acked) == (False, 0)
    await consumer.note(4)
    await consumer.reset(8)
    consumer, known = await taken(bus)
    assert (known, consumer.acked) == (True, 4)


@pytest.mark.usefixtures("ticks")
async def test_only_the_last_owner_notes(bus: Bus) -> None:
    """An owner that was replaced can neither note nor go on."""
    first, _ = await taken(bus)
    second, _ = await taken(bus)
    with pytest.raises(StreamReplaced):
        await first.note(5)
    assert first.acked == 0
    with pytest.raises(StreamReplaced):
        await first.check_owner()
    await second.note(3)
    await second.check_owner()


@pytest.mark.usefixtures("ticks")
async def test_a_note_whose_answer_was_lost(bus: Bus) -> None:
    """An owner that doesn't know its last revision finds it out, and notes on."""
    consumer, _ = await taken(bus)
    await consumer.note(3)
    consumer._revision -= 1
    await consumer.note(4)
    assert (await taken(bus))[0].acked == 4


@pytest.mark.usefixtures("ticks")
async def test_the_epoch_is_renewed_when_the_end_is_lost(bus: Bus) -> None:
    """A stream that ends before what the store knows gets another epoch, and all of it counts as not stored."""
    first, _ = await taken(bus)
    await first.note(10)
    second, known = await taken(bus, stored=11)
    assert (known, second.acked) == (True, 0)
    assert second.epoch == first.epoch + "+1"


@pytest.mark.usefixtures("ticks")
async def test_reset_makes_what_is_gone(bus: Bus) -> None:
    """Setting back a consumer that somebody deleted makes it again, from there on."""
    consumer, _ = await taken(bus)
    await api(bus, f"CONSUMER.DELETE.{subjects.STREAM_TICKS}.{consumer.name}", None, dict)
    await consumer.reset(4)
    info = await api(bus, f"CONSUMER.INFO.{subjects.STREAM_TICKS}.{consumer.name}", None, dict)
    assert info["ack_floor"]["stream_seq"] == 3
    # It was made with a start, which the server doesn't let one set it back behind.
    await consumer.reset(2)
    info = await api(bus, f"CONSUMER.INFO.{subjects.STREAM_TICKS}.{consumer.name}", None, dict)
    assert (info["ack_floor"]["stream_seq"], info["num_pending"]) == (1, 9)


@pytest.mark.usefixtures("ticks")
async def test_a_name_that_nobody_can_guess(bus: Bus) -> None:
    """Its name has a part at random, which the next owner finds in the note; one that had none before is removed."""
    old = {"stream_name": subjects.STREAM_TICKS, "config": {"durable_name": "archiver-alpha", "ack_policy": "all"}}
    await api(bus, f"CONSUMER.DURABLE.CREATE.{subjects.STREAM_TICKS}.archiver-alpha", old, dict)
    first, _ = await taken(bus)
    second, _ = await taken(bus)
    assert second.name == first.name
    assert len(first.name.removeprefix("archiver-alpha-")) == 16
    found = await api(bus, f"CONSUMER.NAMES.{subjects.STREAM_TICKS}", None, dict)
    assert found["consumers"] == [first.name]


@pytest.mark.parametrize(
    "refuses",
    [
        "CONSUMER.INFO",
        "CONSUMER.CREATE",
        "CONSUMER.DELETE",
        r"^\$KV\.dccd_archivers",
        r"^\$KV\.dccd_private",
        "STREAM.UPDATE",
    ],
)
@pytest.mark.usefixtures("ticks")
async def test_what_cannot_be_taken_over_now(bus: Bus, refusing: NotNow, refuses: str) -> None:
    """The bus is away, and nothing is passed over: what is taken over later is as it would have been."""
    old = {"stream_name": subjects.STREAM_TICKS, "config": {"durable_name": "archiver-alpha", "ack_policy": "all"}}
    await api(bus, f"CONSUMER.DURABLE.CREATE.{subjects.STREAM_TICKS}.archiver-alpha", old, dict)
    state = await stream_state(bus, subjects.STREAM_TICKS)
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await ArchiverConsumer(refusing, subjects.STREAM_TICKS, "alpha").take_over(state, 11)
    refusing.refuses = None
    consumer = ArchiverConsumer(refusing, subjects.STREAM_TICKS, "alpha")
    await consumer.take_over(await stream_state(bus, subjects.STREAM_TICKS), 11)
    assert consumer.acked == 0 and consumer.epoch.startswith(f"{state.epoch}+")
    found = await api(bus, f"CONSUMER.NAMES.{subjects.STREAM_TICKS}", None, dict)
    assert found["consumers"] == [consumer.name]


@pytest.mark.usefixtures("ticks")
async def test_what_cannot_be_set_back_now(refusing: NotNow) -> None:
    """It stays as it was, and isn't made anew beside one that is there."""
    consumer, _ = await taken(refusing)
    info = f"CONSUMER.INFO.{subjects.STREAM_TICKS}.{consumer.name}"
    created = (await api(refusing, info, None, dict))["created"]
    refusing.refuses = "CONSUMER.RESET"
    with pytest.raises(BusUnavailable):
        await consumer.reset(4)
    refusing.refuses = r"^\$KV\.dccd_archivers"
    with pytest.raises(BusUnavailable):
        await consumer.note(4)
    assert consumer.acked == 0
    refusing.refuses = None
    assert (await api(refusing, info, None, dict))["created"] == created
    await api(refusing, f"CONSUMER.DELETE.{subjects.STREAM_TICKS}.{consumer.name}", None, dict)
    await consumer.reset(4)
    # The server doesn't let one set it back behind its start: it is to be made anew.
    refusing.refuses = "CONSUMER.DELETE"
    with pytest.raises(BusUnavailable):
        await consumer.reset(2)
    refusing.refuses = None
    await consumer.reset(2)
    assert (await api(refusing, info, None, dict))["num_pending"] == 9
