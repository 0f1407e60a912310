"""What a supervisor has to know of a child: plain values, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from actors.runtime.exits import SpecError

if TYPE_CHECKING:
    from actors.runtime.actor import Actor

__all__ = [
    "AutoShutdownMode",
    "Backoff",
    "ChildSpec",
    "ChildType",
    "RestartType",
    "ShutdownTime",
    "Strategy",
    "check_specs",
]

RestartType = Literal["permanent", "transient", "temporary"]
ChildType = Literal["worker", "supervisor"]
ShutdownTime = float | Literal["infinity", "brutal"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdownMode = Literal["never", "any_significant", "all_significant"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How long a supervisor waits before it restarts a child; ours, OTP restarts at once.

    The n-th failure in a row waits ``initial * factor ** (n - 1)`` seconds, at most ``maximum``, less a random part of
    up to ``jitter`` of it, so that children that fail together don't come back together. A child that was up for
    ``reset_after`` seconds has recovered: its next failure is a first one again.
    """

    initial: float = 0.5
    maximum: float = 30.0
    factor: float = 2.0
    jitter: float = 0.5
    reset_after: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.maximum < math.inf:
            raise SpecError(f"backoff: 0 < initial <= maximum must hold, not {self.initial} and {self.maximum}")
        if not 1 <= self.factor < math.inf:
            raise SpecError(f"backoff: factor must be at least 1, not {self.factor}")
        if not 0 <= self.jitter <= 1:
            raise SpecError(f"backoff: jitter must be from 0 to 1, not {self.jitter}")
        if not self.reset_after >= 0:
            raise SpecError(f"backoff: reset_after must not be negative, but is {self.reset_after}")

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds to wait after *failures* (1 for the first) in a row; *jitter* is a random number in [0, 1)."""
        # In logarithms, since a float overflows after some hundred doublings.
        if self.factor == 1:
            whole = self.initial
        elif (failures - 1) * math.log(self.factor) >= math.log(self.maximum / self.initial):
            whole = self.maximum
        else:
            whole = self.initial * self.factor ** (failures - 1)
        return whole * (1 - self.jitter * jitter)


class ChildSpec(msgspec.Struct, frozen=True):
    """A child specification, as in OTP's ``supervisor`` (``child_spec()``).

    ``id`` is unique among its siblings; ``start`` makes a new actor for each incarnation. ``restart``: ``permanent``
    after any exit, ``transient`` after an abnormal one, ``temporary`` never. ``shutdown``: seconds that the actor has
    to end once it is told to, before it is killed; ``infinity``; or ``brutal``: killed at once, without ``on_stop``.
    It is 5 seconds for a worker and ``infinity`` for a supervisor unless given. ``significant`` children take part in
    their supervisor's ``auto_shutdown``. ``backoff`` (ours): wait before each restart, else it is at once.

    Raises SpecError when a value is not one of these.
    """

    id: str
    start: Callable[[], Actor]
    restart: RestartType = "permanent"
    shutdown: ShutdownTime | None = None
    type: ChildType = "worker"
    significant: bool = False
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise SpecError("a child's id must not be empty")
        if not callable(self.start):
            raise SpecError(f"child {self.id!r}: start must make an actor when called, not {self.start!r}")
        for name, value, allowed in (
            ("restart", self.restart, get_args(RestartType)),
            ("type", self.type, get_args(ChildType)),
        ):
            if value not in allowed:
                raise SpecError(f"child {self.id!r}: {name} must be one of {', '.join(allowed)}, not {value!r}")
        if self.shutdown is None:
            msgspec.structs.force_setattr(self, "shutdown", "infinity" if self.type == "supervisor" else 5.0)
        elif isinstance(self.shutdown, str):
            if self.shutdown not in ("infinity", "brutal"):
                raise SpecError(
                    f"child {self.id!r}: shutdown must be seconds, infinity or brutal, not {self.shutdown!r}"
                )
        elif not 0 <= self.shutdown < math.inf:
            raise SpecError(f"child {self.id!r}: shutdown must be seconds, infinity or brutal, not {self.shutdown!r}")
        if self.significant and self.restart == "permanent":
            raise SpecError(f"child {self.id!r}: a permanent child can't be significant: it never is done")


def check_specs(specs: Iterable[ChildSpec], auto_shutdown: AutoShutdownMode) -> None:
    """Check children that are to live together (OTP: ``check_childspecs/2``).

    Raises SpecError for a duplicate id, and for a significant child where ``auto_shutdown`` is ``never``.
    """
    seen: set[str] = set()
    for spec in specs:
        if spec.id in seen:
            raise SpecError(f"child {spec.id!r} is there twice")
        seen.add(spec.id)
        if spec.significant and auto_shutdown == "never":
            raise SpecError(f"child {spec.id!r} is significant, but its supervisor's auto_shutdown is never")
