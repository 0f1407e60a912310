"""Where metrics are served, as the configuration says it at any time, and what becomes of a port that is taken."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.links import Archive
from actors.meter import Meter
from actors.monitor import check_metrics
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from actors.tally import Tally
from dccd.config import Config
from dccd.config_metrics import MetricsConfig
from tests.waiting import until

pytestmark = pytest.mark.anyio


class Pools:
    """No exchange was asked for anything."""

    def statistics(self) -> dict[str, Any]:
        return {}


def desk_of(root: Path, listen: str | None) -> Any:
    """What a meter takes of the shared names of a daemon that has just begun: the bus isn't there yet."""
    return SimpleNamespace(
        config=Config(metrics=MetricsConfig(listen=listen)), host="alpha", version="4.0.0", started=0, data_path=root,
        clock=FakeClock(), tally=Tally(), board={}, entries={}, active={}, archive=Archive(), sockets=Pools(),
        rest=Pools(), events=None, service=None,
    )  # fmt: skip


@asynccontextmanager
async def running(desk: Any) -> AsyncIterator[FakeClock]:
    async with open_root(Meter(desk), clock=desk.clock):
        with anyio.fail_after(20):
            await desk.clock.advance(0)
            yield desk.clock


async def scraped(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_metrics_are_served_before_the_bus_is_there(tmp_path: Path) -> None:
    """They say that it isn't."""
    desk = desk_of(tmp_path, "127.0.0.1:0")
    async with running(desk):
        text = await scraped(desk.tally.listening)
    samples = {sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples}
    assert samples["dccd_bus_connected"].value == 0
    assert samples["dccd_bus_connected"].labels == {"host": "alpha"}
    assert check_metrics(desk.tally.listening, desk.tally.refused).ok


async def test_a_taken_port_is_told_and_tried_again(tmp_path: Path) -> None:
    """The daemon lives on; the health check has the reason, until the port is free."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        desk = desk_of(tmp_path, f"127.0.0.1:{other.getsockname()[1]}")
        async with running(desk) as clock:
            assert desk.tally.listening is None
            check = check_metrics(desk.tally.listening, desk.tally.refused)
            assert not check.ok
            assert "in use" in check.detail
            other.close()
            for _ in range(10):
                assert desk.tally.listening is None
                await clock.advance(1)
            assert "dccd_build_info" in await scraped(desk.tally.listening)
            assert desk.tally.refused is None


async def test_a_changed_configuration_moves_the_endpoint(tmp_path: Path) -> None:
    """To another port, and away, with nothing restarted."""
    desk = desk_of(tmp_path, None)
    async with running(desk) as clock:
        assert desk.tally.listening is None
        desk.config = Config(metrics=MetricsConfig(listen="127.0.0.1:0"))
        await clock.advance(1)
        first = desk.tally.listening
        await scraped(first)
        desk.config = Config(metrics=MetricsConfig(listen="localhost:0"))
        await clock.advance(1)
        await until(lambda: desk.tally.listening not in (None, first))  # the old port is closed in real time
        assert desk.tally.listening.startswith("http://localhost:")
        await scraped(desk.tally.listening)
        with pytest.raises(aiohttp.ClientConnectorError):
            await scraped(first)
        desk.config = Config()
        await clock.advance(1)
        await until(lambda: desk.tally.listening is None)
        assert (desk.tally.listening, desk.tally.refused) == (None, None)


async def test_a_stop_closes_the_port(tmp_path: Path) -> None:
    """The next daemon can have it at once."""
    desk = desk_of(tmp_path, "127.0.0.1:0")
    async with running(desk):
        url = desk.tally.listening
    with pytest.raises(aiohttp.ClientConnectorError):
        await scraped(url)
