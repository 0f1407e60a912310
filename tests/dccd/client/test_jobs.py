"""Jobs by the client: what is asked, and what comes of it."""

from __future__ import annotations

import pytest

from dccd import messages as m
from dccd.client import Client
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError

pytestmark = pytest.mark.anyio

NAME = "backfill.binance.ohlc.BTC-USDT.1m"


async def test_some_jobs_are_listed(client: Client, daemon: FakeDaemon) -> None:
    """What is given is asked for, nothing else."""
    job = m.JobEntry(name=NAME, operation="backfill", dataset="binance.ohlc.BTC-USDT.1m", trigger_kind="once")
    daemon.replies["jobs.list"] = m.Jobs(host="fake", jobs=[job])
    assert await client.jobs(exchange="binance", trigger_kind="once") == [job]
    assert daemon.asked("jobs.list") == [m.JobsList(exchange="binance", trigger_kind="once")]


async def test_the_pages_of_many_jobs_are_one_list(client: Client, daemon: FakeDaemon) -> None:
    """Each is asked for after the last of the one before, with what was asked for at first."""
    every = [
        m.JobEntry(name=f"j{n}", operation="backfill", dataset="binance.ohlc.BTC-USDT.1m", trigger_kind="once")
        for n in range(5)
    ]

    def page(ask: m.JobsList) -> m.Jobs:
        left = [job for job in every if job.name > (ask.after or "")]
        return m.Jobs(host="fake", jobs=left[:2], next=left[1].name if len(left) > 2 else None)

    daemon.replies["jobs.list"] = page
    assert await client.jobs(exchange="binance") == every
    assert daemon.asked("jobs.list") == [m.JobsList(exchange="binance", after=after) for after in (None, "j1", "j3")]


async def test_a_job_is_run_and_can_be_followed(client: Client, daemon: FakeDaemon) -> None:
    """The reply is there at once with the run; its events are those of any run."""
    started = await client.run_job(NAME)
    assert (started.name, started.already_running) == (NAME, False)
    assert started.run is not None
    daemon.script = []
    await daemon.change(started.run, state="done")
    states = [event.run.state async for event in client.follow(started.run.run_id) if isinstance(event, m.RunStatus)]
    assert states == ["done"]


async def test_a_refusal_is_raised(client: Client, daemon: FakeDaemon) -> None:
    """As of any request; of several jobs each has its own in the reply."""
    daemon.replies["jobs.run"] = RequestError(404, "no_job", "there is no job x", "name")
    with pytest.raises(RequestError, match="there is no job x"):
        await client.run_job("x")
    outcome = m.JobOutcome(name=NAME, code=422, reason="empty_range", error="all is there")
    daemon.replies["jobs.run_all"] = m.JobsStarted(host="fake", jobs=[outcome])
    assert await client.run_jobs(data_type="ohlc") == [outcome]
    assert daemon.asked("jobs.run_all") == [m.JobRunAll(operation="backfill", data_type="ohlc")]
