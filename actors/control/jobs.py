"""Jobs by request: what is asked of them flows in, what the scheduler and the streams know of them flows out."""

from __future__ import annotations

from typing import Any

from actors.control.refusals import as_request_errors, no_job
from actors.control.streams import StreamDesk
from actors.links import Links
from actors.mail import GetJobs, RunJob
from dccd import messages as m
from dccd.errors import RequestError
from dccd.jobs import JobSpec, JobState
from dccd.paging import fitting

__all__ = ["entry", "listing", "run", "run_all"]

_MANY = 1000
"""Jobs that are run by one request: their outcomes have room in a reply."""


async def listing(links: Links, ask: m.JobsList) -> m.Jobs:
    """A page of the jobs that *ask* is for, in the configuration's order. Raises RequestError 404: no *after*."""
    found: list[tuple[JobSpec, JobState]] = await links.ask_scheduler(GetJobs())
    states = {spec.name: state for spec, state in found}
    specs = list(links.specs.values())
    if ask.after is not None:
        if ask.after not in links.specs:
            raise RequestError(404, "no_job", f"there is no job {ask.after} any more: ask anew without after", "after")
        specs = specs[list(links.specs).index(ask.after) + 1 :]
    wanted = [spec for spec in specs if _matches(spec, ask)]
    jobs = fitting((entry(links, spec, states.get(spec.name)) for spec in wanted[: ask.limit]), links.page)
    return m.Jobs(host=links.host, jobs=jobs, next=jobs[-1].name if len(jobs) < len(wanted) else None)


def entry(links: Links, spec: JobSpec, state: JobState | None = None) -> m.JobEntry:
    """A job as the bus tells it; *state* is what the scheduler remembers of one that is a backfill."""
    known: dict[str, Any]
    if spec.operation == "stream":
        stream = links.board.get(spec.dataset)
        known = {} if stream is None else {"last_state": stream.state, "error": stream.error}
    else:
        state = state or JobState()
        known = {
            "next_run": state.next_run,
            "last_run_id": state.last_run_id,
            "last_state": state.last_state,
            "last_started": state.last_started,
            "last_finished": state.last_finished,
            "failures": state.failures,
            "error": state.error,
            "missed_runs": state.missed,
        }
    return m.JobEntry(
        name=spec.name,
        host=links.host,
        operation=spec.operation,
        dataset=spec.dataset,
        trigger_kind=spec.trigger_kind,
        every=spec.every,
        cron=spec.cron,
        timezone=spec.timezone if spec.cron is not None else None,
        jitter=spec.jitter,
        missed=spec.missed if spec.trigger_kind in ("interval", "cron") else None,
        start=spec.start,
        depth=spec.depth,
        snapshot_interval=spec.snapshot_interval,
        book=spec.book,
        restart=spec.restart,
        source=spec.source,
        **known,
    )


async def run(links: Links, desk: StreamDesk, name: str) -> m.JobStarted:
    """Run the job *name* now. Raises RequestError 404 no_job, and what the runner refuses with."""
    spec = links.specs.get(name)
    if spec is None:
        raise no_job(name, links.specs)
    if spec.operation == "stream":
        started = await desk.start(spec.of, spec.options, spec.name, spec.restart or "permanent")
        return m.JobStarted(name=name, run_id=None, already_running=not started, run=None)
    order: m.BackfillStarted = await links.ask_scheduler(RunJob(name))
    return m.JobStarted(name=name, run_id=order.run_id, already_running=order.already_running, run=order.run)


async def run_all(links: Links, desk: StreamDesk, ask: m.JobRunAll) -> m.JobsStarted:
    """Run the jobs that *ask* is for. What one is refused stands with it, and keeps no other from running."""
    specs = [spec for spec in links.specs.values() if _matches(spec, ask)]
    if len(specs) > _MANY:
        raise RequestError(422, "too_many", f"{len(specs):,} jobs match, more than {_MANY:,}: ask for some of them")
    outcomes = []
    for spec in specs:
        try:
            with as_request_errors():
                done = await run(links, desk, spec.name)
        except RequestError as exc:
            outcomes.append(m.JobOutcome(name=spec.name, code=exc.code, reason=exc.reason, error=str(exc)))
        else:
            outcomes.append(m.JobOutcome(name=spec.name, run_id=done.run_id, already_running=done.already_running))
    return m.JobsStarted(host=links.host, jobs=outcomes)


def _matches(spec: JobSpec, ask: m.JobsList | m.JobRunAll) -> bool:
    dataset = spec.of
    return (
        ask.operation in (None, spec.operation)
        and ask.exchange in (None, dataset.exchange)
        and ask.data_type in (None, dataset.data_type.value)
        and ask.trigger_kind in (None, spec.trigger_kind)
    )
