"""A daemon that only answers, on a real bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dccd.bus.connection import Bus
from dccd.bus.server import EmbeddedServer
from dccd.client import Client
from dccd.client.fake import FakeDaemon


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A nats-server on a free port."""
    async with EmbeddedServer(tmp_path / "nats", port=0, on_log=lambda level, text: None) as server:
        yield server


@pytest.fixture
async def daemon(server: EmbeddedServer) -> AsyncIterator[FakeDaemon]:
    """A daemon on it, with a connection of its own."""
    async with await Bus.open(server.url, "fake daemon") as bus, FakeDaemon(bus) as daemon:
        yield daemon


@pytest.fixture
async def client(server: EmbeddedServer, daemon: FakeDaemon) -> AsyncIterator[Client]:
    """A client of that daemon."""
    async with Client(server.url) as client:
        yield client
