"""What an actor is, and how others reach it: messages flow in through an :class:`ActorRef`, answers flow back.

An actor is written as a class with a few async methods. The runtime calls them in a task of its own, in this order::

    on_start()   ready when it returns; raising is a failed start
    run()        until it returns (normal exit), raises (crash) or is cancelled (told to stop)
    on_stop()    after every exit but a kill; not reached by the cancellation, and bounded in time

Names after Erlang/OTP's ``gen_server``: ``tell`` is its cast, ``ask`` its call.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from structlog.typing import FilteringBoundLogger

from actors.runtime.clock import Clock
from actors.runtime.exits import ActorError, ActorGone, AskTimeout, Exit, MailboxFull, Path, path_text
from actors.runtime.mailbox import Closed, Envelope, Full
from actors.runtime.spec import ChildType

if TYPE_CHECKING:
    from actors.runtime.process import Process

__all__ = ["Actor", "ActorContext", "ActorNode", "ActorRef", "Down", "Monitor", "run_together"]


@dataclass(frozen=True, slots=True)
class ActorContext:
    """What the runtime gives to an actor. ``path`` is the ids from the root down, ``ref`` what others may hold."""

    id: str
    path: Path
    log: FilteringBoundLogger
    clock: Clock
    ref: ActorRef
    process: Process


class Actor:
    """Base of all actors. One object is one incarnation: a restart makes a new one."""

    mailbox_size: int = 64
    """How many messages may wait; one more waits at the sender."""

    context: ActorContext
    """Set before ``on_start``."""

    def __repr__(self) -> str:
        context = getattr(self, "context", None)
        return f"<{type(self).__name__} {path_text(context.path) if context else 'not started'}>"

    async def on_start(self) -> None:
        """Open what is needed; the actor is ready when this returns, and the next sibling starts.

        Raising is a failed start: ``on_stop`` is not called then, so close what was opened.
        """

    async def run(self) -> None:
        """Do the work; by default serve the mailbox.

        An actor with work of its own runs it beside :meth:`serve`: ``await run_together(self.work, self.serve)``.
        """
        await self.serve()

    async def on_message(self, message: Any) -> Any:
        """Handle one message; what it returns answers an ask. Raising crashes the actor."""
        raise TypeError(f"{type(self).__name__} takes no messages, and got {type(message).__name__}")

    async def on_stop(self) -> None:
        """Close what ``on_start`` opened. Called after every exit but a kill, also after a crash of ``run``.

        The cancellation that ended ``run`` does not reach it; it has what is left of the spec's ``shutdown`` time.
        """

    def statistics(self) -> dict[str, Any]:
        """What the actor counts, for people; may be called at any time."""
        return {}

    async def serve(self) -> None:
        """Take messages one by one, hand them to :meth:`on_message`, answer who asked. Never returns.

        What ``on_message`` raises crashes the actor, and who asked gets it too.
        """
        mailbox = self.context.process.mailbox
        while True:
            envelope = await mailbox.get()
            try:
                result = await self.on_message(envelope.message)
            except Exception as error:
                envelope.fail(error)
                raise
            except BaseException as error:
                # Cancelled, or something like SystemExit, which must not end the task of whoever asked.
                gone = ActorGone(self.context.path, f"{type(error).__name__} while it handled the message")
                envelope.fail(gone)
                raise
            envelope.answer(result)

    def watch(self, ref: ActorRef) -> None:
        """Get :class:`Down` as a message when *ref* ends (OTP: a monitor), soon if it has ended already."""
        mailbox = self.context.process.mailbox
        ref.process.on_exit(lambda exit: mailbox.signal(Down(ref, exit)))

    def released(self) -> None:
        """Called once when the process is over, however it ended, even killed. Must not wait or raise."""

    def nodes(self) -> list[ActorNode]:
        """The children, for :meth:`ActorRef.tree`."""
        return []


class Down(msgspec.Struct, frozen=True):
    """Sent to who watches ``ref``: it has ended."""

    ref: ActorRef
    exit: Exit


class ActorNode(msgspec.Struct, frozen=True, kw_only=True):
    """One actor of the supervision tree, as :meth:`ActorRef.tree` shows it.

    ``status``: ``starting``, ``running``, ``stopping``, ``exited``, and of those without a process ``restarting``,
    ``stopped``, ``gave_up`` or ``pending``. ``mailbox`` is the messages waiting, of ``mailbox_size``. ``uptime`` is
    seconds since it was ready. ``reason`` is how the incarnation before ended.
    """

    id: str
    path: Path
    type: ChildType
    status: str
    restarts: int = 0
    mailbox: int = 0
    mailbox_size: int = 0
    uptime: float = 0.0
    reason: str | None = None
    children: list[ActorNode] = []


class ActorRef:
    """How one incarnation of an actor is reached (OTP: a pid). A restarted actor has a new one."""

    __slots__ = ("process",)

    def __init__(self, process: Process) -> None:
        self.process = process

    def __repr__(self) -> str:
        return f"<ActorRef {path_text(self.path)} {self.process.status}>"

    @property
    def id(self) -> str:
        return self.process.spec.id

    @property
    def path(self) -> Path:
        return self.process.path

    @property
    def alive(self) -> bool:
        """Whether it takes messages: from when its start begins to its exit."""
        return self.process.exit is None

    def tell_nowait(self, message: Any) -> None:
        """Put *message* into the mailbox. Raises MailboxFull, ActorGone."""
        process = self.process
        try:
            process.mailbox.put_nowait(Envelope(message))
        except Full:
            raise MailboxFull(process.path, process.mailbox.size) from None
        except Closed:
            raise self._gone() from None

    async def tell(self, message: Any) -> None:
        """Put *message* into the mailbox, waiting for room: the backpressure. Raises ActorGone."""
        room = None
        try:
            room = self.process.mailbox.put(Envelope(message))
            if room is not None:
                await room
        except Closed:
            raise self._gone() from None
        finally:
            _retrieved(room)

    async def ask(self, message: Any, timeout: float | None = 5.0) -> Any:
        """Send *message* and return what the actor's ``on_message`` returns for it.

        *timeout* is in seconds and includes waiting for room; None waits as long as the actor lives. Raises AskTimeout,
        ActorGone when it ends before it answers, and what ``on_message`` raises.
        """
        process = self.process
        if asyncio.current_task() is process.task:
            raise ActorError(f"{path_text(self.path)} asks itself, and would wait for ever")
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        timer = room = None
        try:
            room = process.mailbox.put(Envelope(message, reply))
            if timeout is not None:
                clock = process.runtime.clock
                timer = clock.call_at(clock.now() + timeout, self._expire, timeout, room, reply)
            if room is not None:
                await room
            return await reply
        except Closed:
            raise self._gone() from None
        finally:
            if timer is not None:
                timer.cancel()
            _retrieved(room)
            _retrieved(reply)

    def monitor(self) -> Monitor:
        """Return an iterator of the one :class:`Exit` to come (or that has come already)."""
        return Monitor(self)

    async def wait(self) -> Exit:
        """Wait until it has ended, and return how."""
        return await Monitor(self).wait()

    def tree(self) -> ActorNode:
        """Return the actor and all below it as they are now; never waits, whatever state they are in."""
        return self.process.node()

    def statistics(self) -> dict[str, Any]:
        """What is known of the actor: status, uptime (s), mailbox, and what it counts itself."""
        return self.process.statistics()

    def _expire(self, timeout: float, room: asyncio.Future[None] | None, reply: asyncio.Future[Any]) -> None:
        waiting = room if room is not None and not room.done() else reply
        if not waiting.done():
            waiting.set_exception(AskTimeout(self.path, timeout))

    def _gone(self) -> ActorGone:
        exit = self.process.exit
        return ActorGone(self.path, exit.reason if exit is not None else "ending")


class Monitor:
    """Tells of the end of one actor: ``async for exit in ref.monitor()`` yields once, ``await wait()`` returns it."""

    def __init__(self, ref: ActorRef) -> None:
        self.ref = ref
        self._exit: Exit | None = None
        self._done = anyio.Event()
        self._told = False
        ref.process.on_exit(self._ended)

    def __repr__(self) -> str:
        return f"<Monitor {self.ref!r} exit={self._exit and self._exit.reason}>"

    def __aiter__(self) -> Monitor:
        return self

    async def __anext__(self) -> Exit:
        if self._told:
            raise StopAsyncIteration
        exit = await self.wait()
        self._told = True
        return exit

    async def wait(self) -> Exit:
        await self._done.wait()
        assert self._exit is not None
        return self._exit

    def close(self) -> None:
        """Stop monitoring (OTP: demonitor)."""
        self.ref.process.forget(self._ended)

    def _ended(self, exit: Exit) -> None:
        self._exit = exit
        self._done.set()


def _retrieved(future: asyncio.Future[Any] | None) -> None:
    """Who waited may be cancelled just when an error came: asyncio need not complain that nobody took it."""
    if future is not None and future.done() and not future.cancelled():
        future.exception()


async def run_together(*loops: Callable[[], Awaitable[object]]) -> None:
    """Run *loops* side by side until the first returns or raises; the others are cancelled.

    A plain task group would do but for three things: it waits for all to return; it wraps what they raise into a
    group, where a supervisor's reason should be the error itself (several errors at once still are a group); and
    asyncio ends the whole event loop when a task of it raises SystemExit or KeyboardInterrupt.
    """
    errors: list[BaseException] = []

    async def guarded(loop: Callable[[], Awaitable[object]]) -> None:
        try:
            await loop()
        except asyncio.CancelledError as error:
            if anyio.current_effective_deadline() == -math.inf:
                raise  # told to stop
            errors.append(error)  # something it waited for was cancelled
        except BaseException as error:
            errors.append(error)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for loop in loops:
            group.start_soon(guarded, loop)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("several loops of an actor failed", errors)
