"""The configuration file on disk: a path flows in; its text and how one knows that it has changed flow out, and a new
text takes its place as a whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

import msgspec

from dccd.config_units import LARGEST
from dccd.errors import ConfigError

__all__ = ["Read", "digest", "mark", "read", "refusal", "write"]

Mark = tuple[int, int, int]
"""Of a file: when it was changed (ns), its bytes, its inode."""


class Read(msgspec.Struct, frozen=True):
    """A file as it was read: *mark* is from before that, so that a change meanwhile is seen later."""

    text: str
    mark: Mark

    @property
    def digest(self) -> str:
        """What tells this text from any other."""
        return digest(self.text)


def digest(*texts: str) -> str:
    """What tells *texts* from all others: 16 hexadecimal digits."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def mark(path: Path) -> Mark | None:
    """Return the mark of *path*, or None where no file can be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _mark(found)


def _mark(found: os.stat_result) -> Mark:
    return found.st_mtime_ns, found.st_size, found.st_ino


def _differs(path: Path, text: str) -> bool:
    """Whether *path* says something else than *text*; what can't be read says nothing."""
    try:
        return read(path).text != text
    except ConfigError:
        return False


def read(path: Path) -> Read:
    """Read *path*. Raises ConfigError."""
    before = mark(path) or (0, 0, 0)
    try:
        # Bytes: line ends stay as they are. Without waiting: whoever opens a pipe waits for somebody to write to it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(str(path), "no file", "a readable UTF-8 file")
            found = file.read(4 * LARGEST + 1)  # of a character there are four bytes at most
        if len(found) > 4 * LARGEST:
            raise ConfigError(str(path), f"more than {4 * LARGEST:,} bytes", "fewer")
        return Read(found.decode("utf-8"), before)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), str(exc), "a readable UTF-8 file") from exc


def refusal(path: Path) -> str | None:
    """Why *path* can't be written, or None where it seems that it can.

    A file that nobody may write is one that nobody is to write, root neither.
    """
    real = path.resolve()
    try:
        if not real.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
            return f"{path} is read-only"
    except OSError as exc:
        return f"{path}: {exc.strerror or exc}"
    if not os.access(real, os.W_OK):
        return f"{path} may not be written by this user"
    if not os.access(real.parent, os.W_OK | os.X_OK):
        return f"the folder of {path} may not be written by this user"
    return None


def write(path: Path, text: str, was: str | None = None) -> Read | None:
    """Put *text* in *path*'s place: whoever reads it, and whatever is killed, there is the old text or the new one.

    Mode, owner and a symbolic link stay. Returns what stands there now; None, and nothing is done, where *was* doesn't
    stand there any more. The file isn't read again for it: it might be another's by then. Raises ConfigError.
    """
    real = path.resolve()
    try:
        before = real.stat()
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
                with contextlib.suppress(PermissionError):  # only root may give files away
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fsync(file.fileno())
                there = _mark(os.fstat(file.fileno()))
            if was is not None and _differs(real, was):  # as late as can be
                os.unlink(name)
                return None
            os.replace(name, real)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        folder = os.open(real.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return Read(text, there)
    except OSError as exc:
        raise ConfigError(str(path), exc.strerror or str(exc), "a file that can be replaced by a new one") from exc
