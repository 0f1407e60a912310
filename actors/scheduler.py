"""When jobs run: backfill jobs, the time and the ends of runs flow in; orders to the runner flow out, and what is
remembered of each job, into the KV bucket ``dccd_jobs``.

What is to be done, and when, is decided in :mod:`actors.schedule`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import msgspec

from actors import schedule
from actors.control.runbook import RunBook
from actors.links import Links
from actors.mail import GetJobs, RunJob, RunSettled, SetJobs, StartBackfill
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError
from dccd import subjects
from dccd.errors import BusError, BusUnavailable, DccdError, ExchangeError, RequestError
from dccd.feeds import elsewhere
from dccd.jobs import JobSpec, JobState
from dccd.messages import BackfillStarted
from dccd.runs import ACTIVE, Run, Trigger
from dccd.symbols import NS

__all__ = ["Scheduler"]

_LOOK_SECONDS = 10.0
"""How often to look at the clock on the wall: it may be set, and the machine may have been asleep."""
_SPREAD_SECONDS, _MOST_SPREAD = 0.1, 30.0
"""Over how long jobs are spread that would start at the same time: each one's share, and all of them at most."""
_SET_BACK = NS
"""A clock that went back by less is only being adjusted."""


class Scheduler(Actor):
    """Starts the backfill jobs when their time comes, one run of each at a time, and remembers what became of them.

    *enabled*: by themselves; else only when asked. *chance* gives numbers from 0 to 1.
    """

    mailbox_size = 1024

    def __init__(self, links: Links, enabled: bool = True, chance: Callable[[], float] = random.random) -> None:
        self.links, self.enabled = links, enabled
        self.book = RunBook(links)
        self._chance = chance
        self._specs: dict[str, JobSpec] = {}
        self._states = links.job_states
        self._unsaved: dict[str, None] = {}
        self._changed = anyio.Event()
        # Orders and what is decided by their outcome, one at a time: timers and messages bring them.
        self._turn = anyio.Lock()
        self._offset: int | None = None
        self._looked = 0.0

    def __repr__(self) -> str:
        return f"<Scheduler {len(self._specs)} jobs, {self._timed()} of them timed>"

    def statistics(self) -> dict[str, Any]:
        going = sum(schedule.running(self._states[name]) for name in self._specs)
        return {"jobs": len(self._specs), "timed": self._timed(), "running": going}

    def _timed(self) -> int:
        return sum(self._states[name].next_run is not None for name in self._specs)

    async def on_start(self) -> None:
        prefix = subjects.job_state_key(self.links.host, "")
        found = await self.links.jobs.find(prefix)
        kept = {e.key.removeprefix(prefix): msgspec.json.decode(e.value, type=JobState) for e in found}
        self._states.clear()
        await self._set(self.links.specs.values(), kept)
        self.links.scheduler = self.context.ref

    async def run(self) -> None:
        await run_together(self._work, self.serve)

    async def on_message(self, message: Any) -> Any:
        async with self._turn:
            match message:
                case GetJobs():
                    return [(spec, self._shown(name)) for name, spec in self._specs.items()]
                case SetJobs(specs):
                    await self._set(specs, {})
                case RunSettled(run):
                    self._settle(run.job, run)
                case RunJob(name):
                    try:
                        return await self._run_now(name)
                    except DccdError as exc:
                        return exc  # an answer, not a crash of this actor
        self._changed.set()
        return None

    async def _work(self) -> None:
        clock = self.context.clock
        while True:
            async with self._turn:
                self._changed = anyio.Event()
                await self._look()
                await self._save()
            due = self._due()
            for name in due:
                async with self._turn:
                    await self._do(name, _spread(len(due)))
            timer = clock.call_at(clock.now() + self._wait(), self._changed.set)
            await self._changed.wait()
            timer.cancel()

    # ------------------------------------------------------------ which jobs there are

    async def _set(self, specs: Iterable[JobSpec], kept: dict[str, JobState]) -> None:
        """The backfills among *specs* are the jobs from now on; *kept* is what an earlier scheduler knew of them."""
        wanted = {spec.name: spec for spec in specs if spec.operation == "backfill"}
        for name in [name for name in self._specs if name not in wanted]:
            # What is made anew under this name is another job.
            del self._specs[name]
            self._states.pop(name, None)
            self._unsaved[name] = None
        begin = [spec for name, spec in wanted.items() if spec != self._specs.get(name)]
        spread = _spread(sum(spec.trigger_kind in ("once", "interval") for spec in begin))
        for spec in begin:
            state = self._states.get(spec.name) or kept.get(spec.name)
            if state is not None and schedule.running(state):
                with contextlib.suppress(BusUnavailable):  # then it is looked at again, in a while
                    state = await self._as_recorded(spec, state)
            now, since = self.context.clock.wall_ns(), self.links.started
            if self.enabled:
                state = schedule.begin(spec, state, now, since=since, chance=self._chance(), spread=spread)
            self._specs[spec.name] = spec
            if state != kept.get(spec.name):
                self._put(spec.name, state or JobState())
            else:
                self._states[spec.name] = state or JobState()
        # In the order in which they are told.
        self._specs = wanted

    async def _as_recorded(self, spec: JobSpec, state: JobState) -> JobState:
        """*state* by the record of its last run, which may have ended while nobody told it."""
        run_id = state.last_run_id or ""
        if run_id in self.links.active:
            return state
        try:
            run = await self.book.get(run_id)
        except RequestError as exc:
            if exc.code != 404:
                return state
            # The history has forgotten it.
            return msgspec.structs.replace(state, last_state=None, owed=False)
        return state if run.state in ACTIVE else self._ended(spec, state, run)

    # ------------------------------------------------------------ what happens

    async def _look(self) -> None:
        """Now and then: has the clock been put back, and has a run ended that nobody told of?"""
        clock = self.context.clock
        if self._offset is not None and clock.now() - self._looked < _LOOK_SECONDS:
            return
        self._looked, offset = clock.now(), clock.wall_ns() - int(clock.now() * NS)
        before, self._offset = self._offset, offset
        if before is not None and offset < before - _SET_BACK and self.enabled:
            self.context.log.warning("the clock was put back", seconds=(before - offset) / NS)
            for name, spec in self._specs.items():
                self._put(name, schedule.corrected(spec, self._states[name], clock.wall_ns(), self._chance()))
        for name, spec in self._specs.items():
            if schedule.running(state := self._states[name]):
                try:
                    self._put(name, await self._as_recorded(spec, state))
                except BusUnavailable:
                    return  # another time

    def _settle(self, name: str, run: Run) -> None:
        spec, state = self._specs.get(name), self._states.get(name)
        if spec is not None and state is not None and state.last_run_id == run.run_id and schedule.running(state):
            self._put(name, self._ended(spec, state, run))

    def _ended(self, spec: JobSpec, state: JobState, run: Run) -> JobState:
        state = schedule.ended(spec, state, run, self.context.clock.wall_ns(), self._chance())
        if run.state == "failed":
            log = self.context.log
            log.warning("job failed", job=spec.name, run_id=run.run_id, failures=state.failures, error=run.error)
        return state

    def _due(self) -> list[str]:
        if not self.enabled:
            return []
        now = self.context.clock.wall_ns()
        due = {name: self._states[name].next_run for name in self._specs}
        return [name for name, time in due.items() if time is not None and time <= now]

    async def _do(self, name: str, spread: float) -> None:
        """Do what is to be done of a job whose time has come."""
        spec = self._specs.get(name)
        if spec is None:
            return  # removed meanwhile
        now, state = self.context.clock.wall_ns(), self._states[name]
        step = schedule.decide(spec, state, now, chance=self._chance(), spread=spread)
        if step.missed:
            self.context.log.warning("job missed", job=name, times=step.missed, made_up=spec.missed == "once")
        if step.start:
            try:
                await self._order(spec, step.state, "job")
            except (DccdError, TimeoutError, ActorError) as exc:
                self._put(name, self._not_ordered(spec, step.state, exc))
        else:
            self._put(name, step.state)
        await self._save()

    def _not_ordered(self, spec: JobSpec, state: JobState, exc: Exception) -> JobState:
        now, log = self.context.clock.wall_ns(), self.context.log
        if isinstance(exc, BusError | TimeoutError | ActorError) or (isinstance(exc, RequestError) and exc.code == 503):
            log.warning("job not started yet", job=spec.name, error=str(exc) or "timed out")
            return schedule.postponed(state, now)
        if isinstance(exc, RequestError) and exc.reason == "empty_range" and spec.start in (None, "last"):
            return schedule.refused(state, None, now)  # all is there
        log.error("job refused", job=spec.name, error=str(exc))
        if isinstance(exc, RequestError | ExchangeError):
            return schedule.refused(state, str(exc), now)
        return schedule.unable(spec, state, str(exc), now, self._chance())

    async def _run_now(self, name: str) -> BackfillStarted:
        spec = self._specs.get(name)
        if spec is None:
            raise RequestError(404, "no_job", f"there is no backfill job {name}; dccd.jobs.list has them", "name")
        state = self._states[name]
        run = self.links.active.get(state.last_run_id or "")
        if run is not None and schedule.running(state):
            return BackfillStarted(run_id=run.run_id, already_running=True, run=run)
        started = await self._order(spec, state, "request")
        await self._save()
        return started

    async def _order(self, spec: JobSpec, state: JobState, trigger: Trigger) -> BackfillStarted:
        start = "last" if state.goes_on or spec.start is None else spec.start
        dataset = spec.of
        await elsewhere.learn(dataset.exchange)
        order = StartBackfill(dataset=dataset, start=start, end=None, trigger=trigger)
        started: BackfillStarted = await self.links.ask_runner(order)
        self._put(spec.name, schedule.ordered(state, started.run, self.context.clock.wall_ns()))
        self._changed.set()
        return started

    # ------------------------------------------------------------ what is remembered

    def _put(self, name: str, state: JobState) -> None:
        if self._states.get(name) != state:
            self._states[name] = state
            self._unsaved[name] = None

    async def _save(self) -> None:
        """Write what has changed; what can't be written now is written later."""
        bucket, host = self.links.jobs, self.links.host
        while self._unsaved:
            name = next(iter(self._unsaved))
            key, state = subjects.job_state_key(host, name), self._states.get(name)
            try:
                if state is None:
                    await bucket.remove(key)
                else:
                    await bucket.put(key, msgspec.json.encode(state))
            except BusUnavailable as exc:
                self.context.log.warning("what is remembered of jobs isn't written yet", error=str(exc))
                return
            except BusError as exc:
                self.context.log.error("what is remembered of a job can't be written", job=name, error=str(exc))
            if self._states.get(name) is state:
                self._unsaved.pop(name, None)

    def _shown(self, name: str) -> JobState:
        """What is remembered of a job, with its run's state as it is now."""
        state = self._states[name]
        if not self.enabled:
            state = msgspec.structs.replace(state, next_run=None)
        run = self.links.active.get(state.last_run_id or "")
        return state if run is None else msgspec.structs.replace(state, last_state=run.state)

    def _wait(self) -> float:
        """Seconds until there is something to do."""
        if not self.enabled:
            return _LOOK_SECONDS
        now = self.context.clock.wall_ns()
        due = (self._states[name].next_run for name in self._specs)
        soonest = min((time for time in due if time is not None), default=now + int(_LOOK_SECONDS * NS))
        return min(max(0.0, (soonest - now) / NS), _LOOK_SECONDS)


def _spread(jobs: int) -> float:
    """Over how many seconds so many *jobs* are spread that would all start now."""
    return min(_MOST_SPREAD, _SPREAD_SECONDS * max(0, jobs - 1))
