"""What holds for every supervisor: its requests, crashes of every kind, actors that don't end, events."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import anyio
import pytest

from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import (
    ActorError,
    ActorGone,
    AlreadyPresent,
    AlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    StartFailed,
)
from actors.runtime.spec import Backoff, ChildSpec
from actors.runtime.supervisor import Supervisor

pytestmark = pytest.mark.anyio

WAIT = Backoff(initial=10, maximum=10, jitter=0)


# Requests


async def test_adding_an_existing_id_says_already_started_or_already_present(stage: Any) -> None:
    """Depending on whether it runs; the running one is handed over."""
    supervisor = Supervisor(stage.specs("a"))
    async with stage.open(supervisor):
        with pytest.raises(AlreadyStarted) as caught:
            await supervisor.start_child(stage.spec("a"))
        assert caught.value.ref.alive
        await supervisor.terminate_child("a")
        with pytest.raises(AlreadyPresent):
            await supervisor.start_child(stage.spec("a"))
        assert stage.kinds("a") == ["started", "exited"]


async def test_requests_about_children_in_the_wrong_state_are_refused(stage: Any) -> None:
    """Unknown, running, or about to be restarted."""
    supervisor = Supervisor([stage.spec("a"), stage.spec("b", backoff=WAIT)])
    async with stage.open(supervisor):
        for request in (supervisor.terminate_child, supervisor.restart_child, supervisor.delete_child):
            with pytest.raises(ChildNotFound):
                await request("nobody")
        await stage.crash("b")
        for restart_or_delete in (supervisor.restart_child, supervisor.delete_child):
            with pytest.raises(ChildRunning):
                await restart_or_delete("a")
            with pytest.raises(ChildRestarting):
                await restart_or_delete("b")
        with pytest.raises(ActorError, match="does not understand str"):
            await supervisor.context.ref.ask("what?")
        assert await stage.statuses(supervisor) == {"a": "running", "b": "restarting"}


async def test_a_child_that_is_added_and_fails_to_start_is_forgotten(stage: Any) -> None:
    """Whoever added it gets the cause; nothing is counted, nothing tried again."""
    supervisor = Supervisor(stage.specs("a"), intensity=0)
    async with stage.open(supervisor):
        stage.failing_starts["b"] = 1
        with pytest.raises(StartFailed) as caught:
            await supervisor.start_child(stage.spec("b"))
        assert caught.value.__cause__ is stage.start_error
        assert await stage.statuses(supervisor) == {"a": "running"}
        assert (await supervisor.start_child(stage.spec("b"))).alive


async def test_a_child_that_is_restarted_by_hand_and_fails_to_start_stays_stopped(stage: Any) -> None:
    """And can be tried again."""
    supervisor = Supervisor(stage.specs("a"), intensity=0)
    async with stage.open(supervisor):
        await supervisor.terminate_child("a")
        stage.failing_starts["a"] = 1
        with pytest.raises(StartFailed):
            await supervisor.restart_child("a")
        assert await stage.statuses(supervisor) == {"a": "stopped"}
        await supervisor.restart_child("a")


async def test_the_supervisor_answers_while_a_child_starts_slowly(stage: Any) -> None:
    """It tells of it, takes others in, restarts others, and can stop the slow one."""
    supervisor = Supervisor(stage.specs("a"))
    async with stage.open(supervisor), anyio.create_task_group() as group:
        stage.gates["slow"] = anyio.Event()
        refused: list[BaseException] = []

        async def add() -> None:
            try:
                await supervisor.start_child(stage.spec("slow"))
            except StartFailed as error:
                refused.append(error)

        group.start_soon(add)
        await stage.clock.settle()
        await supervisor.start_child(stage.spec("quick"))
        await stage.crash("a")
        assert await stage.statuses(supervisor) == {"a": "running", "slow": "starting", "quick": "running"}
        with pytest.raises(AlreadyStarted):
            await supervisor.start_child(stage.spec("slow"))
        await supervisor.terminate_child("slow")
        assert await stage.statuses(supervisor) == {"a": "running", "slow": "stopped", "quick": "running"}
        await stage.clock.settle()
        assert "told to stop" in str(refused[0])


async def test_a_child_that_gets_ready_while_it_is_stopped_is_stopped(stage: Any) -> None:
    """Its start, once begun behind a shield, comes to its end; it is no crash and no restart."""
    gate = anyio.Event()

    class Stubborn(Actor):
        async def on_start(self) -> None:
            with anyio.CancelScope(shield=True):
                await gate.wait()

    supervisor = Supervisor()
    async with stage.open(supervisor), anyio.create_task_group() as group:
        failed: list[BaseException] = []

        async def add() -> None:
            try:
                await supervisor.start_child(ChildSpec("s", Stubborn))
            except StartFailed as error:
                failed.append(error)

        group.start_soon(add)
        await stage.clock.settle()
        group.start_soon(supervisor.terminate_child, "s")
        await stage.clock.settle()
        gate.set()
        await stage.clock.settle()
        assert await stage.statuses(supervisor) == {"s": "stopped"}
        assert len(failed) == 1
        assert stage.kinds("s") == ["started", "exited"]


async def test_a_start_that_waits_for_its_turn_fails_when_the_supervisor_ends(stage: Any) -> None:
    """In a group, a new child starts after those before it; a stop meanwhile is told to whoever added it."""
    supervisor = Supervisor([stage.spec("a", backoff=WAIT)], strategy="one_for_all")
    async with anyio.create_task_group() as group:
        gone: list[BaseException] = []

        async def add() -> None:
            try:
                await supervisor.start_child(stage.spec("b"))
            except ActorGone as error:
                gone.append(error)

        async with stage.open(supervisor):
            await stage.crash("a")
            group.start_soon(add)
            await stage.clock.settle()
            assert await stage.statuses(supervisor) == {"a": "restarting", "b": "pending"}
    assert "the supervisor has ended" in str(gone[0])
    assert stage.kinds("b") == []


async def test_which_children_and_count_children_tell_the_truth_during_restarts(stage: Any) -> None:
    """Waiting for the backoff, starting, running: each as it is."""
    supervisor = Supervisor([stage.spec("a", backoff=WAIT), ChildSpec("s", Supervisor, type="supervisor")])
    async with stage.open(supervisor):
        seen = []
        for step in ("crash", "due", "ready"):
            if step == "crash":
                stage.gates["a"] = anyio.Event()
                await stage.crash("a")
            elif step == "due":
                await stage.clock.advance(10)
            else:
                stage.gates["a"].set()
                await stage.clock.settle()
            (a, _) = await supervisor.which_children()
            counts = await supervisor.count_children()
            seen.append((a.status, a.ref is not None, a.restarts, counts.active))
            assert (counts.specs, counts.supervisors, counts.workers) == (2, 1, 1)
        assert seen == [("restarting", False, 0, 1), ("starting", True, 1, 2), ("running", True, 1, 2)]
        assert (await supervisor.which_children())[0].reason == "RuntimeError: a broke"


async def test_requests_to_a_supervisor_that_ends_fail(stage: Any) -> None:
    """Nobody waits for an answer that can't come."""
    stage.stop_gates["a"] = anyio.Event()
    supervisor = Supervisor(stage.specs("ab"))
    with pytest.raises(ActorError, match="not started"):
        await supervisor.which_children()
    async with stage.leaving(supervisor):
        with pytest.raises(ActorGone, match="ends"):
            await supervisor.start_child(stage.spec("c"))
        assert await stage.statuses(supervisor) == {"a": "stopping", "b": "stopped"}
        stage.stop_gates["a"].set()
    with pytest.raises(ActorGone):
        await supervisor.which_children()


