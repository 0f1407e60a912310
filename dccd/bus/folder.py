"""The folder of an embedded nats-server: whose it is, and what an earlier daemon left there.

A path flows in; a lock, the port of last time, and no leftover process come of it. The lock is the kernel's, who drops
it with the process that holds it: so it tells the server of a live daemon from one whose daemon was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from pathlib import Path
from typing import IO

import anyio
import structlog

from dccd.errors import BusError

__all__ = ["ServerFolder"]

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self").exists()


class ServerFolder:
    """The JetStream folder *path*, made when it is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pid_file = path / "nats-server.pid"
        self._lock: IO[str] | None = None
        self._log = structlog.get_logger("dccd.bus.server")

    def take(self) -> None:
        """Make it ours until release(). Raises BusError when another live daemon has it, or it can't be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a")
        except OSError as exc:
            raise BusError(f"{exc.filename or self.path} can't be made or written: {exc.strerror}") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            lock.close()
            raise BusError(f"another dccd runs a nats-server on {self.path}; give this one its own data_path") from exc
        self._lock = lock

    def release(self) -> None:
        """Let others take it. Safe to repeat."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def port(self) -> int | None:
        """The free port that was taken last time, if any."""
        try:
            return int((self.path / "port").read_text())
        except (OSError, ValueError):
            return None

    @port.setter
    def port(self, port: int) -> None:
        # On a full disk there is no note: the next server takes another port.
        with contextlib.suppress(OSError):
            (self.path / "port").write_text(f"{port}\n")

    async def end_leftover(self, patience: float) -> None:
        """End the server that a killed daemon has left here, if one still runs; *patience* seconds for it to obey.

        The folder must be taken. Raises BusError when it can't be ended.
        """
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return
        for sign, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            if not await self._is_ours(pid):
                return
            self._log.warning("ending a nats-server that an earlier daemon left", pid=pid, signal=sign.name)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            with anyio.move_on_after(seconds):
                while await self._is_ours(pid):  # noqa: ASYNC110 - not our child, so no event tells its end
                    await asyncio.sleep(0.01)
        if await self._is_ours(pid):
            raise BusError(f"the nats-server with pid {pid}, left by an earlier daemon, can't be ended")

    def running(self) -> int | None:
        """The pid of the server that runs on this folder, whoever's it is."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        if _HAS_PROC:
            command = _command_line(pid)
        else:
            ps = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, check=False)
            command = ps.stdout
        return pid if os.fsencode(self.pid_file.absolute()) in command else None

    async def _is_ours(self, pid: int) -> bool:
        """Whether *pid* is a live server started on this folder (pids are reused: its command line tells)."""
        if _HAS_PROC:
            command = _command_line(pid)
        else:
            ps = await asyncio.create_subprocess_exec(
                *("ps", "-p", str(pid), "-o", "command="),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            command, _ = await ps.communicate()
        return os.fsencode(self.pid_file) in command

    def __repr__(self) -> str:
        return f"<ServerFolder {self.path} {'ours' if self._lock else 'not taken'}>"


def _command_line(pid: int) -> bytes:
    """What process *pid* was started as; empty when there is none."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
