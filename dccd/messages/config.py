"""The configuration, and jobs that are created, changed and deleted in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from dccd.messages.base import Depth, Name, Reply, Request, Span

__all__ = [
    "ConfigApplied",
    "ConfigGet",
    "ConfigPut",
    "ConfigReply",
    "JobCreate",
    "JobDelete",
    "JobUpdate",
]

Revision = Annotated[str, Meta(min_length=1, max_length=64)]
_Text = Annotated[str, Meta(max_length=100)]
_Time = Annotated[str, Meta(max_length=40)] | int
_Duration = Annotated[str, Meta(max_length=20)] | int | float
_Kind = Literal["once", "interval", "cron", "supervised", "manual"]


class ConfigGet(Request, frozen=True, kw_only=True):
    """Get the configuration; *yaml*: its text, too, with the file's comments."""

    yaml: bool = False


class ConfigReply(Reply, frozen=True, kw_only=True):
    """The configuration that is wanted, whole, without its secrets (``***``).

    ``revision`` is what a put names as the one that it has changed. ``file`` is where it stands, or null of a daemon
    without one; ``writable`` whether a put may change that, ``error`` what is wrong with the file as it is now (the
    daemon goes on with what it had). ``restart_required``: fields whose values take effect at the daemon's next start.
    """

    host: str
    revision: str
    config: dict[str, Any]
    yaml: str | None = None
    file: str | None = None
    writable: bool = True
    error: str | None = None
    restart_required: list[str] = []


class ConfigPut(Request, frozen=True, kw_only=True):
    """Put the whole configuration, as ``config`` or as ``yaml``; ``***`` as get has it keeps the secret that it is.

    ``revision`` is that of the get: the put is refused when there is another by now. ``dry_run``: only say what would
    be done.
    """

    revision: Revision
    config: dict[str, Any] | None = None
    yaml: Annotated[str, Meta(max_length=1_000_000)] | None = None
    dry_run: bool = False


class ConfigApplied(Reply, frozen=True, kw_only=True):
    """What a change of the configuration did (or, with ``dry_run``, would do); all else goes on as it was.

    ``started``, ``stopped`` and ``restarted`` are datasets of streams, ``failed`` those that couldn't be started, with
    the reason; ``jobs_added``, ``jobs_changed`` and ``jobs_removed`` are jobs by name, streams too. ``applied`` are
    other fields that have taken effect, ``restart_required`` those that do at the daemon's next start. ``saved``: where
    it stands.
    """

    host: str
    revision: str
    dry_run: bool = False
    saved: Literal["file", "bus"]
    started: list[str] = []
    stopped: list[str] = []
    restarted: list[str] = []
    failed: dict[str, str] = {}
    jobs_added: list[str] = []
    jobs_changed: list[str] = []
    jobs_removed: list[str] = []
    applied: list[str] = []
    restart_required: list[str] = []
    warnings: list[str] = []


class JobCreate(Request, frozen=True, kw_only=True):
    """Create a job, or one for each of several pairs: the fields are those of an entry of ``jobs`` in the file."""

    exchange: Name
    pairs: Annotated[list[Name], Meta(min_length=1, max_length=1000)]
    data_type: Name
    operation: Literal["stream", "backfill"] = "stream"
    span: Span | None = None
    trigger_kind: _Kind | None = None
    every: _Duration | None = None
    cron: _Text | None = None
    timezone: _Text | None = None
    jitter: _Duration | None = None
    missed: Literal["once", "skip"] | None = None
    start: _Time | None = None
    depth: Depth | None = None
    snapshot_interval: _Duration | None = None
    book: Literal["deltas", "snapshots"] | None = None
    restart: Literal["permanent", "transient", "temporary"] | None = None


class JobUpdate(Request, frozen=True, kw_only=True):
    """Change fields of one job; a field that isn't given stays, null makes it the default again."""

    name: Name
    trigger_kind: _Kind | UnsetType | None = UNSET
    every: _Duration | UnsetType | None = UNSET
    cron: _Text | UnsetType | None = UNSET
    timezone: _Text | UnsetType | None = UNSET
    jitter: _Duration | UnsetType | None = UNSET
    missed: Literal["once", "skip"] | UnsetType | None = UNSET
    start: _Time | UnsetType | None = UNSET
    depth: Depth | UnsetType | None = UNSET
    snapshot_interval: _Duration | UnsetType | None = UNSET
    book: Literal["deltas", "snapshots"] | UnsetType | None = UNSET
    restart: Literal["permanent", "transient", "temporary"] | UnsetType | None = UNSET


class JobDelete(Request, frozen=True, kw_only=True):
    """Delete one job; what it has stored stays."""

    name: Name
