"""The folder of a server: whose it is, and what was left there."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dccd.bus.connection import Bus
from dccd.bus.folder import ServerFolder
from dccd.bus.server import EmbeddedServer
from dccd.errors import BusError

pytestmark = pytest.mark.anyio


def quiet(level: str, text: str) -> None:
    """A log callback."""


def embedded(folder: Path, port: int = 0, **options) -> EmbeddedServer:
    """A server with its log kept out of the test's output."""
    return EmbeddedServer(folder, port=port, **{"on_log": quiet, **options})


async def test_two_on_one_folder(tmp_path: Path) -> None:
    """A second live server on one folder is refused, and the first goes on."""
    async with embedded(tmp_path) as server:
        with pytest.raises(BusError, match="another dccd"):
            await embedded(tmp_path).start()
        async with await Bus.open(server.url, "test"):
            pass
    async with embedded(tmp_path):
        pass


async def test_starts_while_a_killed_daemons_server_ends(
    tmp_path: Path, daemon: tuple[asyncio.subprocess.Process, int], ended
) -> None:
    """After a kill -9 the next daemon starts on the same folder and port, even if the old server is frozen."""
    process, pid = daemon
    port = int((tmp_path / "nats" / "port").read_text())
    os.kill(pid, signal.SIGSTOP)
    process.kill()
    await process.wait()
    async with embedded(tmp_path / "nats", port, stop_timeout=0.1) as server:
        await ended(pid, 0)
        async with await Bus.open(server.url, "test"):
            pass


async def test_refuses_while_another_daemon_lives(
    tmp_path: Path, daemon: tuple[asyncio.subprocess.Process, int]
) -> None:
    """A live daemon's server isn't taken for a leftover."""
    _, pid = daemon
    with pytest.raises(BusError, match="another dccd"):
        await embedded(tmp_path / "nats").start()
    os.kill(pid, 0)


async def test_a_pid_that_is_another_process_now(tmp_path: Path) -> None:
    """A pid file that names a process which isn't a server of this folder harms nobody."""
    (tmp_path / "nats-server.pid").write_text(str(os.getpid()))
    async with embedded(tmp_path):
        pass
    (tmp_path / "nats-server.pid").write_text("rubbish")
    async with embedded(tmp_path):
        pass


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BusError, match=r"file/nats can't be made or written: Not a directory"):
        ServerFolder(tmp_path / "file" / "nats").take()
