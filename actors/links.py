"""What the actors of one daemon share: the registered names of the tree, and the board.

Each actor puts itself (or what it opened) here when it starts, as a process registers its name in OTP, and takes the
others from here at the moment it needs them, never before: a restarted actor is a new one. The board is the daemon's
ETS table: what each stream last said of itself, written by its collector, read by anybody; ``active`` is the same
of runs, ``revisions`` where their records stand on the bus, ``recent`` those that are over. ``specs`` are all jobs of
this host by name, ``job_states`` what the scheduler remembers of the backfills among them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from actors.events_kept import EventsKept
from actors.mail import (
    CancelBackfill,
    GetJobs,
    MoveRuns,
    Reload,
    RunEnded,
    RunJob,
    RunLost,
    RunSettled,
    StartBackfill,
    StartWhole,
)
from actors.runtime.actor import ActorRef
from actors.runtime.clock import Clock
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.exits import ActorError
from actors.tally import Tally
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.publisher import Publisher
from dccd.bus.service import Service
from dccd.config import Config, Webhook, parse_duration, parse_size
from dccd.errors import BusUnavailable, DccdError, RequestError
from dccd.exchanges.base import StreamOptions
from dccd.feeds.history import RestPool
from dccd.feeds.pool import SocketPools
from dccd.histogram import Histogram
from dccd.jobs import JobSpec, JobState
from dccd.messages import DatasetEntry, Event, RunProgress, StreamEntry, TreeNode
from dccd.records import Bar, BookDelta, BookSnapshot, Record, Trade
from dccd.runs import Run
from dccd.store.claims import NoteBook
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.remote.base import Remote
from dccd.store.retention import Rule
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Archive", "Links", "Neighbours", "RemoteState", "Retention", "StreamState"]

_RATE_WINDOW = 5 * NS
_RECENT_RUNS = 20
_PROGRESS_KEPT = 3600
"""For how many seconds the bus keeps events of progress."""
_PAGE = 1 << 20
"""Bytes of a page of a list at most, also where a message may have more: it is made at one go."""
_ENVELOPE = 8192
"""Bytes of it that are kept free for what stands around the list."""


@dataclass
class StreamState:
    """What a stream last said of itself. Times are ns UTC; ``overflow`` is the time span that found no room.

    ``messages`` and ``published`` (bytes) are what went to the bus. The lags are those of a batch's first record, from
    the exchange's time of it: ``received`` to when it was read, ``acked`` to when the bus had it.
    """

    dataset: Dataset
    options: StreamOptions
    job: str | None = None
    state: str = "starting"
    records: int = 0
    last_ts: int | None = None
    last_recv_ts: int | None = None
    last_price: float | None = None
    connected_since: int | None = None
    reconnects: int = 0
    gaps: int = 0
    gap_seconds: float = 0.0
    unparsed: int = 0
    messages: int = 0
    published: int = 0
    received: Histogram = field(default_factory=Histogram)
    acked: Histogram = field(default_factory=Histogram)
    error: str | None = None
    overflow: tuple[int, int] | None = None
    _frames: int = 0
    _counts: dict[str, int] | None = field(default=None, repr=False)
    _marks: deque[tuple[int, int]] = field(default_factory=deque, repr=False)

    @property
    def shift(self) -> int:
        """How long after its ``ts`` a record can be there at the earliest (ns): a bar's is when it opens."""
        return (self.dataset.span or 0) * NS

    @property
    def frames(self) -> int:
        """Messages that came from the exchange for this stream."""
        return self._frames + (self._counts or {}).get("frames", 0)

    def follow(self, counts: dict[str, int]) -> None:
        """A session begins, which counts in *counts* from 0."""
        self._frames, self._counts = self.frames, counts

    def saw(self, records: list[Record], recv_ts: int) -> None:
        """Count a batch, which isn't empty."""
        last = records[-1]
        self.records += len(records)
        self.last_ts, self.last_recv_ts = last.ts, recv_ts
        first = records[0]
        if type(first) is not Bar or first.closed:  # an open one has no time at which it should have come
            self.received.observe((recv_ts - first.ts - self.shift) / NS)
        price = _price(last)
        if price is not None:
            self.last_price = price
        if not self._marks or recv_ts - self._marks[-1][0] > NS // 4:
            self._marks.append((recv_ts, self.records))
            while recv_ts - self._marks[0][0] > _RATE_WINDOW and len(self._marks) > 2:
                self._marks.popleft()

    def rate(self, now: int) -> float:
        """Records a second over the last seconds."""
        marks = [m for m in self._marks if now - m[0] <= _RATE_WINDOW]
        if not marks:
            return 0.0
        # What came since the oldest mark, over the time since then: a stream that stops decays to 0.
        return (self.records - marks[0][1]) / max((now - marks[0][0]) / NS, 1.0)

    def entry(self, now: int, restarts: int = 0, status: str | None = None, host: str = "") -> StreamEntry:
        """This state as the reply of ``streams.list`` tells it."""
        return StreamEntry(
            dataset=self.dataset.name,
            host=host,
            state="gave_up" if status == "gave_up" else self.state,  # type: ignore[arg-type]  # only ours are set
            job=self.job,
            records=self.records,
            rate=round(self.rate(now), 3),
            last_ts=self.last_ts,
            last_recv_ts=self.last_recv_ts,
            last_price=self.last_price,
            connected_since=self.connected_since,
            reconnects=self.reconnects,
            restarts=restarts,
            gaps=self.gaps,
            unparsed=self.unparsed,
            error=self.error,
        )


