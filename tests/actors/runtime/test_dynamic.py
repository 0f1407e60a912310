"""Children that come and go, and streams that are set aside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.exits import (
    AlreadyPresent,
    AlreadyStarted,
    ChildNotFound,
    IntensityExceeded,
    MaxChildren,
    RootExited,
    SpecError,
    StartFailed,
)
from actors.runtime.spec import Backoff

pytestmark = pytest.mark.anyio


async def test_children_are_added_and_removed_while_it_runs(stage: Any) -> None:
    """One that is terminated is forgotten, so that its id can be used again."""
    supervisor = DynamicSupervisor()
    async with stage.open(supervisor):
        ref = await supervisor.start_child(stage.spec("a"))
        await supervisor.start_child(stage.spec("b"))
        assert await stage.statuses(supervisor) == {"a": "running", "b": "running"}
        with pytest.raises(AlreadyStarted) as caught:
            await supervisor.start_child(stage.spec("a"))
        assert caught.value.ref.path == ref.path
        await supervisor.terminate_child("a")
        assert not ref.alive
        assert await stage.statuses(supervisor) == {"b": "running"}
        with pytest.raises(ChildNotFound):
            await supervisor.terminate_child("a")
        await supervisor.start_child(stage.spec("a"))


async def test_it_stops_its_children_concurrently(stage: Any) -> None:
    """All are told at once: ten that would take for ever are gone after their 4 seconds."""
    ids = "abcdefghij"
    supervisor = DynamicSupervisor()
    async with anyio.create_task_group() as group:

        async def pass_time() -> None:
            assert [line for line in stage.log if line.startswith("stopping")] == [f"stopping {id}" for id in ids]
            await stage.clock.advance(4)

        async with stage.open(supervisor):
            for id in ids:
                stage.stop_gates[id] = anyio.Event()
                await supervisor.start_child(stage.spec(id, shutdown=4))
            group.start_soon(after_settling, stage, pass_time)
    assert [stage.reasons(id) for id in ids] == [["killed"]] * len(ids)
    assert stage.clock.now() == 4


async def after_settling(stage: Any, function: Callable[[], Awaitable[None]]) -> None:
    await stage.clock.settle()
    await function()


async def test_children_start_independently(stage: Any) -> None:
    """One that connects slowly holds up nobody, and can be stopped meanwhile."""
    supervisor = DynamicSupervisor()
    async with stage.open(supervisor), anyio.create_task_group() as group:
        stage.gates["slow"] = anyio.Event()
        refused = []

        async def add() -> None:
            try:
                await supervisor.start_child(stage.spec("slow"))
            except StartFailed as error:
                refused.append(error)

        group.start_soon(add)
        await stage.clock.settle()
        await supervisor.start_child(stage.spec("quick"))
        assert await stage.statuses(supervisor) == {"slow": "starting", "quick": "running"}
        await supervisor.terminate_child("slow")
        await stage.clock.settle()
        assert len(refused) == 1
        assert await stage.statuses(supervisor) == {"quick": "running"}


async def test_max_children_is_an_error(stage: Any) -> None:
    """And room is made by one that ends."""
    supervisor = DynamicSupervisor(max_children=2)
    async with stage.open(supervisor):
        for id in "ab":
            await supervisor.start_child(stage.spec(id, restart="temporary"))
        with pytest.raises(MaxChildren, match="at most 2"):
            await supervisor.start_child(stage.spec("c"))
        assert await stage.statuses(supervisor) == {"a": "running", "b": "running"}
        await stage.end("a")
        await supervisor.start_child(stage.spec("c"))


async def test_a_child_that_is_done_is_forgotten(stage: Any) -> None:
    """A transient one that returned, a temporary one that crashed."""
    supervisor = DynamicSupervisor()
    async with stage.open(supervisor):
        await supervisor.start_child(stage.spec("a", restart="transient"))
        await supervisor.start_child(stage.spec("b", restart="temporary"))
        await stage.end("a")
        await stage.crash("b")
        counts = await supervisor.count_children()
        assert (counts.specs, counts.active) == (0, 0)


async def test_a_crash_restarts_one_child_only(stage: Any) -> None:
    """The others don't notice."""
    supervisor = DynamicSupervisor()
    async with stage.open(supervisor):
        for id in "abc":
            await supervisor.start_child(stage.spec(id))
        stage.new()
        await stage.crash("b")
        assert stage.new() == "stop b, start b"


async def test_excess_ends_the_supervisor_as_in_otp(stage: Any) -> None:
    """The restarts of all children count together."""
    supervisor = DynamicSupervisor(intensity=2, period=5)
    with pytest.raises(RootExited) as caught:
        async with stage.open(supervisor):
            for id in "abc":
                await supervisor.start_child(stage.spec(id))
            await stage.crash("a")
            await stage.crash("b")
            await stage.crash("c")
            await anyio.sleep_forever()
    assert isinstance(caught.value.exit.error, IntensityExceeded)


