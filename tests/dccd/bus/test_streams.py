"""Streams and buckets as configured."""

from __future__ import annotations

import anyio
import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api
from dccd.bus.kv import Bucket
from dccd.bus.streams import (
    HOSTS_TTL,
    TickLimits,
    ensure_bucket,
    ensure_streams,
    host_events,
    last_message,
    publish_once,
    renew_epoch,
    stream_epoch,
    stream_state,
    streams_made,
)
from dccd.errors import BusError, BusUnavailable
from tests.dccd.bus.not_now import NotNow

pytestmark = pytest.mark.anyio


async def config(bus: Bus, name: str) -> dict:
    """A stream's configuration as the server has it."""
    return (await api(bus, f"STREAM.INFO.{name}", None, dict))["config"]


async def test_made_and_left_alone(bus: Bus) -> None:
    """The streams are made once; a second time changes nothing, and what they hold stays."""
    await ensure_streams(bus)
    epoch = await stream_epoch(bus, subjects.STREAM_TICKS)
    await bus.jetstream.publish("dccd.ticks.binance.trades.BTC-USDT", b"[]")
    before = [await config(bus, name) for name in (subjects.STREAM_TICKS, subjects.STREAM_EVENTS, "KV_dccd_runs")]
    await ensure_streams(bus)
    after = [await config(bus, name) for name in (subjects.STREAM_TICKS, subjects.STREAM_EVENTS, "KV_dccd_runs")]
    assert before == after
    state = await stream_state(bus, subjects.STREAM_TICKS)
    assert (state.epoch, state.messages, state.first, state.last) == (epoch, 1, 1, 1)
    assert 0 < state.first_at == state.last_at
    ticks, events, runs = after
    assert ticks["subjects"] == ["dccd.ticks.>"] and ticks["storage"] == "file" and ticks["allow_direct"]
    assert events["subjects"] == ["dccd.events.>"]
    assert runs["allow_direct"] and runs["max_msgs_per_subject"] == 1


async def test_limits_change_in_place(bus: Bus) -> None:
    """Other limits change the stream that is there, and keep what somebody else has set of it."""
    await ensure_streams(bus)
    epoch = await stream_epoch(bus, subjects.STREAM_TICKS)
    there = await config(bus, subjects.STREAM_TICKS)
    await api(bus, f"STREAM.UPDATE.{subjects.STREAM_TICKS}", {**there, "compression": "s2"}, dict)
    await ensure_streams(bus, TickLimits(max_age=3600, max_bytes=1 << 30, events_max_age=60, duplicate_window=300))
    ticks, events = await config(bus, subjects.STREAM_TICKS), await config(bus, subjects.STREAM_EVENTS)
    assert (ticks["max_age"], ticks["max_bytes"]) == (3600 * 10**9, 1 << 30)
    assert (ticks["duplicate_window"], events["duplicate_window"]) == (300 * 10**9, 60 * 10**9)
    assert events["max_age"] == 60 * 10**9
    assert ticks["compression"] == "s2"
    assert await stream_epoch(bus, subjects.STREAM_TICKS) == epoch


async def test_a_stream_that_was_made_anew_is_another(bus: Bus) -> None:
    """And one that is gone isn't there; a new epoch of the same stream is no other."""
    await ensure_streams(bus)
    before = await streams_made(bus)
    assert len(before) == 10
    await renew_epoch(bus, subjects.STREAM_TICKS)
    assert await streams_made(bus) == before
    await api(bus, f"STREAM.DELETE.{subjects.STREAM_TICKS}", None, dict)
    gone = await streams_made(bus)
    assert before.keys() - gone.keys() == {subjects.STREAM_TICKS}
    await ensure_streams(bus)
    after = await streams_made(bus)
    assert {name for name in before if before[name] != after[name]} == {subjects.STREAM_TICKS}


async def test_no_room(bus: Bus) -> None:
    """Limits that the disk can't hold are an error that says which setting it is."""
    with pytest.raises(BusError, match="ticks_max_bytes"):
        await ensure_streams(bus, TickLimits(max_bytes=1 << 60))


async def test_last_message(bus: Bus) -> None:
    """The newest message of a subject comes with its sequence number and headers; none is None."""
    await ensure_streams(bus)
    assert await last_message(bus, "dccd.ticks.a.trades.B-C") is None
    for number in range(3):
        await bus.jetstream.publish(
            "dccd.ticks.a.trades.B-C", b"%d" % number, headers={subjects.COVERED: f"0-{number}"}
        )
    await bus.jetstream.publish("dccd.ticks.a.trades.D-E", b"x")
    await bus.jetstream.publish("dccd.events.run.1.status", b"{}")
    tick = await last_message(bus, "dccd.ticks.a.trades.B-C")
    assert tick is not None and (tick.seq, tick.data, tick.headers[subjects.COVERED]) == (3, b"2", "0-2")
    event = await last_message(bus, "dccd.events.run.1.status")
    assert event is not None and (event.seq, event.data) == (1, b"{}")


async def test_the_bucket_of_hosts_forgets(bus: Bus) -> None:
    """What nobody writes anew is gone after seconds, by the server's own clock."""
    await ensure_streams(bus)
    assert (await config(bus, "KV_dccd_hosts"))["max_age"] == int(HOSTS_TTL * 10**9)
    await ensure_bucket(bus, subjects.BUCKET_HOSTS, ttl=3.0)
    bucket = Bucket(bus, subjects.BUCKET_HOSTS)
    await bucket.put("host.alpha", b"{}")
    assert await bucket.get("host.alpha") is not None
    with anyio.fail_after(20):
        while await bucket.get("host.alpha") is not None:
            pass
    assert await bucket.create("host.alpha", b"{}") > 1


async def test_what_several_say_is_stored_once(bus: Bus) -> None:
    """Who was first is told so."""
    await ensure_streams(bus)
    subject = subjects.host_event("alpha", "down")
    said = [await publish_once(bus, subject, body, "host.1.down") for body in (b"1", b"2")]
    assert said == [True, False]
    assert await publish_once(bus, subjects.host_event("beta", "up"), b"3", "host.2.up")
    assert [stored.data for stored in await host_events(bus)] == [b"1", b"3"]


@pytest.mark.parametrize("refuses", ["STREAM.INFO.DCCD_EVENTS", "STREAM.CREATE.KV_dccd_runs", "STREAM.UPDATE"])
async def test_streams_that_cannot_be_made_now(refusing: NotNow, refuses: str) -> None:
    """It is the bus that is away, and what is there is made no second time; later on all of them are."""
    await ensure_streams(refusing)
    await api(refusing, "STREAM.DELETE.KV_dccd_runs", None, dict)
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await ensure_streams(refusing, TickLimits(max_age=3600))
    refusing.refuses = None
    await ensure_streams(refusing, TickLimits(max_age=3600))
    assert len(await streams_made(refusing)) == 10


async def test_what_was_made_is_not_known_now(refusing: NotNow) -> None:
    """A stream that can't be asked isn't one that is gone, and what was said may have been stored or not."""
    await ensure_streams(refusing)
    refusing.refuses = "STREAM.INFO.KV_dccd_runs"
    with pytest.raises(BusUnavailable):
        await streams_made(refusing)
    refusing.refuses = subjects.EVENTS
    with pytest.raises(BusUnavailable):
        await publish_once(refusing, subjects.host_event("alpha", "down"), b"1", "host.1.down")