def _price(record: Record) -> float | None:
    match record:
        case Trade():
            return record.price
        case Bar():
            return record.close
        case BookSnapshot() | BookDelta() if record.bids and record.asks:
            return (record.bids[0][0] + record.asks[0][0]) / 2 if isinstance(record, BookSnapshot) else None
    return None


@dataclass
class Archive:
    """What the archiver last said: messages not on disk yet, when the oldest of them was published (ns), how many were
    no ticks and set aside, what kept it from writing."""

    pending: int = 0
    oldest: int | None = None
    rejected: int = 0
    error: str | None = None
    rows: int = 0


@dataclass
class RemoteState:
    """A remote of the configuration: ``interval`` seconds between syncs (0: only when asked), and what kept the last
    one from its end, or was left out of it."""

    remote: Remote
    interval: float
    error: str | None = None


@dataclass
class Retention:
    """What retention last said: what it couldn't purge and why, and the bytes that the floor lacks all the same."""

    kept: list[str] = field(default_factory=list)
    short: int = 0


@dataclass
class Neighbours:
    """What is known of the hosts on this bus: our own ``instance`` and the one that was ``announced`` last; the others'
    instances by id, until it is said that they are gone; and who else goes by our id (``double``)."""

    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    announced: str = ""
    known: dict[str, str] = field(default_factory=dict)
    double: str | None = None


@dataclass
class WebhookState:
    """What a webhook last did, as the configuration has it (``of``): messages that it took, incidents that wait for it,
    why it didn't take the last; it is left alone until ``not_before`` (of the clock's ``now``), ``retry`` seconds after
    the last try."""

    of: Webhook | None = None
    sent: int = 0
    waiting: int = 0
    error: str | None = None
    not_before: float = 0.0
    retry: float = 0.0


