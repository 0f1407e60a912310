"""The configuration while the daemon runs: what changes is done, what doesn't goes on undisturbed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
import yaml

from actors.daemon import Daemon, daemon
from dccd.client import Client
from dccd.config import Config, load
from dccd.config_edit import sparse
from dccd.errors import RequestError
from dccd.simulator import Simulator
from tests.flows.support import take

pytestmark = pytest.mark.anyio

JOBS = """\
# What we collect
jobs:
  # bitcoin, of course
  - exchange: binance
    pairs: [BTC/USDT, ETH/USDT]
    data_type: trades
  # a little history
  - exchange: binance
    pairs: [BTC/USDT]
    data_type: ohlc
    span: 1m
    operation: backfill
    trigger_kind: interval
    every: 1h   # often enough
"""


@pytest.fixture
def file(config: Config, tmp_path: Path) -> Path:
    """A configuration file with comments."""
    path = tmp_path / "config.yml"
    path.write_text("# Ours\n" + yaml.safe_dump(sparse(config), sort_keys=False) + JOBS)
    return path


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[tuple[Daemon, Client]]:
    """A daemon that follows *file*, all its streams live."""
    async with daemon(load(file), path=file) as found, Client(found.bus_url) as client:
        await live(client, *(spec.dataset for spec in found.links.specs.values() if spec.operation == "stream"))
        yield found, client


async def live(client: Client, *datasets: str) -> None:
    """Wait until the streams of these, and no others, are live."""
    with anyio.fail_after(20):
        while {s.dataset for s in await client.streams() if s.state == "live" and s.records} != set(datasets):
            await anyio.sleep(0.05)


def incarnation(found: Daemon, dataset: str) -> object:
    """What is another one after a restart, whoever asked for it."""
    ref = found.links.streams.whereis(dataset)
    assert ref is not None
    return ref


async def test_a_put_starts_stops_and_restarts_what_changes_and_nothing_else(file: Path) -> None:
    """The stream that stays has the same actor and no gap; the file has the change, and its comments."""
    async with running(file) as (found, client):
        stays = incarnation(found, "binance.trades.BTC-USDT")
        got = await client.config()
        wanted = got.config
        wanted["jobs"][0]["pairs"] = ["BTC/USDT"]
        wanted["jobs"].append({"exchange": "kraken", "pairs": ["BTC/USD"], "data_type": "orderbook", "depth": 10})
        wanted["jobs"][1]["every"] = "2h"
        wanted["alerts"]["free_space"] = "1MiB"
        wanted["bus"]["window"] = 65
        would = await client.put_config(wanted, got.revision, dry_run=True)
        assert (await client.config()).revision == got.revision
        done = await client.put_config(wanted, got.revision)
        for reply in (would, done):
            assert reply.started == ["kraken.orderbook.BTC-USD"]
            assert reply.stopped == ["binance.trades.ETH-USDT"]
            assert reply.restarted == []
            assert reply.jobs_changed == ["backfill.binance.ohlc.BTC-USDT.1m"]
            assert reply.applied == ["alerts.free_space"]
            assert reply.restart_required == ["bus.window"]
        await live(client, "binance.trades.BTC-USDT", "kraken.orderbook.BTC-USD")

        got = await client.config()
        assert got.restart_required == ["bus.window"]
        wanted = got.config
        wanted["jobs"][-1]["depth"] = 25
        done = await client.put_config(wanted, got.revision)
        assert (done.started, done.stopped, done.restarted) == ([], [], ["kraken.orderbook.BTC-USD"])
        await live(client, "binance.trades.BTC-USDT", "kraken.orderbook.BTC-USD")
        assert incarnation(found, "binance.trades.BTC-USDT") is stays
        [stream] = [s for s in await client.streams() if s.dataset == "binance.trades.BTC-USDT"]
        assert (stream.restarts, stream.reconnects, stream.gaps) == (0, 0, 0)
        [hourly] = [job for job in await client.jobs() if job.operation == "backfill"]
        assert hourly.every == 7200
        assert found.links.config.bus.window == 64
    text = file.read_text()
    assert all(line in text for line in ("# Ours", "# What we collect", "# bitcoin, of course", "# a little history"))
    assert load(file).jobs[0].pairs == ["BTC/USDT"]
    assert load(file).bus.window == 65
