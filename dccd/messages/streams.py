"""Live streams: how they are started, stopped and listed."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from dccd.messages.base import Depth, OfDataset, Reply

__all__ = [
    "StreamEntry",
    "StreamStart",
    "StreamStarted",
    "StreamStop",
    "StreamStopped",
    "Streams",
]


class StreamStart(OfDataset, frozen=True, kw_only=True):
    """Start a live stream until it is stopped or the daemon ends. Depth and the rest are for order books."""

    depth: Depth | None = None
    snapshot_interval: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    book: Literal["deltas", "snapshots"] = "deltas"


class StreamStarted(Reply, frozen=True, kw_only=True):
    """The stream's dataset; ``already_running`` when it was running before this request.

    ``warning`` says what is collected where that isn't quite what was asked for, as of a deeper book than there is.
    """

    dataset: str
    already_running: bool
    warning: str | None = None


class StreamStop(OfDataset, frozen=True, kw_only=True):
    """Stop a live stream; it starts again with the daemon when it is a job's."""


class StreamStopped(Reply, frozen=True, kw_only=True):
    """The stream's dataset."""

    dataset: str


class StreamEntry(Reply, frozen=True, kw_only=True):
    """One live stream, of ``host``. ``rate`` records a second over the last seconds, times in ns, ``last_price`` in
    quote asset."""

    dataset: str
    host: str = ""
    state: Literal["starting", "connecting", "live", "reconnecting", "stopped", "gave_up", "refused"]
    job: str | None = None
    records: int = 0
    rate: float = 0.0
    last_ts: int | None = None
    last_recv_ts: int | None = None
    last_price: float | None = None
    connected_since: int | None = None
    reconnects: int = 0
    restarts: int = 0
    gaps: int = 0
    unparsed: int = 0
    error: str | None = None


class Streams(Reply, frozen=True, kw_only=True):
    """All live streams of a host."""

    host: str
    streams: list[StreamEntry]
