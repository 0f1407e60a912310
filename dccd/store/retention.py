"""What is kept here, and for how long.

Sizes and times of what is stored, rules and the free space flow in; what is to be purged flows out (:func:`plan`,
pure). :func:`purge` performs: one period of one dataset, of which each remote has a copy that was just read back and
compared, where there are remotes at all. That it was purged is noted before anything is removed, so that whatever is
killed, and whenever: a row is here, or its time is noted as purged.

Steps, for tests: ``verified``, ``note``, those of the note's file, ``remove`` before each file, ``sync_removed``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from dccd.errors import CorruptFile, RemoteDamaged, RemoteError, RemoteMissing
from dccd.store.claims import NoteBook
from dccd.store.files import Step, locked, no_step, remove, remove_empty
from dccd.store.layout import Layout, period_bounds
from dccd.store.remote.base import Remote, Wait, checked, patiently, waiting
from dccd.store.remote.local import Hashes, period_mark, purging, snapshot, stored_bytes
from dccd.store.remote.manifest import Entry, Manifest, year_of
from dccd.store.remote.restore import purged_intervals
from dccd.store.remote.sync import load_manifest
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Planned", "Purge", "Rule", "Stored", "held_by", "plan", "planned", "purge", "stored"]

_SETTLE = 3600 * NS
"""A period that has ended so short ago (ns) is still being written."""
_DAILY = (DataType.TRADES, DataType.ORDERBOOK)
_ATTEMPTS = 3


class Rule(msgspec.Struct, frozen=True):
    """Of one data type: the oldest that is kept (ns), and the bytes that all of it may have; None: whatever."""

    age: int | None = None
    size: int | None = None


class Stored(msgspec.Struct, frozen=True):
    """A period that is stored, and its bytes."""

    dataset: Dataset
    period: str
    bytes: int


class Purge(msgspec.Struct, frozen=True):
    """A period that is to go, and why."""

    dataset: Dataset
    period: str
    bytes: int
    reason: Literal["age", "size", "free_space"]


def plan(
    found: Sequence[Stored], rules: Mapping[DataType, Rule], floor: int, free: int, now: int
) -> tuple[list[Purge], int]:
    """Decide what is to go, oldest first, and how many bytes short of the *floor* (0: none) that leaves. Pure.

    *free* bytes are left on the disk now; *now* in ns. A period that isn't over is kept whatever the rules say. For
    the floor, days of trades and books go before years of bars, which would make little room.
    """
    over = sorted((s for s in found if period_bounds(s.period)[1] + _SETTLE <= now), key=_oldest)
    going: dict[tuple[Dataset, str], Purge] = {}

    def take(one: Stored, reason: Literal["age", "size", "free_space"]) -> None:
        going[one.dataset, one.period] = Purge(one.dataset, one.period, one.bytes, reason)

    for kind, rule in rules.items():
        if rule.age is not None:
            for one in over:
                if one.dataset.data_type is kind and period_bounds(one.period)[1] + rule.age <= now:
                    take(one, "age")
        if rule.size is not None:
            total = sum(s.bytes for s in found if s.dataset.data_type is kind and (s.dataset, s.period) not in going)
            for one in over:
                if total <= rule.size:
                    break
                if one.dataset.data_type is kind and (one.dataset, one.period) not in going:
                    take(one, "size")
                    total -= one.bytes
    short = max(floor - free - sum(purge.bytes for purge in going.values()), 0) if floor else 0
    for one in sorted(over, key=lambda s: (s.dataset.data_type not in _DAILY, *_oldest(s))):
        if short <= 0:
            break
        if (one.dataset, one.period) not in going:
            take(one, "free_space")
            short = max(short - one.bytes, 0)
    return sorted(going.values(), key=lambda p: (period_bounds(p.period)[1], p.dataset.name)), short


class Planned(msgspec.Struct, frozen=True):
    """What is to go, the bytes that the floor then still lacks, and those that are free now."""

    going: list[Purge]
    short: int
    free: int


def planned(layout: Layout, rules: Mapping[DataType, Rule], floor: int, now: int) -> Planned:
    """The plan for the store as it is; *now* in ns. Costs a listing."""
    free = shutil.disk_usage(layout.root).free
    going, short = plan(stored(layout), rules, floor, free, now)
    return Planned(going, short, free)


def _oldest(one: Stored) -> tuple[int, str]:
    return period_bounds(one.period)[1], one.dataset.name


def stored(layout: Layout) -> list[Stored]:
    """Every period that is stored, with its bytes: a listing."""
    return [
        Stored(dataset, period, size)
        for dataset in layout.datasets()
        for period, size in stored_bytes(layout, dataset).items()
    ]


def held_by(
    remote: Remote,
    host: str,
    dataset: Dataset,
    period: str,
    entries: Sequence[Entry],
    wait: Wait,
    *,
    read: bool,
    known: dict[tuple[str, Dataset, str], Manifest] | None = None,
) -> str | None:
    """Return why *remote* doesn't hold all of *entries*, or None when it does; with *read* as their content tells.

    *known*: manifests that were read before, and where those that are read now go.
    """
    key = (remote.name, dataset, year_of(period))
    try:
        manifest = None if known is None else known.get(key)
        if manifest is None:
            manifest = load_manifest(remote, host, dataset, year_of(period), wait, _ATTEMPTS)
        if known is not None:
            known[key] = manifest
        there = {entry.key: entry for entry in manifest.files}
        for entry in entries:
            copy = there.get(entry.key)
            if copy is None or (copy.size, copy.sha256) != (entry.size, entry.sha256):
                return f"remote {remote.name} doesn't have it yet: the next sync copies it"
            if read:
                patiently(lambda copy=copy: _read(remote, copy, wait), wait, _ATTEMPTS)  # type: ignore[misc]  # bound now
    except RemoteMissing as exc:
        return f"{exc}, which its manifest names: `dccd remote verify --mend`"
    except RemoteDamaged as exc:
        return f"{exc}: `dccd remote verify --mend`"
    except RemoteError as exc:
        return str(exc)
    return None


def _read(remote: Remote, entry: Entry, wait: Wait) -> None:
    for _ in checked(remote, entry.key, entry.size, entry.sha256, wait):
        pass


def purge(
    layout: Layout,
    dataset: Dataset,
    period: str,
    remotes: Sequence[Remote],
    host: str,
    *,
    hashes: Hashes | None = None,
    wait: Wait | None = None,
    step: Step = no_step,
) -> str | None:
    """Remove the files of *period* once each of *remotes* verifiably holds them; return why not, or None when done.

    Readers that have them open go on reading. Raises StoreError, Stopped; the period is whole or noted as purged then.
    """
    wait = wait or waiting()
    mark = period_mark(layout, dataset, period)
    try:
        with snapshot(layout, host, dataset, period, hashes or Hashes(layout), wait) as files:
            entries = [file.entry for file in files]
    except CorruptFile as exc:
        return f"{exc}: `dccd doctor` sets it aside"
    for remote in remotes:
        if (why := held_by(remote, host, dataset, period, entries, wait, read=True)) is not None:
            return why
    step("verified")
    with locked(layout.lock_path(dataset), wait=True):
        # Listed before it is looked whether anything came: a writer may add a segment at any moment, and that stays.
        # Lower levels first, the base last: what a file has taken up never counts again while that file is there.
        paths = [path for _, folder in layout.levels(dataset, period) for path in _segments(folder)]
        if period_mark(layout, dataset, period) != mark:
            return "it has changed meanwhile: looked at anew the next time"
        step("note")
        NoteBook(layout, host, step).add(dataset, purged=purged_intervals(entries))
        purging(layout)
        remove(paths, step)
        base = layout.base_path(dataset, period)
        if base.exists():
            remove([base], step)
        for _, folder in reversed(layout.levels(dataset, period)):
            remove_empty(folder)
    return None


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if path.name[0] != ".")
