"""When a job runs next, and what is done when its time comes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from actors.mail import GetJobs
from actors.runtime.clock import FakeClock
from actors.runtime.exits import ActorGone
from actors.runtime.root import open_root
from actors.scheduler import Scheduler, next_run
from dccd.config import Config, Job
from dccd.errors import BusUnavailable, NoCapability, RequestError
from dccd.symbols import NS, parse_time


def job(**fields: object) -> Job:
    return Job(
        exchange="binance",
        pairs=["BTC/USDT"],
        data_type="trades",
        operation="backfill",
        **fields,  # type: ignore[arg-type]  # a test
    )


AFTER = parse_time("2024-07-01T10:30:00Z")


@pytest.mark.parametrize(
    ("what", "zone", "due"),
    [
        (job(trigger_kind="interval", every="90m"), "UTC", AFTER + 5400 * NS),
        (job(trigger_kind="cron", cron="0 12 * * *"), "UTC", parse_time("2024-07-01T12:00:00Z")),
        (job(trigger_kind="cron", cron="0 12 * * *"), "Europe/Paris", parse_time("2024-07-02T10:00:00Z")),
        (job(trigger_kind="cron", cron="*/15 * * * *"), "UTC", parse_time("2024-07-01T10:45:00Z")),
        (job(trigger_kind="once"), "UTC", None),
        (job(trigger_kind="manual"), "UTC", None),
    ],
)
def test_the_next_run(what: Job, zone: str, due: int | None) -> None:
    """Intervals count from the last run, cron fields are read in the configured zone, the others have no next run."""
    assert next_run(what, AFTER, ZoneInfo(zone)) == due


class Desk(SimpleNamespace):
    """What a scheduler takes of the daemon's shared names; orders are answered from *answers*, then taken."""

    def __init__(self, *jobs: Job, answers: tuple[Exception, ...] = ()) -> None:
        super().__init__(config=Config(jobs=list(jobs)), answers=list(answers), orders=[])

    async def ask_runner(self, order: Any) -> Any:
        self.orders.append(order.start)
        if self.answers:
            raise self.answers.pop(0)
        return SimpleNamespace(run_id=f"run{len(self.orders)}")


@pytest.mark.anyio
async def test_one_dataset_may_have_several_jobs() -> None:
    """All of its past once, and then what is new by the hour: each as its own trigger says."""
    desk: Any = Desk(job(trigger_kind="once", start="origin"), job(trigger_kind="interval", every="1h"))
    clock = FakeClock(wall_ns=AFTER)
    async with open_root(Scheduler(desk, desk), clock=clock) as ref:
        await clock.advance(1)
        assert desk.orders == ["origin", "last"]
        await clock.advance(3600)
        assert desk.orders == ["origin", "last", "last"]
        once, hourly = await ref.ask(GetJobs())
    assert (once.next_run, once.last_run_id) == (None, "run1")
    assert hourly.last_run_id == "run3"
    assert hourly.next_run > AFTER + 7000 * NS


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "orders"),
    [
        (BusUnavailable("away"), 2),
        (TimeoutError(), 2),
        (ActorGone(("runner",), "restarts"), 2),
        (RequestError(503, "not_now", "starting"), 2),
        (RequestError(422, "empty_range", "nothing to do"), 1),
        (NoCapability("binance", "no such thing"), 1),
    ],
)
async def test_what_could_not_be_ordered_is_ordered_again(answer: Exception, orders: int) -> None:
    """A daily job doesn't lose its day to a bus that is away for a moment; a refusal stands."""
    desk: Any = Desk(job(trigger_kind="once"), answers=(answer,))
    clock = FakeClock(wall_ns=AFTER)
    async with open_root(Scheduler(desk, desk), clock=clock) as ref:
        await clock.advance(600)
        assert len(desk.orders) == orders
        assert ref.alive
