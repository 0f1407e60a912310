"""What actors of the daemon tell and ask each other, as frozen structs; the bus's messages are in dccd.messages."""

from __future__ import annotations

from typing import Any

import msgspec

from dccd.jobs import JobSpec
from dccd.runs import Run, Trigger
from dccd.symbols import Dataset

__all__ = [
    "AdoptRun",
    "CancelBackfill",
    "GapFound",
    "GetCoverage",
    "GetHealth",
    "GetIncidents",
    "GetInventory",
    "GetJobs",
    "GetReplay",
    "MoveRuns",
    "PauseReplay",
    "Reload",
    "RepairAsked",
    "RepairGaps",
    "ReplayOrder",
    "ResumeReplay",
    "RunEnded",
    "RunIsAt",
    "RunJob",
    "RunLost",
    "RunSettled",
    "SeekReplay",
    "SetJobs",
    "SpeedReplay",
    "StartBackfill",
    "StartWhole",
    "StopReplay",
]


class GapFound(msgspec.Struct, frozen=True):
    """To the catalogue: a stream has a hole ``[start, end)``; answered once it is on record.

    ``gone``: that is what a repair has found out, so there is no use in another one. ``doubted``: what of it had been
    claimed to be complete.
    """

    dataset: Dataset
    start: int
    end: int
    reason: str
    gone: bool = False
    doubted: tuple[int, int] | None = None


class RepairGaps(msgspec.Struct, frozen=True):
    """To the catalogue: order the repair of what this dataset misses."""

    dataset: Dataset


class RunSettled(msgspec.Struct, frozen=True):
    """To the catalogue and the scheduler: a run of a dataset ended."""

    run: Run


class RepairAsked(msgspec.Struct, frozen=True):
    """To the catalogue: somebody wants what is missing of *dataset*; answered with Repaired.

    One dataset a message: collectors wait for their turn behind it.
    """

    dataset: Dataset
    start: int | None = None
    end: int | None = None
    unavailable: bool = False
    dry_run: bool = False


class GetCoverage(msgspec.Struct, frozen=True):
    """To the catalogue: what is there of *dataset*'s time; answered with a Coverage and the dataset's active runs."""

    dataset: Dataset


class GetInventory(msgspec.Struct, frozen=True):
    """To the catalogue: what there is, of datasets whose name begins with *prefix* and comes after *after*: *limit* of
    them at most, and no more than have room in so many bytes of JSON."""

    prefix: str = ""
    after: str = ""
    limit: int | None = None
    room: int = 1_000_000


class StartBackfill(msgspec.Struct, frozen=True, kw_only=True):
    """To the runner: fetch *dataset* from *start* (``last``, ``origin``, a time) to *end*, as they were asked for."""

    dataset: Dataset
    start: str | int
    end: str | int | None
    trigger: Trigger
    reason: str | None = None


class StartWhole(msgspec.Struct, frozen=True, kw_only=True):
    """To the runner: run *operation*, which is of the whole store, with these *options*."""

    operation: str
    options: dict[str, Any]
    trigger: Trigger = "request"


class CancelBackfill(msgspec.Struct, frozen=True):
    """To the runner: stop this run; what it stored is kept. Answered with the run, or with a :class:`RunIsAt`."""

    run_id: str


class RunIsAt(msgspec.Struct, frozen=True):
    """From the runner: this host is at the run, and only it can stop that."""

    host: str


class MoveRuns(msgspec.Struct, frozen=True):
    """To the runner: these exchanges are to be asked otherwise; their runs that are under way begin again from where
    they are."""

    exchanges: tuple[str, ...]


class Reload(msgspec.Struct, frozen=True):
    """To the reconciler: take over what the configuration file says now."""


class AdoptRun(msgspec.Struct, frozen=True):
    """To the runner: this run's host is gone, and what it has stored is here; go on with it."""

    run: Run


class RunEnded(msgspec.Struct, frozen=True):
    """To the runner: this run has ended by itself, done or failed."""

    run: Run


class RunLost(msgspec.Struct, frozen=True):
    """To the runner: what is on record of this run is another host's word, or its end."""

    run_id: str


class GetJobs(msgspec.Struct, frozen=True):
    """To the scheduler: the backfill jobs, and what is remembered of each."""


class RunJob(msgspec.Struct, frozen=True):
    """To the scheduler: run this backfill job now; answered with a BackfillStarted."""

    name: str


class SetJobs(msgspec.Struct, frozen=True):
    """To the scheduler: these are all backfill jobs from now on; those that are as before keep their time."""

    specs: tuple[JobSpec, ...]


class GetIncidents(msgspec.Struct, frozen=True):
    """To the alerter: its incidents, *everything* or those that are open; answered with AlertsListed."""

    everything: bool
    limit: int


class GetHealth(msgspec.Struct, frozen=True):
    """To the monitor: whether all is well at this moment."""


class GetReplay(msgspec.Struct, frozen=True):
    """To a player: what it is at; answered with a ReplayEntry, as the orders are."""


class YieldReplay(msgspec.Struct, frozen=True):
    """To a player: another one needs its place; answered with whether it ends, since nobody is there for it."""


class PauseReplay(msgspec.Struct, frozen=True):
    """To a player: hold it."""


class ResumeReplay(msgspec.Struct, frozen=True):
    """To a player: go on."""


class SpeedReplay(msgspec.Struct, frozen=True):
    """To a player: go on so many times as fast as it was; 0: as fast as it can be taken."""

    speed: float


class SeekReplay(msgspec.Struct, frozen=True):
    """To a player: go on at this time (ns)."""

    to: int


class StopReplay(msgspec.Struct, frozen=True):
    """To a player: end."""


ReplayOrder = PauseReplay | ResumeReplay | SpeedReplay | SeekReplay | StopReplay
"""What a player is told; it may refuse with a RequestError."""
