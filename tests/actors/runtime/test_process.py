"""One incarnation: how it ends, and what on_stop may rely on."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import anyio
import pytest

from actors.runtime.actor import Actor
from actors.runtime.exits import Exit, Shutdown
from actors.runtime.process import Ended, Process, Ready, Runtime
from actors.runtime.spec import ChildSpec

pytestmark = pytest.mark.anyio


class Script(Actor):
    """Runs the functions it is given."""

    def __init__(self, start: Any = None, run: Any = None, stop: Any = None) -> None:
        self.steps = {"start": start, "run": run, "stop": stop}
        self.done: list[str] = []

    async def _step(self, name: str) -> None:
        if (step := self.steps[name]) is not None:
            await step()
        self.done.append(name)

    async def on_start(self) -> None:
        await self._step("start")

    async def run(self) -> None:
        await self._step("run")

    async def on_stop(self) -> None:
        await self._step("stop")


class Stand:
    """Spawns one actor without a supervisor."""

    def __init__(self, stage: Any, actor: Actor, **options: Any) -> None:
        self.clock = stage.clock
        self.actor = actor
        self.signals: list[Any] = []
        self.runtime = Runtime(self.clock, kill_grace=1)
        spec = ChildSpec("a", lambda: actor, **options)
        self.process: Process = self.runtime.spawn(spec, ("root",), self.signals.append, stage.events.append)

    @property
    def exit(self) -> Exit | None:
        return self.process.exit

    async def settle(self) -> Exit | None:
        await self.clock.settle()
        return self.exit


def raises(error: BaseException) -> Any:
    async def step() -> None:
        await asyncio.sleep(0)
        raise error

    return step


forever = anyio.sleep_forever


@pytest.mark.parametrize(
    ("steps", "kind", "done"),
    [
        ({}, "normal", ["start", "run", "stop"]),
        ({"run": raises(ValueError("x"))}, "crash", ["start", "stop"]),
        ({"run": raises(Shutdown("enough"))}, "shutdown", ["start", "stop"]),
        ({"run": raises(asyncio.CancelledError())}, "crash", ["start", "stop"]),
        ({"run": raises(SystemExit(0))}, "crash", ["start", "stop"]),
        ({"start": raises(ValueError("x"))}, "start_failed", []),
        ({"start": raises(SystemExit(0))}, "start_failed", []),
        ({"start": raises(Shutdown("no"))}, "start_failed", []),
        ({"stop": raises(ValueError("x"))}, "crash", ["start", "run"]),
    ],
)
async def test_how_an_actor_ends_by_itself(stage: Any, steps: dict[str, Any], kind: str, done: list[str]) -> None:
    """on_stop is called after every exit of an actor that had started."""
    actor = Script(**steps)
    exit = await Stand(stage, actor).settle()
    assert exit is not None
    assert exit.kind == kind
    assert actor.done == done


async def test_the_first_error_is_the_reason(stage: Any, logs: list[Any]) -> None:
    """One of on_stop after a crash is logged, and hides nothing."""
    exit = await Stand(stage, Script(run=raises(ValueError("first")), stop=raises(KeyError("second")))).settle()
    assert exit is not None
    assert exit.reason == "ValueError: first"
    assert [entry["event"] for entry in logs] == ["on_stop failed", "crash"]


@pytest.mark.parametrize(("error", "kind"), [(ValueError("x"), "crash"), (Shutdown("done"), "shutdown")])
async def test_a_task_group_does_not_hide_the_error(stage: Any, error: Exception, kind: str) -> None:
    """The one error of an actor's own task group is the reason, not the group."""

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(raises(error))

    exit = await Stand(stage, Script(run=run)).settle()
    assert exit is not None
    assert (exit.kind, exit.error) == (kind, error)


async def test_actors_may_work_in_threads(stage: Any) -> None:
    """anyio's worker threads find their way back to a detached task."""

    async def run() -> None:
        threads.append(await anyio.to_thread.run_sync(threading.get_ident))

    threads: list[int] = []
    stand = Stand(stage, Script(run=run))
    ended = anyio.Event()
    stand.process.on_exit(lambda exit: ended.set())
    with anyio.fail_after(10):
        await ended.wait()
    assert stand.exit is not None
    assert stand.exit.kind == "normal"
    assert threads != [threading.get_ident()]


async def test_signals_to_the_parent(stage: Any) -> None:
    """Ready when on_start has returned, and once the end."""
    stand = Stand(stage, Script(run=forever))
    assert stand.process.status == "starting"
    await stand.settle()
    assert (stand.signals, stand.process.status) == ([Ready(stand.process)], "running")
    await stand.clock.advance(7)
    assert stand.process.uptime == 7
    stand.process.stop()
    assert stand.process.status == "stopping"
    exit = await stand.settle()
    assert exit == Exit(("root", "a"), "shutdown", None, uptime=7, at=7)
    assert stand.signals[1:] == [Ended(stand.process, exit)]
    assert stand.process.status == "exited"
    assert not stand.runtime.live


