"""The store as it is to be copied: what has changed, and a snapshot of a period.

A listing flows in; marks that change when files do, entries with hashes, and open files flow out. A file is open while
it is uploaded, so that a fold may replace or remove it meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from dccd.errors import StoreError
from dccd.store.claims import coverage_folder
from dccd.store.files import locked, os_errors, token, write_durably
from dccd.store.layout import Layout
from dccd.store.parquet import OpenFile
from dccd.store.period import open_period
from dccd.store.remote.base import CHUNK, Wait
from dccd.store.remote.manifest import Entry, entry_key
from dccd.store.schema import SCHEMAS
from dccd.symbols import Dataset

__all__ = [
    "Hashes",
    "LocalFile",
    "marks",
    "notes_mark",
    "period_mark",
    "remotes_folder",
    "snapshot",
    "store_id",
    "stored_bytes",
]


class LocalFile(msgspec.Struct, frozen=True):
    """A file of the store, open as *file*, and the entry that it is to have on a remote."""

    path: Path
    entry: Entry
    file: BinaryIO


class _Hash(msgspec.Struct, frozen=True):
    stamp: tuple[int, int, int]
    sha256: str


def remotes_folder(layout: Layout) -> Path:
    """Where what is known of remotes is kept; all of it only saves time, but for the store's id."""
    return layout.root / ".dccd" / "remotes"


class Hashes:
    """The SHA-256 of files, remembered by path, size, time and inode. Thread-safe."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._path = remotes_folder(layout) / "hashes.msgpack"
        self._lock = threading.Lock()
        self.hashed = 0
        """How many files were read to know theirs."""
        try:
            self._known = msgspec.msgpack.decode(self._path.read_bytes(), type=dict[str, _Hash])
        except (OSError, msgspec.MsgspecError):
            self._known = {}

    def __repr__(self) -> str:
        return f"<Hashes of {self.layout.root}: {len(self._known)} known, {self.hashed} read>"

    def of(self, path: Path, file: BinaryIO, wait: Wait) -> str:
        """The hash of *file*, open at *path*. Raises StoreError, Stopped."""
        with os_errors(path):
            stat = os.fstat(file.fileno())
            stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
            name = os.path.relpath(path, self.layout.root)
            with self._lock:
                known = self._known.get(name)
            if known is not None and known.stamp == stamp:
                return known.sha256
            digest = hashlib.sha256()
            file.seek(0)
            while piece := file.read(CHUNK):
                wait(0)
                digest.update(piece)
        found = _Hash(stamp, digest.hexdigest())
        with self._lock:
            self._known[name] = found
            self.hashed += 1
        return found.sha256

    def save(self) -> None:
        """Keep them for the next process, without those of files that are gone. Raises StoreFull, StoreError."""
        with self._lock:
            kept = {name: known for name, known in self._known.items() if (self.layout.root / name).exists()}
            self._known = kept
        write_durably(self._path, "remotes", lambda file: _write(file, msgspec.msgpack.encode(kept)))


def _write(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def marks(layout: Layout, dataset: Dataset) -> dict[str, str]:
    """A mark of each period's files: another when any of them is another. Costs a listing."""
    return {period: mark for period, (mark, _) in _listed(layout, dataset).items()}


def period_mark(layout: Layout, dataset: Dataset, period: str) -> str:
    """The mark of one period."""
    return _marked(layout, dataset, period)[0]


def stored_bytes(layout: Layout, dataset: Dataset) -> dict[str, int]:
    """The bytes of each period's files."""
    return {period: size for period, (_, size) in _listed(layout, dataset).items()}


def _listed(layout: Layout, dataset: Dataset) -> dict[str, tuple[str, int]]:
    return {period: _marked(layout, dataset, period) for period in layout.periods(dataset)}


def _marked(layout: Layout, dataset: Dataset, period: str) -> tuple[str, int]:
    folders = [folder for _, folder in layout.levels(dataset, period)]
    stamps = [stamp for folder in folders for stamp in _stamps(folder)]
    stamps += _stamp(layout.base_path(dataset, period))
    digest = hashlib.sha256(repr(sorted(stamps)).encode()).hexdigest()[:32]
    return digest, sum(size for _, size, _, _ in stamps)


def notes_mark(layout: Layout, dataset: Dataset) -> str:
    """The same of what is noted about *dataset*; empty when nothing is."""
    stamps = [stamp for stamp in _stamps(coverage_folder(layout, dataset), ".json") if stamp[0][0] != "."]
    return hashlib.sha256(repr(sorted(stamps)).encode()).hexdigest()[:32] if stamps else ""


def _stamps(folder: Path, suffix: str = ".parquet") -> Iterator[tuple[str, int, int, int]]:
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if name.endswith(suffix) and name[0] != ".":
            yield from _stamp(folder / name)


def _stamp(path: Path) -> list[tuple[str, int, int, int]]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return []
    return [(path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino)]


@contextmanager
def snapshot(
    layout: Layout, host: str, dataset: Dataset, period: str, hashes: Hashes, wait: Wait
) -> Iterator[list[LocalFile]]:
    """Open the files whose rows are those of *period*, as of one moment, and tell their entries.

    The fold's lock is held for that moment only. Raises StoreError, CorruptFile, Stopped.
    """
    with ExitStack() as stack:
        opened: list[tuple[OpenFile, BinaryIO]] = []
        with locked(layout.lock_path(dataset), wait=True), open_period(layout, dataset, period) as (files, _):
            for file in files:
                with os_errors(file.path):
                    opened.append((file, stack.enter_context(file.path.open("rb"))))
        yield [
            LocalFile(file.path, _entry(host, dataset, period, file, hashes.of(file.path, handle, wait)), handle)
            for file, handle in opened
        ]


def _entry(host: str, dataset: Dataset, period: str, file: OpenFile, sha256: str) -> Entry:
    said = file.claims
    return Entry(
        period=period,
        name=file.name,
        level=file.level,
        key=entry_key(host, dataset, period, file.level, file.name, sha256),
        size=file.bytes,
        sha256=sha256,
        rows=file.rows,
        first_ts=file.first_ts,
        last_ts=file.last_ts,
        verified=tuple(said.verified),
        unverified=tuple(said.unverified),
        columns=tuple(name for name in file.schema.names if name not in SCHEMAS[dataset.data_type].names),
    )


def purge_mark(layout: Layout) -> str:
    """Another whenever anything was purged from the store."""
    try:
        return (remotes_folder(layout) / "purged").read_text()
    except FileNotFoundError:
        return ""


def purging(layout: Layout) -> None:
    """Change that mark. Raises StoreFull, StoreError."""
    write_durably(remotes_folder(layout) / "purged", "remotes", lambda file: _write(file, token().encode()))


def store_id(layout: Layout, fresh: str | None) -> str | None:
    """The id of the store at this ``data_path``; *fresh* becomes it where there is none. Raises StoreError."""
    path = remotes_folder(layout) / "store-id"
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as exc:
        raise StoreError(path, str(exc)) from exc
    if fresh is not None:
        write_durably(path, "remotes", lambda file: _write(file, f"{fresh}\n".encode()))
    return fresh
