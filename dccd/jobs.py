"""Jobs one by one: a configuration flows in, a :class:`JobSpec` for each operation and dataset in it flows out. Pure.

Everything that was left to a default is filled in, and durations are seconds: two specs are equal when they mean the
same, however they were written. They live in the KV bucket ``dccd_jobs`` under :func:`dccd.subjects.job_key`, and what
the scheduler remembers of each (:class:`JobState`) under :func:`dccd.subjects.job_state_key`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.config import Config, Job
from dccd.config_units import parse_duration
from dccd.exchanges.base import StreamOptions
from dccd.runs import RunState
from dccd.symbols import Dataset, DataType, job_name

__all__ = ["JobSpec", "JobState", "Missed", "Source", "Trigger", "job_of", "spec_of", "specs_of"]

Trigger = Literal["once", "interval", "cron", "supervised", "manual"]
Missed = Literal["once", "skip"]
"""What becomes of runs that were due while nobody could start them: one for all of them, or none."""
Source = Literal["file", "request"]


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One job of one dataset. ``every``, ``jitter`` and ``snapshot_interval`` are seconds.

    ``timezone`` is that in which ``cron`` is read; ``source`` is where the job stands: in the configuration file, or
    (``request``) in the bucket alone.
    """

    name: str
    operation: Literal["stream", "backfill"]
    dataset: str
    trigger_kind: Trigger
    every: float | None = None
    cron: str | None = None
    timezone: str = "UTC"
    jitter: float = 0.0
    missed: Missed = "once"
    start: str | int | None = None
    depth: int | None = None
    snapshot_interval: float | None = None
    book: Literal["deltas", "snapshots"] | None = None
    restart: Literal["permanent", "transient", "temporary"] | None = None
    source: Source = "file"

    @property
    def of(self) -> Dataset:
        """The dataset that :attr:`dataset` names."""
        return Dataset.parse(self.dataset)

    @property
    def options(self) -> StreamOptions:
        """What the stream of an order book is asked for; the defaults for anything else."""
        return StreamOptions(
            depth=self.depth,
            snapshot_interval=60.0 if self.snapshot_interval is None else self.snapshot_interval,
            book=self.book or "deltas",
        )


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a job: its last run, how many have failed in a row, and when the next is due. Times are
    ns UTC.

    ``error`` is why the last has failed, or was refused. ``missed`` counts the times that were due and had no run,
    ``owed`` says that one is to be made up for as soon as the last has ended, ``goes_on`` that the last failed
    half-way: the next begins where it ended. ``trigger`` is what ``next_run`` follows from.
    """

    last_run_id: str | None = None
    last_started: int | None = None
    last_finished: int | None = None
    last_state: RunState | None = None
    failures: int = 0
    error: str | None = None
    next_run: int | None = None
    missed: int = 0
    owed: bool = False
    goes_on: bool = False
    trigger: str = ""


def specs_of(config: Config, source: Source = "file") -> list[JobSpec]:
    """Return the jobs of *config*, one a dataset, in its order; names are unique, as the configuration was checked."""
    zone = config.settings.timezone
    return [spec_of(job, dataset, zone, source) for job in config.jobs for dataset in job.datasets]


def spec_of(job: Job, dataset: Dataset, timezone: str = "UTC", source: Source = "file") -> JobSpec:
    """Return the part of *job* that is of *dataset*; *timezone* is that of a job that names none.

    What has no bearing on the job stays at its default: another ``settings.timezone`` changes cron jobs only.
    """
    timed = job.trigger in ("interval", "cron")
    book = job.operation == "stream" and dataset.data_type is DataType.ORDERBOOK
    options = job.options
    return JobSpec(
        name=job_name(job.operation, dataset),
        operation=job.operation,
        dataset=dataset.name,
        trigger_kind=job.trigger,  # type: ignore[arg-type]  # a property that fills in one of the five
        every=None if job.every is None else parse_duration(job.every),
        cron=job.cron,
        timezone=(job.timezone or timezone) if job.trigger == "cron" else "UTC",
        jitter=parse_duration(job.jitter or 0) if job.operation == "backfill" else 0.0,
        missed=(job.missed or "once") if timed else "once",
        start=job.start,
        depth=options.depth if book else None,
        snapshot_interval=options.snapshot_interval if book else None,
        book=options.book if book else None,
        restart=(job.restart or "permanent") if job.operation == "stream" else None,
        source=source,
    )


def job_of(spec: JobSpec) -> Job:
    """Return *spec* as an entry of the configuration's ``jobs``, with every field that isn't the default's."""
    dataset = spec.of
    fields = {
        "exchange": dataset.exchange,
        "pairs": [str(dataset.symbol)],
        "data_type": dataset.data_type.value,
        "operation": spec.operation,
        "span": dataset.span,
        "trigger_kind": spec.trigger_kind,
        "every": spec.every,
        "cron": spec.cron,
        "timezone": spec.timezone if spec.trigger_kind == "cron" else None,
        "jitter": spec.jitter or None,
        "missed": spec.missed if spec.missed != "once" else None,
        "start": spec.start,
        "depth": spec.depth,
        "snapshot_interval": spec.snapshot_interval,
        "book": spec.book,
        "restart": spec.restart,
    }
    known = {field: value for field, value in fields.items() if value is not None and field in Job.__struct_fields__}
    return msgspec.convert(known, Job)
