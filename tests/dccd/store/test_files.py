"""Tests of durable writes, locks and what crashed writers leave."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dccd.errors import StoreError, StoreFull, StoreLocked
from dccd.store.files import clean_temps, locked, remove, token, write_durably

BEFORE = ("write", "sync", "rename")
AFTER = ("sync_folder", "done")


def hello(file: BinaryIO) -> None:
    file.write(b"hello")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond *size* bytes: the one full disk that needs no disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_appears_whole(tmp_path: Path) -> None:
    """It has its name and its size, missing folders are made, and nothing else is left."""
    path = tmp_path / "a" / "b" / "file"
    assert write_durably(path, "me", hello) == 5
    assert path.read_bytes() == b"hello"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("at", BEFORE + AFTER)
def test_killed_at_any_step_a_file_is_whole_or_not_there(tmp_path: Path, bench: Any, at: str) -> None:
    """Before the rename there is no file by that name, afterwards a whole one; its writer cleans up when it is
    back."""
    path = tmp_path / "x" / "file"

    def step(name: str) -> None:
        if name == at:
            raise bench.Killed

    with pytest.raises(bench.Killed):
        write_durably(path, "me", hello, step)
    assert path.exists() == (at in AFTER)
    assert not path.exists() or path.read_bytes() == b"hello"
    assert clean_temps(path.parent, "me") == (at in BEFORE)
    assert [name for name in os.listdir(path.parent) if name != "file"] == []


def test_a_full_disk_is_store_full_and_leaves_nothing(tmp_path: Path) -> None:
    """No space is an error of its own, and the half-written file is gone."""
    with file_size_limit(1000), pytest.raises(StoreFull) as caught:
        write_durably(tmp_path / "big", "me", lambda file: file.write(b"x" * 5000))
    assert caught.value.path == tmp_path / "big"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_and_no_quota_are_a_full_disk(tmp_path: Path, number: int) -> None:
    """What the system says when it comes to the fsync is translated as well."""

    def step(name: str) -> None:
        if name == "sync":
            raise OSError(number, os.strerror(number))

    with pytest.raises(StoreFull):
        write_durably(tmp_path / "file", "me", hello, step)
    assert os.listdir(tmp_path) == []


def test_another_refusal_is_a_store_error(tmp_path: Path) -> None:
    """A folder that is a file is an error about that path."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        write_durably(tmp_path / "file" / "below", "me", hello)


def test_temporary_files_of_others_stay_until_they_are_old(tmp_path: Path) -> None:
    """One cleans one's own; another's only after a day; and what has another form never."""
    mine, theirs, strange = ".me~1.tmp", ".you~1.tmp", "me.tmp"
    for name in (mine, theirs, strange):
        (tmp_path / name).touch()
    assert clean_temps(tmp_path, "me") == 1
    assert sorted(os.listdir(tmp_path)) == [theirs, strange]
    os.utime(tmp_path / theirs, (0, 0))
    os.utime(tmp_path / strange, (0, 0))
    assert clean_temps(tmp_path, "me") == 1
    assert os.listdir(tmp_path) == [strange]


def test_a_living_writer_keeps_its_temporary_file(tmp_path: Path) -> None:
    """Even one of the same id, and even when it looks old: its lock tells that it lives."""

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        file.flush()
        (temp,) = tmp_path.iterdir()
        os.utime(temp, (0, 0))
        assert clean_temps(tmp_path, "me") == 0
        assert temp.exists()

    write_durably(tmp_path / "file", "me", write)
    assert (tmp_path / "file").read_bytes() == b"half"


def test_cleaning_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """There is nothing to clean where nothing is."""
    assert clean_temps(tmp_path / "none", "me") == 0


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """A second taker is told at once, and gets it when the first is done."""
    path = tmp_path / "deep" / "lock"
    with locked(path), pytest.raises(StoreLocked), locked(path):
        pass
    with locked(path):
        pass


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    """A removal that a crash cut short can be done again."""
    (tmp_path / "a").touch()
    remove([tmp_path / "a", tmp_path / "b"])
    assert os.listdir(tmp_path) == []


def test_tokens_are_new_and_in_order() -> None:
    """No two are the same."""
    tokens = [token() for _ in range(1000)]
    assert len(set(tokens)) == 1000
    assert [t[:16] for t in tokens] == sorted(t[:16] for t in tokens)
