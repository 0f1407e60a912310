"""Events on ``dccd.events.>``, each told by its ``kind``."""

from __future__ import annotations

from typing import Literal

import msgspec

from dccd.messages.alerts import Incident
from dccd.messages.base import Rule
from dccd.messages.replay import ReplayEntry
from dccd.runs import Level, Run

__all__ = [
    "ActorChanged",
    "AlertChanged",
    "Event",
    "EventBase",
    "HostChanged",
    "ReplayChanged",
    "RunFile",
    "RunLog",
    "RunProgress",
    "RunStatus",
    "StoragePurged",
    "StreamChanged",
    "StreamGap",
    "StreamSample",
]


class EventBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all events say: when (ns), and of which host."""

    at: int
    host: str


class RunStatus(EventBase, frozen=True, kw_only=True, tag="run.status"):
    """A run changed its state. ``run`` comes without its log: that has events of its own."""

    run: Run


class RunProgress(EventBase, frozen=True, kw_only=True, tag="run.progress"):
    """How far a run is: ``fraction`` of the asked time, ``rate`` rows a second, ``left`` seconds (null: unknown).

    Of a run of the whole store ``dataset`` is empty, and ``position``, ``start`` and ``end`` count bytes; ``files``:
    those that are done, where a run counts them.
    """

    run_id: str
    dataset: str
    position: int
    start: int
    end: int
    fraction: float
    rows: int
    rate: float
    left: float | None = None
    files: int = 0


class RunFile(EventBase, frozen=True, kw_only=True, tag="run.file"):
    """What a run of the whole store did about one file, or would do.

    Of a migration: ``keep``, it is read as it is; ``migrate``, of its ``rows`` ``new`` ones go to the periods ``to`` of
    ``dataset``, ``same`` ones are stored already, ``conflicts`` say otherwise than what is, ``left`` have no time or no
    price, and these two stay in the old file, kept ``aside``; ``finish``, a crash had left it half migrated;
    ``refuse``, the ``problem`` says why; ``ignore``, it holds no rows.
    """

    run_id: str
    path: str
    action: str
    bytes: int = 0
    dataset: str | None = None
    to: list[str] = []
    rows: int = 0
    new: int = 0
    same: int = 0
    conflicts: int = 0
    left: int = 0
    changes: list[str] = []
    aside: str | None = None
    problem: str | None = None


class RunLog(EventBase, frozen=True, kw_only=True, tag="run.log"):
    """A line that a run has to say."""

    run_id: str
    level: Level
    message: str


class StreamChanged(EventBase, frozen=True, kw_only=True, tag="stream.status"):
    """A stream changed its state."""

    dataset: str
    state: str
    reason: str | None = None


class StreamGap(EventBase, frozen=True, kw_only=True, tag="stream.gap"):
    """A hole in a stream: nothing of ``[start, end)`` (ns) is certain to be there; ``run_id`` repairs it."""

    dataset: str
    start: int
    end: int
    reason: str
    run_id: str | None = None


class StreamSample(EventBase, frozen=True, kw_only=True, tag="stream.sample"):
    """A frame that could not be parsed: the error, the start of its bytes, and how many there were so far."""

    dataset: str
    error: str
    sample: str
    count: int


class ActorChanged(EventBase, frozen=True, kw_only=True, tag="actor"):
    """An actor was started, exited, restarted, was set aside or could not be stopped."""

    path: str
    change: Literal["started", "exited", "restarted", "gave_up", "unkillable"]
    reason: str | None = None
    restarts: int = 0


class HostChanged(EventBase, frozen=True, kw_only=True, tag="host"):
    """Host ``id`` is up or down. ``host`` is who says so: itself, or, of one that fell silent, another one.

    ``instance`` is another one each time it starts. ``reason`` of up: ``started``, or ``back`` when it had been silent
    for so long that it was taken for dead; of down: ``stopped``, or ``silent``.
    """

    id: str
    instance: str
    change: Literal["up", "down"]
    reason: Literal["started", "back", "stopped", "silent"]


class StoragePurged(EventBase, frozen=True, kw_only=True, tag="storage.purged"):
    """Retention has removed a period of a dataset, of so many bytes, by this rule."""

    dataset: str
    period: str
    bytes: int
    reason: Rule


class AlertChanged(EventBase, frozen=True, kw_only=True, tag="alert"):
    """An incident was opened, or is over."""

    incident: Incident


class ReplayChanged(EventBase, frozen=True, kw_only=True, tag="replay.status"):
    """A replay does something else, or, every few seconds, how far it is. The same text is what a replay publishes
    among its records, on ``dccd.replay.<id>.status``."""

    replay: ReplayEntry


Event = (
    RunStatus
    | RunProgress
    | RunFile
    | RunLog
    | StreamChanged
    | StreamGap
    | StreamSample
    | StoragePurged
    | ActorChanged
    | HostChanged
    | ReplayChanged
    | AlertChanged
)
