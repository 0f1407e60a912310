"""dccd itself as a contender: the daemon as ``dccd start`` runs it, from a configuration of the benchmark's own."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import BENCH, ROOT, Child, family_cpu
from stored import names

import dccd
from dccd.bus.server import find_binary
from dccd.client import Client
from dccd.errors import BusError
from dccd.store.reader import Store

__all__ = ["BareServer", "Daemon", "live", "records", "title"]


def title() -> str:
    """``dccd 4.0.0``: for the tables."""
    return f"dccd {dccd.__version__}"


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Daemon(Child):
    """``dccd start`` in a fresh folder with the embedded bus on a free port; ready when ``dccd.health`` answers.

    *config* is what the file holds besides ``settings`` and ``bus``.
    """

    def __init__(self, config: Mapping[str, Any], name: str = "dccd") -> None:
        BENCH.mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="data-", dir=BENCH))
        self.url = f"nats://127.0.0.1:{(port := free_port())}"
        whole = {
            "settings": {"data_path": str(self.folder / "data"), "host": "bench", "log_format": "json"},
            "bus": {"port": port},
            **config,
        }
        file = self.folder / "config.yml"
        file.write_text(json.dumps(whole))  # JSON is YAML
        super().__init__([ROOT / ".venv" / "bin" / "dccd", "--config", file, "start"], name)

    def restart(self) -> None:
        """Stop it, and start it again with the same data; ready as before."""
        super().__exit__(None, None, None)
        self._unread = b""
        super().__enter__()

    @property
    def store(self) -> Store:
        """Its data, read from the files."""
        return Store(self.folder / "data")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + self.timeout
        while self.process.poll() is None:
            try:
                asyncio.run(self._health())
            except BusError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"dccd is not ready after {self.timeout:g} s ({error}):\n{self.tail()}") from error
                continue
            return {}
        raise SystemExit(f"dccd ended with {self.process.returncode}:\n{self.tail()}")

    async def _health(self) -> None:
        async with dccd.connect(self.url) as client:
            await client.health()

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far: of the daemon and its bus together, and of the bus alone."""
        used = family_cpu(self.pid)
        return sum(used.values()), used.get("nats-server", 0.0)


async def live(client: Client, streams: int, seconds: float) -> None:
    """Start so many, and wait for records of each, at most *seconds*."""
    for name in names(streams):
        await client.start_stream("binance", name)
    deadline = time.monotonic() + seconds
    while sum(stream.records > 0 for stream in await client.streams()) < streams:
        if time.monotonic() > deadline:
            raise SystemExit(f"not all streams have records after {seconds:g} s")
        await asyncio.sleep(0.5)


async def records(client: Client) -> int:
    """How many all streams have had together."""
    return sum(stream.records for stream in await client.streams())


class BareServer(Child):
    """A nats-server as it comes, JetStream on: for the bare figures that dccd's stand next to."""

    def __init__(self) -> None:
        BENCH.mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="nats-", dir=BENCH))
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        super().__init__(
            [find_binary(), "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.folder], "bare-nats"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + self.timeout
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
                continue
            return {}
        raise SystemExit(f"nats-server does not answer:\n{self.tail()}")
