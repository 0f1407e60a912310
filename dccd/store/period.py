"""The files of one period, opened as of one moment, whatever is folded meanwhile.

A dataset and a period flow in, open files flow out, so that each row is in one of them:

Rows only move upwards: from a segment to one of a higher level, at last to the base, and what they moved into is
there before what they left is removed. So the levels are listed upwards, and then the base is opened: a row that moves
meanwhile is seen at least once. Then the listed segments are opened; one that is gone by then was folded, and all
starts again. What is open says in its footer which of the others it holds already: those don't count, so that no row is
seen twice. A fold removes what an earlier one left behind before it rewrites the file that says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dccd.errors import CorruptFile, StoreError
from dccd.store.layout import Layout
from dccd.store.parquet import OpenFile, ReadCounts
from dccd.symbols import Dataset

__all__ = ["HeldPeriods", "counting", "open_period"]

_TRIES = 50
_HELD = 2
"""Periods that stay open, those that are being read among them; more only where more are read."""


@contextmanager
def open_period(
    layout: Layout,
    dataset: Dataset,
    period: str,
    corrupt: list[CorruptFile] | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[tuple[list[OpenFile], list[OpenFile]]]:
    """Open the files of *period*: those that count, in the order they were written, base first; and those that don't,
    since others hold their rows. Raises CorruptFile; with a list of *corrupt* it goes there, and the file is passed
    over."""
    for _ in range(_TRIES):
        with ExitStack() as stack:
            try:
                files = _open_all(layout, dataset, period, stack, corrupt, counts)
            except FileNotFoundError:
                continue
            those = counting(files)
            yield those, [file for file in files if file not in those]
            return
    raise StoreError(layout.dataset_segments(dataset) / period, "its files vanish faster than they can be opened")


def _open_all(
    layout: Layout,
    dataset: Dataset,
    period: str,
    stack: ExitStack,
    corrupt: list[CorruptFile] | None,
    counts: ReadCounts | None,
) -> list[OpenFile]:
    listed = [(level, path) for level, folder in layout.levels(dataset, period) for path in _parquet(folder)]
    files: list[OpenFile] = []

    def add(path: Path, level: int | None) -> None:
        try:
            file = OpenFile(path, level, counts)
        except CorruptFile as exc:
            if corrupt is None:
                raise
            corrupt.append(exc)
            return
        stack.callback(file.close)
        files.append(file)

    with suppress(FileNotFoundError):  # nothing was folded yet
        add(layout.base_path(dataset, period), None)
    for level, path in listed:
        add(path, level)
    return files


def _parquet(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if name.endswith(".parquet") and name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []


def counting(files: list[OpenFile]) -> list[OpenFile]:
    """Those whose rows no other holds, in the order they were written."""
    held = {name for file in files if file.footer is not None for name in file.footer.folds}
    return sorted((file for file in files if file.level is None or file.name not in held), key=_written)


def _written(file: OpenFile) -> tuple[bool, int, str]:
    """The base is older than any segment that it doesn't hold: a fold takes all there are."""
    return (file.level is not None, file.footer.written_at if file.footer else 0, file.name)


@dataclass
class _Held:
    """A period that stays open: its files, what closes them, and how many read them at this moment."""

    files: list[OpenFile]
    stack: ExitStack
    users: int = 0


class HeldPeriods:
    """Periods that stay open, the last few of them, until the block ends. For one thread."""

    def __init__(self) -> None:
        self._held: dict[tuple[Dataset, str], _Held] = {}

    def __repr__(self) -> str:
        return f"<HeldPeriods {[period for _, period in self._held]}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._held.values():
            one.stack.close()
        self._held.clear()

    @contextmanager
    def open(
        self, key: tuple[Dataset, str], opening: Callable[[], AbstractContextManager[list[OpenFile]]]
    ) -> Iterator[list[OpenFile]]:
        """The files of *key*, a dataset and a period; *opening* opens them if they aren't open."""
        held = self._held
        one = held.pop(key, None)
        if one is None:
            with ExitStack() as stack:
                one = _Held(stack.enter_context(opening()), stack.pop_all())
        held[key] = one  # the last of them now
        for idle in [key for key, other in held.items() if not other.users and other is not one][: len(held) - _HELD]:
            held.pop(idle).stack.close()
        one.users += 1
        try:
            yield one.files
        finally:
            one.users -= 1
