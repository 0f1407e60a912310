"""Whatever rclone reaches (its own ``rclone.conf`` says what that is), by the ``rclone`` command.

Objects flow in on its standard input, under a name of their own first: not every storage behind rclone shows a file
only when it is whole. https://rclone.org/commands/
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Protocol

import msgspec

from dccd.errors import RemoteAway, RemoteError, RemoteMissing, Uninstalled
from dccd.store.files import token
from dccd.store.remote.base import CHUNK, Object

__all__ = ["Commands", "RcloneRemote", "Started", "command"]

_PART = ".part"
_NOT_THERE = (3, 4)  # exit codes of rclone: a folder, a file isn't found
_FINAL = (2, 6, 7)  # wrong usage, errors that trying again doesn't mend: https://rclone.org/docs/#exit-code
_OPTIONS = ("--retries", "1", "--low-level-retries", "3", "--contimeout", "15s", "--timeout", "60s", "--quiet")


class Started(Protocol):
    """A command under way. ``stderr`` is what it has complained of, once it has ended."""

    stdin: IO[bytes]
    stdout: IO[bytes]

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and its complaints."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


class Commands(Protocol):
    """The seam: starts ``rclone`` with arguments."""

    def __call__(self, arguments: Sequence[str]) -> Started: ...


class _Process:
    def __init__(self, program: str, arguments: Sequence[str]) -> None:
        # Its own session: a Ctrl-C in the terminal is for us to hear, and to end it in order.
        self._process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "RCLONE_AUTO_CONFIRM": "false", "RCLONE_ASK_PASSWORD": "false"},
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.stdin: IO[bytes] = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout
        self._said: list[bytes] = []
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._said = [*self._said[-5:], line]

    def end(self) -> tuple[int, str]:
        # What it didn't take before it ended can't be written any more: how it ended tells why.
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()
        code = self._process.wait()
        self._listener.join()
        return code, b" ".join(self._said).decode(errors="replace").strip()

    def kill(self) -> None:
        self._process.kill()


def command(name: str) -> Commands:
    """Return the real seam. Raises Uninstalled when there is no ``rclone`` on PATH."""
    program = shutil.which("rclone")
    if program is None:
        raise Uninstalled(f"remote {name}: the rclone command isn't installed: https://rclone.org/install/")
    return lambda arguments: _Process(program, arguments)


class _Listed(msgspec.Struct, rename="pascal"):
    path: str
    size: int


class RcloneRemote:
    """The path *where* (``remote:path``) of rclone's."""

    def __init__(self, name: str, where: str, commands: Commands | None = None) -> None:
        self.name, self.where = name, where.rstrip("/")
        self.url = f"rclone:{self.where}"
        self._commands = commands or command(name)

    def __repr__(self) -> str:
        return f"<RcloneRemote {self.name} {self.url}>"

    def put(self, key: str, content: Iterable[bytes], size: int) -> None:
        part = f"{key}.{token()}{_PART}"
        started = self._start("rcat", "--size", str(size), self._path(part))
        try:
            for piece in content:
                started.stdin.write(piece)
        except BrokenPipeError:
            pass  # it has ended by itself, and says why
        except BaseException:
            started.kill()
            started.end()
            raise
        self._ended(part, started)
        # The old one is there until the new one is: a move replaces it, where the storage can.
        self._run(key, "moveto", self._path(part), self._path(key))

    def read(self, key: str) -> Iterator[bytes]:
        started = self._start("cat", self._path(key))
        whole = False
        try:
            while piece := started.stdout.read(CHUNK):
                yield piece
            whole = True
        finally:
            if not whole:
                started.kill()
                started.end()
        self._ended(key, started)

    def list(self, prefix: str) -> Iterator[Object]:
        arguments = ("lsjson", "--recursive", "--files-only", "--no-modtime", "--no-mimetype", self._path(prefix))
        try:
            found = msgspec.json.decode(self._run(prefix, *arguments), type=list[_Listed])
        except RemoteMissing:
            return  # a folder that isn't there has no files in it
        except msgspec.MsgspecError as exc:
            raise RemoteError(self.name, f"{self.url} lists what can't be understood: {exc}") from exc
        for listed in found:
            if not listed.path.endswith(_PART):
                yield Object(f"{prefix}{listed.path}", listed.size)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            try:
                self._run(key, "deletefile", self._path(key))
            except RemoteMissing:
                continue

    def _path(self, key: str) -> str:
        return f"{self.where}{'' if self.where.endswith(':') else '/'}{key.rstrip('/')}"

    def _start(self, *arguments: str) -> Started:
        try:
            return self._commands([*arguments[:1], *_OPTIONS, *arguments[1:]])
        except OSError as exc:
            raise RemoteError(self.name, f"rclone can't be started: {exc}") from exc

    def _run(self, key: str, *arguments: str) -> bytes:
        started = self._start(*arguments)
        out = started.stdout.read()
        self._ended(key, started)
        return out

    def _ended(self, key: str, started: Started) -> None:
        code, said = started.end()
        if code == 0:
            return
        if code in _NOT_THERE:
            raise RemoteMissing(self.name, key)
        kind = RemoteError if code in _FINAL or "didn't find section in config" in said else RemoteAway
        raise kind(self.name, f"{self.url}: {_words(said) or f'rclone ended with {code}'}")


def _words(said: str) -> str:
    """rclone's last line, which says why."""
    line = said.splitlines()[-1] if said else ""
    try:
        return str(json.loads(line)["msg"])
    except (ValueError, KeyError, TypeError):
        return line.strip()[:400]
