"""The connection: errors in our words, back by itself, closed in the end."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import pytest

from dccd.bus.connection import Bus, Message
from dccd.bus.login import Login
from dccd.bus.server import CONF, EmbeddedServer
from dccd.errors import BusRefused, BusUnavailable, PayloadTooLarge

pytestmark = pytest.mark.anyio


async def test_nobody_answers() -> None:
    """Without a server opening fails within its time, and names the URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"nats://user:secret@127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(BusUnavailable, match=r"127\.0\.0\.1") as caught:
            await Bus.open(url, "test", timeout=0.2)
    assert "secret" not in str(caught.value)


@pytest.fixture
async def guarded(tmp_path: Path):
    """A server with a user who may ask, but not everything."""
    conf = tmp_path / "nats.conf"
    conf.write_text(
        CONF.read_text()
        + """
authorization {
  users: [
    {user: viewer, password: right, permissions: {
      publish: {deny: ["dccd.backfill.>", "$JS.API.STREAM.CREATE.>"]}, subscribe: ["_INBOX.>"]
    }}
  ]
}
"""
    )
    async with EmbeddedServer(tmp_path / "nats", port=0, conf=conf, on_log=lambda level, text: None) as server:
        yield server


async def test_wrong_password(guarded: EmbeddedServer) -> None:
    """A wrong password is refused at once, not tried again until the time is up."""
    async with asyncio.timeout(60):
        with pytest.raises(BusRefused):
            await Bus.open(guarded.url, "test", login=Login(user="viewer", password="wrong"), timeout=30)


async def test_what_one_may_not_ask(guarded: EmbeddedServer) -> None:
    """A request that the bus forbids is refused at once, not after its time."""
    right = Login(user="viewer", password="right")
    async with await Bus.open(guarded.url, "test", login=right) as bus, asyncio.timeout(60):
        for subject in ("dccd.backfill.start", "$JS.API.STREAM.CREATE.DCCD_TICKS"):
            with pytest.raises(BusRefused, match=re.escape(subject)):
                await bus.request(subject, timeout=30)
        with pytest.raises(BusUnavailable, match="nobody"):
            await bus.request("dccd.health")
        assert bus.statistics()["errors"]["refused"] == 2


async def test_no_reply_in_time(bus: Bus) -> None:
    """A subject that somebody hears but doesn't answer is BusUnavailable after the time given."""

    async def ignore(message: Message) -> None:
        pass

    await bus.subscribe("deaf", ignore)
    with pytest.raises(BusUnavailable):
        await bus.request("deaf", timeout=0.05)


async def test_too_large(bus: Bus) -> None:
    """What no message can hold is refused before it is sent, and the connection stays."""
    with pytest.raises(PayloadTooLarge):
        await bus.publish("a", bytes(bus.max_payload))
    with pytest.raises(PayloadTooLarge):
        await bus.request("a", bytes(bus.max_payload))
    assert bus.connected


async def test_subscription_is_there_when_it_returns(server, bus: Bus) -> None:
    """What another connection publishes after subscribe() has returned arrives, in order."""
    async with await Bus.open(server.url, "other") as other:
        for attempt in range(50):
            got: asyncio.Queue[bytes] = asyncio.Queue()

            async def put(message: Message, got: asyncio.Queue[bytes] = got) -> None:
                got.put_nowait(message.data)

            subscription = await bus.subscribe(f"s.{attempt}", put)
            await other.publish(f"s.{attempt}", b"1")
            async with asyncio.timeout(60):
                assert await got.get() == b"1"
            await subscription.unsubscribe()
            await subscription.unsubscribe()


async def test_messages_as_an_iterator(bus: Bus, until) -> None:
    """An iterator gives the messages in order and ends its subscription when it is closed."""
    messages = bus.messages("s.*")
    first = asyncio.create_task(anext(messages))
    await until(lambda: any(sub.subject == "s.*" for sub in bus.client._subs.values()))
    await bus.barrier()
    await bus.publish("s.a", b"1", {"Key": "value"})
    await bus.publish("s.b", b"2")
    message = await first
    assert (message.subject, message.data, message.headers) == ("s.a", b"1", {"Key": "value"})
    assert (await anext(messages)).data == b"2"
    await messages.aclose()
    assert not any(sub.subject == "s.*" for sub in bus.client._subs.values())


async def test_comes_back_after_a_kill(server, bus: Bus, until) -> None:
    """After a kill the connection comes back by itself, tells so, and a request made meanwhile is answered."""
    changes: list[bool] = []
    remove = bus.on_change(changes.append)

    async def answer(message: Message) -> None:
        await bus.publish(message.reply, b"yes")

    await bus.subscribe("ask", answer)
    await server.kill()
    await until(lambda: not bus.connected)
    with pytest.raises(BusUnavailable):
        await bus.publish("a", b"")
    asked = asyncio.create_task(bus.request("ask", timeout=20))
    await server.start()
    assert await asked == b"yes"
    assert changes == [False, True]
    remove()
    statistics = bus.statistics()
    assert statistics["connected"] and statistics["reconnects"] == 1


async def test_request_while_away_is_not_made_later(server, bus: Bus) -> None:
    """A request that timed out while the bus was away is never delivered."""
    got: list[bytes] = []

    async def note(message: Message) -> None:
        got.append(message.data)

    await bus.subscribe("ask", note)
    await server.kill()
    with pytest.raises(BusUnavailable):
        await bus.request("ask", b"late", timeout=0.1)
    await server.start()
    await bus.wait_connected(10)
    await bus.publish("ask", b"now")
    async with asyncio.timeout(60):
        while not got:
            await bus.barrier()
    assert got == [b"now"]


async def test_closed_for_good(server, bus: Bus) -> None:
    """An error of the protocol closes the connection for good: wait_closed() says why."""
    closed = asyncio.create_task(bus.wait_closed())
    # nats-py closes on any -ERR that is no permission; this one says that the subject is not one.
    bus.client._transport.write(b"PUB a..b 0\r\n\r\nSUB a..b 99\r\n")
    async with asyncio.timeout(60):
        assert "subject" in (await closed).lower()
    assert not bus.connected
    with pytest.raises(BusUnavailable):
        await bus.request("a", timeout=0.1)


async def test_close(server) -> None:
    """Closing sends what was written, is quick, and may be repeated; also while the server is away."""
    bus = await Bus.open(server.url, "test")
    async with await Bus.open(server.url, "other") as other:
        got = asyncio.Event()

        async def note(message: Message) -> None:
            got.set()

        await other.subscribe("s", note)
        await bus.publish("s", b"")
        await bus.aclose()
        async with asyncio.timeout(60):
            await got.wait()
    assert await bus.wait_closed() == ""
    away = await Bus.open(server.url, "test")
    await server.kill()
    async with asyncio.timeout(60):
        await away.aclose()
        await away.aclose()


async def test_close_while_the_server_is_frozen(server) -> None:
    """A frozen server doesn't hold up the end."""
    bus = await Bus.open(server.url, "test")
    await server.freeze()
    async with asyncio.timeout(60):
        await bus.aclose(timeout=0.2)
    server.thaw()
