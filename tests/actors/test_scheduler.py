"""What is done when a job's time comes, and what is remembered of it: with our own clock, runner and bucket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.mail import GetJobs, RunJob, RunSettled, SetJobs
from actors.runtime.actor import ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.exits import ActorGone
from actors.runtime.root import open_root
from actors.scheduler import Scheduler
from dccd.bus.direct import decode_reply
from dccd.bus.kv import Entry
from dccd.errors import BusUnavailable, CorruptFile, NoCapability, RequestError
from dccd.jobs import JobSpec, JobState
from dccd.messages import BackfillStarted
from dccd.runs import Run
from dccd.symbols import NS, parse_time
from tests.dccd.bus.not_now import NOT_NOW

pytestmark = pytest.mark.anyio

NOW = parse_time("2024-07-01T10:30:00Z")


def job(kind: str = "interval", dataset: str = "binance.trades.BTC-USDT", **fields: Any) -> JobSpec:
    if kind == "interval":
        fields.setdefault("every", 3600.0)
    return JobSpec(name=f"backfill.{dataset}", operation="backfill", dataset=dataset, trigger_kind=kind, **fields)  # type: ignore[arg-type]  # a test


def many(count: int, **fields: Any) -> list[JobSpec]:
    return [job(dataset=f"binance.trades.A{number}-USDT", **fields) for number in range(count)]


class Wall(FakeClock):
    """A clock on the wall that can be set while time goes on as ever."""

    def __init__(self) -> None:
        super().__init__(wall_ns=NOW)
        self.set = 0

    def wall_ns(self) -> int:
        return super().wall_ns() + self.set


class Desk(SimpleNamespace):
    """What a scheduler takes of the daemon's shared names: a runner that starts what it is asked for, or answers from
    *answers* first; the run history, and a bucket. ``away``: why the bus takes nothing, or what JetStream answers."""

    def __init__(
        self, *jobs: JobSpec, answers: tuple[Exception, ...] = (), kept: dict[str, bytes] | None = None
    ) -> None:
        super().__init__(
            host="alpha", started=NOW, specs={spec.name: spec for spec in jobs}, job_states={}, scheduler=None,
            active={}, history={}, jobs=self, orders=[], answers=list(answers), kept=kept or {}, away=None,
            clock=Wall(),
        )  # fmt: skip

    async def ask_runner(self, order: Any) -> Any:
        self.orders.append((order.dataset.name, order.start, order.trigger))
        if self.answers:
            raise self.answers.pop(0)
        run = Run(
            run_id=f"run{len(self.orders)}", dataset=order.dataset.name, state="running", host="alpha",
            created=0, updated=0, start=0, end=100, position=0,
        )  # fmt: skip
        self.active[run.run_id] = run
        return BackfillStarted(run_id=run.run_id, already_running=False, run=run)

    def over(self, run_id: str, state: str = "done", position: int = 0) -> Run:
        """The run is over, and that is on record."""
        error = "down" if state == "failed" else None
        run = msgspec.structs.replace(self.active.pop(run_id), state=state, error=error, position=position)
        self.history[run_id] = run
        return run

    async def put(self, key: str, value: bytes) -> int:
        self._here(key)
        self.kept[key] = value
        return 1

    def _here(self, key: str) -> None:
        if isinstance(self.away, bytes):
            decode_reply(key, self.away, dict)
        elif self.away is not None:
            raise self.away

    async def remove(self, key: str) -> None:
        self._here(key)
        self.kept.pop(key, None)

    async def find(self, prefix: str) -> list[Entry]:
        return [Entry(key, value, 1, 0) for key, value in self.kept.items() if key.startswith(prefix.rstrip("."))]

    async def get(self, run_id: str) -> Run:
        """As the run history has it."""
        if run_id not in self.history:
            raise RequestError(404, "no_run", "no such run")
        return self.history[run_id]  # type: ignore[no-any-return]  # a namespace

    def state(self, dataset: str = "binance.trades.BTC-USDT") -> JobState:
        """What is on record of a job."""
        return msgspec.json.decode(self.kept[f"alpha.state.backfill.{dataset}"], type=JobState)

    def made(self, **fields: Any) -> Scheduler:
        links: Any = self
        scheduler = Scheduler(links, chance=lambda: 0.5, **fields)
        scheduler.book = links
        return scheduler


@pytest.fixture
def desk() -> Desk:
    return Desk(job())


async def settle(desk: Desk, ref: ActorRef, run: Run) -> None:
    await ref.tell(RunSettled(run))
    await desk.clock.settle()


async def test_an_interval_job_runs_again_and_again(desk: Desk) -> None:
    """At once, then each hour, each run as the one before is over; what became of it is on record."""
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        for number in (1, 2, 3):
            assert len(desk.orders) == number
            assert desk.state().last_state == "running"
            await settle(desk, ref, desk.over(f"run{number}"))
            assert desk.state().last_state == "done"
            await desk.clock.advance(3600)
    assert set(desk.orders) == {("binance.trades.BTC-USDT", "last", "job")}
    assert desk.state().missed == 0


async def test_no_run_beside_itself(desk: Desk) -> None:
    """While the last run goes on none is ordered; when it is over, one makes up for the missed ones."""
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.advance(2 * 3600 + 60)
        assert (len(desk.orders), desk.state().missed, desk.state().owed) == (1, 2, True)
        await settle(desk, ref, desk.over("run1"))
        await desk.clock.advance(60)
        assert len(desk.orders) == 2


async def test_many_jobs_do_not_start_at_once() -> None:
    """A hundred begin over ten seconds, by the dice; a single one begins at once."""
    desk = Desk(*many(101))
    async with open_root(desk.made(), clock=desk.clock):
        await desk.clock.settle()
        assert desk.orders == []
        await desk.clock.advance(5)
        await desk.clock.advance(1)
        assert len(desk.orders) == 101  # these dice always fall in the middle


async def test_a_failure_is_tried_again(desk: Desk) -> None:
    """After a minute, and then where the failed run ended; told in the state, and forgotten with a success."""
    desk.specs = {spec.name: spec for spec in [job(start="origin")]}
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        await settle(desk, ref, desk.over("run1", "failed", position=50))
        assert (desk.state().failures, desk.state().error) == (1, "down")
        await desk.clock.advance(60)
        assert [start for _, start, _ in desk.orders] == ["origin", "last"]
        await settle(desk, ref, desk.over("run2"))
        assert (desk.state().failures, desk.state().error) == (0, None)


@pytest.mark.parametrize(
    ("answer", "orders", "failures"),
    [
        (BusUnavailable("away"), 2, 0),
        (TimeoutError(), 2, 0),
        (ActorGone(("runner",), "restarts"), 2, 0),
        (RequestError(503, "not_now", "starting"), 2, 0),
        (CorruptFile("a.parquet", "broken"), 2, 1),
        (RequestError(422, "empty_range", "nothing to do"), 1, 0),
        (RequestError(422, "stream_runs", "no"), 1, 1),
        (NoCapability("binance", "no such thing"), 1, 1),
    ],
)
async def test_what_could_not_be_ordered_is_ordered_again(answer: Exception, orders: int, failures: int) -> None:
    """A daily job doesn't lose its day to a bus that is away for a moment; a refusal stands."""
    desk = Desk(job("once"), answers=(answer,))
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        assert desk.state().failures == failures
        await desk.clock.advance(600)
        assert len(desk.orders) == orders
        assert ref.alive


