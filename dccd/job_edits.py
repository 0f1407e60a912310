"""Jobs added, changed and removed in a configuration's list of them. Pure.

A list of jobs and what is to be done flow in, another list flows out. A job by its name is one dataset, and may be one
of several pairs of an entry.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dccd.config import Job, convert
from dccd.config_edit import plain
from dccd.symbols import job_name

__all__ = ["changed", "entry_of", "removed"]


def entry_of(jobs: list[Job], name: str) -> int | None:
    """The index of the entry that has the job *name*, or None."""
    return next((index for index, job in enumerate(jobs) if _pair(job, name) is not None), None)


def changed(jobs: list[Job], name: str, fields: dict[str, Any]) -> list[Job]:
    """Return *jobs* with *fields* of the job *name* changed, None for those that are to be the default again.

    Raises KeyError for a name that there isn't, ConfigError for a field that has the wrong type.
    """
    index = entry_of(jobs, name)
    if index is None:
        raise KeyError(name)
    job = jobs[index]
    pair = _pair(job, name)
    wanted = {**plain(job), "pairs": [pair], **fields}
    new = convert({"jobs": [{key: value for key, value in wanted.items() if value is not None}]}, checked=False).jobs[0]
    rest = [one for one in job.pairs if one != pair]
    kept = [] if not rest else [msgspec.structs.replace(job, pairs=rest)]
    return [*jobs[:index], *kept, new, *jobs[index + 1 :]]


def removed(jobs: list[Job], name: str) -> list[Job]:
    """Return *jobs* without the job *name*. Raises KeyError for one that there isn't."""
    index = entry_of(jobs, name)
    if index is None:
        raise KeyError(name)
    job = jobs[index]
    rest = [one for one in job.pairs if one != _pair(job, name)]
    kept = [] if not rest else [msgspec.structs.replace(job, pairs=rest)]
    return [*jobs[:index], *kept, *jobs[index + 1 :]]


def _pair(job: Job, name: str) -> str | None:
    """The pair of *job* that is the job *name*."""
    pairs = zip(job.pairs, job.datasets, strict=True)
    return next((pair for pair, dataset in pairs if job_name(job.operation, dataset) == name), None)
