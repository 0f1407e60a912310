"""Rows of an old file into the store, and the file aside, so that a crash at any step loses and doubles nothing.

Rows flow in; segments, and the old file under ``.dccd/migrated``, flow out. In this order:

1. *Stage*: the rows are written as segments into a folder of their own, fsynced, read again and compared.
2. *Journal*: what is to be renamed to what is written beside them. From here on it is going to happen.
3. *Aside*: the old file is renamed, so that nobody takes it for rows of ours, nor migrates it again.
4. *Publish*: each staged segment is renamed to where it belongs; then the folder goes, its journal last.

A rename happened or it didn't, and a staged file that isn't there any more was published: whoever finds a journal goes
on where it was (:func:`resume`). Without a journal nothing has happened, and what is staged is removed. Between 3 and 4
rows are in no dataset for a moment, and on disk twice.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
import polars as pl
import pyarrow as pa

from dccd.errors import CorruptFile, OldFileProblem
from dccd.store.files import Step, locked, no_step, os_errors, remove, sync_folder, token, write_durably
from dccd.store.files import make_folder as make
from dccd.store.layout import Layout, segment_name
from dccd.store.parquet import MAX_TS, MIN_TS, Footer, OpenFile, write_parquet
from dccd.store.schema import SCHEMAS
from dccd.store.writer import split
from dccd.symbols import Dataset

__all__ = [
    "Journal",
    "Stat",
    "aside_path",
    "commit",
    "read_journal",
    "resume",
    "stage",
    "staging_root",
    "stat_of",
    "unfinished",
]

WRITER = "migrate"
_JOURNAL = "journal.json"


class Stat(msgspec.Struct, frozen=True):
    """By what a file is known to be the one that was read."""

    inode: int
    bytes: int
    mtime: int


class Journal(msgspec.Struct, frozen=True):
    """What is being done about one old file; paths are below the data_path, ``moves`` from staged to published."""

    source: str
    stat: Stat
    aside: str
    dataset: str
    moves: tuple[tuple[str, str], ...]


def stat_of(path: Path) -> Stat:
    """Return the stat of the file at *path*. Raises StoreError."""
    with os_errors(path):
        found = path.stat()
    return Stat(found.st_ino, found.st_size, found.st_mtime_ns)


def staging_root(layout: Layout) -> Path:
    """Where what is being migrated is staged, a folder a file."""
    return layout.root / ".dccd" / "migrate"


def aside_path(layout: Layout, source: str) -> Path:
    """Where the old file at *source* is kept: a name that is free."""
    wanted = layout.root / ".dccd" / "migrated" / source
    path, number = wanted, 1
    while path.exists():
        path, number = wanted.with_name(f"{wanted.stem}~{number}{wanted.suffix}"), number + 1
    return path


def stage(layout: Layout, dataset: Dataset, rows: pl.DataFrame, source: str, stat: Stat, step: Step = no_step) -> Path:
    """Write *rows*, what is new of the file at *source*, and the journal; return the folder they are in.

    Raises StoreFull, StoreError, and CorruptFile when what was written isn't what is read again.
    """
    folder = staging_root(layout) / token()
    moves: list[tuple[str, str]] = []
    for number, (period, part) in enumerate(split(dataset.data_type, _table(dataset, rows))):
        written = time.time_ns()
        name = segment_name(f"{WRITER}.{folder.name}", number, written, part.num_rows)
        path = folder / f"{number}.parquet"

        write_durably(path, WRITER, partial(_write, part, _footer(written)), step)
        _verify(path, part)
        step("verified")
        target = layout.segment_dir(dataset, period) / f"{name}.parquet"
        moves.append((_below(layout, path), _below(layout, target)))
    aside = _below(layout, aside_path(layout, source))
    journal = Journal(source, stat, aside, dataset.name, tuple(moves))
    write_durably(folder / _JOURNAL, WRITER, partial(_put, msgspec.json.encode(journal)), step)
    return folder


def commit(layout: Layout, folder: Path, step: Step = no_step) -> Journal | None:
    """Do what the journal in *folder* says, or what is left of it; return it, or None when it can't begin any more:
    the old file isn't the one that was read. Raises StoreError."""
    journal = msgspec.json.decode((folder / _JOURNAL).read_bytes(), type=Journal)
    dataset = Dataset.parse(journal.dataset)
    source, aside = layout.root / journal.source, layout.root / journal.aside
    with locked(layout.lock_path(dataset), wait=True):
        if not aside.exists():
            if not source.exists() or stat_of(source) != journal.stat:
                _remove_folder(folder, step)
                return None
            step("aside")
            _rename(source, aside)
        for staged, target in ((layout.root / a, layout.root / b) for a, b in journal.moves):
            if staged.exists():
                step("publish")
                _rename(staged, target)
    step("published")
    _remove_folder(folder, step)
    return journal


