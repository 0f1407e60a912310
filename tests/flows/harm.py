"""What bad requests might do to a daemon: what it has and holds flows out, so that before and after can be compared."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from actors.daemon import Daemon
from dccd.bus.connection import Bus
from dccd.bus.direct import api
from dccd.bus.history import RunHistory
from dccd.client import Client
from dccd.errors import RequestError
from dccd.messages import TreeNode
from dccd.runs import ACTIVE

__all__ = ["Held", "held", "nodes", "settled", "undone", "unharmed"]

_MEMORY = 96 << 20
_OBJECTS = 5_000
_THREADS = 8


@dataclass(frozen=True)
class Held:
    """``exact`` must be as before, or less; of threads, objects and memory (bytes) there may be a little more."""

    exact: dict[str, Any]
    threads: int
    objects: int
    memory: int

    def more(self, before: Held) -> dict[str, Any]:
        """What there is now and was not *before*, beyond what comes and goes."""
        found = {name: more for name, now in self.exact.items() if (more := _more(before.exact[name], now))}
        for name, allowed in (("threads", _THREADS), ("objects", _OBJECTS), ("memory", _MEMORY)):
            if getattr(self, name) > getattr(before, name) + allowed:
                found[name] = (getattr(before, name), getattr(self, name))
        return found


def _more(before: Any, now: Any) -> Any:
    """What there is *now* that wasn't *before*, or else than before; of counts those that are higher."""
    if isinstance(now, int):
        return (before, now) if now > before else None
    if isinstance(now, dict):
        return {name: (before.get(name, 0), count) for name, count in now.items() if count > before.get(name, 0)}
    return (before, now) if now != before else None


async def held(running: Daemon, client: Client) -> Held:
    """What *running*, which is in this process, has now."""
    links, bus = running.links, running.links.bus
    assert links.service is not None
    actors = list(nodes((await client.tree()).root))
    exact = {
        "tasks": dict(Counter(_kind(task) for task in asyncio.all_tasks())),
        "files": dict(Counter(_files())),
        "subscriptions": len(bus.client._subs),
        "waiting for refusals": len(bus._refusals) + len(client.bus._refusals),
        "requests": links.service.running,
        "transfers": len(links.service._sender._transfers),
        "mailboxes": sum(node.mailbox for node in actors),
        "actors": sorted(node.id for node in actors),
        "streams": sorted(links.board),
        "jobs": sorted(links.specs),
        "runs": [*links.active, *links.progress, *(await RunHistory(links.runs).marks())],
        "on the bus": await _jetstream(bus),
    }
    gc.collect()
    # Not the simulator's, which runs in this process, too, and makes a market when somebody asks for one.
    objects = sum(not str(type(one).__module__).startswith("dccd.simulator") for one in gc.get_objects())
    return Held(exact, threading.active_count(), objects, _memory())


async def undone(running: Daemon, client: Client, *, streams: set[str], jobs: set[str]) -> None:
    """End what requests have rightly started: all but these *streams* and *jobs*."""
    for job in set(running.links.specs) - jobs:
        await client.request("jobs.delete", {"name": job})
    for dataset in set(running.links.board) - streams:
        with contextlib.suppress(RequestError):  # it went with its job
            await client.request("streams.stop", {"dataset": dataset})
    for replay in await client.replays():
        with contextlib.suppress(RequestError):
            await client.request("replay.stop", {"id": replay.id})
    for run in await client.runs(1000, state=list(ACTIVE)):
        with contextlib.suppress(RequestError):  # it has ended meanwhile
            await client.cancel(run.run_id)


async def settled(running: Daemon, client: Client, before: Held, seconds: float = 30.0) -> dict[str, Any]:
    """What there is more than *before* once it doesn't get less any more, or after *seconds*."""
    more: dict[str, Any] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while more := (await held(running, client)).more(before):  # noqa: ASYNC110 - tasks and memory have no event
                await asyncio.sleep(0.25)
    return more


async def unharmed(running: Daemon, client: Client, *datasets: str) -> str | None:
    """What has happened to the daemon, or to its streams of *datasets*, that should not have; None when nothing has.

    Other streams may have come and gone, also such that an exchange has accepted and not served.
    """
    others = ("dccd/work/core/streams/", "dccd/work/core/backfills/")
    restarts = {actor: count for actor, count in running.links.tally.restarts.items() if not actor.startswith(others)}
    restarts |= {node.id: node.restarts for node in nodes((await client.tree()).root) if node.restarts}
    if restarts:
        return f"restarts: {restarts}"
    health = await client.health()
    if not health.ok:
        return f"unhealthy: {[check for check in health.checks if not check.ok]}"
    streams = await client.streams()
    for stream in streams:
        missing = (await client.coverage(stream.dataset)).seconds.get("missing", 0.0)
        if (stream.state, stream.gaps, stream.reconnects, missing) != ("live", 0, 0, 0.0):
            return f"{stream}, {missing} s missing"
    there = {stream.dataset for stream in streams}
    return None if there == set(datasets) else f"streams: {there}"


def nodes(node: TreeNode) -> Iterator[TreeNode]:
    yield node
    for child in node.children:
        yield from nodes(child)


def _kind(task: asyncio.Task[Any]) -> str:
    """What sort of task: its name without numbers, or of one without a name what it runs."""
    name = task.get_name()
    if name.startswith("Task-"):
        name = getattr(task.get_coro(), "__qualname__", "")
    return re.sub(r"\d+", "", name)


def _memory() -> int:
    """Bytes of this process in memory, without what is freed."""
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _files() -> Iterator[str]:
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            yield re.sub(r"\d+", "", os.readlink(f"/proc/self/fd/{number}"))


class _State(msgspec.Struct):
    consumer_count: int = 0
    num_subjects: int = 0


class _Info(msgspec.Struct):
    state: _State


class _Names(msgspec.Struct):
    streams: list[str] = []


async def _jetstream(bus: Bus) -> dict[str, int]:
    """The consumers of each stream, and the keys of each bucket but the history's."""
    found: dict[str, int] = {}
    for name in (await api(bus, "STREAM.NAMES", {}, _Names)).streams:
        state = (await api(bus, f"STREAM.INFO.{name}", None, _Info)).state
        counted = name.startswith("KV_") and name not in ("KV_dccd_runs", "KV_dccd_datasets")
        found[f"consumers of {name}"] = state.consumer_count
        found[f"keys of {name}"] = state.num_subjects if counted else 0
    return found
