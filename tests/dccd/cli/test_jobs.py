"""``dccd jobs``: which there are, and running them now."""

from __future__ import annotations

import json

import msgspec
import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError
from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

NAME = "backfill.binance.ohlc.BTC-USDT.1m"
AT = 1_704_067_200_000_000_000


async def test_the_table_tells_what_became_of_each(dccd: Command, daemon: FakeDaemon) -> None:
    """When, in which zone, the last run's state and time, and what there is to worry about."""
    job = m.JobEntry(
        name=NAME,
        operation="backfill",
        dataset="binance.ohlc.BTC-USDT.1m",
        trigger_kind="cron",
        cron="5 * * * *",
        timezone="Europe/Paris",
        source="request",
        next_run=AT,
        last_run_id="018c",
        last_state="failed",
        last_started=AT - 10**10,
        last_finished=AT - 10**9,
        failures=3,
        error="no such pair",
        missed_runs=2,
    )
    daemon.replies["jobs.list"] = m.Jobs(host="fake", jobs=[job])
    done = await dccd("jobs")
    assert (
        done.out.splitlines()[1].split()
        == (
            f"{NAME} cron 5 * * * * Europe/Paris 2024-01-01 00:00:00 failed 2023-12-31 23:59:59 018c "
            "failed 3×; no such pair; missed 2; not in a file"
        ).split()
    )


async def test_some_of_them_are_asked_for(dccd: Command, daemon: FakeDaemon) -> None:
    """The options go to the daemon as they are."""
    words = ["--operation", "backfill", "--exchange", "binance", "--type", "ohlc", "--trigger", "cron"]
    done = await dccd("jobs", *words)
    assert (done.code, done.err) == (0, "there are no such jobs\n")
    asked = m.JobsList(operation="backfill", exchange="binance", data_type="ohlc", trigger_kind="cron")
    assert daemon.asked("jobs.list") == [asked]


async def test_a_job_is_run(dccd: Command, daemon: FakeDaemon) -> None:
    """The run's id is printed for scripts; with --json the whole reply."""
    done = await dccd("jobs", "run", NAME)
    (run_id,) = daemon.runs
    assert (done.code, done.out, done.err) == (0, f"{run_id}\n", "")
    assert daemon.asked("jobs.run") == [m.JobRun(name=NAME)]
    done = await dccd("jobs", "run", NAME, "--json")
    assert json.loads(done.out)["run"]["dataset"] == "binance.ohlc.BTC-USDT.1m"
    done = await dccd("jobs", "run", "stream.kraken.trades.BTC-USD")
    assert done.out == "stream.kraken.trades.BTC-USD: started\n"


@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1)])
async def test_a_run_is_followed(dccd: Command, daemon: FakeDaemon, state: str, code: int) -> None:
    """To its end, whose outcome is the exit code."""
    run = daemon.new_run("binance.ohlc.BTC-USDT.1m")
    daemon.replies["jobs.run"] = m.JobStarted(name=NAME, run_id=run.run_id, already_running=True, run=run)
    daemon.script = [
        m.RunStatus(at=1, host="fake", run=msgspec.structs.replace(run, state=state, updated=run.updated + 1))
    ]
    done = await dccd("jobs", "run", NAME, "--follow")
    assert done.code == code
    assert f"run {run.run_id} goes on" in done.err


async def test_a_job_that_there_is_not_is_3(dccd: Command, daemon: FakeDaemon) -> None:
    """The daemon's words, which name those near."""
    daemon.replies["jobs.run"] = RequestError(404, "no_job", "there is no job x; did you mean y?", "name")
    done = await dccd("jobs", "run", "x")
    assert (done.code, done.out) == (3, "")
    assert "did you mean y?" in done.err


@pytest.mark.parametrize(("reason", "code"), [("empty_range", 0), ("no_capability", 1)])
async def test_all_jobs_are_run(dccd: Command, daemon: FakeDaemon, reason: str, code: int) -> None:
    """A line each with its run or why there is none; a refusal is a failure, that all is there is none."""
    daemon.replies["jobs.run_all"] = m.JobsStarted(
        host="fake",
        jobs=[
            m.JobOutcome(name="backfill.a", run_id="018c"),
            m.JobOutcome(name="backfill.b", run_id="018d", already_running=True),
            m.JobOutcome(name="backfill.c", code=422, reason=reason, error="it can't"),
        ],
    )
    done = await dccd("jobs", "run-all", "--exchange", "binance")
    assert done.code == code
    assert [line.split() for line in done.out.splitlines()[1:]] == [
        ["backfill.a", "018c"],
        ["backfill.b", "018d", "was", "running", "already"],
        ["backfill.c", "it", "can't"],
    ]
    assert daemon.asked("jobs.run_all") == [m.JobRunAll(exchange="binance")]


async def test_a_time_to_run_at_is_of_backfills(dccd: Command, daemon: FakeDaemon) -> None:
    """Who forgot to say so is told the option."""
    done = await dccd("jobs", "create", "kraken", "BTC/USD", "--every", "1h")
    assert done.code == 2
    assert "add --operation backfill" in done.err
    assert daemon.asked("jobs.create") == []
