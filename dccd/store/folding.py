"""All of the store folded at once, when somebody asks for it: a listing flows in, bases of all rows flow out.

What is due at its own time is the compactor's business, period by period; this is for who wants plain Parquet with
every row now: before a backup, an upgrade, or a program that reads the files by itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from dccd.errors import StoreError, StoreFull, StoreLocked
from dccd.store.files import os_errors
from dccd.store.fold import FoldResult, fold
from dccd.store.layout import Layout
from dccd.store.remote.base import Wait
from dccd.symbols import Dataset

__all__ = ["Folded", "Unfolded", "fold_all", "unfolded"]

_LOCKED_SECONDS = 60.0
_POLL_SECONDS = 0.2


class Unfolded(msgspec.Struct, frozen=True):
    """A period with segments, and the bytes of them and of its base: what a fold reads."""

    dataset: Dataset
    period: str
    bytes: int


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What has been done: so many ``periods`` have new bases, of so many ``rows`` and ``bytes``. ``read`` bytes of
    ``of_read`` are behind; ``problems`` says what could not be folded, and why."""

    periods: int = 0
    rows: int = 0
    bytes: int = 0
    read: int = 0
    of_read: int = 0
    problems: tuple[str, ...] = ()


def unfolded(layout: Layout, datasets: Iterable[Dataset]) -> list[Unfolded]:
    """The periods of *datasets* that have rows outside of their base, in order."""
    found = []
    for dataset in datasets:
        for period in layout.segment_periods(dataset):
            segments = sum(_sizes(folder) for _, folder in layout.levels(dataset, period))
            if segments:
                found.append(Unfolded(dataset, period, segments + _size(layout.base_path(dataset, period))))
    return found


def _sizes(folder: Path) -> int:
    return sum(_size(folder / name) for name in _names(folder) if name.endswith(".parquet"))


def _names(folder: Path) -> list[str]:
    with os_errors(folder):
        try:
            return os.listdir(folder)
        except FileNotFoundError:  # there are none of this level, or a fold has just removed them
            return []


def _size(path: Path) -> int:
    with os_errors(path):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0


def fold_all(
    layout: Layout,
    datasets: Iterable[Dataset],
    *,
    tell: Callable[[Folded], None],
    folded: Callable[[FoldResult, float], None],
    wait: Wait,
    patience: float = _LOCKED_SECONDS,
) -> Folded:
    """Bring every row of *datasets* into the bases; *tell* hears how far it is, *folded* of each period, with the
    seconds it took.

    *wait* is called often, and ends it by raising: what is folded by then stays folded. A dataset that another process
    folds is waited for, *patience* seconds. What can't be read is told as a problem, and the others are folded all the
    same. Raises StoreFull.
    """
    todo = unfolded(layout, datasets)
    done = Folded(of_read=sum(one.bytes for one in todo))
    tell(done)
    for one in todo:
        begun = time.perf_counter()
        try:
            result = _patiently(layout, one, wait, patience)
        except StoreFull:
            raise
        except StoreError as exc:
            problem = f"{one.dataset.name} {one.period}: {exc}"
            done = msgspec.structs.replace(done, problems=(*done.problems, problem))
        else:
            if result is not None:
                done = msgspec.structs.replace(
                    done, periods=done.periods + 1, rows=done.rows + result.rows, bytes=done.bytes + result.bytes
                )
                folded(result, time.perf_counter() - begun)
        done = msgspec.structs.replace(done, read=done.read + one.bytes)
        tell(done)
    return done


def _patiently(layout: Layout, one: Unfolded, wait: Wait, patience: float) -> FoldResult | None:
    until = time.monotonic() + patience
    while True:
        wait(0)
        try:
            return fold(layout, one.dataset, one.period, force=True, step=lambda name: wait(0))
        except StoreLocked:
            if time.monotonic() >= until:
                raise
            wait(_POLL_SECONDS)
