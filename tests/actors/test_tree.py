"""What of the daemon outlives a bus that refuses everything at once, for minutes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from actors import tree
from actors.runtime.actor import Actor
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from dccd.config import BusConfig, Config
from dccd.errors import BusUnavailable

pytestmark = pytest.mark.anyio

ACTORS = [
    "Alerter",
    "Archiver",
    "Catalogue",
    "Compactor",
    "Control",
    "Historian",
    "Hosts",
    "Keeper",
    "Meter",
    "Monitor",
    "Reconciler",
    "Runner",
    "Scheduler",
]


class Idle(Actor):
    """Whoever has nothing to do with it."""

    def __init__(self, *_: Any, **__: Any) -> None: ...


class Needy(Idle):
    """Starts if the bus is there, and crashes when ``lost`` is set."""

    there = True
    lost: anyio.Event
    starts = 0

    async def on_start(self) -> None:
        Needy.starts += 1
        if not self.there:
            raise BusUnavailable("JetStream system temporarily unavailable")

    async def run(self) -> None:
        await Needy.lost.wait()
        raise BusUnavailable("the connection was closed for good")


@pytest.mark.parametrize("name", ["BusLink", "Archiver"])
async def test_a_daemon_outlives_a_bus_that_refuses_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs it is tried again and again, ever more seldom, and all is up when it takes requests again."""
    for idle in (*ACTORS, "BusLink"):
        monkeypatch.setattr(tree, idle, Idle)
    for desk in ("Handlers", "ReplayDesk", "StreamDesk"):
        monkeypatch.setattr(tree, desk, lambda *_: None)
    monkeypatch.setattr(tree, name, Needy)
    Needy.starts, Needy.lost, Needy.there = 0, anyio.Event(), True
    links: Any = SimpleNamespace(config=Config(bus=BusConfig(url="nats://127.0.0.1:1")))
    clock = FakeClock()
    async with open_root(tree.build(links, jobs=True), clock=clock) as root:
        await clock.settle()
        Needy.there = False
        Needy.lost.set()
        await clock.advance(120)
        await clock.settle(2000)  # restarts without a pause take no time, but turns
        assert root.alive
        assert 20 < Needy.starts < 60
        Needy.there, Needy.lost = True, anyio.Event()
        await clock.advance(30)
        assert {"archiver running", "link running", "monitor running"} <= {
            f"{child.id} {child.status}" for child in everyone(tree.node(root.tree()))
        }


def everyone(node: Any) -> list[Any]:
    """A node and all below it."""
    return [node, *(below for child in node.children for below in everyone(child))]
