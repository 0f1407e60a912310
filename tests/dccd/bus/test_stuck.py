"""Subscribers that don't read: they hold up nobody but themselves, by the configuration that dccd's server has."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.following import Followers
from dccd.bus.group import GroupReader
from dccd.bus.ordered import OrderedReader
from dccd.bus.publisher import Publisher
from dccd.bus.server import CONF, EmbeddedServer
from dccd.bus.streams import TickLimits, ensure_streams

pytestmark = pytest.mark.anyio

SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"
BODY = b"[" + b" " * (1 << 20) + b"]"
LIMIT = 64
"""MB that the server keeps for a client before it cuts it off; from three quarters on it would slow publishers down."""


class Watched:
    """A server, and what its monitoring says."""

    def __init__(self, server: EmbeddedServer, port: int) -> None:
        self.server, self._port = server, port

    async def varz(self) -> dict[str, Any]:
        def get() -> dict[str, Any]:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/varz", timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
                return found

        return await asyncio.to_thread(get)


@asynccontextmanager
async def watched(folder: Path, conf: str) -> AsyncIterator[Watched]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = folder / "nats.conf"
    path.write_text(f"{conf}\nhttp: 127.0.0.1:{port}\n")
    async with EmbeddedServer(folder / "nats", port=0, conf=path, on_log=lambda level, text: None) as server:
        yield Watched(server, port)


@asynccontextmanager
async def deaf(server: EmbeddedServer, subject: str = "dccd.ticks.>") -> AsyncIterator[None]:
    """A client that subscribes to *subject* and never reads a byte of what comes."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", server.port))
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        said = f'CONNECT {{"verbose":false}}\r\nSUB {subject} 1\r\nPING\r\n'
        await loop.sock_sendall(raw, said.encode())
        heard = b""
        async with asyncio.timeout(60):
            while b"PONG" not in heard:
                heard += await loop.sock_recv(raw, 4096)
        yield


async def publish(bus: Bus, megabytes: int) -> None:
    """As a collector does; every message is acknowledged in the end."""
    async with Publisher(bus, buffer_bytes=1 << 30) as publisher:
        for _ in range(megabytes):
            await publisher.room()
            publisher.offer(SUBJECT, BODY)
        assert await publisher.drain(60) == 0
        assert publisher.statistics()["published_again"] == 0


async def test_a_subscriber_that_does_not_read_slows_nobody(tmp_path: Path) -> None:
    """The server never makes a publisher wait for it, keeps what it may for it, and cuts it off."""
    async with watched(tmp_path, CONF.read_text()) as at, await Bus.open(at.server.url, "collector") as bus:
        await ensure_streams(bus, TickLimits(max_bytes=8 << 20))
        async with deaf(at.server):
            await publish(bus, LIMIT + 40)
            seen = await at.varz()
    assert seen["stalled_clients"] == 0
    assert seen["mem"] < 1 << 30


async def test_by_default_it_would(tmp_path: Path) -> None:
    """Without that line of nats.conf the server makes who publishes wait: what the test above looks at can be seen."""
    conf = CONF.read_text().replace("no_fast_producer_stall: true", "")
    assert conf != CONF.read_text()
    async with watched(tmp_path, conf) as at, await Bus.open(at.server.url, "collector") as bus:
        await ensure_streams(bus, TickLimits(max_bytes=8 << 20))
        async with deaf(at.server):
            await publish(bus, LIMIT + 40)
            assert (await at.varz())["stalled_clients"] > 0


async def test_deliveries_to_who_does_not_read(tmp_path: Path) -> None:
    """Of a stream that is delivered to clients that are deaf the server sends them a little, and no more: nobody waits,
    and it needn't even cut them off."""
    async with watched(tmp_path, CONF.read_text()) as at, await Bus.open(at.server.url, "collector") as bus:
        await ensure_streams(bus, TickLimits(max_bytes=8 << 20))
        followers = Followers(bus, "here")
        async with AsyncExitStack() as stack:
            for number in range(10):
                await stack.enter_async_context(deaf(at.server, f"_INBOX.deaf.{number}"))
                await followers.follow(m.Follow(stream="ticks", inbox=f"_INBOX.deaf.{number}"))
            await publish(bus, LIMIT + 40)
            seen = await at.varz()
    assert (seen["stalled_clients"], seen["slow_consumers"]) == (0, 0)
    assert seen["out_bytes"] < 60 << 20


async def test_readers_of_the_stream_that_do_not_read(tmp_path: Path) -> None:
    """They have what there was room for, and the server keeps nothing for them: what comes stays in the stream."""
    async with watched(tmp_path, CONF.read_text()) as at, await Bus.open(at.server.url, "collector") as bus:
        await ensure_streams(bus, TickLimits(max_bytes=8 << 20))
        async with (
            await Bus.open(at.server.url, "consumer") as other,
            await OrderedReader.open(other, Followers(bus, "here").follow, "ticks", [SUBJECT], room=4 << 20) as reader,
            await GroupReader.open(other, subjects.STREAM_TICKS, "g", [SUBJECT], capacity=10) as member,
        ):
            await member.fetch(wait=0)  # it has asked once
            await publish(bus, LIMIT + 40)
            seen = await at.varz()
            assert (seen["stalled_clients"], seen["slow_consumers"]) == (0, 0)
            assert reader.statistics()["bytes"] <= 36 << 20 and member.statistics()["buffered"] <= 10
