"""Ticks from the store over the stream into the present, of the whole daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import pytest

from actors.daemon import Daemon, daemon
from dccd.auth.local import auth_folder
from dccd.auth.logins import read_credentials
from dccd.client import Client, Target
from dccd.config import Config, Job
from dccd.records import Trade
from dccd.simulator import SimConfig, Simulator
from dccd.symbols import NS
from tests.flows.support import take, with_jobs

pytestmark = pytest.mark.anyio

JOB = Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades")


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimConfig(exchanges=("binance",), seed=17, rate=200, history=0.01)) as simulator:
        yield simulator


def server_pid(running: Daemon) -> int:
    return int((running.links.data_path / ".dccd" / "nats" / "nats-server.pid").read_text())


def assert_whole(sim: Simulator, got: list[Trade]) -> None:
    """Every trade from the first to the last, once, in order, as it was."""
    numbers = [int(trade.tid or -1) for trade in got]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    true = sim.binance.truth.numbered("BTC/USDT", numbers[0], numbers[-1])
    assert [(t.tid, t.ts, t.price, t.amount) for t in got] == [(t.tid, t.ts, t.price, t.amount) for t in true]


async def test_from_the_store_into_the_present(sim: Simulator, config: Config) -> None:
    """A consumer that begins before the stream, and may only see, has every trade since then, once and in order: from
    the files, from the stream, across kill -9 of the bus, and live; and goes on with a position where it stopped."""
    config = with_jobs(config, JOB)
    users = auth_folder(config)
    users.init("nats://127.0.0.1:4222")

    def target(name: str) -> Target:
        return Target(url=running.bus_url, login=read_credentials(str(users.credentials(name))).login)

    async with daemon(config) as running, Client(target("viewer")) as client:
        first = (await take(client.ticks("binance", "BTC/USDT"), 100))[0].ts
        start = first - 60 * NS
        async with Client(target("operator")) as operator:
            run = await operator.backfill("binance", "BTC/USDT", "trades", start=start)
        assert run.state == "done" and run.rows > 5000
        got: list[Trade] = []
        with anyio.fail_after(60):
            async with client.ticks("binance", "BTC/USDT", since=start) as ticks, aclosing(aiter(ticks)) as trades:
                assert ticks.begins is not None and start <= ticks.begins < start + NS
                while not ticks.messages:  # of the stream; rows of the store aren't
                    got.append(await anext(trades))
                assert len(got) > 5000
                os.kill(server_pid(running), signal.SIGKILL)
                got += [await anext(trades) for _ in range(1000)]
                assert ticks.interruptions == 1
                position = ticks.position
            assert position is not None and not position.endswith("@store")
            got += await take(client.ticks("binance", "BTC/USDT", resume=position), 100)
            seen = [event.seq async for event in client.events()]
            assert seen == sorted(set(seen)) and len(seen) > 5
    assert_whole(sim, got)
