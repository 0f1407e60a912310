"""Messages: tell, ask, monitors, and loops side by side."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import anyio
import pytest

from actors.runtime.actor import Actor, Down, run_together
from actors.runtime.exits import ActorError, ActorGone, AskTimeout, MailboxFull
from actors.runtime.spec import ChildSpec
from actors.runtime.supervisor import Supervisor

pytestmark = pytest.mark.anyio


class Counter(Actor):
    """Counts; waits at ``gate`` before each message; breaks on request."""

    mailbox_size = 2

    def __init__(self, gate: anyio.Event | None = None) -> None:
        self.gate = gate
        self.seen: list[Any] = []

    async def on_message(self, message: Any) -> Any:
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(message, BaseException):
            raise message
        if callable(message):
            return await message(self)
        self.seen.append(message)
        return len(self.seen)

    def statistics(self) -> dict[str, Any]:
        return {"seen": len(self.seen)}


def tree(make: Any, **options: Any) -> Supervisor:
    return Supervisor([ChildSpec("a", make, restart="temporary", **options)])


async def test_tell_and_ask(stage: Any) -> None:
    """Messages are handled in order; an ask gets what on_message returns."""
    supervisor = tree(Counter)
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        await ref.tell("x")
        ref.tell_nowait("y")
        assert await ref.ask("z") == 3
        assert ref.statistics()["seen"] == 3
        assert ref.statistics()["received"] == 3
        assert (ref.id, ref.path, ref.alive) == ("a", ("root", "a"), True)
        assert repr(ref) == "<ActorRef root/a running>"


async def test_a_full_mailbox_is_backpressure(stage: Any) -> None:
    """tell_nowait is refused, tell waits until there is room; nothing grows."""
    gate = anyio.Event()
    supervisor = tree(lambda: Counter(gate))
    async with stage.open(supervisor), anyio.create_task_group() as group:
        ref = supervisor.whereis("a")
        assert ref is not None
        ref.tell_nowait(1)
        await stage.clock.settle()  # taken, being handled
        ref.tell_nowait(2)
        ref.tell_nowait(3)
        with pytest.raises(MailboxFull, match="root/a has 2 messages waiting"):
            ref.tell_nowait(4)
        told = []

        async def tell() -> None:
            await ref.tell(4)
            told.append(4)

        group.start_soon(tell)
        await stage.clock.settle()
        assert told == []
        assert ref.tree().mailbox == ref.tree().mailbox_size == 2
        gate.set()
        await stage.clock.settle()
        assert told == [4]
        assert await ref.ask(5) == 5


async def test_an_ask_gives_up_in_time(stage: Any) -> None:
    """Waiting for the answer, and waiting for room, which withdraws the message."""
    gate = anyio.Event()
    actors: list[Counter] = []

    def make() -> Counter:
        actors.append(Counter(gate))
        return actors[-1]

    supervisor = tree(make)
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        asks = [asyncio.create_task(ref.ask(number, timeout=2)) for number in range(4)]
        await stage.clock.advance(1.9)
        assert not any(ask.done() for ask in asks)
        await stage.clock.advance(0.1)
        for ask in asks:
            assert isinstance(ask.exception(), AskTimeout)
        assert isinstance(asks[0].exception(), TimeoutError)
        assert stage.clock.deadlines == []
        gate.set()
        await stage.clock.settle()
        assert actors[0].seen == [0, 1, 2]


async def test_an_ask_without_timeout_waits_as_long_as_the_actor_lives(stage: Any) -> None:
    """And is told when it is gone before it answered, whether its message was taken or not."""
    supervisor = tree(lambda: Counter(anyio.Event()))
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        asks = [asyncio.create_task(ref.ask(number, timeout=None)) for number in range(4)]
        await stage.clock.advance(1e6)
        assert not any(ask.done() for ask in asks)
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await supervisor.terminate_child("a")
        await stage.clock.settle()
        for ask in asks:
            assert isinstance(ask.exception(), ActorGone)
        del ask, asks  # their tracebacks hold the futures
        gc.collect()
        assert complaints == []  # as of an exception that was never retrieved


async def test_what_on_message_raises_crashes_the_actor_and_reaches_who_asked(stage: Any) -> None:
    """The very error; but what would end the asker's event loop comes as ActorGone."""
    for error, expected in ((KeyError("no"), KeyError), (SystemExit(1), ActorGone)):
        supervisor = tree(Counter)
        async with stage.open(supervisor):
            ref = supervisor.whereis("a")
            assert ref is not None
            with pytest.raises(expected):
                await ref.ask(error)
            exit = await ref.wait()
            assert (exit.kind, exit.error) == ("crash", error)


