"""The jobs: which there are, when they run, and what became of their runs."""

from __future__ import annotations

from typing import Literal

from dccd.messages.base import Limit, Name, Reply, Request
from dccd.runs import Run

__all__ = [
    "JobEntry",
    "JobOutcome",
    "JobRun",
    "JobRunAll",
    "JobStarted",
    "Jobs",
    "JobsList",
    "JobsStarted",
]

_Kind = Literal["once", "interval", "cron", "supervised", "manual"]


class JobsList(Request, frozen=True, kw_only=True):
    """List jobs: all, or those that are as these say. ``limit``: so many at most (default: as many as 1 MiB holds);
    ``after``: those after the ``next`` of the page before."""

    operation: Literal["stream", "backfill"] | None = None
    exchange: Name | None = None
    data_type: Name | None = None
    trigger_kind: _Kind | None = None
    limit: Limit | None = None
    after: Name | None = None


class JobEntry(Reply, frozen=True, kw_only=True):
    """One job of one dataset, of ``host``. Times are ns; ``every``, ``jitter`` and ``snapshot_interval`` are seconds.

    ``source``: ``file``, or ``request`` of one that came over the bus and stands in no file. ``last_state`` is that of
    the last run, or of the stream; ``failures`` how many runs have failed in a row, ``error`` why the last did;
    ``next_run`` when the next is due, also as another try of one that failed; ``missed_runs`` how many times were due
    and had no run.
    """

    name: str
    host: str = ""
    operation: str
    dataset: str
    trigger_kind: str
    every: float | None = None
    cron: str | None = None
    timezone: str | None = None
    jitter: float = 0.0
    missed: str | None = None
    start: str | int | None = None
    depth: int | None = None
    snapshot_interval: float | None = None
    book: str | None = None
    restart: str | None = None
    source: str = "file"
    next_run: int | None = None
    last_run_id: str | None = None
    last_state: str | None = None
    last_started: int | None = None
    last_finished: int | None = None
    failures: int = 0
    error: str | None = None
    missed_runs: int = 0


class Jobs(Reply, frozen=True, kw_only=True):
    """The jobs of a host, in its configuration's order; ``next``: ask again with this ``after`` for the following page,
    null at the end."""

    host: str
    jobs: list[JobEntry]
    next: str | None = None


class JobRun(Request, frozen=True, kw_only=True):
    """Run one job now, whatever its trigger; ``name`` as ``dccd.jobs.list`` has it."""

    name: Name


class JobStarted(Reply, frozen=True, kw_only=True):
    """The run that does it; ``already_running`` when it was running before this request. A stream has no run."""

    name: str
    run_id: str | None
    already_running: bool
    run: Run | None


class JobRunAll(Request, frozen=True, kw_only=True):
    """Run all backfill jobs now, or those that are as these say; streams by ``operation`` only."""

    operation: Literal["stream", "backfill"] = "backfill"
    exchange: Name | None = None
    data_type: Name | None = None
    trigger_kind: _Kind | None = None


class JobOutcome(Reply, frozen=True, kw_only=True):
    """What became of one job: its run, or why there is none, as ``dccd.jobs.run`` would have refused it."""

    name: str
    run_id: str | None = None
    already_running: bool = False
    code: int | None = None
    reason: str | None = None
    error: str | None = None


class JobsStarted(Reply, frozen=True, kw_only=True):
    """One outcome a job; more run at once only as far as the host allows, the others wait their turn."""

    host: str
    jobs: list[JobOutcome]
