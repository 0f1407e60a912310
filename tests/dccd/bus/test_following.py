"""Deliveries made for others, at the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api, stream_state
from dccd.bus.following import OF_A_HOST, Followers
from dccd.bus.kv import Bucket
from dccd.bus.service import ASKED_FROM
from dccd.bus.streams import ensure_streams
from dccd.errors import BusUnavailable, RequestError
from tests.dccd.bus.not_now import NotNow
from tests.dccd.bus.numbered import ONE, OTHER, publish

pytestmark = pytest.mark.anyio

STREAM = subjects.STREAM_TICKS


@pytest.fixture(autouse=True)
async def streams(bus: Bus) -> None:
    """The streams exist."""
    await ensure_streams(bus)


async def test_what_there_is(bus: Bus) -> None:
    """Without an inbox nothing is made: it is told what the stream holds, and of ticks how far they are stored here."""
    followers = Followers(bus, "alpha")
    told = await followers.follow(m.Follow(stream="ticks", filters=[ONE]))
    assert (told.host, told.messages, told.first, told.last, told.oldest) == ("alpha", 0, 1, 0, None)
    await publish(bus, 1, subject=OTHER)
    await publish(bus, 2, 3)
    note = b'{"epoch": "%s", "acked": 2, "reader": "x"}' % told.epoch.encode()
    await Bucket(bus, subjects.BUCKET_ARCHIVERS).put("alpha", note)
    told = await followers.follow(m.Follow(stream="ticks", filters=[ONE]))
    state = await stream_state(bus, STREAM)
    assert (told.epoch, told.messages, told.first, told.last) == (state.epoch, 3, 1, 3)
    assert (told.first_at, told.last_at) == (state.first_at, state.last_at) and told.now >= told.last_at
    assert (told.archived, told.start, told.pending) == (2, None, 0)
    assert told.oldest is not None and told.oldest[0] == 2 and told.first_at < told.oldest[1] < told.last_at
    both = await followers.follow(m.Follow(stream="ticks", filters=[ONE, OTHER]))
    assert both.oldest == (1, told.first_at)
    assert (await followers.follow(m.Follow(stream="events"))).archived == 0
    assert (await api(bus, f"STREAM.INFO.{STREAM}", None, dict))["state"]["consumer_count"] == 0


@pytest.mark.parametrize(
    ("begin", "start", "pending"),
    [({"seq": 2}, 2, 3), ({"last": 2}, 3, 2), ({"last": 0}, 5, 0), ({}, 5, 0), ({"since": "2020-01-01"}, None, 4)],
    ids=str,
)
async def test_where_it_begins(bus: Bus, begin: dict[str, Any], start: int | None, pending: int) -> None:
    """With a message, a time, the newest, or what comes; how many there are is told."""
    await publish(bus, 1, 2, 3, 4)
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: Any) -> None:
        heard.put_nowait(message.data)

    inbox = bus.client.new_inbox()
    await bus.client.subscribe(inbox, cb=hear)
    told = await Followers(bus, "alpha").follow(m.Follow(stream="ticks", filters=[ONE], inbox=inbox, **begin))
    assert (told.start, told.pending) == (start, pending)
    await publish(bus, 5)
    async with asyncio.timeout(60):
        found = [await heard.get() for _ in range(pending + 1)]
    assert found == [b"[%d]" % number for number in range(5 - pending, 6)]


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        ({"filters": ["dccd.events.>"]}, "filters"),
        ({"filters": [ONE, "$KV.dccd_config.>"]}, "filters"),
        ({"filters": ["dccd.ticks"]}, "filters"),
        ({"filters": ["dccd.ticks."]}, "filters"),
        ({"filters": ["dccd.ticks.>.x"]}, "filters"),
        ({"filters": ["dccd.ticks.a b"]}, "filters"),
        ({"filters": ["dccd.ticks.a*"]}, "filters"),
        ({"filters": [">"]}, "filters"),
        ({"filters": ["dccd.ticks.>", ONE]}, "filters"),
        ({"seq": 1, "last": 1}, "since"),
        ({"since": "soon"}, "since"),
    ],
    ids=str,
)
async def test_what_can_not_be(bus: Bus, ask: dict[str, Any], field: str) -> None:
    """Subjects of others, filters that overlap, places that are none: refused with the field at fault."""
    inbox = bus.client.new_inbox()
    with pytest.raises(RequestError) as told:
        await Followers(bus, "alpha").follow(m.Follow(stream="ticks", inbox=inbox, **ask))
    assert (told.value.code, told.value.reason, told.value.field) == (400, "malformed", field)


async def test_what_is_gone(bus: Bus) -> None:
    """A message that has fallen off is none to begin with, nor one of a stream that isn't there."""
    await publish(bus, 1, 2, 3)
    await api(bus, f"STREAM.PURGE.{STREAM}", {"seq": 3}, dict)
    followers, inbox = Followers(bus, "alpha"), bus.client.new_inbox()
    with pytest.raises(RequestError) as told:
        await followers.follow(m.Follow(stream="ticks", inbox=inbox, seq=2))
    assert (told.value.code, told.value.reason, told.value.field) == (404, "gone", "seq")
    assert (await followers.follow(m.Follow(stream="ticks", inbox=inbox, seq=3))).pending == 1
    await api(bus, f"STREAM.DELETE.{STREAM}", None, dict)
    with pytest.raises(RequestError) as told:
        await followers.follow(m.Follow(stream="ticks", inbox=inbox))
    assert (told.value.code, told.value.reason) == (404, "no_stream")


