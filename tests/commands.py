"""The commands that tests run: a name flows in, a path flows out; without it the test is skipped, in CI it fails.

They are looked for on PATH, where Go installs them, and in the project's environment.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["PATH", "find", "needed"]

PATH = os.pathsep.join(
    [
        os.environ["PATH"],
        str(Path(os.environ.get("GOPATH") or Path.home() / "go") / "bin"),
        str(Path(__file__).parent.parent / ".venv" / "bin"),
    ]
)
"""Where commands are looked for."""

_FROM = {
    "nats": "go install github.com/nats-io/natscli/nats@latest",
    "rclone": "go install github.com/rclone/rclone@latest",
}


def find(name: str) -> str | None:
    """The path of the command *name*, or None."""
    return shutil.which(name, path=PATH)


def needed(name: str) -> str:
    """The path of the command *name*; skips the test where there is none, and fails it in CI, which installs it."""
    found = find(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"the command {name} is not installed: .ci/run does that")
        pytest.skip(f"the command {name} is not installed" + (f": {_FROM[name]}" if name in _FROM else ""))
    return found
