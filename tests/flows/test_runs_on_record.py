"""What is on record of a run while it goes on: how often it is written, its log, and who is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import anyio
import pytest

from actors.daemon import daemon
from dccd import messages as m
from dccd import subjects
from dccd.bus.direct import stream_state
from dccd.client import Client
from dccd.config import Config
from dccd.runs import Run
from dccd.simulator import Simulator
from dccd.simulator.faults import HttpError, HttpSlow
from dccd.symbols import NS

pytestmark = pytest.mark.anyio


async def test_a_run_is_written_at_most_once_a_second(sim: Simulator, config: Config) -> None:
    """However many pages it fetches: by the bucket's own revisions; with its position and the end of its log, before
    it has ended, and with nothing beside it once it has."""
    sim.faults.inject(HttpSlow(exchange="binance", seconds=0.5, count=10**6))
    sim.faults.inject(HttpError(exchange="binance", status=400, skip=48, count=10**6))
    async with daemon(config) as running, Client(running.bus_url) as client:
        bucket = f"KV_{subjects.BUCKET_RUNS}"
        before = (await stream_state(client.bus, bucket)).last
        began = time.monotonic()
        start = time.time_ns() - 3600 * NS
        run = (await client.start_backfill("binance", "BTC/USDT", "trades", start=start)).run
        with anyio.fail_after(60):
            async with aclosing(client.logs(run.run_id, follow=True, poll=0.2)) as told:
                lines = [event.message async for event in told if isinstance(event, m.RunLog)]
        seconds = time.monotonic() - began
        run = await client.run(run.run_id)
        state = await stream_state(client.bus, bucket)
        # The mark, queued, running, failed; and at most one each second, if only as its rows are on disk each five.
        assert 5 <= state.last - before <= 4 + seconds, seconds
        assert run.state == "failed" and run.start < run.position < run.end
        assert [(line.level, line.message) for line in run.log] == [("error", run.error)]
        assert lines == [run.error]
        assert state.messages == 1, "something beside the record is left"
        assert await client.runs(job=run.job, state="failed", since="1h") == [run.brief]


async def test_a_late_subscriber_gets_what_it_missed(sim: Simulator, config: Config) -> None:
    """All events of a run that was over before anybody listened, in order, and those of the next as they come."""
    async with daemon(config) as running, Client(running.bus_url) as client:
        first = await client.backfill("binance", "BTC/USDT", "ohlc", "1m", start=time.time_ns() - 3600 * NS)
        async with aclosing(client.events(kind="run.status", since="1h", follow=True)) as events:
            with anyio.fail_after(30):
                seen = [await anext(events) for _ in range(3)]
                assert [state_of(one.event) for one in seen] == ["queued", "running", "done"]
                assert {run_of(one.event).run_id for one in seen} == {first.run_id}
                second = (await client.start_backfill("binance", "ETH/USDT", "ohlc", "1m", start="origin")).run_id
                live = [await anext(events) for _ in range(3)]
        assert [(run_of(one.event).run_id, state_of(one.event)) for one in live] == [
            (second, state) for state in ("queued", "running", "done")
        ]
        assert [one.seq for one in [*seen, *live]] == sorted({one.seq for one in [*seen, *live]})


async def test_who_waits_for_an_event_holds_up_nobody(config: Config) -> None:
    """A daemon that is stopped while a request waits for what is to come answers it, and is gone at once."""
    async with daemon(config) as running:
        service = running.links.service
        assert service is not None
        client = await Client(running.bus_url).__aenter__()
        after = (await client.journal(m.Journal(last=0))).next
        ask = m.Journal(subject="dccd.events.none.>", after=after, wait=30)
        waiting = asyncio.ensure_future(client.journal(ask))
        with anyio.fail_after(20):
            while not service.running:  # noqa: ASYNC110 - it has no event
                await anyio.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 15  # of the 30 that it would wait
    assert (await waiting).events == []
    await client.aclose()


def run_of(event: object) -> Run:
    assert isinstance(event, m.RunStatus)
    return event.run


def state_of(event: object) -> str:
    return run_of(event).state
