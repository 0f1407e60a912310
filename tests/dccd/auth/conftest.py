"""A real nats-server with users of each role, and who is who."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from dccd.auth.folder import AuthFolder
from dccd.auth.logins import read_credentials
from dccd.bus.connection import Bus
from dccd.bus.login import Login
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from tests.commands import needed

Open = Callable[[str], Awaitable[Bus]]
Nats = Callable[..., Awaitable[str]]


@pytest.fixture
def users(tmp_path: Path) -> AuthFolder:
    """A user of each role; one has a password."""
    folder = AuthFolder(tmp_path / "auth")
    folder.init("nats://127.0.0.1:4222")
    folder.add("reader", "reader", password=True)
    return folder


@pytest.fixture
async def server(users: AuthFolder, tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A server that lets in these users only, with dccd's streams and buckets."""
    async with EmbeddedServer(tmp_path / "nats", port=0, auth=users.conf, on_log=lambda level, text: None) as server:
        async with await Bus.open(server.url, "test", login=login(users, "collector")) as bus:
            await ensure_streams(bus)
        yield server


def login(users: AuthFolder, name: str) -> Login:
    """How user *name* logs in."""
    return read_credentials(str(users.credentials(name))).login


@pytest.fixture
async def connect(server: EmbeddedServer, users: AuthFolder) -> AsyncIterator[Open]:
    """Opens a connection as a user; closed at the end."""
    opened: list[Bus] = []

    async def connect(name: str) -> Bus:
        async with asyncio.timeout(60):
            opened.append(await Bus.open(server.url, name, login=login(users, name)))
        return opened[-1]

    yield connect
    for bus in opened:
        await bus.aclose()


@pytest.fixture
def nats(server: EmbeddedServer, users: AuthFolder) -> Nats:
    """Runs the real `nats` command as a user, or as nobody, and returns all that it says; skips where there is none."""
    binary = needed("nats")

    async def run(name: str | None, *arguments: str) -> str:
        who = [] if name is None else ["--context", str(users.credentials(name).absolute())]
        process = await asyncio.create_subprocess_exec(
            *(binary, "-s", server.url, "--timeout", "1s", *who, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(20):
            out, _ = await process.communicate()
        return out.decode()

    return run
