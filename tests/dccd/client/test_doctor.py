"""Files looked at by a daemon, through the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

import dccd
from dccd import messages as m
from dccd.client import Client
from dccd.client.fake import FakeDaemon

pytestmark = pytest.mark.anyio


async def test_what_a_doctor_finds(client: Client, daemon: FakeDaemon) -> None:
    """Lines come as they are found, one by one."""
    found = m.DoctorLine(kind="finding", what="damaged", path="a.parquet")

    async def lines() -> AsyncIterator[bytes]:
        yield msgspec.json.encode(found) + b"\n"
        yield msgspec.json.encode(m.DoctorLine(kind="progress", files=1, of_files=1)) + b"\n"

    daemon.replies["doctor"] = lambda ask: lines()
    assert [line.kind async for line in client.doctor()] == ["finding", "progress"]
    assert found.wrong
    with dccd.connect(client.url) as sync:
        assert await asyncio.to_thread(sync.doctor) == [found]
