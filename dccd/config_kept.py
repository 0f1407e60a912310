"""What of a configuration stands on the bus and in no file. Pure.

What was there at the start (a file's configuration, or that of a daemon without one) and what is wanted flow in; what
is to be kept of the difference flows out (:class:`Kept`), and from both of them what is wanted again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dccd.config import Config, Job, convert
from dccd.config_edit import plain
from dccd.symbols import job_name

__all__ = ["Kept", "merged", "names_of", "split"]


class Kept(msgspec.Struct, frozen=True):
    """``patch`` changes what was there (a JSON merge patch, RFC 7396), and is of daemons without a file only;
    ``jobs`` are there beside it."""

    patch: dict[str, Any] = {}
    jobs: list[Job] = []

    def __bool__(self) -> bool:
        return bool(self.patch or self.jobs)


def names_of(jobs: list[Job]) -> set[str]:
    """The names of *jobs*, one a dataset."""
    return {job_name(job.operation, dataset) for job in jobs for dataset in job.datasets}


def merged(base: Config, kept: Kept, *, file: bool) -> Config:
    """Return *base* with what is *kept* beside it. Raises ConfigError for what has become impossible since.

    *file*: base is that of a file, which is the truth: a job that it has, too, is as it says.
    """
    if not kept:
        return base
    if kept.patch and not file:
        base = convert(_patched(plain(base), kept.patch))
    there = names_of(base.jobs)
    jobs = list(base.jobs)
    for job in kept.jobs:
        pairs = zip(job.pairs, job.datasets, strict=True)
        missing = [pair for pair, dataset in pairs if job_name(job.operation, dataset) not in there]
        if missing:
            jobs.append(job if len(missing) == len(job.pairs) else msgspec.structs.replace(job, pairs=missing))
    config = msgspec.structs.replace(base, jobs=jobs)
    return convert(plain(config))


def split(base: Config, wanted: Config) -> Kept:
    """Return what is to be kept so that :func:`merged` makes *wanted* of *base*, but for the order of the jobs."""
    patch = _difference(
        {key: value for key, value in plain(base).items() if key != "jobs"},
        {key: value for key, value in plain(wanted).items() if key != "jobs"},
    )
    stay = [job for job in base.jobs if job in wanted.jobs]
    if len(stay) < len(base.jobs):
        patch["jobs"] = [plain(job) for job in stay]
    return Kept(patch, [job for job in wanted.jobs if job not in stay])


def _difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if value == before:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            value = _difference(before, value)
        patch[key] = value
    return patch


def _patched(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    found = dict(value)
    for key, change in patch.items():
        if change is None:
            found.pop(key, None)
        elif isinstance(change, dict):
            before = found.get(key)
            found[key] = _patched(before if isinstance(before, dict) else {}, change)
        else:
            found[key] = change
    return found