# Crashes of every kind


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("where", ["run", "start", "message", "loop", "stop"])
async def test_no_crash_cancels_a_sibling_or_the_loop(stage: Any, error: BaseException, where: str) -> None:
    """Raised anywhere in a child, even what would end the event loop is an exit of that child only."""
    errors: list[BaseException] = []
    now = anyio.Event()

    class Fragile(Actor):
        def break_in(self, place: str) -> None:
            if place == where and errors:
                raise errors.pop()

        async def on_start(self) -> None:
            self.break_in("start")

        async def run(self) -> None:
            await run_together(self.work, self.serve)

        async def work(self) -> None:
            while not errors:
                await now.wait()
            self.break_in("loop")
            if where == "message":
                await anyio.sleep_forever()

        async def on_message(self, message: Any) -> None:
            self.break_in("message")

        async def on_stop(self) -> None:
            self.break_in("stop")

    class Plain(Fragile):
        async def run(self) -> None:
            await now.wait()
            self.break_in("run")

    made = iter([Plain if where == "run" else Fragile, Fragile, Fragile])
    fragile = ChildSpec("f", lambda: next(made)())
    supervisor = Supervisor([stage.spec("a"), fragile, stage.spec("b")], intensity=2)
    async with stage.open(supervisor):
        stage.new()
        ref = supervisor.whereis("f")
        assert ref is not None
        errors.append(error)
        if where == "message":
            ref.tell_nowait("break down")
        now.set()
        exit = await ref.wait()
        assert (exit.kind, exit.error) == (("normal", None) if where == "start" else ("crash", error))
        now = anyio.Event()
        await stage.clock.settle()
        assert errors == []
        assert await stage.statuses(supervisor) == {"a": "running", "f": "running", "b": "running"}
        assert stage.new() == ""
        assert stage.kinds("a") == ["started"]
    assert stage.new() == "stop b, stop a"