@dataclass
class Links:
    """The shared names. Those without a default are set by the actor that owns them, when it starts."""

    config: Config
    host: str
    data_path: Path
    clock: Clock
    layout: Layout
    store: Store
    notes: NoteBook
    rest: RestPool
    sockets: SocketPools
    started: int
    version: str
    config_path: Path | None = None
    config_error: str | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    board: dict[str, StreamState] = field(default_factory=dict)
    halted: set[str] = field(default_factory=set)
    """Streams that a request has stopped: they stay so until one starts them, or the daemon is started again."""
    archive: Archive = field(default_factory=Archive)
    active: dict[str, Run] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    abandoned: list[str] = field(default_factory=list)
    dirty: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)
    entries: dict[str, DatasetEntry] = field(default_factory=dict)
    recent: deque[Run] = field(default_factory=lambda: deque(maxlen=_RECENT_RUNS))
    progress: dict[str, RunProgress] = field(default_factory=dict)
    specs: dict[str, JobSpec] = field(default_factory=dict)
    job_states: dict[str, JobState] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    remotes: dict[str, RemoteState] = field(default_factory=dict)
    retention: Retention = field(default_factory=Retention)
    neighbours: Neighbours = field(default_factory=Neighbours)
    stopping: bool = False
    base: Config = field(init=False)
    """That of the configuration file as it was last right; of a daemon without one, what it was started with."""
    tree: Callable[[], TreeNode] = field(init=False)
    bus_url: str = ""
    bus: Bus = field(init=False)
    publisher: Publisher = field(init=False)
    events: Publisher | None = None
    events_kept: EventsKept | None = None
    runs: Bucket = field(init=False)
    jobs: Bucket = field(init=False)
    configs: Bucket = field(init=False)
    datasets: Bucket = field(init=False)
    hosts: Bucket = field(init=False)
    alerts: Bucket = field(init=False)
    webhooks: dict[str, WebhookState] = field(default_factory=dict)
    alerter: ActorRef | None = None
    catalogue: ActorRef = field(init=False)
    runner: ActorRef | None = None
    scheduler: ActorRef | None = None
    reconciler: ActorRef | None = None
    monitor: ActorRef = field(init=False)
    service: Service | None = None
    streams: DynamicSupervisor = field(init=False)
    backfills: DynamicSupervisor = field(init=False)
    replays: DynamicSupervisor = field(init=False)

    def __post_init__(self) -> None:
        self.base = self.config

    async def ask_runner(self, order: StartBackfill | StartWhole | CancelBackfill | MoveRuns) -> Any:
        """Ask the runner; raises the RequestError that it answers with when it refuses, 503 when it isn't there."""
        return await _ask(self.runner, order, 30.0)

    async def tell_runner(self, ended: RunEnded) -> None:
        """Tell the runner that a run is over. Raises ActorGone while it restarts: who tells is restarted, too."""
        await _there(self.runner).tell(ended)

    def lost_run(self, run_id: str) -> None:
        """Tell the runner that a run may be another host's by now. Who finds that out will find it out again."""
        with contextlib.suppress(ActorError, RequestError):
            _there(self.runner).tell_nowait(RunLost(run_id))

    async def ask_reconciler(self, request: Any) -> Any:
        """Ask the configuration's owner; raises the DccdError that it refuses with, 503 when it isn't there."""
        return await _ask(self.reconciler, request, 120.0)

    def reload(self) -> None:
        """Have an edit of the configuration file taken over now."""
        if self.reconciler is not None:
            with contextlib.suppress(ActorError):  # while it restarts: it reads the file then
                self.reconciler.tell_nowait(Reload())

    def tell_changed(self) -> None:
        """Wake who waits for another configuration."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def change_remotes(self, remotes: dict[str, RemoteState]) -> None:
        """These are the remotes from now on, by the configuration as it is."""
        self.remotes = remotes
        past = self.store.past
        if past is not None:
            past.change([state.remote for state in remotes.values()], parse_size(self.config.storage.cache))

    async def ask_scheduler(self, message: GetJobs | RunJob) -> Any:
        """Ask the scheduler; raises the DccdError that it answers with when it refuses, 503 when it isn't there."""
        return await _ask(self.scheduler, message, 30.0)

    def tell_scheduler(self, settled: RunSettled) -> None:
        """Tell the scheduler that a run is over. It need not be there: it also looks by itself."""
        if self.scheduler is not None:
            with contextlib.suppress(ActorError):
                self.scheduler.tell_nowait(settled)

    @property
    def rules(self) -> dict[DataType, Rule]:
        """What is kept of each data type, by the configuration: in ns and bytes."""
        return {
            kind: Rule(
                age=None if rule.age is None else int(parse_duration(rule.age) * NS),
                size=None if rule.size is None else parse_size(rule.size),
            )
            for kind, rule in self.config.storage.retention.rules.items()
        }

    @property
    def floor(self) -> int:
        """The bytes of the disk that retention keeps free."""
        return parse_size(self.config.storage.retention.free_space)

    @property
    def page(self) -> int:
        """The bytes of JSON that a list may have in one reply."""
        return min(self.bus.max_payload, _PAGE) - _ENVELOPE

    @property
    def bus_shown(self) -> str:
        """The bus URL for people: without the password that it may hold."""
        return re.sub(r"//[^@/]*@", "//", self.bus_url)

    def stored(self, dataset: Dataset) -> None:
        """Files of *dataset* have changed: the catalogue looks at them when it next does."""
        self.dirty.add(dataset.name)

    def gave_up(self, run_id: str, reason: str | None) -> None:
        """A backfill crashed too often and was set aside: its run has failed."""
        run = self.active.get(run_id)
        if run is not None:
            failed = msgspec.structs.replace(run, state="failed", error=f"crashed too often: {reason}")
            with contextlib.suppress(ActorError, RequestError):  # else the runner finds it when it starts
                _there(self.runner).tell_nowait(RunEnded(failed))

    def emit(self, subject: str, event: Event) -> None:
        """Publish an event; it is kept and published again until the bus has it, as ticks are."""
        if self.events is None:
            return  # before the bus is up there is nobody to tell but the log
        try:
            # How far runs were is of no use for long, and would take the room of all that is.
            ttl = _PROGRESS_KEPT if isinstance(event, RunProgress) else None
            self.events.offer(subject, msgspec.json.encode(event), 1, event.at, event.at, ttl=ttl)
        except BusUnavailable:
            pass  # the link is being restarted or stopped: the log has it


def _there(ref: ActorRef | None) -> ActorRef:
    if ref is None:
        raise RequestError(503, "not_now", "the daemon is starting; try again")
    return ref


async def _ask(ref: ActorRef | None, message: Any, timeout: float) -> Any:
    answer = await _there(ref).ask(message, timeout=timeout)
    if isinstance(answer, DccdError):
        raise answer
    return answer
