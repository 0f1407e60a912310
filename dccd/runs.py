"""Runs: what is remembered of each backfill, and of what else takes its time.

Requests and jobs flow in, a :class:`Run` record flows out: it lives in the KV bucket ``dccd_runs`` under
:func:`dccd.subjects.run_key`, and is all that another host needs to resume the run. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from dccd.errors import RunFailed
from dccd.paging import fitting
from dccd.symbols import Dataset, job_name

__all__ = [
    "ACTIVE",
    "Level",
    "LogLine",
    "Run",
    "RunState",
    "Trigger",
    "as_told",
    "new_run_id",
    "require_done",
    "run_time",
    "with_line",
]

RunState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
Trigger = Literal["request", "job", "gap"]
Level = Literal["debug", "info", "warning", "error"]

ACTIVE: tuple[RunState, ...] = ("queued", "running", "interrupted")
"""States from which a run goes on: after a crash a run is ``interrupted`` until a host resumes it."""


_LINES = 50
_BYTES = 8192
_LONGEST = 1000
"""What a record keeps of its run's log: lines, bytes of them as JSON, and characters of one line."""


class LogLine(msgspec.Struct, frozen=True):
    """A line that a run had to say, at a time (ns)."""

    at: int
    level: Level
    message: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times are ns UTC; a backfill's range is ``[start, end)``, all before ``position`` is stored.

    ``asked`` is the start and end as they were asked for (``("last", None)``): the same question while a run is
    active is answered with that run.

    A run of the whole store has no ``dataset`` (it is empty): its ``operation`` is the request's name, as
    ``storage.migrate``, its ``options`` are what was asked for, ``start``, ``end`` and ``position`` count bytes, and
    ``summary`` says what it has done.

    ``log`` are its last lines, oldest first; ``dccd.runs.list`` and events leave it out.
    """

    run_id: str
    operation: str = "backfill"
    dataset: str = ""
    options: dict[str, Any] = {}
    state: RunState
    trigger: Trigger = "request"
    reason: str | None = None
    host: str
    created: int
    started: int | None = None
    finished: int | None = None
    updated: int
    asked: tuple[str, str | None] = ("last", None)
    start: int
    end: int
    position: int
    rows: int = 0
    resumed: int = 0
    summary: str | None = None
    warning: str | None = None
    error: str | None = None
    log: list[LogLine] = []

    @property
    def brief(self) -> Run:
        """The same without its log, for lists and events."""
        return msgspec.structs.replace(self, log=[]) if self.log else self

    @property
    def job(self) -> str:
        """``backfill.binance.ohlc.BTC-USDT.1m``, ``storage.migrate``."""
        return job_name(self.operation, Dataset.parse(self.dataset)) if self.dataset else self.operation

    @property
    def subject(self) -> str:
        """What the run is about, for people: its dataset, else its operation."""
        return self.dataset or self.operation

    @property
    def fraction(self) -> float:
        """How much of the asked time, or of the bytes, is covered, 0 to 1. What a done run leaves is too new to be
        final yet."""
        if self.state == "done" or self.end <= self.start:
            return 1.0
        return (self.position - self.start) / (self.end - self.start)


def with_line(run: Run, line: LogLine) -> Run:
    """*run* with a further line at the end of its log, which stays within 50 lines and 8 KiB: the oldest go."""
    if len(line.message) > _LONGEST:
        line = msgspec.structs.replace(line, message=f"{line.message[: _LONGEST - 1]}…")
    kept = fitting(reversed([*run.log[-_LINES + 1 :], line]), _BYTES)
    return msgspec.structs.replace(run, log=kept[::-1])


def as_told(run: Run, hosts: Collection[str]) -> Run:
    """*run* as it is when only *hosts* are there: what another one was at is interrupted."""
    if run.state in ACTIVE and run.host not in hosts:
        return msgspec.structs.replace(run, state="interrupted")
    return run


def require_done(run: Run) -> None:
    """Raise RunFailed, with the run's own reason, when it ended otherwise than done."""
    if run.state != "done":
        raise RunFailed(run.run_id, run.state, f"{run.job} {run.state}: {run.error or 'no reason given'}")


def new_run_id(now: int, random: int) -> str:
    """Return a UUIDv7 (RFC 9562) from the time *now* in ns and 74 bits of *random*.

    The first 48 bits are the time in ms, so that ids sort by creation.
    """
    value = (now // 1_000_000 & (1 << 48) - 1) << 80
    value |= 7 << 76 | (random >> 62 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def run_time(run_id: str) -> int | None:
    """Return when *run_id* was made, in ns, or None when it is no UUIDv7."""
    text = run_id.replace("-", "")
    if len(text) != 32 or text[12] != "7" or not set(text) <= set("0123456789abcdef"):
        return None
    return int(text[:12], 16) * 1_000_000
