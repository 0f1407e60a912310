"""Jobs as they run in a daemon: again and again, one at a time, after failures, and after what nobody was there for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from actors.daemon import daemon
from dccd import subjects
from dccd.bus.kv import Bucket
from dccd.client import Client
from dccd.config import Config, Job
from dccd.errors import RequestError
from dccd.jobs import JobState
from dccd.messages import JobEntry, RunStatus
from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import HttpError
from dccd.symbols import NS
from tests.flows.support import client_of, running, watching, with_jobs
from tests.ports import free_port

pytestmark = pytest.mark.anyio

NAME = "backfill.binance.ohlc.BTC-USDT.1m"


def bars(kind: str = "interval", pair: str = "BTC/USDT", **fields: Any) -> Job:
    return Job(
        exchange="binance", pairs=[pair], data_type="ohlc", span="1m", operation="backfill",
        trigger_kind=kind,  # type: ignore[arg-type]  # a test
        **fields,
    )  # fmt: skip


def ended(event: Any) -> bool:
    return isinstance(event, RunStatus) and event.run.state in ("done", "failed")


async def entry(client: Client, name: str = NAME) -> JobEntry:
    return next(job for job in await client.jobs() if job.name == name)


async def remembered(client: Client, good: Callable[[JobState], bool], name: str = NAME) -> JobState:
    """What is on record of the job, once it is *good*."""
    key = subjects.job_state_key("alpha", name)
    with anyio.fail_after(60):
        async with aclosing(Bucket(client.bus, subjects.BUCKET_JOBS).watch(key)) as changes:
            async for change in changes:
                if change is not None and good(state := msgspec.json.decode(change.value, type=JobState)):
                    return state
    raise AssertionError("the watch has ended")


def is_over(state: str) -> Callable[[JobState], bool]:
    return lambda job: job.last_state == state


async def test_jobs_run_again_and_again_and_by_hand(config: Config) -> None:
    """An interval job has a run a second, one at a time; the list tells how they went; others run when asked."""
    jobs = (
        bars(every="1s"),
        bars("manual", "ETH/USDT"),
        bars("cron", "SOL/USDT", cron="0 4 * * *", timezone="Asia/Tokyo"),
        Job(exchange="kraken", pairs=["BTC/USD"], data_type="trades", trigger_kind="manual"),
    )
    async with daemon(with_jobs(config, *jobs)) as here, Client(here.bus_url) as client:
        async with watching(client, "dccd.events.run.*.status") as expect:
            runs = [(await expect(ended)).run for _ in range(3)]
        assert {(run.dataset, run.state, run.trigger) for run in runs} == {("binance.ohlc.BTC-USDT.1m", "done", "job")}
        assert len({run.run_id for run in runs}) == 3
        assert all(later.created >= earlier.finished for earlier, later in pairwise(runs))
        told = await entry(client)
        assert (told.trigger_kind, told.every, told.missed, told.failures) == ("interval", 1.0, "once", 0)
        assert told.next_run is not None and told.next_run < time.time_ns() + 2 * NS

        by_hand = await client.run_job("backfill.binance.ohlc.ETH-USDT.1m")
        assert by_hand.run is not None and by_hand.run.trigger == "request"
        done = await remembered(client, is_over("done"), by_hand.name)
        assert (done.last_run_id, done.next_run) == (by_hand.run_id, None)

        stream = await client.run_job("stream.kraken.trades.BTC-USD")
        assert (stream.run_id, stream.already_running) == (None, False)
        assert (await client.run_job(stream.name)).already_running
        assert [s.job for s in await client.streams()] == [stream.name]
        with pytest.raises(RequestError, match=f"did you mean.*{stream.name}") as unknown:
            await client.run_job("stream.kraken.trades.BTC-USDT")
        assert (unknown.value.code, unknown.value.reason) == (404, "no_job")

        cron = await client.jobs(trigger_kind="cron")
        assert [(job.timezone, job.cron) for job in cron] == [("Asia/Tokyo", "0 4 * * *")]
        assert cron[0].next_run is not None and cron[0].next_run // NS % 86_400 == 19 * 3600
        assert [job.name for job in await client.jobs(operation="stream")] == [stream.name]
        outcomes = await client.run_jobs(trigger_kind="cron")
        assert [(job.name, job.error) for job in outcomes] == [(cron[0].name, None)]
        assert outcomes[0].run_id == (await remembered(client, is_over("done"), cron[0].name)).last_run_id
        every = await client.run_jobs(exchange="binance", data_type="ohlc")
        assert len(every) == 3 and all(job.run_id or job.reason == "empty_range" for job in every)
        assert await client.run_jobs(exchange="okx") == []


async def test_a_failed_job_is_tried_again_later(sim: Simulator, config: Config) -> None:
    """The exchange's words and the count are told, the next try is a minute away; a run that is done ends that."""
    fault = sim.faults.inject(HttpError(exchange="binance", path="klines", status=400))
    async with daemon(with_jobs(config, bars(every="1h"))) as here, Client(here.bus_url) as client:
        await remembered(client, is_over("failed"))
        failed = await entry(client)
        assert failed.failures == 1 and failed.error
        assert failed.next_run is not None and failed.last_finished is not None
        assert 45 * NS < failed.next_run - failed.last_finished < 65 * NS
        sim.faults.lift(fault.id)
        await client.run_job(NAME)
        done = await remembered(client, is_over("done"))
        assert (done.failures, done.error) == (0, None)


