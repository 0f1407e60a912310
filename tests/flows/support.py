"""Small helpers of the flows."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import Process

from dccd.client import Client
from dccd.config import Config, Job
from dccd.errors import BusUnavailable
from dccd.messages import Event
from dccd.simulator import Simulator

Expect = Callable[[Callable[[Any], bool]], Awaitable[Any]]


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of *size* bytes of its own, to be filled; where the system doesn't let us mount one, a skip that
    says so."""
    disk, mount = folder / "disk", shutil.which("mount")
    disk.mkdir()
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk to be filled")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def write_config(folder: Path, port: int, sim: Simulator, more: str = "") -> Path:
    """A configuration file of a daemon on *port* with Binance, and what *more* says."""
    path = folder / "config.yml"
    path.write_text(
        f"""
settings: {{data_path: {folder / "data"}, host: alpha}}
bus: {{port: {port}}}
exchanges: {{binance: {{rest_url: "{sim.binance.rest_url}", ws_url: "{sim.binance.ws_url}", rate_limit: false}}}}
{more}"""
    )
    return path


@asynccontextmanager
async def running(config: Path, log: Path) -> AsyncIterator[Process]:
    """The daemon as its users start it; killed on the way out if it still runs."""
    with log.open("ab") as output:
        command = [sys.executable, "-m", "dccd", "start", "--plain", "--config", str(config)]
        async with await anyio.open_process(command, stdin=None, stdout=output, stderr=output) as process:
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.kill()
                    with anyio.CancelScope(shield=True):
                        await process.wait()


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Client]:
    """A client, as soon as there is a bus: on a busy machine a daemon takes its time to start."""
    client = Client(url, timeout=20)
    with anyio.fail_after(60):
        while True:
            with contextlib.suppress(BusUnavailable):
                await client.__aenter__()
                break
    try:
        yield client
    finally:
        await client.aclose()


def with_jobs(config: Config, *jobs: Job) -> Config:
    """The same configuration with these jobs."""
    return msgspec.structs.replace(config, jobs=list(jobs))


@asynccontextmanager
async def watching(client: Client, subject: str = "dccd.events.>", seconds: float = 60.0) -> AsyncIterator[Expect]:
    """Yield a function that returns the next event for which a predicate holds; fails after *seconds*."""
    send, receive = anyio.create_memory_object_stream[Any](10_000)
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Event)

    async def keep(message: Any) -> None:
        send.send_nowait(decoder.decode(message.data))

    async def expect(good: Callable[[Any], bool]) -> Any:
        seen = []
        try:
            with anyio.fail_after(seconds):
                async for event in receive:
                    if good(event):
                        return event
                    seen.append(event)
        except TimeoutError:
            raise AssertionError(f"no such event within {seconds:g} s; there were {seen[-20:]}") from None
        raise AssertionError("the stream of events has ended")

    subscription = await client.bus.subscribe(subject, keep)
    await client.bus.barrier()
    try:
        yield expect
    finally:
        await subscription.unsubscribe()
        send.close()
        receive.close()


async def take(ticks: Any, count: int, seconds: float = 60.0) -> list[Any]:
    """The next *count* records of *ticks*."""
    records: list[Any] = []
    with anyio.fail_after(seconds):
        async for record in ticks:
            records.append(record)
            if len(records) >= count:
                break
    return records
