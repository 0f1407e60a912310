"""The embedded server as an actor: what ends it, and what starts it anew."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from actors import nats
from actors.nats import NatsServer, limits, taken
from actors.runtime.clock import FakeClock
from actors.runtime.events import ActorEvent
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.runtime.supervisor import Supervisor
from dccd.config import BusConfig, Config

pytestmark = pytest.mark.anyio

FULL = "JetStream failed to store a msg on stream '$G > DCCD_TICKS': write 1.blk: no space left on device"


class Stage:
    """A supervised server; ``restarted`` is set when a second one answers."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.links: Any = SimpleNamespace(config=Config(bus=BusConfig(port=0)), data_path=root, bus_url="")
        self.actors: list[NatsServer] = []
        self.restarted = anyio.Event()
        self.reasons: list[str] = []

    def make(self) -> NatsServer:
        self.actors.append(NatsServer(self.links))
        return self.actors[-1]

    @property
    def pid(self) -> int:
        return int((self.links.data_path / ".dccd" / "nats" / "nats-server.pid").read_text())

    def see(self, event: ActorEvent) -> None:
        if event.kind == "exited" and event.reason:
            self.reasons.append(event.reason)
        if event.kind == "restarted":
            self.restarted.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        children = [ChildSpec(id="nats", start=self.make, shutdown=10.0)]
        async with open_root(Supervisor(children), clock=self.clock, observer=self.see):
            yield

    async def restart(self) -> None:
        with anyio.fail_after(15):
            await self.restarted.wait()


async def test_a_killed_server_comes_back_where_it_was(tmp_path: Path) -> None:
    """Clients know its URL: a free port, once taken, stays."""
    stage = Stage(tmp_path)
    async with stage.running():
        url, pid = stage.links.bus_url, stage.pid
        os.kill(pid, signal.SIGKILL)
        await stage.restart()
        assert stage.links.bus_url == url
        assert stage.pid != pid


@pytest.mark.parametrize(("total", "enough"), [(1 << 40, 64 << 20), (20 << 20, 2 << 20)])
async def test_a_server_whose_disk_was_full_starts_anew_when_there_is_room(
    total: int, enough: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it would refuse every message for ever. Before there is room a restart is no use."""
    stage = Stage(tmp_path)
    free = 0
    monkeypatch.setattr(nats.shutil, "disk_usage", lambda path: SimpleNamespace(free=free, total=total))
    async with stage.running():
        pid = stage.pid
        stage.actors[0]._heard("error", FULL)
        for _ in range(10):
            await stage.clock.advance(2)
        assert (stage.pid, stage.reasons) == (pid, [])
        free = enough
        await stage.clock.advance(2)
        await stage.restart()
        assert stage.pid != pid
    assert "no space left on device" in stage.reasons[0]


async def test_a_server_that_writes_is_left_alone(tmp_path: Path) -> None:
    """Other lines of its log are no reason to end it."""
    stage = Stage(tmp_path)
    async with stage.running():
        pid = stage.pid
        stage.actors[0]._heard("error", "127.0.0.1:4711 - cid:5 - Client parser ERROR")
        for _ in range(10):
            await stage.clock.advance(2)
        assert (stage.pid, stage.reasons) == (pid, [])


def test_a_small_bus_needs_a_small_disk() -> None:
    """The server refuses to set aside more than there is, for ticks and events together."""
    assert limits(BusConfig()).events_max_bytes < limits(BusConfig()).max_bytes
    small = limits(BusConfig(ticks_max_bytes="16MiB"))
    assert small.max_bytes + small.events_max_bytes <= 32 << 20
    assert limits(BusConfig(ticks_max_bytes="16MiB", events_max_bytes="64MiB")).events_max_bytes == 64 << 20


async def test_a_disk_that_the_bus_may_outgrow_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, with the sizes; the server itself says nothing before the disk is full."""
    warnings: list[dict[str, int]] = []
    stage = Stage(tmp_path)
    actor = stage.make()
    monkeypatch.setattr(actor._log, "warning", lambda text, **sizes: warnings.append(sizes))
    folder = tmp_path / "nats"
    folder.mkdir()
    (folder / "1.blk").write_bytes(bytes(1000))
    wanted = limits(stage.links.config.bus)
    may_take = wanted.max_bytes + wanted.events_max_bytes
    for free in (may_take - 1000, may_take - 1001):
        monkeypatch.setattr(nats.shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        actor._warn_of_little_room(folder)
    assert warnings == [{"may_take": may_take, "has_taken": 1000, "free": may_take - 1001}]


def test_what_a_server_removes_while_it_is_counted_is_passed_over(tmp_path: Path) -> None:
    """Folders, too: those of consumers go when they expire, as many do when it has just started."""
    (tmp_path / "1.blk").write_bytes(bytes(10))
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            (tmp_path / "obs" / "reader").mkdir(parents=True)
            shutil.rmtree(tmp_path / "obs")

    churning = threading.Thread(target=churn)
    churning.start()
    try:
        assert {taken(tmp_path) for _ in range(2000)} == {10}
    finally:
        over.set()
        churning.join()
