"""A real nats-server for the tests of the bus, on a free port."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.server import EmbeddedServer
from dccd.bus.service import Service
from dccd.bus.streams import ensure_bucket
from dccd.errors import RequestError
from tests import waiting
from tests.commands import needed
from tests.dccd.bus.not_now import NotNow, not_now
from tests.ports import free_port
from tests.waiting import Until


class Server:
    """The embedded server under test, and what happens to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.running: EmbeddedServer | None = None

    @property
    def url(self) -> str:
        assert self.running is not None
        return self.running.url

    async def start(self) -> None:
        """Start it, the next time on the same port."""
        self.running = EmbeddedServer(self.folder, port=self.port, on_log=lambda level, text: None)
        await self.running.start()

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.running is not None and self.running.pid is not None
        os.kill(self.running.pid, signal.SIGKILL)
        await self.running.wait()
        await self.running.stop()

    async def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP), and wait until every thread of it stands still."""
        assert self.running is not None and self.running.pid is not None
        os.kill(self.running.pid, signal.SIGSTOP)
        async with asyncio.timeout(60):
            while not stands_still(self.running.pid):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.running is not None and self.running.pid is not None
        os.kill(self.running.pid, signal.SIGCONT)


def stands_still(pid: int) -> bool:
    """Whether every thread of the process is stopped; proc(5)."""
    stats = [(thread / "stat").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A nats-server with JetStream that can be killed and started again."""
    server = Server(tmp_path / "nats")
    await server.start()
    yield server
    if server.running is not None:
        await server.running.stop()


@pytest.fixture
async def bus(server: Server) -> AsyncIterator[Bus]:
    """A connection to the server."""
    async with asyncio.timeout(60):
        bus = await Bus.open(server.url, "test")
    yield bus
    await bus.aclose()


@pytest.fixture(params=["json", "status"])
async def refusing(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[NotNow]:
    """A connection on which JetStream can't now, in each form, where it is told so."""
    async with not_now(server.url, request.param) as bus:
        yield bus


@pytest.fixture
def until() -> Until:
    """Waits until a condition holds that the event loop's other tasks bring about; fails after 20 s."""

    return partial(waiting.until, seconds=20.0)


@pytest.fixture
def nats_command(server: Server) -> Callable[..., Awaitable[str]]:
    """Runs the real `nats` command and returns its output; skips where there is none, but not in CI."""
    binary = needed("nats")

    async def run(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            binary,
            "-s",
            server.url,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(20):
            out, _ = await process.communicate()
        assert process.returncode == 0, out
        return out.decode()

    return run


@pytest.fixture
def ended() -> Callable[..., Awaitable[None]]:
    """Waits until a process, which need not be our child, has ended."""

    async def ended(pid: int, timeout: float = 10.0) -> None:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            readable, _, _ = await asyncio.to_thread(select.select, [handle], [], [], timeout)
            assert readable, f"process {pid} still runs"
        finally:
            os.close(handle)

    return ended


@pytest.fixture
async def daemon(
    tmp_path: Path, request: pytest.FixtureRequest, ended: Callable[..., Awaitable[None]]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Another process that runs a server on ``tmp_path/nats``, in its main thread or another; and the server's pid."""
    in_thread = getattr(request, "param", "main") == "thread"
    script = f"""
import asyncio, threading
from pathlib import Path
from dccd.bus.server import EmbeddedServer
async def main():
    server = EmbeddedServer(Path({str(tmp_path / "nats")!r}), port=0, on_log=lambda level, text: None)
    await server.start()
    print(server.pid, flush=True)
    await server.wait()
run = lambda: asyncio.run(main())
{"thread = threading.Thread(target=run); thread.start(); thread.join()" if in_thread else "run()"}
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await process.stdout.readline())
    yield process, pid
    if process.returncode is None:
        process.kill()
    await process.wait()
    await ended(pid)


@pytest.fixture
async def service(bus: Bus) -> AsyncIterator[Service]:
    """A service with an operation of each kind."""
    service = Service(bus, "alpha", "4.0.0.dev0", limit=4, patience=10)

    async def echo(body: bytes) -> bytes:
        return body

    async def refuse(body: bytes) -> bytes:
        raise RequestError(422, "no_capability", "kraken has no\r\nfunding", "data_type")

    async def crash(body: bytes) -> bytes:
        raise {"system": SystemExit, "cancel": asyncio.CancelledError}.get(body.decode(), ZeroDivisionError)("oops")

    async def rows(body: bytes) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(int(body)):
                yield b"%d," % number * 100
                if number == 66:
                    raise RequestError(404, "gone", "the file went away")

        return chunks()

    async def big(body: bytes) -> bytes:
        return bytes(int(body))

    await service.start()
    for name, handler in {"echo": echo, "refuse": refuse, "crash": crash, "rows.read": rows, "big": big}.items():
        await service.add(name, handler, {"type": "object"}, {"type": "object"}, f"does {name}")
    yield service
    await service.stop()


@pytest.fixture
async def bucket(bus: Bus) -> Bucket:
    """An empty bucket."""
    await ensure_bucket(bus, subjects.BUCKET_RUNS)
    return Bucket(bus, subjects.BUCKET_RUNS)
