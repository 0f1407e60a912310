"""Whose a run is: the verdicts, and every moment between two writes in which a host can be killed, on a real bus."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from actors.control.ownership import is_said, judge, may_claim, may_close, may_write
from actors.historian import Historian
from actors.mail import CancelBackfill, MoveRuns, RunEnded, RunIsAt
from actors.runtime.clock import FakeClock
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.history import RunHistory
from dccd.bus.kv import Bucket
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_bucket
from dccd.runs import ACTIVE, Run
from dccd.store.hosts import note_host
from dccd.store.layout import Layout
from tests.actors.control.test_runner import ORDER, TRADES, Desk, running

pytestmark = pytest.mark.anyio


def a_run(state: str, host: str) -> Run:
    return Run(
        run_id="r1", dataset=TRADES.name, state=state, host=host, created=0, updated=0, start=0, end=10, position=5  # type: ignore[arg-type]  # a test
    )  # fmt: skip


@pytest.mark.parametrize(
    ("run", "left", "verdict"),
    [
        (None, False, "keep"),  # its record is about to be written
        (None, True, "remove"),
        (a_run("done", "alpha"), False, "remove"),
        (a_run("cancelled", "beta"), True, "remove"),
        (a_run("running", "alpha"), True, "keep"),
        (a_run("interrupted", "beta"), False, "move"),
    ],
)
def test_what_becomes_of_a_mark(run: Run | None, left: bool, verdict: str) -> None:
    """It stays beside what isn't over, under its host's name; the record's word counts."""
    assert judge("alpha", run, left=left) == verdict


@pytest.mark.parametrize(
    ("state", "host", "claim", "close"),
    [
        ("interrupted", "beta", True, True),
        ("running", "beta", False, False),  # it is back
        ("interrupted", "gamma", False, False),  # another was first
        ("cancelled", "beta", False, False),
        ("queued", "alpha", True, False),  # written before, and not heard of
        ("done", "alpha", False, False),
    ],
)
def test_who_may_go_on_with_what_beta_has_left(state: str, host: str, claim: bool, close: bool) -> None:
    """Whoever is first, while it is as it was left."""
    found = a_run(state, host)
    assert (may_claim(found, "alpha", "beta"), may_close(found, "beta")) == (claim, close)


@pytest.mark.parametrize(
    ("found", "host", "written", "allowed", "said"),
    [
        ("running", "alpha", "running", True, False),
        ("interrupted", "alpha", "running", True, False),  # others said so
        ("running", "alpha", "done", True, False),
        ("done", "alpha", "done", False, True),  # and not heard of
        ("cancelled", "alpha", "running", False, False),
        ("cancelled", "alpha", "done", False, False),
        ("running", "beta", "running", False, False),
        ("done", "beta", "done", False, False),
    ],
)
def test_what_a_host_may_write_over(found: str, host: str, written: str, allowed: bool, said: bool) -> None:
    """Its own, as long as it isn't over; no end needs to be written twice."""
    there, run = a_run(found, host), a_run(written, "alpha")
    assert (may_write(there, run), is_said(there, run)) == (allowed, said)


# ---------------------------------------------------------------- hosts that stop between two writes


