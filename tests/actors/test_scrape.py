"""The Prometheus endpoint: what it answers, and that nobody who can reach it does harm."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest

from actors import scrape
from actors.scrape import Endpoint, Render
from dccd.errors import ListenError

pytestmark = pytest.mark.anyio


class Page:
    """Renders how often it was asked; fails, or waits, when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, accept: str) -> tuple[bytes, str]:
        self.asked.append(accept)
        self.begun.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return f"page {len(self.asked)}\n".encode(), "text/plain; version=0.0.4"


@asynccontextmanager
async def serving(render: Render, listen: str = "127.0.0.1:0") -> AsyncIterator[Endpoint]:
    endpoint = await Endpoint.open(listen, render)
    try:
        async with asyncio.timeout(20):
            yield endpoint
    finally:
        await endpoint.aclose()


async def raw(endpoint: Endpoint, sent: bytes) -> bytes:
    """All that comes back for *sent* until the connection ends."""
    port = urlsplit(endpoint.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


async def test_it_serves_what_is_rendered() -> None:
    """With its content type, and told what the client accepts; HEAD has the same without a body."""
    page = Page()
    async with serving(page) as endpoint, aiohttp.ClientSession() as session:
        async with session.get(endpoint.url, headers={"Accept": "application/openmetrics-text"}) as answer:
            assert (answer.status, await answer.text()) == (200, "page 1\n")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
        async with session.head(endpoint.url) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
    assert page.asked == ["application/openmetrics-text", "*/*"]


async def test_a_flood_of_scrapes_renders_once() -> None:
    """All that come within a second get the same page; the rendering, which costs, is not repeated beside itself."""
    page = Page()
    page.gate.clear()

    async def get(session: aiohttp.ClientSession) -> str:
        async with session.get(endpoint.url) as answer:
            return await answer.text()

    async with serving(page) as endpoint, aiohttp.ClientSession() as session:
        asking = [asyncio.create_task(get(session)) for _ in range(20)]
        await page.begun.wait()
        page.gate.set()
        assert set(await asyncio.gather(*asking)) == {"page 1\n"}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /metrics/../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", b"405"),
        (b"DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
        (b"hello\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 10_000 + b"\r\n\r\n", b"400"),
    ],
)
async def test_all_else_is_refused_and_harms_nobody(
    sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """With an HTTP error that says so and nothing in the log; who asks rightly afterwards is served."""
    page = Page()
    async with serving(page) as endpoint:
        assert (await raw(endpoint, sent)).split()[1] == status
        assert (page.asked, caplog.records) == ([], [])
        async with aiohttp.ClientSession() as session, session.get(endpoint.url) as answer:
            assert answer.status == 200


async def test_a_rendering_that_fails_is_a_500() -> None:
    """It says nothing of the inside, and the next one is tried."""
    page = Page()
    page.failure = RuntimeError("secret")
    async with serving(page) as endpoint, aiohttp.ClientSession() as session:
        async with session.get(endpoint.url) as answer:
            assert (answer.status, "secret" in await answer.text()) == (500, False)
        page.failure = None
        async with session.get(endpoint.url) as answer:
            assert answer.status == 200


async def test_connections_are_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is told 503; those that never ask are closed when their time is over, and there is room again."""
    monkeypatch.setattr(scrape, "_CONNECTIONS", 3)
    page = Page()
    async with serving(page) as endpoint:
        port = urlsplit(endpoint.url).port
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        idle[0][1].write(b"GET /metrics HTT")  # it never says the rest
        assert (await raw(endpoint, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).split()[1] == b"503"
        endpoint.sweep()
        monkeypatch.setattr(scrape, "_SECONDS", 0.0)
        endpoint.sweep()
        assert [await reader.read() for reader, _ in idle] == [b"", b"", b""]
        monkeypatch.setattr(scrape, "_SECONDS", 30.0)
        async with aiohttp.ClientSession() as session, session.get(endpoint.url) as answer:
            assert answer.status == 200
        for _, writer in idle:
            writer.close()


async def test_a_port_that_is_taken() -> None:
    """The error has the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ListenError, match=r"can't listen on 127\.0\.0\.1:.*in use") as caught:
            await Endpoint.open(listen, Page())
    assert caught.value.address == listen


async def test_a_host_that_is_none() -> None:
    """A name that means no address of this machine is an error of the same kind."""
    with pytest.raises(ListenError):
        await Endpoint.open("no-such-host.invalid:9464", Page())


async def test_ipv6() -> None:
    """The address in brackets is where it listens and what its URL says."""
    async with serving(Page(), "[::1]:0") as endpoint, aiohttp.ClientSession() as session:
        assert endpoint.url.startswith("http://[::1]:")
        async with session.get(endpoint.url) as answer:
            assert answer.status == 200


async def test_closing_ends_what_is_open() -> None:
    """Nobody can connect any more, and who is connected is told."""
    endpoint = await Endpoint.open("127.0.0.1:0", Page())
    port = urlsplit(endpoint.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(60):
        await endpoint.aclose()
        assert await reader.read() == b""
    writer.close()
    with pytest.raises(OSError, match=r"Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)
