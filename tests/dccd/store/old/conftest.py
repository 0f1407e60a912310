"""A copy of what older releases wrote, to migrate."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

OLD = Path(__file__).parents[3] / "frames" / "old"


@pytest.fixture
def old(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies the data_path of a release (``dccd3``, ``dccd2``, ``dccd20``, ``dccd2then3``)."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(OLD / name, tmp_path / name))

    return copy