async def test_a_restart_makes_up_for_what_was_missed_once(desk: Desk) -> None:
    """What was due while nobody was there runs once, and the run that was going when all died is known to be over."""
    async with open_root(desk.made(), clock=desk.clock):
        await desk.clock.settle()
    desk.over("run1")
    assert desk.job_states  # and what follows has to do without
    await desk.clock.advance(5 * 3600)
    async with open_root(desk.made(), clock=desk.clock):
        await desk.clock.settle()
        assert (len(desk.orders), desk.state().missed) == (2, 5)
        desk.over("run2")
        await desk.clock.advance(60)
        assert (len(desk.orders), desk.state().last_state) == (2, "done")


async def test_a_restart_leaves_alone_what_is_not_due(desk: Desk) -> None:
    """The time of the next run is kept, and a run that goes on is no reason for another."""
    async with open_root(desk.made(), clock=desk.clock):
        await desk.clock.advance(1800)
    async with open_root(desk.made(), clock=desk.clock):
        await desk.clock.advance(1799)
        assert len(desk.orders) == 1
        await desk.clock.advance(2)
        assert (len(desk.orders), desk.state().owed) == (1, True)


async def test_the_end_of_a_run_is_found_out(desk: Desk) -> None:
    """Who tells of it may die before: the record is looked at, and one that history has forgotten goes on no more."""
    async with open_root(desk.made(), clock=desk.clock):
        await desk.clock.settle()
        desk.over("run1", "failed")
        await desk.clock.advance(15)
        assert desk.state().last_state == "failed"
        await desk.clock.advance(60)
        desk.active.clear()
        await desk.clock.advance(15)
        assert (len(desk.orders), desk.state().last_state) == (2, None)


async def test_other_runs_of_the_dataset_are_none_of_the_job(desk: Desk) -> None:
    """A repair that fails beside it says nothing of the job's own run."""
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        run = msgspec.structs.replace(desk.active["run1"], run_id="other", state="failed")
        await settle(desk, ref, run)
        assert (desk.state().last_state, desk.state().failures) == ("running", 0)