@pytest.mark.parametrize("when", ["before its first step", "in on_start", "in run"])
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_it_can_be_ended_at_any_moment(stage: Any, when: str, how: str) -> None:
    """And its end is always told."""
    actor = Script(start=forever if when == "in on_start" else None, run=forever)
    stand = Stand(stage, actor)
    if when != "before its first step":
        await stand.settle()
    getattr(stand.process, how)()
    getattr(stand.process, how)()  # once more changes nothing
    exit = await stand.settle()
    assert exit is not None
    assert exit.kind == {"stop": "shutdown", "kill": "killed"}[how]
    assert actor.done == (["start", "stop"] if (when, how) == ("in run", "stop") else ["start"] * (when == "in run"))
    assert stand.clock.deadlines == []


async def test_cleanup_is_not_reached_by_the_cancellation(stage: Any) -> None:
    """on_stop may await as if nobody had said stop, until its time is over."""
    gate = anyio.Event()
    actor = Script(run=forever, stop=gate.wait)
    stand = Stand(stage, actor, shutdown=5)
    await stand.settle()
    stand.process.stop()
    await stand.clock.advance(4.9)
    assert stand.exit is None
    gate.set()
    exit = await stand.settle()
    assert exit is not None
    assert exit.kind == "shutdown"
    assert actor.done == ["start", "stop"]


@pytest.mark.parametrize(("run", "kind"), [(None, "killed"), (raises(ValueError("x")), "crash"), (forever, "killed")])
async def test_cleanup_is_bounded(stage: Any, run: Any, kind: str) -> None:
    """By the shutdown time, also when nobody asked for the stop; a crash stays the reason."""
    stand = Stand(stage, Script(run=run, stop=forever), shutdown=5)
    await stand.settle()
    if run is forever:
        stand.process.stop()
    await stand.clock.advance(4.9)
    assert stand.exit is None
    await stand.clock.advance(0.1)
    assert stand.exit is not None
    assert stand.exit.kind == kind


async def test_cleanup_after_a_crash_is_bounded_for_brutal_too(stage: Any) -> None:
    """Brutal is about being stopped: a crash may still close its files, within 5 seconds."""
    stand = Stand(stage, Script(run=raises(ValueError("x")), stop=forever), shutdown="brutal")
    await stand.clock.advance(4.9)
    assert stand.exit is None
    await stand.clock.advance(0.1)
    assert stand.exit is not None


async def test_a_shield_holds_off_a_stop_but_not_a_kill(stage: Any) -> None:
    """A critical section has the shutdown time to finish in, and no more."""

    async def critical() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()

    stand = Stand(stage, Script(run=critical), shutdown=5)
    await stand.settle()
    stand.process.stop()
    await stand.clock.advance(4.9)
    assert stand.exit is None
    await stand.clock.advance(0.1)
    assert stand.exit is not None
    assert stand.exit.kind == "killed"


@pytest.mark.parametrize(("how", "kind"), [("stop", "shutdown"), ("kill", "killed")])
async def test_an_actor_that_swallows_one_cancellation_is_told_again(stage: Any, how: str, kind: str) -> None:
    """A careless except in a library does not make it unstoppable."""
    swallowed = []

    async def careless() -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            swallowed.append(1)
        await anyio.sleep_forever()

    stand = Stand(stage, Script(run=careless))
    await stand.settle()
    getattr(stand.process, how)()
    exit = await stand.settle()
    assert swallowed == [1]
    assert exit is not None
    assert exit.kind == kind


async def test_an_actor_that_never_ends_is_given_up(stage: Any) -> None:
    """After the grace; its later end is no second exit."""
    mercy = anyio.Event()

    async def deaf() -> None:
        while not mercy.is_set():
            try:
                await mercy.wait()
            except asyncio.CancelledError:
                pass

    stand = Stand(stage, Script(run=deaf, stop=raises(ValueError("x"))), shutdown=2)
    await stand.settle()
    stand.process.stop()
    await stand.clock.advance(2.9)
    assert stand.exit is None
    await stand.clock.advance(0.1)
    assert stand.exit is not None
    assert stand.exit.kind == "unkillable"
    assert stand.runtime.abandoned == {stand.process}
    assert [event.kind for event in stage.events] == ["started", "unkillable"]
    with anyio.fail_after(60):
        await stand.runtime.wait_idle()
    mercy.set()
    await stand.settle()
    assert stand.runtime.abandoned == set()
    assert stand.process.task.done()
    assert len(stand.signals) == 2


async def test_statistics_and_the_tree(stage: Any) -> None:
    """What is known of one actor."""
    stand = Stand(stage, Script(run=forever))
    await stand.clock.advance(3)
    assert stand.process.statistics() == {
        "path": "root/a",
        "status": "running",
        "uptime": 3,
        "restarts": 0,
        "mailbox": 0,
        "mailbox_size": 64,
        "received": 0,
    }
    node = stand.process.node()
    assert (node.id, node.path, node.type, node.status, node.uptime) == ("a", ("root", "a"), "worker", "running", 3)
    assert repr(stand.process) == "<Process root/a running>"
    assert repr(stand.runtime) == "<Runtime live=1 abandoned=0>"
    stand.process.stop()
    await stand.settle()