@pytest.mark.parametrize(
    ("asked_from", "inbox", "taken"),
    [
        ("_INBOX.viewer.a", "_INBOX.viewer.b", True),
        ("_INBOX.viewer.a", "_INBOX.operator.b", False),
        ("_INBOX.viewer.a", "_INBOX.b.c", False),
        ("_INBOX.a", "_INBOX.b", True),
        ("_INBOX.a", "_INBOX.collector.b", False),
        ("_INBOX.collector.a", "_INBOX.collector.b", True),
        ("_INBOX.collector.a", "_INBOX.collector.acks.b", False),
    ],
)
async def test_it_comes_where_the_answer_goes(bus: Bus, asked_from: str, inbox: str, taken: bool) -> None:
    """To an inbox of the same user's role, where the bus has users; never to where streams acknowledge."""
    token = ASKED_FROM.set(asked_from)
    try:
        made = Followers(bus, "alpha").follow(m.Follow(stream="events", inbox=inbox))
        if taken:
            await made
        else:
            with pytest.raises(RequestError) as told:
                await made
            assert told.value.field == "inbox"
    finally:
        ASKED_FROM.reset(token)


async def test_so_many_and_no_more(bus: Bus) -> None:
    """A thousand who ask are not more than a host makes; those that are gone make room; nobody else is slower."""
    followers = Followers(bus, "alpha")
    inboxes = [bus.client.new_inbox() for _ in range(1000)]
    kept = [await bus.client.subscribe(inbox, cb=_nothing) for inbox in inboxes]
    refused = 0
    for inbox in inboxes:
        try:
            await followers.follow(m.Follow(stream="ticks", inbox=inbox))
        except RequestError as exc:
            assert (exc.code, exc.reason) == (503, "busy")
            refused += 1
    assert refused == 1000 - OF_A_HOST
    state = (await api(bus, f"STREAM.INFO.{STREAM}", None, dict))["state"]
    assert state["consumer_count"] == OF_A_HOST
    for name in (await api(bus, f"CONSUMER.NAMES.{STREAM}", None, dict))["consumers"][:3]:
        await api(bus, f"CONSUMER.DELETE.{STREAM}.{name}", None, dict)
    for inbox in inboxes[-3:]:
        await followers.follow(m.Follow(stream="ticks", inbox=inbox))
    with pytest.raises(RequestError):
        await followers.follow(m.Follow(stream="ticks", inbox=inboxes[-4]))
    async with asyncio.timeout(20):
        await publish(bus, *range(100))
    for subscription in kept:
        await subscription.unsubscribe()


async def test_a_stream_s_bound_is_everybody_s(bus: Bus) -> None:
    """Of all hosts, and of whoever makes consumers by himself."""
    first, second = (Followers(bus, host, of_a_stream=2) for host in ("alpha", "beta"))
    for followers in (first, second):
        await followers.follow(m.Follow(stream="events", inbox=bus.client.new_inbox()))
    for followers in (first, second):
        with pytest.raises(RequestError, match="2 readers of stream DCCD_EVENTS") as told:
            await followers.follow(m.Follow(stream="events", inbox=bus.client.new_inbox()))
        assert told.value.code == 503


async def _nothing(_: Any) -> None:
    pass


@pytest.mark.parametrize("refuses", ["STREAM.INFO", "CONSUMER.CREATE"])
async def test_a_delivery_that_cannot_be_made_now(refusing: NotNow, refuses: str) -> None:
    """The bus is away, for who asks: not a stream that isn't there."""
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await Followers(refusing, "alpha").follow(m.Follow(stream="ticks", inbox="_INBOX.x.y"))
