"""Under which names hosts have kept a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd.errors import StoreError
from dccd.store.hosts import hosts_of, note_host
from dccd.store.layout import Layout


def test_each_name_is_remembered_once(tmp_path: Path) -> None:
    """A host that starts again under its name, or under another, adds what is new."""
    layout = Layout(tmp_path)
    assert hosts_of(layout) == set()
    for host in ("alpha", "beta", "alpha"):
        note_host(layout, host)
    assert hosts_of(layout) == {"alpha", "beta"}


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    """Where a file has the place of the folder, both say so."""
    (tmp_path / ".dccd").mkdir()
    (tmp_path / ".dccd" / "hosts").write_text("")
    with pytest.raises(StoreError, match="hosts"):
        note_host(Layout(tmp_path), "alpha")
    with pytest.raises(StoreError, match="hosts"):
        hosts_of(Layout(tmp_path))