async def up(client: Client) -> None:
    """The daemon is there: its stream speaks."""
    heard = anyio.Event()

    async def hear(message: Any) -> None:
        heard.set()

    subscription = await client.bus.subscribe(f"{subjects.TICKS}.>", hear)
    with anyio.fail_after(60):
        await heard.wait()
    await subscription.unsubscribe()


async def test_a_killed_daemon_makes_up_for_missed_runs_once(tmp_path: Path) -> None:
    """After kill -9 and hours of nothing there is one run more, and the next is in its time."""
    port = free_port()
    async with Simulator(SimConfig(exchanges=("binance",), seed=5, history=0.05)) as sim:
        config, log = tmp_path / "config.yml", tmp_path / "daemon.log"
        config.write_text(
            f"""
settings: {{data_path: {tmp_path / "data"}, host: alpha}}
bus: {{port: {port}}}
exchanges: {{binance: {{rest_url: "{sim.binance.rest_url}", ws_url: "{sim.binance.ws_url}", rate_limit: false}}}}
jobs:
- {{exchange: binance, pairs: [BTC/USDT], data_type: trades}}
- {{exchange: binance, pairs: [BTC/USDT], data_type: ohlc, span: 1m, operation: backfill,
    trigger_kind: interval, every: 1h}}
"""
        )
        url = f"nats://127.0.0.1:{port}"
        async with running(config, log) as process:
            async with client_of(url) as client:
                await up(client)
                first = await remembered(client, is_over("done"))
                # As if it had been killed five and a half hours ago.
                killed = msgspec.structs.replace(first, next_run=time.time_ns() - int(4.5 * 3600) * NS)
                key = subjects.job_state_key("alpha", NAME)
                await Bucket(client.bus, subjects.BUCKET_JOBS).put(key, msgspec.json.encode(killed))
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        async with running(config, log) as process, client_of(url) as client:
            await up(client)
            second = await remembered(
                client, lambda job: job.last_run_id != first.last_run_id and job.last_state == "done"
            )
            assert second.missed == 5
            assert second.next_run is not None and 3500 * NS < second.next_run - time.time_ns() < 3600 * NS
            assert [run.trigger for run in await client.runs(dataset="binance.ohlc.BTC-USDT.1m")] == ["job", "job"]
            os.kill(process.pid, signal.SIGTERM)
            await process.wait()
        assert process.returncode == 0, log.read_text()[-4000:]
