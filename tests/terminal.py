"""A real terminal of a given size, by tmux: keys flow in, what is on the screen flows out."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.commands import needed

__all__ = ["Terminal"]


class Terminal:
    """*command* on a terminal of *columns* × *lines*, while the block runs; without tmux a skip, but not in CI."""

    def __init__(
        self, folder: Path, command: Sequence[object], columns: int, lines: int, env: Mapping[str, str] | None = None
    ) -> None:
        self._command = needed("tmux")
        self._socket = f"dccd-{os.getpid()}-{time.monotonic_ns()}"
        self._fifo, self._done = folder / "output", folder / "code"
        words = " ".join(shlex.quote(str(word)) for word in command)
        set_ = " ".join(f"{key}={shlex.quote(value)}" for key, value in (env or {}).items())
        # It stays after the command's end, so that what is left on the screen can be looked at.
        self._script = f"env {set_} {words}; echo $? > {self._done}; echo '(ended)'; cat"
        self._size = ["-x", str(columns), "-y", str(lines)]
        self._pipe = -1

    def __enter__(self) -> Self:
        os.mkfifo(self._fifo)
        self._pipe = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        self._tmux("-f", "/dev/null", "new-session", "-d", *self._size, f"sleep 0.2; {self._script}")
        self._tmux("pipe-pane", f"cat > {self._fifo}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tmux("kill-server", check=False)
        os.close(self._pipe)

    def _tmux(self, *words: str, check: bool = True) -> str:
        done = subprocess.run([self._command, "-L", self._socket, *words], capture_output=True, text=True, check=check)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Type *keys*, named as tmux does (``Enter``, ``C-c``) or as they are."""
        self._tmux("send-keys", *keys)

    @property
    def screen(self) -> str:
        """What is on it now."""
        return self._tmux("capture-pane", "-p")

    def until(self, good: Callable[[str], bool], seconds: float = 60.0) -> str:
        """The screen, once it is *good*; looked at whenever something was written to it."""
        deadline = time.monotonic() + seconds
        while not good(screen := self.screen):
            left = deadline - time.monotonic()
            assert left > 0, f"the screen never came to that:\n{screen}"
            if select.select([self._pipe], [], [], min(left, 1.0))[0]:
                os.read(self._pipe, 1 << 20)
        return screen

    def shows(self, *texts: str) -> str:
        """The screen, once all of these are on it."""
        return self.until(lambda screen: all(text in screen for text in texts))

    def code(self) -> int:
        """How the command ended."""
        self.shows("(ended)")
        return int(self._done.read_text())
