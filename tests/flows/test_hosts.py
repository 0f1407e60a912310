"""A host that is killed is gone for all within seconds, and told; what asks for it finds nobody."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import anyio
import pytest
import yaml

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, Settings
from dccd.messages import HostChanged
from tests.flows.support import watching

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent.parent


async def test_a_killed_host_disappears_and_is_told_by_another(tmp_path: Path) -> None:
    """Not by its own word: that it never gave."""
    config = Config(settings=Settings(data_path=str(tmp_path / "alpha"), host="alpha"), bus=BusConfig(port=0))
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        file = tmp_path / "beta.yml"
        settings = {"data_path": str(tmp_path / "beta"), "host": "beta"}
        file.write_text(yaml.safe_dump({"settings": settings, "bus": {"url": running.bus_url}}))
        command = [sys.executable, "-m", "dccd", "start", "--config", str(file)]
        async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as beta:
            try:
                up = await expect(lambda event: isinstance(event, HostChanged) and event.id == "beta")
                assert (up.change, up.reason, up.host) == ("up", "started", "beta")
                assert [host.id for host in await client.hosts()] == ["alpha", "beta"]
                assert (await client.request("hosts", host="beta")).host == "beta"
            finally:
                beta.kill()
                killed = time.monotonic()
        down = await expect(lambda event: isinstance(event, HostChanged) and event.id == "beta")
        assert (down.change, down.reason, down.host, down.instance) == ("down", "silent", "alpha", up.instance)
        assert time.monotonic() - killed < 15
        assert [host.id for host in await client.hosts()] == ["alpha"]
        assert (await client.health()).ok