async def test_an_actor_that_is_gone_takes_nothing(stage: Any) -> None:
    """tell, tell_nowait and ask say so, with the reason; a teller that waits for room is told, too."""
    supervisor = tree(lambda: Counter(anyio.Event()))
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        await ref.tell(1)
        await stage.clock.settle()
        tells = [asyncio.create_task(ref.tell(number)) for number in range(3)]
        await stage.clock.settle()
        assert [tell.done() for tell in tells] == [True, True, False]
        await supervisor.terminate_child("a")
        with pytest.raises(ActorGone, match="root/a is gone: shutdown"):
            await tells[2]
        with pytest.raises(ActorGone):
            await ref.tell(1)
        with pytest.raises(ActorGone):
            ref.tell_nowait(1)
        with pytest.raises(ActorGone):
            await ref.ask(1)
        assert not ref.alive


async def test_an_actor_that_asks_itself_is_told_so(stage: Any) -> None:
    """Instead of waiting for ever."""
    supervisor = tree(Counter)
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        with pytest.raises(ActorError, match="asks itself"):
            await ref.ask(lambda actor: actor.context.ref.ask("me"))


async def test_messages_sent_during_the_start_wait_for_it(stage: Any) -> None:
    """A ref is good from the first moment on."""

    class Slow(Counter):
        async def on_start(self) -> None:
            self.context.ref.tell_nowait("first")
            self.seen.append("started")

    supervisor = tree(Slow)
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        assert await ref.ask("second") == 3


async def test_monitors_tell_of_the_end_once(stage: Any) -> None:
    """Also when it has come before; a closed one does not."""
    supervisor = Supervisor(stage.specs("a", restart="temporary"))
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        before, closed = ref.monitor(), ref.monitor()
        closed.close()
        await stage.crash("a")
        exits = [exit async for exit in before] + [exit async for exit in ref.monitor()] + [await ref.wait()]
        assert [exit.kind for exit in exits] == ["crash"] * 3
        assert exits[0].path == ("root", "a")
        with pytest.raises(TimeoutError), anyio.fail_after(0):
            await closed.wait()
        assert "RuntimeError: a broke" in repr(before)


async def test_an_actor_watches_another(stage: Any) -> None:
    """The end of the other is a message, even in a full mailbox, and soon when it has ended already."""
    gate = anyio.Event()
    watchers: list[Counter] = []

    def make() -> Counter:
        watchers.append(Counter(gate))
        return watchers[-1]

    supervisor = Supervisor([stage.spec("a", restart="temporary"), ChildSpec("w", make)])
    async with stage.open(supervisor):
        watched, watcher = supervisor.whereis("a"), supervisor.whereis("w")
        assert watched is not None
        assert watcher is not None
        watchers[0].watch(watched)
        for number in range(3):
            await watcher.tell(number)
            await stage.clock.settle()
        await stage.crash("a")
        watchers[0].watch(watched)
        gate.set()
        await stage.clock.settle()
        assert [message for message in watchers[0].seen if isinstance(message, int)] == [0, 1, 2]
        downs = [message for message in watchers[0].seen if isinstance(message, Down)]
        assert [(down.ref, down.exit.kind) for down in downs] == [(watched, "crash")] * 2
        assert watchers[0].seen.index(downs[0]) == 1


async def test_an_actor_that_takes_no_messages_crashes_on_one(stage: Any) -> None:
    """Instead of losing it in silence."""
    supervisor = tree(Actor)
    async with stage.open(supervisor):
        ref = supervisor.whereis("a")
        assert ref is not None
        with pytest.raises(TypeError, match="Actor takes no messages, and got str"):
            await ref.ask("hello")


async def test_repr_of_an_actor(stage: Any) -> None:
    """Says where it stands in the tree."""
    assert repr(Counter()) == "<Counter not started>"
    supervisor = tree(Counter)
    async with stage.open(supervisor):
        assert repr(supervisor.children["a"].process.actor) == "<Counter root/a>"  # type: ignore[union-attr]


# run_together


async def test_loops_end_together() -> None:
    """When the first returns the others are cancelled."""
    cancelled = []

    async def work() -> None:
        await asyncio.sleep(0)

    async def serve() -> None:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            cancelled.append("serve")
            raise

    with anyio.fail_after(60):
        await run_together(work, serve)
    assert cancelled == ["serve"]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(2), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_the_error_of_a_loop_comes_out_bare(error: BaseException) -> None:
    """Not wrapped in a group, and never through the event loop."""

    async def broken() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)) as caught:
        await run_together(broken, anyio.sleep_forever)
    assert caught.value is error


async def test_errors_of_several_loops_come_as_a_group() -> None:
    """None of them is lost."""

    async def first() -> None:
        await asyncio.sleep(0)
        raise ValueError("first")

    async def second() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError("second")

    with pytest.raises(BaseExceptionGroup) as caught:
        await run_together(first, second)
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]


async def test_loops_can_be_cancelled_from_outside() -> None:
    """By a cancel scope and by asyncio, without an error of its own."""
    with anyio.move_on_after(0) as scope:
        await run_together(anyio.sleep_forever, anyio.sleep_forever)
    assert scope.cancelled_caught
    task = asyncio.create_task(run_together(anyio.sleep_forever, anyio.sleep_forever))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