async def test_an_actor_that_swallows_its_cancellation_is_reported_and_does_not_hang_the_rest(
    stage: Any, logs: list[Any]
) -> None:
    """Told to stop, killed, given up: then the others are stopped and open_root returns."""
    stage.deaf.add("b")
    supervisor = Supervisor([stage.spec("a"), stage.spec("b", shutdown=3), stage.spec("c")])
    async with stage.leaving(supervisor, kill_grace=2) as task:
        assert stage.log[-1] == "stop c"
        await stage.clock.advance(3)
        assert not task.done()
        await stage.clock.advance(2)
        assert stage.log[-1] == "stop a"
        assert task.done()
    assert stage.kinds("b") == ["started", "unkillable"]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["unkillable"]
    (process,) = supervisor.context.process.runtime.abandoned
    assert process.path == ("root", "b")
    # Nobody goes on cancelling it: that would be a busy loop for the rest of the daemon's life.
    before = stage.swallowed
    await stage.clock.settle()
    assert stage.swallowed == before
    stage.actors["b"].over.set()
    await stage.clock.settle()
    assert not supervisor.context.process.runtime.abandoned


async def test_an_unkillable_child_can_be_replaced(stage: Any) -> None:
    """terminate_child returns in bounded time, and a new incarnation can be started."""
    stage.deaf.add("a")
    supervisor = Supervisor([stage.spec("a", shutdown=1)])
    async with stage.open(supervisor, kill_grace=1), anyio.create_task_group() as group:
        group.start_soon(supervisor.terminate_child, "a")
        await stage.clock.advance(2)
        assert await stage.statuses(supervisor) == {"a": "stopped"}
        stage.deaf.clear()
        ref = await supervisor.restart_child("a")
        assert ref.alive


