"""The configuration file on disk: replaced as a whole, with its mode and its links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dccd import config_file
from dccd.errors import ConfigError


def test_a_file_is_replaced_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    """A symbolic link goes on to point at the file, with the new text and the old mode; no other file stays."""
    real, link = tmp_path / "folder" / "real.yml", tmp_path / "config.yml"
    real.parent.mkdir()
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    before = config_file.mark(link)
    written = config_file.write(link, "new\r\n", "old")
    assert link.is_symlink()
    assert real.read_bytes() == b"new\r\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert config_file.mark(link) != before
    assert os.listdir(real.parent) == ["real.yml"]
    assert config_file.read(link) == written
    assert written is not None and written.text == "new\r\n"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file can't be replaced, as one that is mounted, it is as it was, and nothing lies beside it."""
    path = tmp_path / "config.yml"
    path.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ConfigError, match="busy"):
        config_file.write(path, "new")
    assert (path.read_text(), os.listdir(tmp_path)) == ("old", ["config.yml"])


def test_a_file_that_was_edited_meanwhile_stays(tmp_path: Path) -> None:
    """The edit isn't lost, and nothing lies beside it; bytes that are no text are no edit."""
    path = tmp_path / "config.yml"
    path.write_text("edited")
    assert config_file.write(path, "new", "old") is None
    assert (path.read_text(), os.listdir(tmp_path)) == ("edited", ["config.yml"])
    path.write_bytes(b"\xff")
    assert config_file.write(path, "new", "old") is not None
    assert path.read_text() == "new"


def test_an_edit_right_after_a_write_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is what is known to stand there, whatever is there when the write returns."""
    path = tmp_path / "config.yml"
    path.write_text("old")
    replace = os.replace

    def replace_and_edit(*names: str) -> None:
        replace(*names)
        path.write_text("edited")

    monkeypatch.setattr(os, "replace", replace_and_edit)
    written = config_file.write(path, "new", "old")
    assert written is not None and written.text == "new"
    assert config_file.mark(path) != written.mark


def test_a_file_that_nobody_may_write_is_not_written(tmp_path: Path) -> None:
    """Not by root, either, whom the system would let."""
    path = tmp_path / "config.yml"
    assert config_file.refusal(path) is not None
    path.write_text("")
    assert config_file.refusal(path) is None
    path.chmod(0o444)
    assert config_file.refusal(path) == f"{path} is read-only"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to, a folder, a device; and no more is read than a configuration may have."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(1 << 40)
    for path in (pipe, tmp_path, Path("/dev/zero"), large):
        with pytest.raises(ConfigError):
            config_file.read(path)


def test_two_texts_have_two_digests(tmp_path: Path) -> None:
    """Text that moves from one part to the next counts, too; a file that isn't there has no mark."""
    assert config_file.digest("ab", "c") != config_file.digest("a", "bc")
    assert config_file.mark(tmp_path / "none") is None
    with pytest.raises(ConfigError):
        config_file.read(tmp_path / "none")
