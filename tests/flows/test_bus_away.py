"""The bus dies, or is away for long, while streams run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

from actors.daemon import Daemon, daemon
from dccd import subjects
from dccd.bus.kv import Bucket
from dccd.client import Client
from dccd.config import BusConfig, Config, Job
from dccd.messages import RunStatus, StreamGap
from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import HttpSlow
from dccd.store.reader import Store
from dccd.symbols import NS, Dataset
from tests.flows.support import take, watching, with_jobs
from tests.flows.test_config import until

pytestmark = pytest.mark.anyio

DATASET = Dataset.parse("binance.trades.BTC-USDT")
JOB = Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades")


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimConfig(exchanges=("binance",), seed=13, rate=300, history=0.01)) as simulator:
        yield simulator


def server_pid(running: Daemon) -> int:
    return int((running.links.data_path / ".dccd" / "nats" / "nats-server.pid").read_text())


def assert_whole(config: Config, sim: Simulator) -> None:
    """Every trade between the first and the last on disk is there, once, as it was."""
    frame = Store(Path(config.settings.data_path)).read(DATASET)
    got = sorted(frame.select("tid", "TS", "price", "amount").rows(), key=lambda row: int(row[0]))
    true = sim.binance.truth.numbered("BTC/USDT", int(got[0][0]), int(got[-1][0]))
    assert got == [(trade.tid, trade.ts, trade.price, trade.amount) for trade in true]


@pytest.mark.slow
async def test_a_killed_server_comes_back_with_everything(sim: Simulator, config: Config) -> None:
    """kill -9, three times: streams, requests, KV watches and unacknowledged publishes go on, and nothing is lost."""
    config = with_jobs(config, JOB)
    async with daemon(config) as running, Client(running.bus_url) as client:
        runs = Bucket(client.bus, subjects.BUCKET_RUNS)
        watch = runs.watch("test")
        assert await anext(watch) is None
        for number in range(3):
            await take(client.ticks("binance", "BTC/USDT"), 50)
            os.kill(server_pid(running), signal.SIGKILL)
            await take(client.ticks("binance", "BTC/USDT"), 50)
            await runs.put("test", str(number).encode())
            with anyio.fail_after(20):
                entry = await anext(watch)
            assert entry is not None
            assert entry.value == str(number).encode()
            assert (await client.health()).bus_url == running.bus_url
        await watch.aclose()
        (entry_,) = await client.inventory()
        assert entry_.gaps == []
    assert_whole(config, sim)


@pytest.mark.slow
async def test_what_overflows_while_the_bus_is_away_is_a_gap_and_is_repaired(sim: Simulator, config: Config) -> None:
    """The buffer is bounded: what doesn't fit is reported with its interval and fetched again."""
    # It holds what comes within some seconds: a machine that is busy for one must not be an overflow of its own.
    config = with_jobs(msgspec.structs.replace(config, bus=BusConfig(port=0, buffer="150kB")), JOB)
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client, seconds=60) as expect:
        await take(client.ticks("binance", "BTC/USDT"), 50)
        pid = server_pid(running)
        os.kill(pid, signal.SIGSTOP)
        try:
            with anyio.fail_after(30):
                # A frozen bus tells nothing, so there is no event to wait for.
                while not running.links.publisher.statistics()["overflowing"]:  # noqa: ASYNC110  # so it is asked
                    await anyio.sleep(0.02)
        finally:
            os.kill(pid, signal.SIGCONT)
        gap = await expect(lambda event: isinstance(event, StreamGap))
        assert "overflow" in gap.reason
        done = await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "done")
        assert done.run.start <= gap.start < gap.end <= done.run.end
        await until(lambda: is_whole(client), 60)
        await take(client.ticks("binance", "BTC/USDT"), 50)
    assert_whole(config, sim)


@pytest.mark.slow
async def test_a_bus_that_comes_back_empty_is_begun_anew(sim: Simulator, config: Config) -> None:
    """Its store is lost with all streams and buckets: they are made again, what was missed is fetched, and a run that
    was under way goes on as the same run."""
    async with daemon(with_jobs(config, JOB)) as running, Client(running.bus_url, timeout=20) as client:
        await take(client.ticks("binance", "BTC/USDT"), 50)
        slow = sim.faults.inject(HttpSlow(exchange="binance", seconds=1.0, count=0))
        started = await client.start_backfill("binance", "ETH/USDT", "trades", start=time.time_ns() - 600 * NS)
        store = running.links.data_path / ".dccd" / "nats"
        pid = server_pid(running)
        os.kill(pid, signal.SIGSTOP)  # it must not write there once more
        (store / "jetstream").rename(store / "lost")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: run_is(client, started.run_id, "running", "queued"), 60)
        slow.lift()
        await until(lambda: run_is(client, started.run_id, "done"), 60)

        async def is_well() -> bool:
            [stream] = await client.streams()
            live = stream.state == "live" and stream.gaps
            return bool((await client.health()).ok and live and await is_whole(client))

        await until(is_well, 60)
        await take(client.ticks("binance", "BTC/USDT"), 50)
    assert_whole(config, sim)


async def is_whole(client: Client) -> bool:
    """Whether all that is known to be missed has been fetched."""
    (entry,) = [one for one in await client.inventory() if one.dataset == DATASET.name]
    return all(gap.state == "repaired" for gap in entry.gaps)


async def run_is(client: Client, run_id: str, *states: str) -> bool:
    """Whether the daemon knows it, in one of *states*."""
    return any(run.run_id == run_id and run.state in states for run in await client.runs(10))
