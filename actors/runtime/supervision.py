"""What both supervisors have in common: requests and signals flow in, stops and starts of processes flow out.

A supervisor is an actor whose loop never waits for anything but its mailbox. Starting, stopping and backing off are
states of a child, and each of them ends with a signal (ready, ended, due) in the same mailbox; so the supervisor
answers ``which_children`` and takes ``terminate_child`` while a child takes minutes to start. (OTP's blocks meanwhile;
all else that is said here of order and of who is restarted is OTP's.) Only this loop decides, by ``policy.decide``.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from actors.runtime.actor import ActorNode, ActorRef
from actors.runtime.children import (
    Child,
    CountChildren,
    DeleteChild,
    Due,
    RestartChild,
    StartChild,
    SupervisorInterface,
    TerminateChild,
    WhichChildren,
    count,
)
from actors.runtime.events import Observer
from actors.runtime.exits import (
    ActorError,
    ActorGone,
    AlreadyPresent,
    AlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    Exit,
    StartFailed,
)
from actors.runtime.mailbox import Envelope
from actors.runtime.policy import GiveUp, History, Leave, Limits, Restart, Terminate, decide
from actors.runtime.process import Ended, Process, Ready
from actors.runtime.spec import ChildSpec, check_specs

__all__ = ["BaseSupervisor"]


class BaseSupervisor(SupervisorInterface):
    """Children, requests and decisions; subclasses say what happens in which order (:meth:`_advance`)."""

    keeps_specs: ClassVar[bool]
    """Whether a child that has ended for good stays known as ``stopped``."""

    def __init__(
        self,
        limits: Limits,
        observer: Observer | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.limits = limits
        self.children: dict[str, Child] = {}
        self._own_observer = observer
        self._random = random
        self._history = History()
        self._closing = False

    def __repr__(self) -> str:
        known = super().__repr__()[1:-1]
        running = sum(child.status == "running" for child in self.children.values())
        return f"<{known} {running}/{len(self.children)} running>"

    def whereis(self, id: str) -> ActorRef | None:
        """Return the ref of a child that is ready, else None; without asking the loop."""
        child = self.children.get(id)
        if child is None or child.process is None or child.status != "running":
            return None
        return child.process.ref

    def statistics(self) -> dict[str, Any]:
        counts = count(self.children.values())
        return {
            "specs": counts.specs,
            "active": counts.active,
            "gave_up": sum(child.status == "gave_up" for child in self.children.values()),
            "child_restarts": sum(child.restarts for child in self.children.values()),
        }

    def released(self) -> None:
        # Only a supervisor that was killed has running children left; without it nobody would ever stop them.
        for child in self.children.values():
            child.cancel_timer()
            if child.process is not None:
                child.process.kill()
            for envelope in (child.starter, *child.stoppers):
                if envelope is not None:
                    envelope.fail(ActorGone(self.context.path, "the supervisor has ended"))

    def nodes(self) -> list[ActorNode]:
        return [child.node(self.context.path) for child in self.children.values()]

    # The loop

    async def run(self) -> None:
        await self._loop(lambda: False)

    async def on_stop(self) -> None:
        await self._stop_children()

    async def _loop(self, done: Callable[[], bool]) -> None:
        mailbox = self.context.process.mailbox
        while not done():
            envelope = await mailbox.get()
            self._handle(envelope)
            self._advance()

    def _advance(self) -> None:
        """Start and stop what is to be started and stopped now. Must not wait."""
        raise NotImplementedError

    async def _stop_children(self) -> None:
        """Stop all children and return when none is left; a pending restart is off."""
        self._closing = True
        for child in self.children.values():
            child.cancel_timer()
            child.again = False
            if child.process is not None:
                self._doom(child)
            elif child.status != "gave_up":
                child.status = "stopped"
        self._advance()
        await self._loop(lambda: not any(child.process is not None for child in self.children.values()))

    def _handle(self, envelope: Envelope) -> None:
        match envelope.message:
            case Ready(process=process):
                child = self.children.get(process.spec.id)
                if child is not None and child.process is process:
                    self._ready(child, process)
            case Ended(process=process, exit=exit):
                child = self.children.get(process.spec.id)
                if child is not None and child.process is process:
                    self._ended(child, process, exit)
            case Due(id=id, due=due):
                child = self.children.get(id)
                if child is not None and child.due == due:
                    # By the signal and not by the clock: an event loop's timers may be a little early.
                    child.due = 0.0
                    self._touch(child)
            case WhichChildren():
                envelope.answer([child.info() for child in self.children.values()])
            case CountChildren():
                envelope.answer(count(self.children.values()))
            case _:
                try:
                    self._request(envelope)
                except ActorError as error:
                    envelope.fail(error)

    def _request(self, envelope: Envelope) -> None:
        """Do what is asked for, now or later; what is raised is the answer."""
        request = envelope.message
        if not isinstance(request, (StartChild, TerminateChild, RestartChild, DeleteChild)):
            # Like gen_server: a stray message is reported, and must not end a whole subtree.
            self.context.log.error("unexpected message", type=type(request).__name__)
            raise ActorError(f"a supervisor does not understand {type(request).__name__}")
        if self._closing:
            raise ActorGone(self.context.path, "the supervisor ends")
        if isinstance(request, StartChild):
            self._add(request.spec, envelope)
            return
        child = self.children.get(request.id)
        if child is None:
            raise ChildNotFound(request.id)
        if isinstance(request, TerminateChild):
            self._terminate(child, envelope)
            return
        if child.process is not None:
            raise ChildRunning(request.id)
        if child.waits_for_start:
            raise ChildRestarting(request.id)
        if isinstance(request, RestartChild):
            self._restart_by_hand(child, envelope)
        else:
            self._forget(child)
            envelope.answer(None)

    # Signals

    def _ready(self, child: Child, process: Process) -> None:
        if child.status != "starting":
            return  # being stopped meanwhile
        child.status = "running"
        child.origin = "restart"
        if child.starter is not None:
            child.starter.answer(process.ref)
            child.starter = None

    def _ended(self, child: Child, process: Process, exit: Exit) -> None:
        before = child.status
        child.process, child.exit = None, exit
        if child.doomed or before == "stopping":
            self._stopped(child)
        elif before == "starting" and child.origin != "restart":
            self._start_failed(child, exit)
        else:
            self._decide(child, process, exit)

    def _stopped(self, child: Child) -> None:
        """It ended as we wanted (or just before we could say so)."""
        child.doomed = False
        stoppers, child.stoppers = child.stoppers, []
        if child.again and child.spec.restart != "temporary":
            child.status = "restarting"
            self._want_timer(child)
            self._touch(child)
        else:
            child.status = "stopped"
            if child.starter is not None:
                child.starter.fail(StartFailed((*self.context.path, child.spec.id), "it was told to stop"))
                child.starter = None
            if child.spec.restart == "temporary" or not self.keeps_specs:
                self._forget(child)
        for stopper in stoppers:
            stopper.answer(None)

    def _start_failed(self, child: Child, exit: Exit) -> None:
        """A start that somebody waits for: theirs to decide, and no restart."""
        if child.origin == "initial":
            raise self._start_error(child, exit)
        starter, child.starter = child.starter, None
        if child.origin == "request":
            self._forget(child)
        else:
            child.status = "stopped" if self.keeps_specs else "gave_up"
        if starter is not None:
            starter.fail(self._start_error(child, exit))

    def _decide(self, child: Child, process: Process, exit: Exit) -> None:
        now = self.context.clock.now()
        alone = self.limits.on_excess == "give_up"
        history = History(child.history.restarts if alone else self._history.restarts, child.history.failures)
        significant_left = sum(
            other is not child and other.spec.significant and other.status not in ("stopped", "gave_up")
            for other in (self.children.values() if child.spec.significant else ())
        )
        decision = decide(
            self.limits, child.spec, exit, history, now, significant_left=significant_left, jitter=self._random()
        )
        log = self.context.log.bind(child=child.spec.id, reason=exit.reason)
        match decision:
            case Leave(forget=forget):
                if forget or not self.keeps_specs:
                    self._forget(child)
                else:
                    child.status = "stopped"
            case GiveUp(reason=reason):
                log.error("gave up", because=reason)
                child.status = "gave_up"
                process.observe("gave_up", reason=reason)
            case Terminate(reason=reason):
                log.error("ends itself and its children", because=str(reason))
                raise reason from exit.error
            case Restart(scope=scope, delay=delay, history=after):
                log.warning("restarts", scope=scope, delay=round(delay, 3))
                if alone:
                    child.history = after
                else:
                    child.history = History(failures=after.failures)
                    self._history = History(after.restarts)
                self._restart(child, scope, now + delay)

    def _restart(self, child: Child, scope: Literal["one", "rest", "all"], due: float) -> None:
        """Mark *child* to be restarted at *due*, and in a group restart the others to be stopped first."""
        self._want_again(child, due)
        after = False
        for other in self.children.values() if scope != "one" else ():
            if other is child:
                after = True
            elif scope == "all" or after:
                self._restart_victim(other, due)

    def _restart_victim(self, other: Child, due: float) -> None:
        if other.process is not None:
            other.due = due
            # Also if somebody is stopping it: what comes later counts, as if each thing took no time.
            other.again = True
            self._doom(other)
        elif not other.waits_for_start:
            self._want_again(other, due)

    def _want_again(self, child: Child, due: float) -> None:
        child.status, child.origin, child.due = "restarting", "restart", due
        self._want_timer(child)
        self._touch(child)

    def _want_timer(self, child: Child) -> None:
        child.cancel_timer()
        clock = self.context.clock
        if child.due > clock.now():
            mailbox = self.context.process.mailbox
            child.timer = clock.call_at(child.due, mailbox.signal, Due(child.spec.id, child.due))

    # Requests

    def _add(self, spec: ChildSpec, envelope: Envelope) -> None:
        known = self.children.get(spec.id)
        if known is not None:
            if known.process is not None:
                raise AlreadyStarted(spec.id, known.process.ref)
            raise AlreadyPresent(spec.id, known.status)
        check_specs([spec], self.limits.auto_shutdown)
        self._check_room(spec.id)
        child = Child(spec, origin="request", starter=envelope)
        self.children[spec.id] = child
        self._touch(child)

    def _check_room(self, id: str) -> None:
        """Raise MaxChildren when there are enough."""

    def _terminate(self, child: Child, envelope: Envelope) -> None:
        child.stoppers.append(envelope)
        child.again = False
        child.cancel_timer()
        if child.process is None:
            self._stopped(child)
        else:
            self._stop(child)

    def _restart_by_hand(self, child: Child, envelope: Envelope) -> None:
        self._check_room(child.spec.id)
        child.history = History()
        child.status, child.origin, child.due, child.starter = "pending", "manual", 0.0, envelope
        self._touch(child)

    # Doing it

    def _start(self, child: Child) -> None:
        restarted = child.origin == "restart"
        child.restarts += int(restarted)
        child.status, child.again = "starting", False
        child.cancel_timer()
        child.process = self.context.process.runtime.spawn(
            child.spec,
            self.context.path,
            self.context.process.mailbox.signal,
            self._own_observer or self.context.process.observer,
            restarts=child.restarts,
            restarted=restarted,
            previous=child.reason,
        )

    def _stop(self, child: Child) -> None:
        assert child.process is not None
        child.status = "stopping"
        child.process.stop()

    def _doom(self, child: Child) -> None:
        child.doomed = True
        self._touch(child)

    def _touch(self, child: Child) -> None:
        """Something about *child* may have to be done by :meth:`_advance`."""

    def _forget(self, child: Child) -> None:
        child.cancel_timer()
        del self.children[child.spec.id]

    def _start_error(self, child: Child, exit: Exit) -> StartFailed:
        failed = StartFailed((*self.context.path, child.spec.id), exit.error or exit.reason)
        failed.__cause__ = exit.error
        return failed
