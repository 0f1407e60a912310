"""Runs of a daemon that is killed at random moments: every run is in the state that it says, and goes on once."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from dccd import messages as m
from dccd import subjects
from dccd.bus.direct import stream_state
from dccd.client import Client
from dccd.errors import BusUnavailable, RequestError
from dccd.runs import Run
from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import HttpSlow
from dccd.symbols import NS
from tests.flows.support import running, write_config
from tests.ports import free_port

pytestmark = pytest.mark.anyio

PAIRS = ("BTC/USDT", "ETH/USDT")
DATASETS = [f"binance.trades.{pair.replace('/', '-')}" for pair in PAIRS]


@asynccontextmanager
async def connected(url: str, daemon: Process, log: Path) -> AsyncIterator[Client]:
    """A client, once the daemon answers."""
    async with AsyncExitStack() as stack:
        with anyio.fail_after(90):
            while True:
                assert daemon.returncode is None, await anyio.Path(log).read_text()
                try:
                    client = await stack.enter_async_context(Client(url, timeout=20))
                    break
                except BusUnavailable:
                    continue
            while True:
                try:
                    await client.health()
                    break
                except (BusUnavailable, RequestError):
                    await client.bus.barrier()
        yield client


async def told(client: Client) -> dict[str, list[Run]]:
    """Every state that each run was ever said to be in."""
    found: dict[str, list[Run]] = {}
    async for stored in client.events(kind="run.status"):
        assert isinstance(stored.event, m.RunStatus)
        found.setdefault(stored.event.run.run_id, []).append(stored.event.run)
    return found


async def check_position(client: Client, sim: Simulator, run: Run) -> None:
    """All before the position is stored, each trade once."""
    if run.start == 0 or run.position <= run.start:
        return
    rows = await client.read(run.dataset, end=run.position, columns=["tid"])
    ids = sorted(int(tid) for tid in rows["tid"])
    assert ids == list(range(ids[0], ids[-1] + 1)), f"{run.dataset} has holes before its position"
    symbol = run.dataset.rpartition(".")[2].replace("-", "/")
    (following,) = sim.binance.truth.numbered(symbol, ids[-1] + 1, ids[-1] + 1)
    assert following.ts >= run.position, f"{run.dataset} lacks rows before its position"


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, 25])
async def test_runs_survive_kills_at_random_moments(kills: int, tmp_path: Path) -> None:
    """After each restart every run is there once, was interrupted, and goes on from a position that is true."""
    chance = random.Random(kills)
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    # So much, by slow pages, that the runs are under way each time that the daemon is killed.
    start = time.time_ns() - 8000 * NS
    async with Simulator(SimConfig(exchanges=("binance",), seed=7, rate=40, history=0.1)) as sim:
        slow = sim.faults.inject(HttpSlow(exchange="binance", seconds=0.4 + 0.08 * kills, count=0))
        config, log = write_config(tmp_path, port, sim), tmp_path / "daemon.log"
        known: dict[str, str] = {}
        positions: dict[str, int] = {}
        for kill in range(kills + 1):
            async with running(config, log) as daemon, connected(url, daemon, log) as client:
                for pair, dataset in zip(PAIRS, DATASETS, strict=True):
                    started = await client.start_backfill("binance", pair, "trades", start=start)
                    assert known.setdefault(dataset, started.run_id) == started.run_id, "a second run of the same"
                    # One that goes on is where its record was, or further.
                    assert started.run.position >= positions.get(dataset, 0)
                if "storage.fold" not in known:
                    fold = await client.request("storage.fold", m.StorageFold())
                    known["storage.fold"] = fold.run_id
                listed = Counter(run.run_id for run in await client.runs(100))
                assert listed == Counter(known.values()), "forgotten, or there twice"
                states = await told(client)
                for run in await client.runs(100):
                    past = states[run.run_id]
                    interrupted = [one for one in past if one.state == "interrupted"]
                    assert len(interrupted) == run.resumed
                    if interrupted and run.dataset and kill:
                        await check_position(client, sim, interrupted[-1])
                if kill == kills:
                    slow.lift()
                    await finish(client, known)
                    os.kill(daemon.pid, signal.SIGTERM)
                    await daemon.wait()
                    break
                await anyio.sleep(chance.uniform(0.0, 2.0))
                for run in await client.runs(100):
                    if run.dataset:
                        positions[run.dataset] = run.position
                os.kill(daemon.pid, signal.SIGKILL)
                await daemon.wait()
        assert daemon.returncode == 0, log.read_text()[-4000:]


async def finish(client: Client, known: dict[str, str]) -> None:
    """Wait for the end of all runs: each is done, once, with every trade stored once."""
    resumed = 0
    for run_id in known.values():
        with anyio.fail_after(120):
            async with aclosing(client.follow(run_id)) as events:
                async for _ in events:
                    pass
        run = await client.run(run_id)
        assert (run.state, run.fraction) == ("done", 1.0), run
        resumed += run.resumed
        states = [one.state for one in (await told(client))[run_id]]
        assert states.count("done") == 1
        assert "running" not in states[states.index("done") :]
        if run.dataset:
            rows = await client.read(run.dataset, columns=["tid"])
            ids = sorted(int(tid) for tid in rows["tid"])
            assert ids == list(range(ids[0], ids[-1] + 1)), "not whole, or not once"
    assert resumed, "no run was interrupted: this test has tested nothing"
    state = await stream_state(client.bus, f"KV_{subjects.BUCKET_RUNS}")
    assert state.messages == len(known), "a mark of a run that is over is left"
