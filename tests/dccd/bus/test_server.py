"""The embedded server: ready when it answers, clear when it can't, gone when its daemon is."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from importlib import resources
from pathlib import Path

import pytest

from dccd.bus.connection import Bus
from dccd.bus.server import CONF, EmbeddedServer, find_binary, parse_log_line
from dccd.errors import BusPortTaken, BusUnavailable

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


def quiet(level: str, text: str) -> None:
    """A log callback."""


def embedded(folder: Path, port: int = 0, **options) -> EmbeddedServer:
    """A server with its log kept out of the test's output."""
    return EmbeddedServer(folder, port=port, **{"on_log": quiet, **options})


async def test_answers_when_started(tmp_path: Path, ended) -> None:
    """Once start() returns a client connects and JetStream works; after stop() nothing runs."""
    async with embedded(tmp_path) as server:
        assert server.port and server.url == f"nats://127.0.0.1:{server.port}"
        async with await Bus.open(server.url, "test") as bus:
            assert (await bus.jetstream.account_info()).streams == 0
            assert bus.max_payload == 4 << 20
        pid = server.pid
        assert pid and server.statistics()["pid"] == pid
    assert server.pid is None
    await ended(pid, 0)
    assert await server.wait() == server.statistics()["exit_code"] == 0


async def test_data_is_there_after_a_restart(tmp_path: Path) -> None:
    """Streams are kept in the folder given, and nowhere else."""
    async with embedded(tmp_path) as server, await Bus.open(server.url, "test") as bus:
        await bus.jetstream.add_stream(name="S", subjects=["s"])
        await bus.jetstream.publish("s", b"1")
    assert (tmp_path / "jetstream").is_dir()
    async with embedded(tmp_path) as server, await Bus.open(server.url, "test") as bus:
        assert (await bus.jetstream.stream_info("S")).state.messages == 1


async def test_a_free_port_is_kept(tmp_path: Path) -> None:
    """With port 0 the server has the same port after a restart, and another one when that is taken meanwhile."""
    async with embedded(tmp_path) as server:
        port = server.port
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        assert await server.wait() == -signal.SIGKILL
        # The next one may start though nobody has stopped this one.
        async with embedded(tmp_path) as again:
            assert again.port == port
    with socket.create_server(("127.0.0.1", port)):
        async with embedded(tmp_path) as other:
            assert other.port != port


async def test_port_taken_by_something_else(tmp_path: Path) -> None:
    """A port in use is BusPortTaken, whoever has it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BusPortTaken, match=f"port {port} is taken"):
            await embedded(tmp_path, port).start()


async def test_port_taken_by_another_nats_server(tmp_path: Path) -> None:
    """A nats-server that answers on the port isn't taken for ours."""
    async with embedded(tmp_path / "a") as server:
        other = embedded(tmp_path / "b", server.port)
        with pytest.raises(BusPortTaken) as caught:
            await other.start()
        assert caught.value.port == server.port
        assert other.pid is None


async def test_a_server_that_can_not_start(tmp_path: Path) -> None:
    """A configuration that the server refuses is an error with the server's own words."""
    conf = tmp_path / "nats.conf"
    conf.write_text("nonsense_setting: 1\n")
    with pytest.raises(BusUnavailable, match="nonsense_setting"):
        await embedded(tmp_path / "nats", conf=conf).start()


async def test_a_server_that_never_gets_ready(tmp_path: Path) -> None:
    """When the server doesn't answer within the time given, it is ended and that is the error."""
    server = embedded(tmp_path, start_timeout=0.0)
    with pytest.raises(BusUnavailable, match="did not answer"):
        await server.start()
    assert server.pid is None


async def test_start_that_is_cancelled(tmp_path: Path, until, ended) -> None:
    """Cancelling the start leaves no process and no lock behind."""
    server = embedded(tmp_path)
    starting = asyncio.create_task(server.start())
    await until(lambda: server.pid)
    pid = server.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await ended(pid, 0)
    async with embedded(tmp_path):
        pass


async def test_stop_ends_a_frozen_server(tmp_path: Path) -> None:
    """A server that doesn't end by itself is killed when the time is up."""
    server = embedded(tmp_path, stop_timeout=0.05)
    await server.start()
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    async with asyncio.timeout(60):
        await server.stop()
    assert await server.wait() == -signal.SIGKILL


async def test_log_lines(tmp_path: Path) -> None:
    """Each line of the server's log is handed on with its level."""
    lines: list[tuple[str, str]] = []
    async with embedded(tmp_path, on_log=lambda level, text: lines.append((level, text))):
        assert ("info", "Server is ready") in lines
    assert parse_log_line("[12] [WRN] careful") == ("warning", "careful")
    assert parse_log_line("[12] 2026/11/23 23:09:01.123456 [FTL] no") == ("critical", "no")
    assert parse_log_line("[12] [INF] ") == ("info", "")
    assert parse_log_line("goroutine 1 [running]:") == ("info", "goroutine 1 [running]:")


async def test_odd_folder_names(tmp_path: Path) -> None:
    """A folder's name may have spaces, quotes and what the configuration would take for a variable or a number."""
    async with embedded(tmp_path / "1 5k \"quoted\" $HOME 'x' ü") as server, await Bus.open(server.url, "test") as bus:
        await bus.jetstream.add_stream(name="S", subjects=["s"])
    assert (server.data_dir / "jetstream").is_dir()


@pytest.mark.parametrize("daemon", ["main", "thread"], indirect=True)
async def test_ends_with_a_killed_daemon(daemon: tuple[asyncio.subprocess.Process, int], ended) -> None:
    """kill -9 of the daemon ends its server: by the kernel, or by the watcher where the kernel can't."""
    process, pid = daemon
    process.kill()
    await process.wait()
    await ended(pid)


def test_one_configuration() -> None:
    """The configuration at the top of the repository is the one in the package."""
    assert (ROOT / "nats.conf").resolve() == CONF.resolve()
    assert resources.files("dccd.bus").joinpath("nats.conf").read_text() == CONF.read_text()


def test_binary_of_the_wheel() -> None:
    """The server is the one that was installed with dccd."""
    assert find_binary().is_relative_to(sys.prefix)


async def test_what_streams_may_hold_is_not_bound_by_what_is_free(tmp_path: Path) -> None:
    """By default it is, at each start: a server whose disk had filled up meanwhile refused every message."""
    async with embedded(tmp_path) as server, await Bus.open(server.url, "test") as bus:
        await bus.jetstream.add_stream(name="S", subjects=["s"], max_bytes=2 * shutil.disk_usage(tmp_path).total)
        assert (await bus.jetstream.publish("s", b"1")).seq == 1
