"""Frames that nats-py's client would take its end of, at the real server."""

from __future__ import annotations

import asyncio

import pytest

from dccd.bus.connection import Bus, Message
from dccd.bus.service import Service
from tests.dccd.bus.conftest import Server
from tests.wire import frame, put

pytestmark = pytest.mark.anyio

MALFORMED = {
    "a status that is no UTF-8": frame(b"dccd.echo", b"_INBOX.x", headers=b"NATS/1.0 \xff\xff\xff\r\n\r\n"),
    "a description that is none": frame(b"dccd.echo", b"_INBOX.x", headers=b"NATS/1.0 503 \xff\r\n\r\n"),
    "headers that end early": frame(b"dccd.echo", b"_INBOX.x", headers=b"NATS/1.0"),
    "a byte of headers": frame(b"dccd.echo", b"_INBOX.x", headers=b"N"),
    "headers that are none": frame(b"dccd.echo", b"_INBOX.x", headers=b"\xff" * 100),
    "an inbox that is no UTF-8": frame(b"dccd.echo", b"_INBOX.\xff\xfe"),
    "a subject that is none": frame(b"dccd.host.alpha.\xff\xfe", b"_INBOX.x"),
    "monitoring for such an inbox": frame(b"$SRV.INFO", b"_INBOX.\xff"),
    "an acknowledgement of nothing": frame(b"dccd.flow.\xff.\xff", body=b"\xff"),
    "a vertical tab in an inbox": frame(b"dccd.echo", b"_INBOX.a\x0bb"),
    "a form feed in a subject": frame(b"dccd.host.alpha.a\x0cb", b"_INBOX.x"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_nothing_that_is_sent_ends_the_reading(server: Server, bus: Bus, service: Service, name: str) -> None:
    """After any of them requests are answered at once, on the same connection."""
    await put(server.url, MALFORMED[name])
    assert await bus.request("dccd.echo", b"1") == b"1"
    assert bus.statistics()["reconnects"] == 0


async def test_what_is_no_text_is_handed_on_all_the_same(server: Server, bus: Bus) -> None:
    """Who subscribes gets it with U+FFFD in its subject, and without headers; it is counted."""
    heard: asyncio.Queue[Message] = asyncio.Queue()

    async def hear(message: Message) -> None:
        heard.put_nowait(message)

    await bus.subscribe("odd.>", hear)
    await put(
        server.url, frame(b"odd.\xff", body=b"1", headers=b"NATS/1.0 \xff\r\n\r\n"), frame(b"odd.\x0b", body=b"2")
    )
    async with asyncio.timeout(60):
        first, second = await heard.get(), await heard.get()
    assert (first.subject, first.data, first.headers) == ("odd.\ufffd", b"1", None)
    assert (second.subject, second.data) == ("odd.\x0b", b"2")
    assert bus.statistics()["malformed"] == 1


@pytest.mark.parametrize("turns", range(8))
async def test_a_connection_that_is_lost_while_it_is_closed_is_closed(server: Server, turns: int) -> None:
    """Whatever nats-py is at in that moment, nobody takes it for a cancellation, and whoever listens is told."""
    bus = await Bus.open(server.url, "test")
    told: list[bool] = []
    bus.on_change(told.append)
    bus.client._transport._io_reader.feed_eof()
    for _ in range(turns):
        await asyncio.sleep(0)
    await bus.aclose()
    assert bus.closed and bus.client.is_closed
    assert told and not any(told)
