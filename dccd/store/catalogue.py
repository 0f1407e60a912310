"""How much is stored, without reading it.

A listing of the root flows in, statistics and claims by dataset flow out. Footers are read of files that weren't
seen before with this path, size, inode and time, so that asking again costs a listing; what was seen can be kept on
disk (:meth:`Catalogue.save`) for the next process.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from dccd.errors import IdentityError, StoreError
from dccd.store.coverage import Claims, Interval, IntervalSet, holds, rows_of
from dccd.store.files import write_durably
from dccd.store.layout import Layout, is_period
from dccd.store.parquet import OpenFile
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Catalogue", "DatasetStats"]

_TRIES = 50


class DatasetStats(msgspec.Struct, frozen=True, gc=False):
    """What is stored of a dataset: ``first_ts`` and ``last_ts`` in ns, ``None`` when there are no rows.

    ``rows`` is the sum over the files that count: a row that was stored by two of them, as live and backfilled,
    counts twice until they are folded.
    """

    rows: int = 0
    files: int = 0
    bytes: int = 0
    first_ts: int | None = None
    last_ts: int | None = None


# gc=False: there are ten thousands of them, they hold no cycles, and each pass of the collector would go through all.
class _File(msgspec.Struct, frozen=True, gc=False):
    stamp: tuple[int, int, int]
    name: str | None  # by which a fold knows it; None of a base
    rows: int
    bytes: int
    first_ts: int | None
    last_ts: int | None
    folds: tuple[str, ...]
    verified: tuple[Interval, ...]
    unverified: tuple[Interval, ...]
    after: int | None = None


_Files = dict[str, _File]
"""By name; of a segment ``{period}/{level}/{name}``."""


class Catalogue:
    """Statistics of one ``data_path``, remembered by file. Thread-safe."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._known: dict[Dataset, _Files] = {}
        self._found: dict[Dataset, tuple[DatasetStats, Claims]] = {}
        self._lock = threading.Lock()
        self.opened = 0
        """How many footers were read so far."""
        self.unsaved = False
        """Whether files were seen, or missed, since it was last saved or loaded."""

    def __repr__(self) -> str:
        return f"<Catalogue of {self.layout.root}: {sum(map(len, self._known.values()))} files, {self.opened} opened>"

    def all(self) -> dict[Dataset, DatasetStats]:
        """The statistics of every dataset. Raises CorruptFile."""
        found = {dataset: self.dataset(dataset) for dataset in self.layout.datasets()}
        with self._lock:
            for gone in self._known.keys() - found.keys():
                del self._known[gone]
                self._found.pop(gone, None)
                self.unsaved = True
        return found

    def dataset(self, dataset: Dataset) -> DatasetStats:
        """The statistics of *dataset*, all zero when nothing is stored. Raises CorruptFile."""
        return self.look(dataset)[0]

    def look(self, dataset: Dataset) -> tuple[DatasetStats, Claims]:
        """The statistics of *dataset*, and what its files claim, of one moment: the same objects as before when nothing
        has changed. Raises CorruptFile."""
        with self._lock:
            before = known = self._known.get(dataset, {})
            for _ in range(_TRIES):
                try:
                    known = self._look(dataset, known)
                    break
                except FileNotFoundError:
                    continue  # folded between the listing and the opening
            else:
                raise StoreError(self.layout.dataset_segments(dataset), "files vanish faster than they can be opened")
            found = self._found.get(dataset)
            if found is None or known != before:
                self.unsaved |= known != before
                self._known[dataset] = known
                self._found[dataset] = found = _sum(known, (dataset.span or 0) * NS or 1)
            return found

    def save(self, path: Path) -> None:
        """Keep what was seen in *path*. Raises StoreFull, StoreError."""
        with self._lock:
            self.unsaved = False
            seen = {dataset.name: files for dataset, files in self._known.items()}

        def write(file: BinaryIO) -> None:
            file.write(msgspec.msgpack.encode(seen))

        try:
            write_durably(path, "catalogue", write)
        except StoreError:
            self.unsaved = True
            raise

    def load(self, path: Path) -> None:
        """Take over what :meth:`save` kept; what it doesn't fit any more, it is looked at anew."""
        try:
            seen = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, _Files])
            known = {Dataset.parse(name): files for name, files in seen.items()}
        except (OSError, msgspec.MsgspecError, IdentityError):
            return  # not there, or of another version: it only saves time
        with self._lock:
            self._known.update(known)
            self._found.clear()

    def _look(self, dataset: Dataset, known: _Files) -> _Files:
        """The files there are now. Raises FileNotFoundError when one is folded meanwhile.

        In the order that ``reader`` explains: segments are listed upwards, then the base files, then the segments are
        looked at, so that a row is seen in one place.
        """
        layout, kind = self.layout, dataset.data_type
        segments: list[tuple[str, int, os.DirEntry[str]]] = []
        for folder in _listed(layout.dataset_segments(dataset)):
            if is_period(kind, folder.name):
                for level, place in layout.levels(dataset, folder.name):
                    within = f"{folder.name}/{level}/"
                    segments += [(within + file.name, level, file) for file in _parquet(place)]
        bases = [file for file in _parquet(layout.folder(dataset)) if _is_base(kind, file.name)]
        found = {file.name: self._file(file, None, known.get(file.name)) for file in bases}
        found.update((key, self._file(file, level, known.get(key))) for key, level, file in segments)
        return found

    def _file(self, entry: os.DirEntry[str], level: int | None, before: _File | None) -> _File:
        stat = entry.stat()
        stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if before is not None and before.stamp == stamp:
            return before
        self.opened += 1
        file = OpenFile(Path(entry.path), level)
        try:
            folds, after = ((), None) if file.footer is None else (file.footer.folds, file.footer.after)
            said, name = file.claims, None if level is None else file.name
            times = file.first_ts, file.last_ts
            claims = tuple(said.verified), tuple(said.unverified)
            return _File(stamp, name, file.rows, file.bytes, *times, folds, *claims, after)
        finally:
            file.close()


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parquet(folder: Path) -> list[os.DirEntry[str]]:
    return [entry for entry in _listed(folder) if entry.name.endswith(".parquet") and entry.name[0] != "."]


@lru_cache(maxsize=8192)
def _is_base(kind: DataType, name: str) -> bool:
    return is_period(kind, name.removesuffix(".parquet"))


def _sum(files: _Files, lasts: int) -> tuple[DatasetStats, Claims]:
    """What the files that count add up to: those whose rows no other holds. A row stands for *lasts* ns."""
    held = {name for file in files.values() for name in file.folds}
    counting = [file for file in files.values() if file.name is None or file.name not in held]
    counted = [file for file in counting if file.rows]
    stats = DatasetStats(
        rows=sum(file.rows for file in counted),
        files=len(counted),
        bytes=sum(file.bytes for file in counted),
        first_ts=min((file.first_ts for file in counted if file.first_ts is not None), default=None),
        last_ts=max((file.last_ts for file in counted if file.last_ts is not None), default=None),
    )
    # A bar stands for all of its span: between the last of one file and the first of the next nothing is missing.
    unverified = IntervalSet((start, end - 1 + lasts) for file in counting for start, end in file.unverified)
    rows = rows_of(counting)
    verified = (
        file.verified if file.after is None else holds(IntervalSet(file.verified), file.first_ts, file.after, rows)
        for file in counting
    )
    claims = Claims(IntervalSet(chain.from_iterable(verified)), unverified)
    return stats, claims
