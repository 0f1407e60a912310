"""What the runtime tells of itself while it runs: one event for each thing that happens to an actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from actors.runtime.exits import Path

__all__ = ["ActorEvent", "EventKind", "Observer"]

EventKind = Literal["started", "exited", "restarted", "gave_up", "unkillable"]


class ActorEvent(msgspec.Struct, frozen=True):
    """``started``/``restarted``: it is ready. ``exited``: it has ended, ``reason`` says how. ``gave_up``: its dynamic
    supervisor has set it aside. ``unkillable``: it did not end when killed, and was abandoned while it still runs.

    ``at`` is wall-clock nanoseconds, ``restarts`` how often its supervisor has restarted it so far.
    """

    kind: EventKind
    path: Path
    at: int
    reason: str | None = None
    restarts: int = 0


Observer = Callable[[ActorEvent], None]
"""Called in the event loop, must return at once. What it raises is logged and harms nobody."""
