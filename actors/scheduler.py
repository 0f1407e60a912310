"""When jobs run: the configuration's jobs and the time flow in, orders to start streams and backfills flow out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import anyio
from cronsim import CronSim

from actors.control.streams import StreamDesk, stream_job
from actors.links import Links
from actors.mail import GetJobs, StartBackfill
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError
from dccd.config import Job, parse_duration
from dccd.errors import DccdError, ExchangeError, RequestError
from dccd.messages import BackfillStarted, JobEntry
from dccd.symbols import NS, Dataset, job_name

__all__ = ["Scheduler", "next_run"]

_RETRY = 30 * NS
"""Until a backfill that could not be ordered is ordered again."""


def next_run(job: Job, after: int, zone: ZoneInfo) -> int | None:
    """Return when a backfill *job* runs next after the time *after* (ns), or None when only by hand or at the start.

    Cron fields are read in *zone*.
    """
    if job.trigger == "interval" and job.every is not None:
        return after + int(parse_duration(job.every) * NS)
    if job.trigger == "cron" and job.cron is not None:
        moment = next(CronSim(job.cron, datetime.fromtimestamp(after // NS, zone)))
        return int(moment.astimezone(UTC).timestamp()) * NS
    return None


class Scheduler(Actor):
    """Starts the jobs: streams and ``once`` backfills at its start, the others when their time comes.

    A job whose last run is still going when its time comes isn't started a second time: the runner answers with the
    run that there is.
    """

    def __init__(self, links: Links, desk: StreamDesk, enabled: bool = True) -> None:
        self.links, self.desk = links, desk
        self._jobs = links.config.jobs if enabled else []
        self._zone = ZoneInfo(links.config.settings.timezone)
        # By the job's number and the dataset: one dataset may have several jobs.
        self._next: dict[tuple[int, Dataset], int] = {}
        self._last: dict[tuple[int, Dataset], str] = {}

    def __repr__(self) -> str:
        return f"<Scheduler {len(self._jobs)} jobs, {len(self._next)} of them timed>"

    async def on_start(self) -> None:
        self.links.scheduler = self.context.ref

    async def run(self) -> None:
        await run_together(self._work, self.serve)

    async def on_message(self, message: Any) -> Any:
        return self._list() if isinstance(message, GetJobs) else None

    async def _work(self) -> None:
        clock = self.context.clock
        now = clock.wall_ns()
        for number, job in enumerate(self._jobs):
            for dataset in job.datasets:
                if job.trigger == "supervised":
                    await self._start_stream(job, dataset)
                elif job.trigger == "once":
                    if not await self._start_backfill(number, dataset):
                        self._next[number, dataset] = now + _RETRY
                elif (due := next_run(job, now if job.trigger == "cron" else now - _one(job), self._zone)) is not None:
                    self._next[number, dataset] = due
        while self._next:
            (number, dataset), due = min(self._next.items(), key=lambda item: item[1])
            await clock.sleep(max(0.0, (due - clock.wall_ns()) / NS))
            ordered = await self._start_backfill(number, dataset)
            # From now, not from when it was due: after a pause of the machine one run makes up for all.
            now = max(due, clock.wall_ns())
            following = next_run(self._jobs[number], now, self._zone) if ordered else now + _RETRY
            if following is None:
                del self._next[number, dataset]
            else:
                self._next[number, dataset] = following
        await anyio.sleep_forever()  # nothing is timed; who asks for the list of jobs is still answered

    async def _start_stream(self, job: Job, dataset: Dataset) -> None:
        try:
            await self.desk.start(dataset, job.options, stream_job(dataset), job.restart or "permanent")
        except (DccdError, ActorError) as exc:
            self.context.log.error("stream not started", dataset=dataset.name, error=str(exc))

    async def _start_backfill(self, number: int, dataset: Dataset) -> bool:
        """Order a backfill; False when that is to be tried again soon: the runner restarts, or the bus is away."""
        start = self._jobs[number].start
        order = StartBackfill(dataset=dataset, start="last" if start is None else start, end=None, trigger="job")
        try:
            started: BackfillStarted = await self.links.ask_runner(order)
        except (DccdError, TimeoutError, ActorError) as exc:
            self.context.log.error("backfill not started", dataset=dataset.name, error=str(exc))
            return isinstance(exc, ExchangeError) or (isinstance(exc, RequestError) and exc.code != 503)
        self._last[number, dataset] = started.run_id
        return True

    def _list(self) -> list[JobEntry]:
        return [
            JobEntry(
                name=job_name(job.operation, dataset),
                operation=job.operation,
                dataset=dataset.name,
                trigger_kind=job.trigger,
                every=None if job.every is None else parse_duration(job.every),
                cron=job.cron,
                start=job.start,
                next_run=self._next.get((number, dataset)),
                last_run_id=self._last.get((number, dataset)),
            )
            for number, job in enumerate(self.links.config.jobs)
            for dataset in job.datasets
        ]


def _one(job: Job) -> int:
    """An interval job runs at the start too: as if its last run had been one interval ago."""
    return 0 if job.every is None else int(parse_duration(job.every) * NS)