async def test_a_child_that_exceeds_its_own_intensity_is_set_aside(stage: Any, logs: list[Any]) -> None:
    """The supervisor and the others go on; it is told as gave_up, and which_children still shows it."""
    supervisor = DynamicSupervisor(intensity=2, period=5, on_excess="give_up")
    async with stage.open(supervisor) as root:
        for id in "abc":
            await supervisor.start_child(stage.spec(id))
        for _ in range(3):
            await stage.crash("a")
        for id in "bbcc":  # as many in all, but none has too many of its own
            await stage.crash(id)
        assert await stage.statuses(supervisor) == {"a": "gave_up", "b": "running", "c": "running"}
        kinds = stage.kinds("a")
        assert kinds == ["started", "exited", "restarted", "exited", "restarted", "exited", "gave_up"]
        event = next(event for event in stage.events if event.kind == "gave_up")
        assert event.reason == "more than 2 restarts within 5 s (RuntimeError: a broke)"
        assert event.restarts == 2
        assert [entry["child"] for entry in logs if entry["event"] == "gave up"] == ["a"]
        assert supervisor.statistics()["gave_up"] == 1
        (node, _, _) = root.tree().children
        assert (node.status, node.restarts, node.uptime) == ("gave_up", 2, 0)
        await stage.clock.advance(3600)
        assert (await stage.statuses(supervisor))["a"] == "gave_up"


async def test_a_child_set_aside_is_brought_back_by_hand_with_a_clean_history(stage: Any) -> None:
    """It may be restarted as often again; a start that fails leaves it set aside."""
    supervisor = DynamicSupervisor(intensity=1, period=5, on_excess="give_up")
    async with stage.open(supervisor):
        await supervisor.start_child(stage.spec("a"))
        for _ in range(2):
            await stage.crash("a")
        with pytest.raises(AlreadyPresent, match="gave_up"):
            await supervisor.start_child(stage.spec("a"))
        stage.failing_starts["a"] = 1
        with pytest.raises(StartFailed):
            await supervisor.restart_child("a")
        assert await stage.statuses(supervisor) == {"a": "gave_up"}
        await supervisor.restart_child("a")
        await stage.crash("a")
        assert await stage.statuses(supervisor) == {"a": "running"}
        await stage.crash("a")
        assert await stage.statuses(supervisor) == {"a": "gave_up"}
        await supervisor.terminate_child("a")
        assert await stage.statuses(supervisor) == {}


async def test_those_set_aside_take_no_room(stage: Any) -> None:
    """But coming back needs a free place."""
    supervisor = DynamicSupervisor(intensity=0, on_excess="give_up", max_children=1)
    async with stage.open(supervisor):
        await supervisor.start_child(stage.spec("a"))
        await stage.crash("a")
        await supervisor.start_child(stage.spec("b"))
        with pytest.raises(MaxChildren):
            await supervisor.restart_child("a")


async def test_failing_starts_wait_longer_and_longer_and_are_given_up(stage: Any) -> None:
    """An exchange that is down: each child has its own backoff, and its own end."""
    backoff = Backoff(initial=1, maximum=100, jitter=0)
    supervisor = DynamicSupervisor(intensity=3, period=3600, on_excess="give_up")
    async with stage.open(supervisor):
        await supervisor.start_child(stage.spec("a", backoff=backoff))
        await supervisor.start_child(stage.spec("b", backoff=backoff))
        stage.failing_starts["a"] = 9
        await stage.crash("a")
        await stage.crash("b")
        for delay in (1, 2, 4):
            assert (await stage.statuses(supervisor))["a"] == "restarting"
            await stage.clock.advance(delay)
        assert await stage.statuses(supervisor) == {"a": "gave_up", "b": "running"}
        assert stage.failing_starts["a"] == 6


async def test_a_stop_beats_a_pending_restart(stage: Any) -> None:
    """A stream that waits for its backoff is forgotten at once when it is stopped."""
    supervisor = DynamicSupervisor()
    async with stage.open(supervisor):
        await supervisor.start_child(stage.spec("a", backoff=Backoff(initial=5, jitter=0)))
        await stage.crash("a")
        await supervisor.terminate_child("a")
        await stage.clock.advance(60)
        assert await stage.statuses(supervisor) == {}
        assert stage.clock.deadlines == []


async def test_significant_children_are_refused(stage: Any) -> None:
    """There is no auto_shutdown here."""
    supervisor = DynamicSupervisor()
    async with stage.open(supervisor):
        with pytest.raises(SpecError):
            await supervisor.start_child(stage.spec("a", restart="temporary", significant=True))


async def test_hundreds_that_crash_at_once_all_come_back(stage: Any) -> None:
    """No exit is lost, though the mailbox holds 64."""
    supervisor = DynamicSupervisor(intensity=1, on_excess="give_up")
    ids = [str(number) for number in range(500)]
    async with stage.open(supervisor):
        for id in ids:
            await supervisor.start_child(stage.spec(id))
        for id in ids:
            stage.end_soon(id, RuntimeError())
        await stage.clock.settle()
        counts = await supervisor.count_children()
        assert (counts.specs, counts.active) == (500, 500)
        assert {child.restarts for child in await supervisor.which_children()} == {1}
