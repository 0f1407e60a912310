"""The jobs."""

from __future__ import annotations

from dccd.messages.base import Reply

__all__ = [
    "JobEntry",
    "Jobs",
]


class JobEntry(Reply, frozen=True, kw_only=True):
    """One job of the configuration, a dataset each; ``next_run`` in ns where a trigger has one."""

    name: str
    operation: str
    dataset: str
    trigger_kind: str
    every: float | None = None
    cron: str | None = None
    start: str | int | None = None
    next_run: int | None = None
    last_run_id: str | None = None


class Jobs(Reply, frozen=True, kw_only=True):
    """All jobs of a host."""

    host: str
    jobs: list[JobEntry]