async def test_unchanged_jobs_keep_their_time(desk: Desk) -> None:
    """Of new jobs the new begin, what has changed begins anew, and what is gone is forgotten."""
    one, two, three = many(3)
    desk = Desk(one, two)
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.advance(600)
        due = desk.state(one.dataset).next_run
        desk.orders.clear()
        await ref.ask(SetJobs((one, msgspec.structs.replace(three, jitter=1.0))))
        await desk.clock.advance(5)
        assert [dataset for dataset, _, _ in desk.orders] == [three.dataset]
        assert desk.state(one.dataset).next_run == due
        assert f"alpha.state.{two.name}" not in desk.kept
        await ref.ask(SetJobs((msgspec.structs.replace(one, trigger_kind="manual", every=None),)))
        await desk.clock.advance(7200)
        assert desk.state(one.dataset).next_run is None
        assert len(desk.orders) == 1


async def test_a_job_that_is_changed_with_the_bus_away(desk: Desk) -> None:
    """Its run's record can't be read then: it counts as going on until it can, and the others have their times."""
    (other,) = many(1)
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        desk.over("run1")
        reading = desk.get

        async def away(run_id: str) -> Run:
            raise BusUnavailable("away")

        desk.get = away
        await ref.ask(SetJobs((job(every=7200.0), other)))
        await desk.clock.advance(15)
        assert ref.alive and desk.state().last_state == "running"
        assert [dataset for dataset, _, _ in desk.orders[1:]] == [other.dataset]
        desk.get = reading
        await desk.clock.advance(15)
        assert desk.state().last_state == "done"


async def test_a_job_runs_when_asked(desk: Desk) -> None:
    """One of any trigger, as a request's run; one that goes on is told as such, and one that there isn't is refused."""
    desk = Desk(job("manual", start="origin"))
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.advance(3600)
        assert desk.orders == []
        name = "backfill.binance.trades.BTC-USDT"
        first, second = await ref.ask(RunJob(name)), await ref.ask(RunJob(name))
        assert (first.run_id, first.already_running) == ("run1", False)
        assert (second.run_id, second.already_running) == ("run1", True)
        assert desk.orders == [("binance.trades.BTC-USDT", "origin", "request")]
        refusal = await ref.ask(RunJob("backfill.x"))
        assert (refusal.code, refusal.reason) == (404, "no_job")
        desk.answers.append(RequestError(422, "stream_runs", "no"))
        desk.over("run1")
        await desk.clock.advance(15)
        assert (await ref.ask(RunJob(name))).reason == "stream_runs"
        assert desk.state().last_state == "done"


@pytest.mark.parametrize("why", [BusUnavailable("away"), NOT_NOW], ids=["away", "not now"])
async def test_what_is_remembered_waits_for_the_bus(desk: Desk, why: Exception | bytes) -> None:
    """Jobs run on while the bus takes nothing; what became of them is written when it does."""
    desk.away = why
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.advance(60)
        assert desk.orders and not desk.kept
        desk.away = None
        await desk.clock.advance(15)
        assert desk.state().last_run_id == "run1"
        desk.away = why
        await ref.tell(SetJobs(()))
        await desk.clock.advance(60)
        assert desk.kept
        desk.away = None
        await desk.clock.advance(15)
        assert not desk.kept
        assert ref.alive


async def test_a_clock_that_is_put_back_stops_nothing(desk: Desk) -> None:
    """The next run is an hour away, not the years by which the clock was ahead."""
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        await settle(desk, ref, desk.over("run1"))
        desk.clock.set -= 10_000 * 3600 * NS
        await desk.clock.advance(3700)
        assert len(desk.orders) == 2


async def test_a_machine_that_was_asleep_makes_up_once(desk: Desk) -> None:
    """The clock on the wall is days ahead of what has passed: one run, within seconds."""
    async with open_root(desk.made(), clock=desk.clock) as ref:
        await desk.clock.settle()
        await settle(desk, ref, desk.over("run1"))
        desk.clock.set += 48 * 3600 * NS
        await desk.clock.advance(15)
        assert (len(desk.orders), desk.state().missed) == (2, 48)


async def test_without_timers_jobs_are_only_told(desk: Desk) -> None:
    """A daemon that a command runs for itself starts no job, tells no next time, and changes nothing on record."""
    async with open_root(desk.made(enabled=False), clock=desk.clock) as ref:
        await desk.clock.advance(7200)
        ((spec, state),) = await ref.ask(GetJobs())
        assert (spec.dataset, state.next_run) == ("binance.trades.BTC-USDT", None)
        assert not desk.orders and not desk.kept
