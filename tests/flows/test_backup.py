"""What docs/operating.md says of backup: a copy of ``data_path``, made while no daemon runs, is all that one needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import msgspec
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.simulator import Simulator
from dccd.store.reader import Store
from dccd.symbols import Dataset
from tests.flows.support import with_jobs

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
STREAM = Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades")


def tids(path: Path) -> list[int]:
    return [int(tid) for tid in Store(path).read(TRADES, columns=["tid"])["tid"]]


async def live(client: Client) -> None:
    """Wait until the stream of trades has some."""
    with anyio.fail_after(30):
        async for _ in client.ticks("binance", "BTC/USDT"):
            break


async def collected(config: Config) -> tuple[list[int], str]:
    """Have a daemon collect, backfill and be asked for a job; return the trades that are stored, and the run."""
    async with daemon(with_jobs(config, STREAM)) as running, Client(running.bus_url) as client:
        run = await client.backfill("binance", "ETH/USDT", "ohlc", "1m", start="origin")
        await client.create_job("kraken", "ETH/USD")
        await live(client)
    return tids(Path(config.settings.data_path)), run.run_id


def copied(config: Config, to: Path, *, without: str = "") -> Config:
    """The configuration of the same host with a copy of its data, as on a new machine; the first one is gone."""
    path = Path(config.settings.data_path)
    shutil.copytree(path, to, symlinks=True)
    shutil.rmtree(path)
    if without:
        shutil.rmtree(to / without)
    return with_jobs(
        msgspec.structs.replace(config, settings=msgspec.structs.replace(config.settings, data_path=str(to))), STREAM
    )


async def whole(client: Client, path: Path, before: list[int]) -> None:
    """Wait until all that came since, and between, is stored; once each."""
    with anyio.fail_after(60):
        while True:
            now = tids(path)
            if len(now) > len(before) and sorted(now) == list(range(min(now), max(now) + 1)):
                break
            await client.health()
            await anyio.sleep(0.1)
    assert set(before) <= set(now)


async def test_a_copy_of_the_folder_goes_on_elsewhere(sim: Simulator, config: Config, tmp_path: Path) -> None:
    """Rows, the history of runs, jobs that stand in no file; what came meanwhile is fetched, nothing is there twice."""
    before, run = await collected(config)
    moved = copied(config, tmp_path / "elsewhere")
    async with daemon(moved) as running, Client(running.bus_url) as client:
        assert run in [entry.run_id for entry in await client.runs()]
        assert "stream.kraken.trades.ETH-USD" in [job.name for job in await client.jobs()]
        await whole(client, tmp_path / "elsewhere", before)


async def test_without_the_store_of_the_bus_the_rows_are_there(sim: Simulator, config: Config, tmp_path: Path) -> None:
    """Only what stands nowhere else is lost: the history of runs, and jobs that stand in no file."""
    before, run = await collected(config)
    moved = copied(config, tmp_path / "elsewhere", without=".dccd/nats")
    async with daemon(moved) as running, Client(running.bus_url) as client:
        assert run not in [entry.run_id for entry in await client.runs()]
        assert [job.name for job in await client.jobs()] == ["stream.binance.trades.BTC-USDT"]
        await whole(client, tmp_path / "elsewhere", before)
