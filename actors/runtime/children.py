"""What a supervisor keeps of each child, what it tells of it, and the requests it takes: plain values.

The life of a child, by :attr:`Child.status`::

    pending ──> starting ──> running ──> stopping ──> stopped, or forgotten
                   ^             │
                   │             v  its exit, decided upon
                   └── restarting, or stopped, gave_up, forgotten
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from actors.runtime.actor import ActorRef
from actors.runtime.clock import Timer
from actors.runtime.exits import Exit
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
    "TerminateChild",
    "WhichChildren",
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

    def cancel_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