def unfinished(layout: Layout) -> list[Path]:
    """The folders that a crash left, with a journal or without."""
    try:
        return sorted(path for path in staging_root(layout).iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def resume(layout: Layout, step: Step = no_step) -> Iterator[Journal]:
    """Finish what a crash left, and yield what that was; remove what had not begun."""
    for folder in unfinished(layout):
        if (folder / _JOURNAL).exists():
            journal = commit(layout, folder, step)
            if journal is not None:
                yield journal
        else:
            _remove_folder(folder, step)


def read_journal(folder: Path) -> Journal | None:
    """The journal in *folder*, if there is one."""
    try:
        return msgspec.json.decode((folder / _JOURNAL).read_bytes(), type=Journal)
    except FileNotFoundError:
        return None


def _footer(written: int) -> Callable[[int, int], Footer]:
    """The footer of a staged segment, once its first and last time are known. It claims nothing: nobody knows what an
    older release has missed."""

    def made(first: int, last: int) -> Footer:
        return Footer(kind="segment", writer=WRITER, written_at=written, first_ts=first, last_ts=last)

    return made


def _table(dataset: Dataset, rows: pl.DataFrame) -> pa.Table:
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    known = SCHEMAS[dataset.data_type]
    fields = [known.field(field.name) if field.name in known.names else field for field in table.schema]
    return table.cast(pa.schema(fields))


def _verify(path: Path, part: pa.Table) -> None:
    """Raise CorruptFile unless the file at *path* holds *part*, row by row."""
    file = OpenFile(path, 0)
    try:
        found = [frame for frame, _ in file.frames(MIN_TS, MAX_TS)]
    finally:
        file.close()
    expected = pl.from_arrow(part)
    assert isinstance(expected, pl.DataFrame)
    if not found or not pl.concat(found).select(expected.columns).equals(expected, null_equal=True):
        raise CorruptFile(path, "what was written isn't what is read again")


def _rename(old: Path, new: Path) -> None:
    with os_errors(old):
        for _ in range(100):
            make(new.parent)
            try:
                os.rename(old, new)
                break
            except FileNotFoundError:
                if not old.exists():
                    raise
        else:
            raise OldFileProblem(old, f"can't be moved to {new}: that folder vanishes")
        sync_folder(new.parent)
        sync_folder(old.parent)


def _remove_folder(folder: Path, step: Step) -> None:
    """Remove a staging folder, its journal last: until then it says what the rest is."""
    with os_errors(folder):
        remove([path for path in folder.iterdir() if path.name != _JOURNAL], step)
        remove([folder / _JOURNAL], step)
        shutil.rmtree(folder)
        sync_folder(folder.parent)


def _write(part: pa.Table, footer: Callable[[int, int], Footer], file: BinaryIO) -> None:
    write_parquet(file, [part], part.schema, footer)


def _below(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()


def _put(data: bytes, file: BinaryIO) -> None:
    file.write(data)
