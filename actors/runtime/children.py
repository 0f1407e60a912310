"""What a supervisor keeps of each child, what it tells of it, and the requests it takes: plain values.

The life of a child, by :attr:`Child.status`::

    pending ──> starting ──> running ──> stopping ──> stopped, or forgotten
                   ^             │
                   │             v  its exit, decided upon
                   └── restarting, or stopped, gave_up, forgotten
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from actors.runtime.actor import Actor, ActorNode, ActorRef
from actors.runtime.clock import Timer
from actors.runtime.exits import ActorError, Exit, Path
from actors.runtime.mailbox import Envelope
from actors.runtime.policy import History
from actors.runtime.process import Process
from actors.runtime.spec import ChildSpec, ChildType

__all__ = [
    "Child",
    "ChildCounts",
    "ChildInfo",
    "ChildStatus",
    "CountChildren",
    "DeleteChild",
    "Due",
    "RestartChild",
    "StartChild",
    "SupervisorInterface",
    "TerminateChild",
    "WhichChildren",
    "count",
]

ChildStatus = Literal["pending", "starting", "running", "stopping", "restarting", "stopped", "gave_up"]


class ChildInfo(msgspec.Struct, frozen=True):
    """One child as ``which_children`` tells of it. ``ref`` is None when it has no process at this moment.

    ``status``: ``restarting`` is about to be restarted (waits for its backoff, or for its turn in a group);
    ``stopped`` keeps its spec; ``gave_up`` was set aside; ``pending`` waits for its first start. ``restarts`` is how
    often the supervisor has restarted it, ``reason`` how the last incarnation ended.
    """

    id: str
    ref: ActorRef | None
    status: ChildStatus
    type: ChildType
    restarts: int
    reason: str | None


class ChildCounts(msgspec.Struct, frozen=True):
    """OTP's ``count_children``: known specs, children with a process, and how many are of which type."""

    specs: int
    active: int
    supervisors: int
    workers: int


class StartChild(msgspec.Struct, frozen=True):
    """Add a child and start it; answered with its ref once it is ready."""

    spec: ChildSpec


class TerminateChild(msgspec.Struct, frozen=True):
    """Stop a child; answered with None once it has ended."""

    id: str


class RestartChild(msgspec.Struct, frozen=True):
    """Start a child that is stopped or set aside; answered with its ref once it is ready."""

    id: str


class DeleteChild(msgspec.Struct, frozen=True):
    """Forget the spec of a child that is stopped."""

    id: str


class WhichChildren(msgspec.Struct, frozen=True):
    """Answered with a list of :class:`ChildInfo` in start order."""


class CountChildren(msgspec.Struct, frozen=True):
    """Answered with :class:`ChildCounts`."""


class Due(msgspec.Struct, frozen=True):
    """Signal to oneself: it is ``due``, and the child's backoff is over unless it has been put off since."""

    id: str
    due: float


@dataclass(slots=True, eq=False)
class Child:
    """What a supervisor knows of a child. ``doomed``: to be stopped since a sibling ended, or all are to stop."""

    spec: ChildSpec
    status: ChildStatus = "pending"
    origin: Literal["initial", "request", "manual", "restart"] = "initial"
    """Who wants it started: decides what a failed start means."""
    process: Process | None = None
    exit: Exit | None = None
    history: History = field(default_factory=History)
    restarts: int = 0
    due: float = 0.0
    timer: Timer | None = None
    doomed: bool = False
    again: bool = False
    """Start it again once it has ended: it was stopped for a sibling's sake only."""
    starter: Envelope | None = None
    stoppers: list[Envelope] = field(default_factory=list)

    @property
    def waits_for_start(self) -> bool:
        return self.status in ("pending", "restarting")

    @property
    def reason(self) -> str | None:
        """How the last incarnation ended."""
        return self.exit.reason if self.exit is not None else None

    def info(self) -> ChildInfo:
        ref = self.process.ref if self.process is not None else None
        return ChildInfo(self.spec.id, ref, self.status, self.spec.type, self.restarts, self.reason)

    def node(self, parent: Path) -> ActorNode:
        if self.process is not None:
            return self.process.node()
        path = (*parent, self.spec.id)
        return ActorNode(
            id=self.spec.id,
            path=path,
            type=self.spec.type,
            status=self.status,
            restarts=self.restarts,
            reason=self.reason,
        )

    def cancel_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def count(children: Collection[Child]) -> ChildCounts:
    """Return how many *children* there are."""
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    return ChildCounts(
        specs=len(children),
        active=sum(child.process is not None for child in children),
        supervisors=supervisors,
        workers=len(children) - supervisors,
    )


class SupervisorInterface(Actor):
    """The requests as methods of the supervisor itself: each is an ask that its loop answers."""

    async def start_child(self, spec: ChildSpec) -> ActorRef:
        """Add a child, start it, and return its ref once it is ready.

        Raises AlreadyStarted or AlreadyPresent when the id is taken, SpecError, MaxChildren, and StartFailed from the
        cause; then the spec is forgotten. It does not count as a restart.
        """
        ref: ActorRef = await self._call(StartChild(spec))
        return ref

    async def terminate_child(self, id: str) -> None:
        """Stop a child, also one that is starting or about to be restarted, and return once it has ended.

        It is not restarted by itself; only a group restart of its siblings brings it back, as in OTP. Raises
        ChildNotFound.
        """
        await self._call(TerminateChild(id))

    async def restart_child(self, id: str) -> ActorRef:
        """Start a child that is stopped (or was set aside), and return its ref once it is ready.

        It does not count as a restart. Raises ChildNotFound, ChildRunning, ChildRestarting, and StartFailed from the
        cause; then it stays stopped.
        """
        ref: ActorRef = await self._call(RestartChild(id))
        return ref

    async def delete_child(self, id: str) -> None:
        """Forget a child that is stopped. Raises ChildNotFound, ChildRunning, ChildRestarting."""
        await self._call(DeleteChild(id))

    async def which_children(self) -> list[ChildInfo]:
        """Return the children in start order."""
        children: list[ChildInfo] = await self._call(WhichChildren())
        return children

    async def count_children(self) -> ChildCounts:
        """Return how many children there are."""
        counts: ChildCounts = await self._call(CountChildren())
        return counts

    async def _call(self, request: Any) -> Any:
        context = getattr(self, "context", None)
        if context is None:
            raise ActorError(f"{type(self).__name__} is not started")
        # No timeout of its own: whoever asks knows how long a child of theirs may take.
        return await context.ref.ask(request, timeout=None)
