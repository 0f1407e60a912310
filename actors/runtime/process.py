"""Runs one incarnation of an actor: a spec flows in, signals to the parent (:class:`Ready`, :class:`Ended`) flow out.

Each actor runs in a detached asyncio task and not in an anyio task group. A task group cancels all its tasks when one
of them raises, and its exit waits for each of them however long that takes: the first is what a supervisor must not
do, the second lets one actor that swallows its cancellation hang the daemon's shutdown. Here nothing awaits the task:
its end is a signal, and an actor that does not end is given up and reported. Inside the task there is an anyio cancel
scope, so that actors are told to stop as anyio code expects (again at each await, not inside shields), and a kill is
asyncio's own ``Task.cancel``, which no shield holds off. asyncio is the one backend supported.

A process ends in three steps, each on the clock: told to stop -> (shutdown time) -> killed -> (grace) -> abandoned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import anyio
import msgspec
import structlog

from actors.runtime.actor import Actor, ActorContext, ActorNode, ActorRef
from actors.runtime.clock import Clock, Timer
from actors.runtime.events import ActorEvent, EventKind, Observer
from actors.runtime.exits import ActorGone, Exit, ExitKind, Path, Shutdown, path_text
from actors.runtime.mailbox import Mailbox
from actors.runtime.spec import ChildSpec

__all__ = ["Ended", "Process", "Ready", "Runtime", "Signal"]

_CLEANUP_WITHOUT_LIMIT = 5.0
"""Seconds for on_stop after a crash of an actor whose spec says ``brutal``: that is about being stopped."""


class Ready(msgspec.Struct, frozen=True):
    """Signal to the parent: ``on_start`` has returned."""

    process: Process


class Ended(msgspec.Struct, frozen=True):
    """Signal to the parent: the process is over, or given up."""

    process: Process
    exit: Exit


Signal = Ready | Ended


class Runtime:
    """What all actors of one tree share. ``kill_grace``: seconds between a kill and giving an actor up."""

    def __init__(self, clock: Clock, kill_grace: float = 1.0) -> None:
        self.clock = clock
        self.kill_grace = kill_grace
        self.live: set[Process] = set()
        self.abandoned: set[Process] = set()
        self._idle = anyio.Event()

    def __repr__(self) -> str:
        return f"<Runtime live={len(self.live)} abandoned={len(self.abandoned)}>"

    def spawn(
        self,
        spec: ChildSpec,
        parent: Path,
        notify: Callable[[Signal], None],
        observer: Observer | None,
        restarts: int = 0,
        restarted: bool = False,
        previous: str | None = None,
    ) -> Process:
        """Start an actor and return at once; *notify* is called when it is ready and when it has ended."""
        process = Process(self, spec, parent, notify, observer, restarts, restarted, previous)
        self.live.add(process)
        return process

    def ended(self, process: Process) -> None:
        self.live.discard(process)
        if not self.live:
            self._idle.set()
            self._idle = anyio.Event()

    async def wait_idle(self) -> None:
        """Return when no actor is left but abandoned ones."""
        while self.live:
            await self._idle.wait()


class Process:
    """One incarnation of one actor. ``exit`` is None as long as it lives."""

    def __init__(
        self,
        runtime: Runtime,
        spec: ChildSpec,
        parent: Path,
        notify: Callable[[Signal], None],
        observer: Observer | None,
        restarts: int,
        restarted: bool,
        previous: str | None,
    ) -> None:
        self.runtime = runtime
        self.spec = spec
        self.path: Path = (*parent, spec.id)
        self.observer = observer
        self.restarts = restarts
        # The reason and not the exit: its traceback holds the process before, and so all that ever were.
        self.previous = previous
        self.actor: Actor | None = None
        self.exit: Exit | None = None
        # Refs are good from the first moment on: what is sent during the start waits in the mailbox.
        self.mailbox = Mailbox(Actor.mailbox_size)
        self.ref = ActorRef(self)
        self.log = structlog.get_logger("actors", actor=path_text(self.path))
        self._notify = notify
        self._restarted = restarted
        self._ready_at: float | None = None
        self._stopping = False
        self._killed = False
        self._error: BaseException | None = None
        self._timer: Timer | None = None
        self._on_exit: list[Callable[[Exit], None]] = []
        self._told = anyio.CancelScope()
        # Inside the first: shielded once the actor is abandoned, else anyio would go on cancelling a task that does
        # not listen, at each turn of the event loop and for ever.
        self._hold = anyio.CancelScope()
        self.task: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._main(), name=path_text(self.path))
        # Not a finally in _main: a task that is cancelled before its first step never enters its coroutine.
        self.task.add_done_callback(self._done)

    def __repr__(self) -> str:
        return f"<Process {path_text(self.path)} {self.status}>"

    @property
    def status(self) -> Literal["starting", "running", "stopping", "exited"]:
        if self.exit is not None:
            return "exited"
        if self._stopping or self._killed:
            return "stopping"
        return "running" if self._ready_at is not None else "starting"

    @property
    def uptime(self) -> float:
        """Seconds since it was ready, 0 before."""
        if self._ready_at is None:
            return 0.0
        until = self.runtime.clock.now() if self.exit is None else self.exit.at
        return until - self._ready_at

    def statistics(self) -> dict[str, Any]:
        return {
            "path": path_text(self.path),
            "status": self.status,
            "uptime": self.uptime,
            "restarts": self.restarts,
            "mailbox": len(self.mailbox),
            "mailbox_size": self.mailbox.size,
            "received": self.mailbox.received,
            **(self.actor.statistics() if self.actor is not None else {}),
        }

    def node(self) -> ActorNode:
        return ActorNode(
            id=self.spec.id,
            path=self.path,
            type=self.spec.type,
            status=self.status,
            restarts=self.restarts,
            mailbox=len(self.mailbox),
            mailbox_size=self.mailbox.size,
            uptime=self.uptime,
            reason=self.previous,
            children=self.actor.nodes() if self.actor is not None else [],
        )

    def on_exit(self, callback: Callable[[Exit], None]) -> None:
        """Call *callback* with the exit, at once if it has come."""
        if self.exit is not None:
            callback(self.exit)
        else:
            self._on_exit.append(callback)

    def forget(self, callback: Callable[[Exit], None]) -> None:
        """Undo :meth:`on_exit`."""
        if callback in self._on_exit:
            self._on_exit.remove(callback)

    # Ending it

    def stop(self) -> None:
        """Tell the actor to end; it is killed when its spec's shutdown time is over. Returns at once."""
        if self.exit is not None or self._stopping or self._killed:
            return
        self._stopping = True
        if self.spec.shutdown == "brutal":
            self.kill()
            return
        self._arm(self.spec.shutdown)
        self._told.cancel("told to stop")

    def kill(self) -> None:
        """Cancel the task itself, whatever it does; given up when that has not ended it after the grace."""
        if self.exit is not None or self._killed:
            return
        self._killed = True
        if self.spec.shutdown != "brutal":
            self.log.warning("killed", shutdown=self.spec.shutdown)
        self._told.cancel("killed")
        self.task.cancel()
        self._arm(self.runtime.kill_grace, self._abandon)

    def _arm(self, seconds: float | str | None, then: Callable[[], None] | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if isinstance(seconds, (int, float)):
            clock = self.runtime.clock
            self._timer = clock.call_at(clock.now() + seconds, then or self.kill)

    def _abandon(self) -> None:
        if self.exit is not None:
            return
        self._hold.shield = True
        self.runtime.abandoned.add(self)
        self.log.error("unkillable", note="it swallows its cancellation; given up while it still runs")
        self._finish("unkillable", None)

    # Living

    async def _main(self) -> None:
        """Never raises: what the actor raises is its exit.

        Even SystemExit and KeyboardInterrupt stay inside: asyncio would take them out of the task and end the loop.
        (Ctrl-C itself does not come this way: the signal cancels the main task.)
        """
        try:
            with self._told, self._hold:
                if self._stopping:
                    return
                self._adopt(self.spec.start())
                assert self.actor is not None
                await self.actor.on_start()
                self._became_ready()
                await self.actor.run()
        except GeneratorExit:
            raise  # the coroutine is thrown away, nothing may be awaited any more
        except BaseException as error:
            self._error = _bare(error)
        if self._ready_at is not None and not self._killed:
            await self._clean_up()

    async def _clean_up(self) -> None:
        """Let the actor close what it opened, in the time that its spec gives for it."""
        assert self.actor is not None
        if not self._stopping:
            brutal = self.spec.shutdown == "brutal"
            self._arm(_CLEANUP_WITHOUT_LIMIT if brutal else self.spec.shutdown)
        try:
            await self.actor.on_stop()
        except GeneratorExit:
            raise
        except BaseException as error:
            if self._killed:
                return
            self.log.error("on_stop failed", exc_info=error)
            if self._error is None or isinstance(self._error, (asyncio.CancelledError, Shutdown)):
                self._error = error

    def _adopt(self, actor: Actor) -> None:
        if not isinstance(actor, Actor):
            raise TypeError(f"the spec's start made {actor!r}, which is no Actor")
        self.actor = actor
        self.mailbox.grow(actor.mailbox_size)
        actor.context = ActorContext(self.spec.id, self.path, self.log, self.runtime.clock, self.ref, self)

    def _became_ready(self) -> None:
        self._ready_at = self.runtime.clock.now()
        if self._restarted:
            self.observe("restarted", reason=self.previous)
        else:
            self.observe("started")
        self._notify(Ready(self))

    def _done(self, task: asyncio.Task[None]) -> None:
        if self.exit is not None:
            self.runtime.abandoned.discard(self)
            self.log.warning("an abandoned actor has ended after all")
            return
        error = self._error
        if self._killed and not self._crashed_before_kill():
            self._finish("killed", error if not isinstance(error, asyncio.CancelledError) else None)
        elif error is None or (isinstance(error, asyncio.CancelledError) and self._stopping):
            self._finish("shutdown" if self._stopping else "normal", None)
        elif self._ready_at is None:
            self._finish("start_failed", error)
        else:
            self._finish("shutdown" if isinstance(error, Shutdown) else "crash", error)

    def _crashed_before_kill(self) -> bool:
        """A crash whose on_stop took too long is still a crash, and its error the thing to report."""
        return not self._stopping and self._error is not None and not isinstance(self._error, asyncio.CancelledError)

    def _finish(self, kind: ExitKind, error: BaseException | None) -> None:
        self._arm(None)
        exit = Exit(self.path, kind, error, self.uptime, self.runtime.clock.now())
        self.exit = exit
        if kind in ("crash", "start_failed"):
            self.log.error(kind, exc_info=error)
        gone = ActorGone(self.path, exit.reason)
        for envelope in self.mailbox.close():
            envelope.fail(gone)
        if self.actor is not None:
            self.actor.released()
        self.observe("unkillable" if kind == "unkillable" else "exited", exit)
        self._notify(Ended(self, exit))
        callbacks, self._on_exit = self._on_exit, []
        for callback in callbacks:
            callback(exit)
        self.runtime.ended(self)

    def observe(self, kind: EventKind, exit: Exit | None = None, reason: str | None = None) -> None:
        """Tell the observer, whose own errors harm nobody."""
        if self.observer is None:
            return
        if reason is None and exit is not None:
            reason = exit.reason
        event = ActorEvent(kind, self.path, self.runtime.clock.wall_ns(), reason, self.restarts)
        try:
            self.observer(event)
        except Exception:
            self.log.exception("the observer failed", event_kind=kind)


def _bare(error: BaseException) -> BaseException:
    """A task group wraps even a single error: what went wrong is inside."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
