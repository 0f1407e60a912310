"""Files that hold secrets: text flows in, a file that only its owner may read comes of it, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from dccd.errors import AuthError

__all__ = ["make_folder", "write_secret"]


def make_folder(path: Path) -> None:
    """Make folder *path* and those above; only its owner may look into it. Raises AuthError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise AuthError(f"{path} can't be made: {exc.strerror}") from exc


def write_secret(path: Path, text: str) -> None:
    """Write *text* to *path*, mode 0600; who reads it meanwhile sees the old text or the new. Raises AuthError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        # Never readable for others, not even while it is empty.
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise AuthError(f"{path} can't be written: {exc.strerror}") from exc