class Mortal(Bucket):
    """A bucket as a host has it that stops before a write, *left* writes from now, and does nothing from then on: as
    one that is killed; unless it is let go on. What was written goes to *history*."""

    def __init__(self, bus: Bus, left: int | None, history: list[str]) -> None:
        super().__init__(bus, subjects.BUCKET_RUNS)
        self.left, self.history = left, history
        self.halted, self.go_on = anyio.Event(), anyio.Event()

    async def _turn(self) -> None:
        if self.left == 0:
            self.halted.set()
            await self.go_on.wait()
        elif self.left is not None:
            self.left -= 1

    async def _publish(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        await self._turn()
        revision = await super()._publish(key, value, headers)
        if not key.startswith(subjects.RUN_MARK):
            self.history.append(msgspec.json.decode(value)["state"])
        return revision

    async def remove(self, key: str, revision: int | None = None) -> None:
        await self._turn()
        await super().remove(key, revision)


class Host(Desk):
    """A host with its runner and its historian, over that bucket."""

    def __init__(self, name: str, bus: Bus, folder: Path, history: list[str], left: int | None = None) -> None:
        super().__init__()
        self.host, self.bus, self.layout = name, bus, Layout(folder)
        self.runs: Any = Mortal(bus, left, history)
        self.historian = Historian(self)  # type: ignore[arg-type]  # what it takes of the shared names
        self.done = anyio.Event()

    async def looks(self, times: int) -> None:
        """As time goes by; whatever comes of it has happened on return."""
        for _ in range(times):
            await self.historian.look()
        await self.runner.ask(CancelBackfill("none"))

    async def live(self, act: Callable[[Host], Awaitable[Any]]) -> None:
        async with running(self, FakeClock()):
            self.answer = await act(self)
            self.done.set()
            self.runs.halted.set()
            await anyio.sleep_forever()

    def at(self) -> list[str]:
        """The runs that this host is at, and that it thinks it is at."""
        children = [node.id for node in self.backfills.nodes()]
        assert children == list(self.active)
        return children


@asynccontextmanager
async def alive(host: Host, act: Callable[[Host], Awaitable[Any]]) -> AsyncIterator[None]:
    """*host* says that it is there, starts and does *act*, until it has, or stops before a write; in the end it is
    killed, and what it said runs out."""
    there = Bucket(host.bus, subjects.BUCKET_HOSTS)
    await there.put(subjects.host_key(host.host), b"{}")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(host.live, act)
            await host.runs.halted.wait()
            yield
            group.cancel_scope.cancel()
    await there.remove(subjects.host_key(host.host))


async def start(host: Host) -> None:
    await host.looks(0)


async def begin(host: Host) -> Any:
    return await host.runner.ask(ORDER)


async def end(host: Host) -> None:
    run = host.active.get("r1", a_run("running", "alpha"))  # whose backfiller doesn't know whose it is
    await host.runner.ask(RunEnded(msgspec.structs.replace(run, state="done")))


async def cancel(host: Host) -> Any:
    return await host.runner.ask(CancelBackfill("r1"))


async def move(host: Host) -> None:
    await host.runner.ask(MoveRuns(("binance",)))


async def take_over(host: Host) -> None:
    await host.looks(2)


async def cancel_what_is_left(host: Host) -> None:
    await host.looks(2)
    for run_id in await RunHistory(host.runs).marks():
        await host.runner.ask(CancelBackfill(run_id))


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    server = EmbeddedServer(tmp_path, port=0, on_log=lambda level, text: None)
    async with server, await Bus.open(server.url, "test") as bus:
        for bucket in (subjects.BUCKET_RUNS, subjects.BUCKET_HOSTS):
            await ensure_bucket(bus, bucket)
        for name in ("alpha", "beta", "gamma"):
            note_host(Layout(tmp_path), name)
        yield bus


async def begin_with(bus: Bus, run: Run | None) -> RunHistory:
    """A history of *run* alone."""
    runs = Bucket(bus, subjects.BUCKET_RUNS)
    for entry in await runs.all():
        await runs.remove(entry.key)
    if run is not None:
        await runs.put(subjects.run_mark(run.run_id), run.host.encode())
        await runs.put(subjects.run_key(run.run_id, run.job), msgspec.json.encode(run))
    return RunHistory(runs)


async def on_record(history: RunHistory) -> tuple[dict[str, Run], dict[str, str]]:
    """The records and the hosts that marks name."""
    entries = [entry for entry in await history.bucket.all() if not entry.key.startswith(subjects.RUN_MARK)]
    runs = [msgspec.json.decode(entry.value, type=Run) for entry in entries]
    return {run.run_id: run for run in runs}, {id: mark.host for id, mark in (await history.marks()).items()}


@pytest.mark.parametrize("name", ["alpha", "gamma"])
@pytest.mark.parametrize(
    ("run", "act", "writes"),
    [
        (None, begin, 3),  # mark, queued, running
        (a_run("running", "alpha"), start, 3),  # interrupted, queued, running
        (a_run("interrupted", "alpha"), start, 2),
        (a_run("running", "alpha"), end, 3 + 2),  # done, no mark
        (a_run("running", "alpha"), cancel, 3 + 2),
        (a_run("running", "alpha"), move, 3 + 2),  # queued, running
        (a_run("running", "beta"), take_over, 4),  # interrupted, queued here, mark, running
        (a_run("interrupted", "beta"), cancel, 2),  # cancelled, no mark
    ],
)
async def test_a_kill_between_any_two_writes(
    run: Run | None, act: Callable[[Host], Awaitable[Any]], writes: int, name: str, bus: Bus, tmp_path: Path
) -> None:
    """Who starts next, under that name or another, finds the run, is alone at it, and ends it once."""
    for left in itertools.count():
        record, said = await begin_with(bus, run), list[str]()
        async with alive(killed := Host("alpha", bus, tmp_path, said, left), act):
            pass
        async with alive(host := Host(name, bus, tmp_path, said), lambda host: host.looks(5)):
            runs, marks = await on_record(record)
            assert len(runs) == (run is not None or left > 1), "forgotten, or there twice"
            under_way = [one.run_id for one in runs.values() if one.state in ACTIVE]
            assert marks == dict.fromkeys(under_way, name), left
            assert host.at() == under_way, left
            for one in runs.values():
                assert one.run_id not in under_way or (one.state, one.host) == ("running", name)
                await host.runner.ask(RunEnded(msgspec.structs.replace(one, state="done")))
        async with alive(host := Host(name, bus, tmp_path, said), lambda host: host.looks(3)):
            after, marks = await on_record(record)
            assert after.keys() == runs.keys() and not marks and not host.at()
        assert [state in ACTIVE for state in said].count(False) == len(runs), "not ended once"
        if killed.done.is_set():
            break
    assert left == writes


@pytest.mark.parametrize(
    ("slow", "act", "quick", "other", "writes"),
    [
        ("alpha", take_over, "gamma", take_over, 4),
        ("alpha", cancel, "beta", start, 2),
        ("beta", start, "alpha", cancel, 2),
        ("alpha", cancel, "gamma", take_over, 2),
        ("alpha", take_over, "gamma", cancel, 3),
    ],
)
async def test_two_hosts_at_once(
    slow: str,
    act: Callable[[Host], Awaitable[Any]],
    quick: str,
    other: Callable[[Host], Awaitable[Any]],
    writes: int,
    bus: Bus,
    tmp_path: Path,
) -> None:
    """Both want what beta has left, and one does all it can between two writes of the other: one of them has it."""
    for left in itertools.count():
        state = "running" if (act, other) == (take_over, take_over) else "interrupted"
        record, said = await begin_with(bus, a_run(state, "beta")), list[str]()
        async with alive(first := Host(slow, bus, tmp_path, said, left), act):
            stopped = not first.done.is_set()
            async with alive(second := Host(quick, bus, tmp_path, said), other):
                first.runs.go_on.set()
                await first.done.wait()
                for host in (first, second, first, second):
                    await host.looks(1)
                runs, marks = await on_record(record)
                one = runs["r1"]
                assert first.at() + second.at() == (["r1"] if one.state == "running" else []), left
                owner = {"r1": one.host} if one.state == "running" else {}
                assert marks == owner == dict.fromkeys(first.at(), slow) | dict.fromkeys(second.at(), quick), left
                assert one.state in ("running", "cancelled")
                for host in (first, second):
                    assert not isinstance(host.answer, RunIsAt) or host.answer.host == one.host
                    assert not isinstance(host.answer, Run) or one.state == host.answer.state == "cancelled"
        assert [state in ACTIVE for state in said].count(False) == (one.state == "cancelled")
        if not stopped:
            break
    assert left == writes


@pytest.mark.parametrize(("other", "folder"), [(take_over, "."), (cancel_what_is_left, "elsewhere")])
@pytest.mark.parametrize(("act", "writes"), [(start, 3), (begin, 3), (end, 3 + 2), (cancel, 3 + 2), (move, 3 + 2)])
async def test_a_host_that_stands_still_between_any_two_writes(
    act: Callable[[Host], Awaitable[Any]],
    writes: int,
    other: Callable[[Host], Awaitable[Any]],
    folder: str,
    bus: Bus,
    tmp_path: Path,
) -> None:
    """It passes for gone, another goes on with its run, or cancels it, and then it goes on, too: it leaves the run to
    the other, with its mark, and ends nothing that isn't its own."""
    for left in itertools.count():
        record, said = await begin_with(bus, None if act is begin else a_run("running", "alpha")), list[str]()
        there, key = Bucket(bus, subjects.BUCKET_HOSTS), subjects.host_key("alpha")
        async with alive(first := Host("alpha", bus, tmp_path, said, left), act):
            stopped = not first.done.is_set()
            await there.remove(key)
            async with alive(second := Host("gamma", bus, tmp_path / folder, said), other):
                await there.put(key, b"{}")
                first.runs.go_on.set()
                await first.done.wait()
                for host in (first, second, first, second):
                    await host.looks(1)
                runs, marks = await on_record(record)
                under_way = {one.run_id: one.host for one in runs.values() if one.state in ACTIVE}
                assert marks == under_way, left
                assert dict.fromkeys(first.at(), "alpha") | dict.fromkeys(second.at(), "gamma") == under_way, left
                assert len(first.at()) + len(second.at()) == len(under_way), left
                if isinstance(first.answer, RunIsAt):
                    assert [first.answer.host] == list(under_way.values())
        assert [state in ACTIVE for state in said].count(False) == len(runs) - len(under_way), left
        if not stopped:
            break
    assert left == writes
