"""The seam to the file system: durable writes, locks, and what is left of crashed writers.

Bytes flow in, whole files flow out: a file appears under its name only when all of it is on disk. Errors of the
operating system become ``StoreError``, ``StoreFull`` or ``StoreLocked`` here.

Each step calls the hook it is given with its name, so that a test can stop a writer there as a kill would.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dccd.errors import StoreError, StoreFull, StoreLocked

__all__ = ["Step", "clean_temps", "no_step", "os_errors", "remove", "sync_folder", "token", "write_durably"]

Step = Callable[[str], None]
"""Called with the name of each step before it is taken; raises to stop there (tests), else does nothing."""

# A quota and a file-size limit are a full disk to who writes: rows can't be kept until someone makes room.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TEMP = re.compile(r"\.(?P<owner>.+)~.+\.tmp")


def no_step(name: str) -> None:
    """The hook that does nothing."""


def token() -> str:
    """A new id, in order of time: names with it are never used again, by whatever process after whatever crash."""
    return f"{time.time_ns():016x}{os.urandom(3).hex()}"


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Translate OSError into StoreFull or StoreError about *path*."""
    try:
        yield
    except OSError as exc:
        kind = StoreFull if exc.errno in _FULL else StoreError
        raise kind(path, exc.strerror or str(exc)) from exc


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make *folder* and what is missing above it, durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        return
    sync_folder(folder.parent)


def write_durably(path: Path, owner: str, write: Callable[[BinaryIO], None], step: Step = no_step) -> int:
    """Write a file by *write*, and give it its name when all is on disk; return its size in bytes.

    ``owner`` is who writes, in the name of the temporary file. Steps: ``write``, ``sync``, ``rename``,
    ``sync_folder``, ``done``. Raises StoreFull or StoreError; nothing is left of the file then.
    """
    temp = path.parent / f".{owner}~{token()}.tmp"
    with os_errors(path):
        file = _create(temp)
        try:
            with file:
                # Held while we live: by it `clean_temps` of any process tells a dead writer's file from ours.
                fcntl.flock(file, fcntl.LOCK_EX)
                step("write")
                write(file)
                file.flush()
                step("sync")
                os.fsync(file.fileno())
                size = os.fstat(file.fileno()).st_size
                step("rename")
                os.rename(temp, path)
        except Exception:
            temp.unlink(missing_ok=True)
            raise
        step("sync_folder")
        sync_folder(path.parent)
        step("done")
    return size


def _create(path: Path) -> BinaryIO:
    for _ in range(100):
        make_folder(path.parent)
        try:
            return open(path, "x+b")
        except FileNotFoundError:
            continue  # a fold removed the folder, empty for a moment, between the two lines above
    return open(path, "x+b")


def clean_temps(folder: Path, owner: str | None, older_than: float = 86400.0) -> int:
    """Remove temporary files of crashed writers in *folder*: those of *owner*, and of anyone when older than seconds.

    One whose writer lives is left alone, whoever it is. Returns how many were removed.
    """
    removed = 0
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    with os_errors(folder):
        for name in names:
            match = _TEMP.fullmatch(name)
            if match is None:
                continue
            try:
                fd = os.open(folder / name, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                old = time.time() - os.fstat(fd).st_mtime > older_than
                if match["owner"] != owner and not old:
                    continue
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(folder / name)
                removed += 1
            except (BlockingIOError, FileNotFoundError):
                continue
            finally:
                os.close(fd)
    return removed


@contextmanager
def locked(path: Path, *, wait: bool = False, why: str = "another process folds this dataset") -> Iterator[None]:
    """Hold the lock of *path*; it goes with the process that holds it. Raises StoreLocked, which says *why*, when
    another does, or waits for it: for what is held for moments only."""
    with os_errors(path):
        make_folder(path.parent)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StoreLocked(path, why) from exc
        yield
    finally:
        os.close(fd)


def remove(paths: list[Path], step: Step = no_step) -> None:
    """Remove files durably, those already gone too. Steps: ``remove`` before each, then ``sync_removed`` a folder."""
    for path in paths:
        step("remove")
        with os_errors(path):
            path.unlink(missing_ok=True)
    for folder in sorted({path.parent for path in paths}):
        step("sync_removed")
        with os_errors(folder):
            sync_folder(folder)


def remove_empty(folder: Path) -> None:
    """Remove *folder* if nothing is in it."""
    try:
        folder.rmdir()
    except OSError:
        pass  # something is in it, or it is gone: both are as they should be
