"""How a tree hangs on ordinary code: opening, leaving, and ending by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import msgspec
import pytest

from actors.runtime.actor import Actor
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.exits import RootExited, StartFailed
from actors.runtime.root import open_root
from actors.runtime.spec import Backoff, ChildSpec
from actors.runtime.supervisor import Supervisor

pytestmark = pytest.mark.anyio


async def test_it_takes_a_supervisor_or_a_spec(stage: Any) -> None:
    """The ids of a spec are kept; a supervisor alone is called root. The real clock is the default."""
    with anyio.fail_after(20):
        async with open_root(Supervisor(stage.specs("a"))) as ref:
            assert [child.path for child in ref.tree().children] == [("root", "a")]
        spec = ChildSpec("daemon", lambda: Supervisor(stage.specs("a")), type="supervisor")
        async with open_root(spec) as ref:
            assert [child.path for child in ref.tree().children] == [("daemon", "a")]
        async with open_root(stage.spec("w")) as ref:
            assert ref.tree().type == "worker"
    assert stage.log[-1] == "stop w"


async def test_an_error_in_the_block_comes_out_after_the_tree_is_stopped(stage: Any) -> None:
    """Unchanged."""
    with pytest.raises(ZeroDivisionError):
        async with stage.open(Supervisor(stage.specs("ab"))):
            stage.new()
            raise ZeroDivisionError
    assert stage.new() == "stop b, stop a"


async def test_a_root_that_ends_by_itself_cancels_the_block(stage: Any) -> None:
    """A daemon without its tree must not go on as if nothing had happened."""
    with pytest.raises(RootExited, match="root exited: shutdown: more than 0 restarts"):
        async with stage.open(Supervisor(stage.specs("a"), intensity=0)):
            await stage.crash("a")
            await anyio.sleep_forever()
    with pytest.raises(RootExited, match="w exited: RuntimeError: w broke") as caught:
        async with stage.open(stage.spec("w")):
            await stage.crash("w")
            await anyio.sleep_forever()
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_root_that_ends_in_order_leaves_the_block_alone(stage: Any) -> None:
    """Who needs to know awaits the ref."""
    async with stage.open(stage.spec("w")) as ref:
        await stage.end("w")
        assert (await ref.wait()).kind == "normal"
        await anyio.lowlevel.checkpoint()


async def test_a_cancelled_block_stops_the_tree_in_order(stage: Any) -> None:
    """By a scope, and by asyncio itself, as Ctrl-C does."""

    async def stay() -> None:
        async with stage.open(Supervisor(stage.specs("ab"))):
            opened.set()
            await anyio.sleep_forever()

    opened = anyio.Event()
    task = asyncio.create_task(stay())
    await opened.wait()
    stage.new()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.new() == "stop b, stop a"


async def test_cancelled_again_while_it_stops_it_hurries(stage: Any) -> None:
    """A second Ctrl-C kills what is left, and leaves nothing running."""

    async def stay() -> None:
        async with stage.open(Supervisor(stage.specs("ab"))) as ref:
            refs.append(ref)
            opened.set()
            await anyio.sleep_forever()

    refs: list[Any] = []
    opened = anyio.Event()
    stage.stop_gates["a"] = anyio.Event()
    task = asyncio.create_task(stay())
    await opened.wait()
    task.cancel()
    await stage.clock.settle()
    assert stage.log[-1] == "stopping a"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.reasons("root") == stage.reasons("a") == ["killed"]
    assert refs[0].process.runtime.live == set()


async def test_cancelled_while_it_stops_after_an_ordinary_end_it_hurries(stage: Any) -> None:
    """And the cancellation is not lost."""
    stage.stop_gates["a"] = anyio.Event()
    with pytest.raises(asyncio.CancelledError):
        async with stage.leaving(Supervisor(stage.specs("a"))) as task:
            task.cancel()
    assert stage.reasons("a") == ["killed"]


@pytest.mark.parametrize("alone", [True, False])
async def test_the_stop_is_bounded_in_time(stage: Any, alone: bool) -> None:
    """What is left of the whole tree after stop_within is killed, level by level, whatever its own time is."""
    stage.stop_gates["x"] = anyio.Event()
    inner = ChildSpec("inner", lambda: Supervisor([stage.spec("x", shutdown="infinity")]), type="supervisor")
    stage.deaf.add("d")
    specs = [stage.spec("a"), stage.spec("d", shutdown="infinity"), inner]
    root = Supervisor(specs) if alone else ChildSpec("root", lambda: Supervisor(specs), type="supervisor")
    async with stage.leaving(root, stop_within=10, kill_grace=1) as task:
        await stage.clock.advance(9.9)
        assert not task.done()
        assert stage.reasons("x") == []
        await stage.clock.advance(0.1)
        assert stage.reasons("x") == stage.reasons("inner") == stage.reasons("a") == ["killed"]
        await stage.clock.advance(1)
        assert task.done()
    assert stage.kinds("d") == ["started", "unkillable"]


async def test_the_tree_is_shown_whole(stage: Any) -> None:
    """Supervisors with their children in order, running or not, as plain values."""
    streams = DynamicSupervisor(intensity=0, on_excess="give_up")
    specs = [
        stage.spec("a", backoff=Backoff(initial=5, jitter=0)),
        ChildSpec("streams", lambda: streams, type="supervisor"),
        stage.spec("c"),
    ]
    supervisor = Supervisor(specs, intensity=5)
    async with stage.open(supervisor) as ref:
        for id in "xy":
            await streams.start_child(stage.spec(id))
        await stage.clock.advance(4)
        await stage.crash("x")
        await stage.crash("a")
        await supervisor.terminate_child("c")
        tree = msgspec.to_builtins(ref.tree())
        shown = {node["id"]: (node["status"], node["uptime"], node["mailbox_size"]) for node in tree["children"]}
        assert shown == {"a": ("restarting", 0, 0), "streams": ("running", 4, 64), "c": ("stopped", 0, 0)}
        (x, y) = tree["children"][1]["children"]
        assert (x["status"], x["reason"], x["path"]) == ("gave_up", "RuntimeError: x broke", ("root", "streams", "x"))
        assert (y["status"], y["uptime"], y["type"], y["children"]) == ("running", 4, "worker", [])
        assert set(x) == {
            "id", "path", "type", "status", "restarts", "mailbox", "mailbox_size", "uptime", "reason", "children"
        }  # fmt: skip


async def test_a_failed_root_leaves_nothing_behind(stage: Any) -> None:
    """Not even a timer."""

    class Broken(Actor):
        async def on_start(self) -> None:
            raise OSError("no disk")

    with pytest.raises(StartFailed, match="root could not be started: OSError: no disk"):
        async with stage.open(Broken()):
            pytest.fail("it must not start")
    assert stage.clock.deadlines == []
