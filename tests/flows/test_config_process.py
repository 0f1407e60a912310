"""The configuration of a real process: signals, kills at any moment, and the ``nats`` command."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from dccd import subjects
from dccd.bus.kv import Bucket
from dccd.client import Client
from dccd.config import load
from dccd.errors import BusUnavailable
from dccd.jobs import JobSpec, specs_of
from dccd.simulator import SimConfig, Simulator
from tests.commands import needed
from tests.flows.support import client_of, running, write_config
from tests.flows.test_config import live, put_text, text_of, until
from tests.flows.test_kills import COLLECTING
from tests.flows.test_nats_command import nats
from tests.ports import free_port

pytestmark = pytest.mark.anyio

FIRST = "binance.trades.BTC-USDT"


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[tuple[Path, Path, str]]:
    """A configuration file, a log, and the URL of the bus that it names; the exchange runs meanwhile."""
    port = free_port()
    async with Simulator(SimConfig(exchanges=("binance",), seed=5, rate=50, history=0.01)) as sim:
        file = write_config(folder, port, sim, COLLECTING)
        put_text(file, "# ours\n" + text_of(file).replace("jobs: [", "jobs:   # all\n  - ").replace("}]\n", "}\n"))
        yield file, folder / "daemon.log", f"nats://127.0.0.1:{port}"


async def test_sighup_takes_the_file_over_at_once(tmp_path: Path) -> None:
    """And what it leaves as it was doesn't blink: not one trade is missing."""
    async with place(tmp_path) as (file, log, url), running(file, log) as daemon, client_of(url) as client:
        await live(client, FIRST)
        put_text(file, text_of(file) + "  - {exchange: binance, pairs: [ETH/USDT], data_type: trades}\n")
        os.kill(daemon.pid, signal.SIGHUP)
        await live(client, FIRST, "binance.trades.ETH-USDT")
        [stays] = [stream for stream in await client.streams() if stream.dataset == FIRST]
        assert (stays.gaps, stays.reconnects, stays.restarts) == (0, 0, 0)
        put_text(file, "jobs: nonsense\n")
        os.kill(daemon.pid, signal.SIGHUP)

        async def told() -> bool:
            return (await client.config()).error is not None

        await until(told)
        assert daemon.returncode is None
        assert "jobs: found 'nonsense'" in text_of(log)
        await live(client, FIRST, "binance.trades.ETH-USDT")


async def test_a_daemon_killed_in_the_middle_of_changes_starts_with_what_was_saved(tmp_path: Path) -> None:
    """The file is whole, its jobs run, and the bus has an entry for each of them and for no other."""
    chance = random.Random(7)
    async with place(tmp_path) as (file, log, url):
        for _ in range(3):
            async with running(file, log) as daemon, client_of(url) as client:
                await until(client_is_there(client))
                async with anyio.create_task_group() as group:
                    group.start_soon(_change, client, chance)
                    await anyio.sleep(chance.uniform(0.05, 1.0))
                    os.kill(daemon.pid, signal.SIGKILL)
                    await daemon.wait()
                    group.cancel_scope.cancel()
            assert "# ours" in text_of(file)
            load(file)
        async with running(file, log), client_of(url) as client:
            await until(client_is_there(client))
            wanted = {spec.name: spec for spec in specs_of(load(file))}
            await live(client, *(spec.dataset for spec in wanted.values()))
            assert {job.name for job in await client.jobs()} == set(wanted)
            prefix = subjects.job_key("alpha", "")
            bucket = Bucket(client.bus, subjects.BUCKET_JOBS)
            there = [msgspec.json.decode(entry.value, type=JobSpec) for entry in await bucket.find(prefix)]
            assert {spec.name: spec for spec in there} == wanted


def client_is_there(client: Client) -> Callable[[], Awaitable[bool]]:
    """Whether the daemon answers."""

    async def there() -> bool:
        return bool(await client.health())

    return there


async def _change(client: Client, chance: random.Random) -> None:
    """Other pairs, again and again."""
    while True:
        with contextlib.suppress(BusUnavailable):
            got = await client.config()
            pairs = chance.sample(["BTC/USDT", "ETH/USDT", "SOL/USDT"], chance.randint(1, 3))
            got.config["jobs"][0]["pairs"] = pairs
            await client.put_config(got.config, got.revision)


async def test_the_configuration_with_nats_req(tmp_path: Path) -> None:
    """A script gets it, changes it with jq's like, puts it, and is refused what is wrong, without a client of ours."""
    needed("nats")

    async def ask(operation: str, body: Any) -> Any:
        return json.loads(await nats(url, "req", "--raw", "--timeout", "20s", f"dccd.{operation}", json.dumps(body)))

    async with place(tmp_path) as (file, log, url), running(file, log), client_of(url) as client:
        await live(client, FIRST)
        got = await ask("config.get", {})
        assert got["file"] == str(file)
        wanted = got["config"]
        wanted["jobs"].append({"exchange": "binance", "pairs": ["ETH/USDT"], "data_type": "trades"})
        done = await ask("config.put", {"revision": got["revision"], "config": wanted})
        assert done["started"] == ["binance.trades.ETH-USDT"]
        refused = await ask("config.put", {"revision": got["revision"], "config": wanted})
        assert (refused["error"]["code"], refused["error"]["reason"]) == (409, "conflict")
        job = {"exchange": "binance", "pairs": ["SOL/USDT"], "data_type": "trades"}
        assert (await ask("jobs.create", job))["jobs_added"] == ["stream.binance.trades.SOL-USDT"]
        assert (await ask("jobs.create", job))["error"]["code"] == 409
        name = {"name": "stream.binance.trades.SOL-USDT"}
        assert (await ask("jobs.update", {**name, "restart": "transient"}))["restarted"] == ["binance.trades.SOL-USDT"]
        assert (await ask("jobs.update", {**name, "every": "1h"}))["error"]["field"] == "every"
        assert (await ask("jobs.delete", name))["stopped"] == ["binance.trades.SOL-USDT"]
        assert (await ask("jobs.delete", name))["error"]["code"] == 404
        assert (await ask("config.put", {"revision": "x"}))["error"]["code"] == 400
        assert "# ours" in (await ask("config.get", {"yaml": True}))["yaml"]
