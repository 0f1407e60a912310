"""Files that only their owner may read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dccd.auth.files import make_folder, write_secret
from dccd.errors import AuthError


def test_a_secret_that_others_could_read(tmp_path: Path) -> None:
    """What is written over a file that all could read is for its owner only, and no remains are left."""
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_secret(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_made(tmp_path: Path) -> None:
    """A file where a folder is to be, and a folder that is not there, are told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(AuthError, match="can't be made"):
        make_folder(tmp_path / "file" / "folder")
    with pytest.raises(AuthError, match="can't be written"):
        write_secret(tmp_path / "absent" / "secret", "x")
