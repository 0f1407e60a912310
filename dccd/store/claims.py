"""What is known of a dataset beside its files: asked, empty, purged, unavailable, missing and why.

Notes flow in and are durable when ``add`` returns; the union of what all writers noted flows out. One small JSON file
a dataset and writer, changed under a lock::

    {root}/.dccd/coverage/{dataset}/{writer}.json

Nothing here makes a time verified: that is claimed in the footers of the files that hold the rows. So a file that is
lost here makes reasons forgotten, and confirmed emptiness asked for again; it never hides a hole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import msgspec

from dccd.errors import CorruptFile
from dccd.store.coverage import Gap, Interval, IntervalSet, Notes
from dccd.store.files import Step, locked, no_step, os_errors, write_durably
from dccd.store.layout import Layout
from dccd.symbols import Dataset

__all__ = ["NoteBook", "coverage_folder", "noted_datasets", "read_notes"]

_LOCK = "lock"
_decode = msgspec.json.Decoder(Notes).decode


def coverage_folder(layout: Layout, dataset: Dataset) -> Path:
    """The folder of the notes about *dataset*."""
    return layout.root / ".dccd" / "coverage" / dataset.name


def read_notes(layout: Layout, dataset: Dataset) -> Notes:
    """Return what all writers noted about *dataset*. Raises CorruptFile."""
    notes = Notes()
    for path in _files(coverage_folder(layout, dataset)):
        if (found := _read(path)) is not None:
            notes = notes.plus(found)
    return notes


def noted_datasets(layout: Layout) -> list[Dataset]:
    """Return the datasets that there are notes about, in order."""
    return layout.named_in(layout.root / ".dccd" / "coverage")


class NoteBook:
    """Where one writer (a host, a tool) notes things. Thread-safe, and safe beside another of the same name."""

    def __init__(self, layout: Layout, writer: str, step: Step = no_step) -> None:
        self.layout = layout
        self.writer = re.sub(r"[^A-Za-z0-9_-]", "-", writer)
        self._step = step

    def __repr__(self) -> str:
        return f"<NoteBook {self.writer} in {self.layout.root}>"

    def add(
        self,
        dataset: Dataset,
        *,
        asked: Iterable[Interval] = (),
        empty: Iterable[Interval] = (),
        purged: Iterable[Interval] = (),
        unavailable: Iterable[Gap] = (),
        missing: Iterable[Gap] = (),
        doubted: Iterable[Interval] = (),
    ) -> None:
        """Note more about *dataset*; durable on return. Raises StoreFull, StoreError, CorruptFile."""
        more = Notes(tuple(asked), tuple(empty), tuple(purged), tuple(unavailable), tuple(missing), tuple(doubted))
        self._change(dataset, lambda notes: notes.plus(more))

    def forget_missing(self, dataset: Dataset, done: IntervalSet) -> None:
        """Drop everybody's reasons for what is there by now. Raises as ``add`` does."""
        self._change_all(dataset, lambda notes: notes.without_missing(done))

    def forget_purged(self, dataset: Dataset, back: Iterable[Interval]) -> None:
        """What was purged is to be had again (restored, or to be asked for). Raises as ``add`` does."""
        again = IntervalSet(back)

        def change(notes: Notes) -> Notes:
            return msgspec.structs.replace(notes, purged=tuple(IntervalSet(notes.purged).minus(again)))

        self._change_all(dataset, change)

    def forget_doubted(self, dataset: Dataset, again: IntervalSet) -> None:
        """Drop everybody's doubts about what was fetched again. Raises as ``add`` does."""

        def change(notes: Notes) -> Notes:
            return msgspec.structs.replace(notes, doubted=tuple(IntervalSet(notes.doubted).minus(again)))

        self._change_all(dataset, change)

    def forget_unavailable(self, dataset: Dataset, again: IntervalSet) -> None:
        """What is to be asked for once more. Raises as ``add`` does."""

        def change(notes: Notes) -> Notes:
            left = [Gap(a, b, gap.reason) for gap in notes.unavailable for a, b in again.gaps(gap.start, gap.end)]
            return msgspec.structs.replace(notes, unavailable=tuple(left))

        self._change_all(dataset, change)

    def _change(self, dataset: Dataset, change: Callable[[Notes], Notes]) -> None:
        folder = coverage_folder(self.layout, dataset)
        with locked(folder / _LOCK, wait=True):
            self._rewrite(folder / f"{self.writer}.json", change)

    def _change_all(self, dataset: Dataset, change: Callable[[Notes], Notes]) -> None:
        folder = coverage_folder(self.layout, dataset)
        if not folder.is_dir():
            return
        with locked(folder / _LOCK, wait=True):
            for path in _files(folder):
                self._rewrite(path, change)

    def _rewrite(self, path: Path, change: Callable[[Notes], Notes]) -> None:
        before = _read(path) or Notes()
        after = change(before)
        if after == before:
            return

        def write(file: BinaryIO) -> None:
            file.write(msgspec.json.encode(after))

        write_durably(path, self.writer, write, self._step)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in os.listdir(folder) if name.endswith(".json") and name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> Notes | None:
    try:
        with os_errors(path):
            try:
                text = path.read_bytes()
            except FileNotFoundError:
                return None
        return _decode(text)
    except msgspec.MsgspecError as exc:
        raise CorruptFile(path, f"{exc}; it is written by rename: somebody else has changed it") from exc
