"""What the actors of one daemon count for its metrics, beside what each keeps for its own use.

Whoever does a thing counts it here; only ``measure`` reads, when somebody asks. Counts only ever grow while the process
lives, also when the actor that counts is restarted. No name of a run is a key: those never end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from actors.runtime.events import ActorEvent
from actors.runtime.exits import Path, path_text
from dccd.histogram import PAUSES, Histogram

__all__ = ["Tally", "actor_label"]

_CORE = 4
"""So long is the path of a child of ``core``; one below it is a child of a supervisor that takes any number."""


def actor_label(path: Path) -> str:
    """*path* as a label: each stream by its name, all runs of a kind of supervisor as one."""
    if len(path) > _CORE and path[_CORE - 1] != "streams":
        path = (*path[:_CORE], "*")
    return path_text(path)


@dataclass
class Tally:
    """The counts. ``runs`` by operation, trigger and state they ended in; ``stored`` rows of streams and ``backfilled``
    rows by dataset; ``disk`` the lag of stored rows by dataset; ``checks`` the health checks and whether each is well;
    ``listening`` where metrics are served, ``refused`` why they aren't."""

    restarts: Counter[str] = field(default_factory=Counter)
    gave_up: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    backfilled: Counter[str] = field(default_factory=Counter)
    disk: dict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    messages: int = 0
    flushes: int = 0
    segments: int = 0
    segment_bytes: int = 0
    lost_messages: int = 0
    folds: int = 0
    fold_failures: int = 0
    fold_rows: int = 0
    fold_bytes: int = 0
    fold_seconds: float = 0.0
    loop_delay: Histogram = field(default_factory=lambda: Histogram(PAUSES))
    checks: dict[str, bool] = field(default_factory=dict)
    listening: str | None = None
    refused: str | None = None

    def saw(self, event: ActorEvent) -> None:
        """Count what has happened to an actor."""
        if event.kind == "restarted":
            self.restarts[actor_label(event.path)] += 1
        elif event.kind == "gave_up":
            self.gave_up[actor_label(event.path)] += 1

    def folded(self, rows: int, size: int, seconds: float) -> None:
        """Count a fold, which wrote *rows* in *size* bytes."""
        self.folds += 1
        self.fold_rows += rows
        self.fold_bytes += size
        self.fold_seconds += seconds