async def test_a_supervisor_that_is_killed_takes_its_children_along(stage: Any) -> None:
    """With a shutdown time that its children exceed, they are killed with it, and reported."""
    stage.stop_gates["x"] = anyio.Event()
    inner = ChildSpec(
        "inner", lambda: Supervisor([stage.spec("w"), stage.spec("x", shutdown=60)]), type="supervisor", shutdown=2
    )
    async with stage.leaving(Supervisor([stage.spec("a"), inner])) as task:
        await stage.clock.advance(2)
        assert task.done()
    assert stage.reasons("inner") == ["killed"]
    assert stage.reasons("x") == ["killed"]
    assert stage.reasons("w") == ["killed"]
    assert stage.reasons("a") == ["shutdown"]


async def test_whoever_waits_for_a_killed_supervisor_is_told(stage: Any) -> None:
    """Requests that it had taken on fail, and don't wait for ever."""
    stage.gates["slow"] = anyio.Event()
    inner: list[Supervisor] = []

    def make() -> Supervisor:
        inner.append(Supervisor())
        return inner[-1]

    outer = Supervisor([ChildSpec("inner", make, type="supervisor", shutdown="brutal")])
    async with stage.open(outer), anyio.create_task_group() as group:
        gone: list[BaseException] = []

        async def add() -> None:
            try:
                await inner[0].start_child(stage.spec("slow"))
            except ActorGone as error:
                gone.append(error)

        group.start_soon(add)
        await stage.clock.settle()
        await outer.terminate_child("inner")
        await stage.clock.settle()
        assert "has ended" in str(gone[0])


async def test_a_child_that_crashes_for_ever_does_not_fill_the_memory(stage: Any, logs: list[Any]) -> None:
    """Incarnations before the last one are gone, with the tracebacks that held them."""
    supervisor = Supervisor(stage.specs("a"), intensity=100)
    async with stage.open(supervisor):
        before = []
        for _ in range(4):
            before.append(weakref.ref(stage.actors["a"]))
            await stage.crash("a")
        logs.clear()
        gc.collect()
        assert [actor() is None for actor in before] == [True, True, True, False]


# Telling


async def test_the_observer_is_told_of_everything(stage: Any) -> None:
    """Started, exited with the reason, restarted with the count; times are the wall clock's."""
    async with stage.open(Supervisor(stage.specs("a"), intensity=2)):
        await stage.clock.advance(1)
        await stage.crash("a")
    told = [(event.kind, "/".join(event.path), event.reason, event.restarts) for event in stage.events]
    assert told == [
        ("started", "root/a", None, 0),
        ("started", "root", None, 0),
        ("exited", "root/a", "RuntimeError: a broke", 0),
        ("restarted", "root/a", "RuntimeError: a broke", 1),
        ("exited", "root/a", "shutdown", 1),
        ("exited", "root", "shutdown", 0),
    ]
    assert stage.events[2].at - stage.events[0].at == 1_000_000_000


async def test_an_observer_of_its_own_sees_the_subtree_only(stage: Any) -> None:
    """And one that raises harms nobody."""
    seen: list[Any] = []

    def observe(event: Any) -> None:
        seen.append(event)
        raise OSError("disk full")

    inner = ChildSpec("inner", lambda: Supervisor(stage.specs("x"), observer=observe), type="supervisor")
    async with stage.open(Supervisor([stage.spec("a"), inner])):
        await stage.crash("x")
    assert {event.path for event in seen} == {("root", "inner", "x")}
    assert [event.kind for event in seen] == ["started", "exited", "restarted", "exited"]


async def test_statistics_and_repr(stage: Any) -> None:
    """What a person at a prompt sees."""
    supervisor = Supervisor(stage.specs("ab"))
    assert repr(supervisor) == "<Supervisor not started 0/2 running>"
    async with stage.open(supervisor) as root:
        await stage.crash("a")
        assert repr(supervisor) == "<Supervisor root 2/2 running>"
        statistics = root.statistics()
        assert statistics["specs"] == statistics["active"] == 2
        assert statistics["child_restarts"] == 1
        assert (statistics["status"], statistics["path"]) == ("running", "root")
