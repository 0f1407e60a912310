"""The real command in a process of its own, and a daemon that only answers for it to speak to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dccd.bus.connection import Bus
from dccd.bus.server import EmbeddedServer
from dccd.client.fake import FakeDaemon

STAND_IN = """
import contextlib, json, os, sys
from dccd.bus.connection import Bus
from dccd.bus.server import EmbeddedServer
from dccd.client.fake import FakeDaemon

def main(config, *, mode, screen, path):
    print(json.dumps({"mode": mode, "screen": screen, "jobs": len(config.jobs)}))
    return int(os.environ.get("STAND_IN_CODE", "0"))

@contextlib.asynccontextmanager
async def daemon(config, *, jobs):
    assert config.bus.port == 0 and not jobs
    server = EmbeddedServer(config.data_path / ".dccd" / "nats", port=0, on_log=lambda level, text: None)
    async with server, await Bus.open(server.url, "stand-in") as bus, FakeDaemon(bus) as fake:
        fake.bus_url = server.url
        print("stand-in up", file=sys.stderr)
        try:
            yield fake
        finally:
            print("stand-in down", file=sys.stderr)

def configure(level, style, stream):
    import logging, structlog
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
"""


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Command:
    """Runs ``dccd`` in *folder*, where nothing of this machine's configuration is seen."""

    folder: Path
    url: str = ""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def _environ(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DCCD_", "NATS_", "XDG_"))}
        bus = {"DCCD_BUS_URL": self.url} if self.url else {}
        return {**inherited, "HOME": str(self.folder), "COLUMNS": "200", **bus, **self.environ}

    async def start(self, *words: str, err: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
        """Start it and return the process."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dccd",
            *words,
            cwd=self.folder,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
        )

    async def __call__(self, *words: str) -> Done:
        """Run it to its end."""
        async with asyncio.timeout(60):
            return await self.finish(await self.start(*words))

    async def finish(self, process: asyncio.subprocess.Process) -> Done:
        """Wait for the end of *process*."""
        try:
            out, err = await process.communicate()
        except BaseException:
            process.kill()
            raise
        return Done(process.returncode or 0, (out or b"").decode(), (err or b"").decode())

    async def interrupt(
        self, process: asyncio.subprocess.Process, when: str, sign: signal.Signals = signal.SIGINT
    ) -> Done:
        """Send *sign* once *process* has written a line with *when* to stderr; wait for its end."""
        assert process.stderr is not None
        seen = ""
        try:
            async with asyncio.timeout(30):
                while when not in seen:
                    line = await process.stderr.readline()
                    assert line, f"it ended before: {seen}"
                    seen += line.decode()
                process.send_signal(sign)
        except BaseException:
            if process.returncode is None:
                process.kill()
            await process.communicate()
            raise
        async with asyncio.timeout(30):
            done = await self.finish(process)
        return Done(done.code, done.out, seen + done.err)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """A nats-server on a free port."""
    async with EmbeddedServer(tmp_path / "nats", port=0, on_log=lambda level, text: None) as server:
        yield server


@pytest.fixture
async def daemon(server: EmbeddedServer) -> AsyncIterator[FakeDaemon]:
    """A daemon on it that only answers."""
    async with await Bus.open(server.url, "fake daemon") as bus, FakeDaemon(bus) as daemon:
        yield daemon


@pytest.fixture
def dccd(tmp_path: Path, server: EmbeddedServer, daemon: FakeDaemon) -> Command:
    """The command, told of that daemon's bus."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    return Command(folder, server.url)


@pytest.fixture
def alone(tmp_path: Path) -> Command:
    """The command where no daemon runs; the one that it may start itself is a stand-in that only answers.

    The stand-in is found as the real one is, by its entry point: that of a distribution that comes first on the path.
    """
    folder, library = tmp_path / "cwd", tmp_path / "library"
    information = library / "standin-1.dist-info"
    information.mkdir(parents=True)
    folder.mkdir()
    (library / "standin.py").write_text(STAND_IN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: standin\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[dccd.daemon]\nrun = standin:main\nembedded = standin:daemon\nlog = standin:configure\n"
    )
    (folder / "config.yml").write_text("settings: {data_path: data}\nbus: {port: 1}\n")  # nobody listens on port 1
    path = [str(library), *filter(None, [os.environ.get("PYTHONPATH")])]
    return Command(folder, environ={"PYTHONPATH": os.pathsep.join(path)})
