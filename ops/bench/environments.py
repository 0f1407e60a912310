"""The other collectors, each in a virtual environment of its own under .bench/, made here at the first run.

``python()`` of an environment returns its interpreter; :class:`Unavailable` says why one can't be had, and a
benchmark reports that instead of leaving the contender out in silence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import BENCH


class Unavailable(Exception):
    """Raised when another collector can't be installed here; the message says what was tried."""


@dataclass(frozen=True)
class Environment:
    """A published release of another collector, and the oldest Python that it runs on."""

    name: str
    requirement: str
    oldest: tuple[int, int]

    @property
    def folder(self) -> Path:
        return BENCH / self.name

    def python(self) -> Path:
        """The interpreter of the environment, made if need be. Raises Unavailable."""
        interpreter = self.folder / "bin" / "python"
        stamp = self.folder / "stamp"
        if stamp.exists() and stamp.read_text() == self.requirement and runs(interpreter) is not None:
            return interpreter
        base = find_python(self.oldest)
        print(f"installing {self.requirement} into {self.folder} with {base}", file=sys.stderr)
        try:
            subprocess.run([base, "-m", "venv", "--clear", self.folder], check=True)
            subprocess.run([interpreter, "-m", "pip", "install", "--quiet", self.requirement], check=True)
        except (subprocess.CalledProcessError, OSError) as error:
            raise Unavailable(f"{self.requirement} could not be installed with {base}: {error}") from error
        stamp.write_text(self.requirement)
        return interpreter

    def title(self) -> str:
        """``cryptofeed 3.0.1, Python 3.13.0``: for the tables."""
        version = runs(self.folder / "bin" / "python")
        return f"{self.requirement.replace('==', ' ')}, Python {version}"


DCCD3 = Environment("dccd3", "dccd==3.8.1", (3, 11))
CRYPTOFEED = Environment("cryptofeed", "cryptofeed==3.0.1", (3, 13))
"""Its compiled parts need an interpreter with critical sections: 3.13 is not only what its metadata asks for."""


def runs(interpreter: Path | str) -> str | None:
    """The version of *interpreter*, or None if it doesn't run (a version manager's shim may be on PATH and not)."""
    try:
        found = subprocess.run(
            [interpreter, "-c", "import sys, ensurepip, ssl; print('.'.join(map(str, sys.version_info[:3])))"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def candidates(oldest: tuple[int, int]) -> Iterator[Path | str]:
    """Interpreters that may be new enough: this one, those on PATH, pyenv's, then one that uv fetches."""
    yield sys.executable
    names = [f"python{oldest[0]}.{minor}" for minor in range(oldest[1], oldest[1] + 4)]
    yield from names
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(pyenv.glob(f"{oldest[0]}.*/bin/python3"))
    # Looked at last, since it downloads some 30 MB.
    if shutil.which("uv") is None:
        subprocess.run([sys.executable, "-m", "venv", BENCH / "uv"], check=False)
        subprocess.run([BENCH / "uv" / "bin" / "pip", "install", "--quiet", "uv"], check=False)
    uv = shutil.which("uv") or str(BENCH / "uv" / "bin" / "uv")
    wanted = f"{oldest[0]}.{oldest[1]}"
    folder = BENCH / "python"
    try:
        subprocess.run(
            [uv, "python", "install", "--install-dir", folder, wanted], check=True, capture_output=True, timeout=300
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"uv python install {wanted} failed: {getattr(error, 'stderr', None) or error!r}", file=sys.stderr)
        return
    yield from sorted(folder.glob("*/bin/python3"))


def find_python(oldest: tuple[int, int]) -> str:
    """An interpreter of at least *oldest*. Raises Unavailable."""
    for candidate in candidates(oldest):
        version = runs(candidate)
        if version is not None and tuple(map(int, version.split(".")[:2])) >= oldest:
            return str(candidate)
    raise Unavailable(
        f"no Python {oldest[0]}.{oldest[1]} or later found on PATH or among pyenv's, and uv could not fetch one"
    )
