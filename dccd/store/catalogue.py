"""How much is stored, without reading it.

A listing of the root flows in, statistics and claims by dataset flow out. Footers are read of files that weren't
seen before with this path, size, inode and time, so that asking again costs a listing; what was seen can be kept on
disk (:meth:`Catalogue.save`) for the next process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from dccd.errors import StoreError
from dccd.store.coverage import Claims, Interval, IntervalSet
from dccd.store.files import write_durably
from dccd.store.layout import Layout, is_period
from dccd.store.parquet import OpenFile
from dccd.symbols import Dataset

__all__ = ["Catalogue", "DatasetStats"]

_TRIES = 50


class DatasetStats(msgspec.Struct, frozen=True):
    """What is stored of a dataset: ``first_ts`` and ``last_ts`` in ns, ``None`` when there are no rows.

    ``rows`` is the sum over the files that count: a row that was stored by two of them, as live and backfilled,
    counts twice until they are folded.
    """

    rows: int = 0
    files: int = 0
    bytes: int = 0
    first_ts: int | None = None
    last_ts: int | None = None


class _File(msgspec.Struct, frozen=True):
    stamp: tuple[int, int, int]
    rows: int
    bytes: int
    first_ts: int | None
    last_ts: int | None
    folds: tuple[str, ...]
    verified: tuple[Interval, ...]
    unverified: tuple[Interval, ...]


class Catalogue:
    """Statistics of one ``data_path``, remembered by file. Thread-safe."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._known: dict[Dataset, dict[Path, _File]] = {}
        self._lock = threading.Lock()
        self.opened = 0
        """How many footers were read so far."""

    def __repr__(self) -> str:
        return f"<Catalogue of {self.layout.root}: {sum(map(len, self._known.values()))} files, {self.opened} opened>"

    def all(self) -> dict[Dataset, DatasetStats]:
        """The statistics of every dataset. Raises CorruptFile."""
        found = {dataset: self.dataset(dataset) for dataset in self.layout.datasets()}
        with self._lock:
            for gone in self._known.keys() - found.keys():
                del self._known[gone]
        return found

    def dataset(self, dataset: Dataset) -> DatasetStats:
        """The statistics of *dataset*, all zero when nothing is stored. Raises CorruptFile."""
        return self.look(dataset)[0]

    def look(self, dataset: Dataset) -> tuple[DatasetStats, Claims]:
        """The statistics of *dataset*, and what its files claim, of one moment. Raises CorruptFile."""
        with self._lock:
            known = self._known.get(dataset, {})
            for _ in range(_TRIES):
                try:
                    known = self._look(dataset, known)
                    break
                except FileNotFoundError:
                    continue  # folded between the listing and the opening
            else:
                raise StoreError(self.layout.dataset_segments(dataset), "files vanish faster than they can be opened")
            self._known[dataset] = known
        held = {name for file in known.values() for name in file.folds}
        base = self.layout.folder(dataset)
        counting = [file for path, file in known.items() if path.parent == base or path.stem not in held]
        claims = Claims(
            IntervalSet(chain.from_iterable(file.verified for file in counting)),
            IntervalSet(chain.from_iterable(file.unverified for file in counting)),
        )
        return _sum(counting), claims

    def save(self, path: Path) -> None:
        """Keep what was seen in *path*. Raises StoreFull, StoreError."""
        with self._lock:
            seen = {str(file): seen for files in self._known.values() for file, seen in files.items()}
        root = str(self.layout.root)
        relative = {os.path.relpath(name, root): seen for name, seen in seen.items()}

        def write(file: BinaryIO) -> None:
            file.write(msgspec.msgpack.encode(relative))

        write_durably(path, "catalogue", write)

    def load(self, path: Path) -> None:
        """Take over what :meth:`save` kept; what it doesn't fit any more, it is looked at anew."""
        try:
            seen = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, _File])
        except (OSError, msgspec.MsgspecError):
            return  # not there, or of another version: it only saves time
        with self._lock:
            for name, file in seen.items():
                where = self.layout.root / name
                if (dataset := self.layout.dataset_of(where)) is not None:
                    self._known.setdefault(dataset, {})[where] = file

    def _look(self, dataset: Dataset, known: dict[Path, _File]) -> dict[Path, _File]:
        """The files there are now. Raises FileNotFoundError when one is folded meanwhile.

        In the order that ``reader`` explains: segments are listed upwards, then the base files, then the segments are
        looked at, so that a row is seen in one place.
        """
        layout = self.layout
        segments: list[tuple[int, Path]] = []
        for period in _names(layout.dataset_segments(dataset)):
            if is_period(dataset.data_type, period):
                for level, folder in layout.levels(dataset, period):
                    segments += [(level, folder / name) for name in _names(folder) if name.endswith(".parquet")]
        folder = layout.folder(dataset)
        bases = [
            folder / name
            for name in _names(folder)
            if name.endswith(".parquet") and is_period(dataset.data_type, name[: -len(".parquet")])
        ]
        found = {path: self._file(path, None, known) for path in bases}
        found.update((path, self._file(path, level, known)) for level, path in segments if path.name[0] != ".")
        return found

    def _file(self, path: Path, level: int | None, known: dict[Path, _File]) -> _File:
        stat = path.stat()
        stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        before = known.get(path)
        if before is not None and before.stamp == stamp:
            return before
        self.opened += 1
        file = OpenFile(path, level)
        try:
            folds = () if file.footer is None else file.footer.folds
            said = file.claims
            times = file.first_ts, file.last_ts
            return _File(stamp, file.rows, file.bytes, *times, folds, tuple(said.verified), tuple(said.unverified))
        finally:
            file.close()


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sum(files: Iterable[_File]) -> DatasetStats:
    counted = [file for file in files if file.rows]
    return DatasetStats(
        rows=sum(file.rows for file in counted),
        files=len(counted),
        bytes=sum(file.bytes for file in counted),
        first_ts=min((file.first_ts for file in counted if file.first_ts is not None), default=None),
        last_ts=max((file.last_ts for file in counted if file.last_ts is not None), default=None),
    )
