"""Every request, reply and event on the bus, as frozen structs.

JSON flows in and out (``msgspec.json``). Requests forbid unknown fields, so that a misspelt one is an error
and not a silent default. What an operation takes and answers is bound to its subject in ``dccd.operations``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dccd.errors import IdentityError, RequestError
from dccd.runs import Run, RunState
from dccd.symbols import Dataset, DataType

__all__ = [
    "ActorChanged",
    "BackfillCancel",
    "BackfillStart",
    "BackfillStarted",
    "BackfillStatus",
    "Book",
    "BookReply",
    "Books",
    "BooksReply",
    "CapabilityEntry",
    "Coverage",
    "CoverageEntry",
    "CoverageGet",
    "DatasetEntry",
    "Doctor",
    "DoctorLine",
    "Empty",
    "Event",
    "Exchanges",
    "ExchangesList",
    "GapEntry",
    "Health",
    "HealthCheck",
    "Inventory",
    "InventoryList",
    "JobEntry",
    "Jobs",
    "OperationEntry",
    "Operations",
    "Read",
    "ReadReply",
    "RemoteEntry",
    "Remotes",
    "Repair",
    "RepairEntry",
    "Repaired",
    "Retention",
    "RetentionEntry",
    "RunFile",
    "RunLog",
    "RunProgress",
    "RunStarted",
    "RunStatus",
    "Runs",
    "RunsGet",
    "RunsList",
    "StorageMigrate",
    "StoragePurged",
    "StorageRestore",
    "StorageSync",
    "StorageVerify",
    "StreamChanged",
    "StreamEntry",
    "StreamGap",
    "StreamSample",
    "StreamStart",
    "StreamStarted",
    "StreamStop",
    "StreamStopped",
    "Streams",
    "Tree",
    "TreeNode",
    "Unknown",
]

_Name = Annotated[str, Meta(min_length=1, max_length=100)]
_Span = Annotated[str, Meta(max_length=12)] | Annotated[int, Meta(ge=1, le=2_419_200)]
_Time = Annotated[str, Meta(max_length=40)] | Annotated[int, Meta(ge=0, le=9_223_372_036_854_775_807)]
_RunId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]+$")]
_Limit = Annotated[int, Meta(ge=1, le=1000)]
_Count = Annotated[int, Meta(ge=1, le=9_223_372_036_854_775_807)]
_Depth = Annotated[int, Meta(ge=1, le=100_000)]
_Rule = Literal["age", "size", "free_space"]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    pass


class _OfDataset(_Request, frozen=True, kw_only=True):
    """A request about one dataset: named whole in ``dataset``, or by its parts."""

    dataset: _Name | None = None
    exchange: _Name | None = None
    symbol: _Name | None = None
    data_type: _Name | None = None
    span: _Span | None = None

    def resolve(self) -> Dataset:
        """Return the dataset meant. Raises RequestError 400 naming the field at fault."""
        parts = {"exchange": self.exchange, "symbol": self.symbol, "data_type": self.data_type}
        try:
            if self.dataset is not None:
                if any(parts.values()) or self.span is not None:
                    raise RequestError(400, "malformed", "give dataset, or its parts, not both", "dataset")
                return Dataset.parse(self.dataset)
            for field, value in parts.items():
                if value is None:
                    raise RequestError(
                        400,
                        "malformed",
                        f"{field} is missing: give exchange, symbol, data_type and, for ohlc, span",
                        field,
                    )
            return Dataset.make(self.exchange or "", self.data_type or "", self.symbol or "", self.span)
        except IdentityError as exc:
            raise RequestError(400, "malformed", str(exc), exc.field) from exc


class Empty(_Request, frozen=True, kw_only=True):
    """A request without fields: ``{}`` or nothing at all."""


# ---------------------------------------------------------------- backfills and runs


class BackfillStart(_OfDataset, frozen=True, kw_only=True):
    """Fetch history of a dataset. ``start``: ``last`` (go on from what is stored), ``origin``, an ISO date or time,
    or ns; ``end`` likewise (default: now)."""

    start: _Time = "last"
    end: _Time | None = None


class BackfillStarted(_Reply, frozen=True, kw_only=True):
    """The run that does it; ``already_running`` when it was running before this request."""

    run_id: str
    already_running: bool
    run: Run


class BackfillStatus(_Request, frozen=True, kw_only=True):
    """Ask for the state of one backfill."""

    run_id: _RunId


class BackfillCancel(_Request, frozen=True, kw_only=True):
    """Stop one backfill; what it stored is kept."""

    run_id: _RunId


class RunsGet(_Request, frozen=True, kw_only=True):
    """Ask for one run."""

    run_id: _RunId


class RunsList(_Request, frozen=True, kw_only=True):
    """List runs, the last changed first. ``before`` is the ``next`` of the page before, or a run: those changed before
    it."""

    limit: _Limit = 50
    dataset: _Name | None = None
    state: RunState | None = None
    host: _Name | None = None
    before: _RunId | None = None


class Runs(_Reply, frozen=True, kw_only=True):
    """Runs, newest first; ``next`` asks for the following page, null at the end."""

    runs: list[Run]
    next: str | None = None


# ---------------------------------------------------------------- streams and jobs


class StreamStart(_OfDataset, frozen=True, kw_only=True):
    """Start a live stream until it is stopped or the daemon ends. Depth and the rest are for order books."""

    depth: _Depth | None = None
    snapshot_interval: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    book: Literal["deltas", "snapshots"] = "deltas"


class StreamStarted(_Reply, frozen=True, kw_only=True):
    """The stream's dataset; ``already_running`` when it was running before this request.

    ``warning`` says what is collected where that isn't quite what was asked for, as of a deeper book than there is.
    """

    dataset: str
    already_running: bool
    warning: str | None = None


class StreamStop(_OfDataset, frozen=True, kw_only=True):
    """Stop a live stream; it starts again with the daemon when it is a job's."""


class StreamStopped(_Reply, frozen=True, kw_only=True):
    """The stream's dataset."""

    dataset: str


class StreamEntry(_Reply, frozen=True, kw_only=True):
    """One live stream. ``rate`` records a second over the last seconds, times in ns, ``last_price`` in quote asset."""

    dataset: str
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


class Streams(_Reply, frozen=True, kw_only=True):
    """All live streams of a host."""

    host: str
    streams: list[StreamEntry]


class JobEntry(_Reply, frozen=True, kw_only=True):
    """One job of the configuration, a dataset each; ``next_run`` in ns where a trigger has one."""

    name: str
    operation: str
    dataset: str
    trigger_kind: str
    every: float | None = None
    cron: str | None = None
    start: str | int | None = None
    next_run: int | None = None
    last_run_id: str | None = None


class Jobs(_Reply, frozen=True, kw_only=True):
    """All jobs of a host."""

    host: str
    jobs: list[JobEntry]


# ---------------------------------------------------------------- data


class Read(_OfDataset, frozen=True, kw_only=True):
    """Read rows of a dataset in ``[start, end)``. JSON gives pages of up to 1,000 rows, ``arrow`` a stream of Arrow IPC
    chunks of any size. ``newest``: the last ``limit`` rows instead of the first. ``after``: the ``next`` of the page
    before; all else as it was asked then.

    ``source`` is for bars. ``stored``: those of the exchange; ``trades``, or the span of smaller bars, as ``1m``: bars
    made of these; ``auto``: stored ones if there are any of the dataset, else made of the longest bars that can be,
    else of trades.
    """

    start: _Time | None = None
    end: _Time | None = None
    columns: list[_Name] | None = None
    limit: _Count | None = None
    newest: bool = False
    format: Literal["json", "arrow"] = "json"
    source: Annotated[str, Meta(min_length=1, max_length=12)] = "auto"
    after: Annotated[str, Meta(max_length=40)] | None = None


class ReadReply(_Reply, frozen=True, kw_only=True):
    """A page of rows in time order, an array of values each, in the order of ``columns``; ``next`` asks for the
    following page, null at the end.

    ``derived_from``: the dataset of which these bars were made; null where they are the exchange's own. ``incomplete``:
    intervals, ``[start, end)`` ns, in which it isn't known to be whole, so that there are no bars.
    """

    dataset: str
    columns: list[str]
    rows: list[list[Any]]
    next: str | None = None
    derived_from: str | None = None
    incomplete: list[tuple[int, int]] = []


class Book(_OfDataset, frozen=True, kw_only=True):
    """Ask for an order book at one time, as it was after all that had come up to then; ``at``: default is the newest
    row's. ``depth``: levels a side."""

    at: _Time | None = None
    depth: _Depth | None = None


class BookReply(_Reply, frozen=True, kw_only=True):
    """The book at ``at``, best level first: price in quote asset, amount in base asset.

    ``ts`` and ``seq`` are those of the last row in it, ``stale`` how long before ``at`` that came (ns),
    ``snapshot_ts`` is of the snapshot that it was made of.
    """

    dataset: str
    at: int
    ts: int
    stale: int
    seq: int | None
    snapshot_ts: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class Books(_OfDataset, frozen=True, kw_only=True):
    """Ask for order books at ``start`` and each ``every`` (seconds, or as 100ms, 1s, 5m) after it, before ``end``.
    Default: the whole dataset, at multiples of ``every``.

    ``limit``: so many times at most; in JSON 100, unless asked otherwise. ``shape``: ``long`` is a row a level,
    ``wide`` a row a book. JSON gives up to 10,000 rows, ``arrow`` a stream of Arrow IPC chunks of any size, in which
    the unknown stretches are rows with a text in the column ``unknown``: from ``TS`` to ``as_of``.
    """

    every: Annotated[str, Meta(max_length=24)] | Annotated[float, Meta(gt=0)] = "1s"
    start: _Time | None = None
    end: _Time | None = None
    depth: _Depth | None = 10
    limit: _Count | None = None
    shape: Literal["long", "wide"] = "long"
    format: Literal["json", "arrow"] = "json"


class Unknown(_Reply, frozen=True, kw_only=True):
    """In ``[start, end)`` ns the book isn't known, and why."""

    start: int
    end: int
    reason: str


class BooksReply(_Reply, frozen=True, kw_only=True):
    """Books in time order, an array of values a row, in the order of ``columns``; those that aren't known are left
    out, and ``unknown`` tells when. ``start``, ``end``, ``every`` (ns): what was asked for; ``next``: the time to
    go on at, null at the end."""

    dataset: str
    start: int
    end: int
    every: int
    columns: list[str]
    rows: list[list[Any]]
    unknown: list[Unknown] = []
    next: int | None = None


class Doctor(_Request, frozen=True, kw_only=True):
    """Read every stored file whole, or those of datasets whose names begin with ``dataset``, and tell what is wrong.
    ``set_aside``: move damaged files to ``.dccd/damaged``, and note their intervals as missing."""

    dataset: _Name | None = None
    set_aside: bool = False


class DoctorLine(_Reply, frozen=True, kw_only=True):
    """A line of the answer, which is as many as it takes, a line a message. ``kind`` is ``progress``: so many files
    and bytes of how many have been read, all of them in the last line; or ``finding``: ``what`` of ``path``, below the
    ``data_path``. ``[start, end)`` ns are the rows of a damaged file, ``moved`` is where it is now."""

    kind: Literal["progress", "finding"]
    files: int = 0
    of_files: int = 0
    bytes: int = 0
    of_bytes: int = 0
    what: Literal["damaged", "unreadable", "old", "misnamed", "notes", "rejected", "leftover", "unknown"] | None = None
    path: str = ""
    detail: str = ""
    dataset: str | None = None
    start: int | None = None
    end: int | None = None
    moved: str | None = None

    @property
    def wrong(self) -> bool:
        """Whether somebody should do something about it."""
        return self.what not in (None, "leftover", "unknown") and self.moved is None


class InventoryList(_Request, frozen=True, kw_only=True):
    """List datasets, by name; ``dataset`` may be a prefix, as ``binance.trades``. ``limit``: so many at most (default:
    as many as 1 MiB holds); ``after``: those after the ``next`` of the page before."""

    dataset: _Name | None = None
    limit: _Limit | None = None
    after: _Name | None = None


class GapEntry(_Reply, frozen=True, kw_only=True, gc=False):
    """A hole: ``[start, end)`` ns, why, and what became of it; ``run_id`` is the run that repairs it."""

    start: int
    end: int
    reason: str
    state: Literal["missing", "repairing", "repaired", "unavailable", "purged"] = "missing"
    run_id: str | None = None


class DatasetEntry(_Reply, frozen=True, kw_only=True, gc=False):
    """One stored dataset: times in ns, sizes in bytes.

    ``start`` and ``end`` bound what was asked for or is there, ``coverage`` is how much of that is there or known to
    be empty (0 to 1), ``missing`` the seconds that are missing. ``gaps``: the newest 100 of the ``gaps_total`` holes
    that are not repaired. ``age``: seconds since the newest record. ``looked_at`` (ns): when its files last were; null:
    not yet since the daemon started, and the figures are those of before, or 0.
    """

    dataset: str
    host: str
    rows: int
    files: int
    bytes: int
    first_ts: int | None
    last_ts: int | None
    live: bool = False
    start: int | None = None
    end: int | None = None
    coverage: float | None = None
    missing: float = 0.0
    age: float | None = None
    gaps: list[GapEntry] = []
    gaps_total: int = 0
    looked_at: int | None = None


class Inventory(_Reply, frozen=True, kw_only=True):
    """The datasets of a host, in order of their names; ``next``: ask again with this ``after`` for the following page,
    null at the end."""

    host: str
    data_path: str
    datasets: list[DatasetEntry]
    next: str | None = None


class CoverageGet(_OfDataset, frozen=True, kw_only=True):
    """Ask what is there of a dataset's time, and what isn't and why; of ``[start, end)`` where given."""

    start: _Time | None = None
    end: _Time | None = None


class CoverageEntry(_Reply, frozen=True, kw_only=True):
    """``[start, end)`` ns in one state; ``reason`` of what is missing or unavailable, ``run_id``: it fetches this."""

    start: int
    end: int
    state: Literal["verified", "empty", "unverified", "purged", "unavailable", "missing"]
    reason: str = ""
    run_id: str | None = None


class Coverage(_Reply, frozen=True, kw_only=True):
    """The states of all time between ``start`` and ``end`` (ns), in order; ``seconds`` by state, ``fraction`` of it
    that is there or known to be empty. ``next``: ask again with this ``start`` for the rest, null at the end."""

    dataset: str
    host: str
    start: int
    end: int
    fraction: float
    seconds: dict[str, float]
    intervals: list[CoverageEntry]
    next: int | None = None


class Repair(_Request, frozen=True, kw_only=True):
    """Ask the exchanges for what is missing now; ``dataset`` may be a prefix, as ``binance.trades``, or all.

    That is also what nobody ever asked for between what is there, and what a cancelled backfill left; of ``[start,
    end)`` only where given. ``unavailable``: and what an exchange didn't serve before. ``dry_run``: only tell.
    """

    dataset: _Name | None = None
    start: _Time | None = None
    end: _Time | None = None
    unavailable: bool = False
    dry_run: bool = False


class RepairEntry(_Reply, frozen=True, kw_only=True):
    """One missing interval (ns) and the run that fetches it; without one, ``why`` not."""

    dataset: str
    start: int
    end: int
    reason: str
    run_id: str | None = None
    why: str | None = None


class Repaired(_Reply, frozen=True, kw_only=True):
    """The intervals that are asked for, newest first a dataset; ``waiting``: so many more follow by themselves."""

    repairs: list[RepairEntry]
    waiting: int = 0


class CapabilityEntry(_Reply, frozen=True, kw_only=True):
    """What one exchange offers of one data type of one kind of market, live or historical.

    ``dated``: ``:quarter`` and ``:next_quarter``. ``fields``: the optional columns that it fills. Spans as labels;
    history goes ``recent`` seconds or ``recent_bars`` bars back, or to the beginning. ``closed``: when the exchange
    ended, where it has; then it is had of a server only that the configuration names.
    """

    market: Literal["spot", "perp", "dated"]
    data_type: DataType
    mode: Literal["live", "historical"]
    fields: list[str] = []
    spans: list[str] = []
    depths: list[int] = []
    recent: int | None = None
    recent_bars: int | None = None
    closed: str = ""
    note: str = ""


class ExchangesList(_Request, frozen=True, kw_only=True):
    """Tell what exchanges offer: those that dccd knows by heart, ``all`` that ccxt knows too, or just ``exchange``."""

    all: bool = False
    exchange: _Name | None = None


class Exchanges(_Reply, frozen=True, kw_only=True):
    """Capabilities by exchange."""

    exchanges: dict[str, list[CapabilityEntry]]


# ---------------------------------------------------------------- the store


class StorageMigrate(_Request, frozen=True, kw_only=True):
    """Bring the files of older releases in the ``data_path`` into this layout; with ``dry_run`` only say what would be
    done. ``symbols`` says what pairs mean (``{"BTCUSDT": "BTC/USDT"}``), ``datasets`` what files or folders hold
    (``{"dump/24.csv": "binance.trades.BTC-USDT"}``). ``remove_originals``: old files whose every row is stored are
    removed, and not kept aside."""

    dry_run: bool = True
    symbols: dict[str, _Name] = {}
    datasets: dict[str, _Name] = {}
    remove_originals: bool = False


class StorageSync(_Request, frozen=True, kw_only=True):
    """Copy to ``remotes`` (null: to all) what they lack of datasets whose name is or begins with ``dataset`` (null:
    all). ``adopt``: go on in a folder that has another store's files."""

    remotes: list[_Name] | None = None
    dataset: _Name | None = None
    adopt: bool = False


class StorageVerify(_Request, frozen=True, kw_only=True):
    """Read every copy on ``remotes`` (null: on all) and compare it with what its manifest says. ``mend``: take what
    differs out of the manifests, so that it is copied anew, and remove what none names."""

    remotes: list[_Name] | None = None
    dataset: _Name | None = None
    mend: bool = False


class StorageRestore(_Request, frozen=True, kw_only=True):
    """Bring back from ``remote`` (null: the first) the periods of ``dataset`` (a name, or a prefix; null: all) that
    have a part in ``[start, end)``. ``host``: whose copies (null: this host's)."""

    remote: _Name | None = None
    dataset: _Name | None = None
    start: _Time | None = None
    end: _Time | None = None
    host: _Name | None = None


class RemoteEntry(_Reply, frozen=True, kw_only=True):
    """A remote: ``interval`` seconds between syncs (0: only when asked), when all that there was had last been copied
    (ns), and what has kept a later sync from it since the daemon started."""

    name: str
    url: str
    interval: float
    synced: int | None = None
    error: str | None = None


class Remotes(_Reply, frozen=True, kw_only=True):
    """The remotes of a host."""

    host: str
    remotes: list[RemoteEntry]


class RetentionEntry(_Reply, frozen=True, kw_only=True):
    """A period that is to go, its bytes, and the rule by which. ``kept``: why it can't yet, by what the remotes'
    manifests say."""

    dataset: str
    period: str
    bytes: int
    reason: _Rule
    kept: str | None = None


class Retention(_Reply, frozen=True, kw_only=True):
    """What would be purged now: so many ``periods`` of so many ``bytes``, the first thousand in ``purge``, oldest
    first. ``free`` bytes of the disk are free, ``floor`` are to be, and ``short`` lack all the same."""

    host: str
    free: int
    floor: int
    short: int
    periods: int
    bytes: int
    purge: list[RetentionEntry]


class RunStarted(_Reply, frozen=True, kw_only=True):
    """The run of the whole store that does it; ``already_running`` when it was running before this request."""

    run_id: str
    already_running: bool
    run: Run


# ---------------------------------------------------------------- the daemon


class HealthCheck(_Reply, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str = ""


class Health(_Reply, frozen=True, kw_only=True):
    """``ok`` when every check is; ``uptime`` in seconds, ``archiver_lag`` in messages not on disk yet."""

    ok: bool
    host: str
    version: str
    uptime: float
    bus_url: str
    data_path: str
    archiver_lag: int
    checks: list[HealthCheck]


class TreeNode(_Reply, frozen=True, kw_only=True):
    """One actor of the supervision tree; ``uptime`` in seconds, ``reason``: how its incarnation before ended."""

    id: str
    type: str
    status: str
    restarts: int
    mailbox: int
    mailbox_size: int
    uptime: float
    reason: str | None = None
    children: list[TreeNode] = []


class Tree(_Reply, frozen=True, kw_only=True):
    """A host's supervision tree."""

    host: str
    root: TreeNode


class OperationEntry(_Reply, frozen=True, kw_only=True):
    """One operation: its subject, what it does, and the JSON schemas of request and reply."""

    name: str
    subject: str
    description: str
    request: dict[str, Any]
    reply: dict[str, Any]


class Operations(_Reply, frozen=True, kw_only=True):
    """Every operation of this daemon."""

    host: str
    version: str
    operations: list[OperationEntry]


# ---------------------------------------------------------------- events


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    at: int
    host: str


class RunStatus(_Event, frozen=True, kw_only=True, tag="run.status"):
    """A run changed its state."""

    run: Run


class RunProgress(_Event, frozen=True, kw_only=True, tag="run.progress"):
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


class RunFile(_Event, frozen=True, kw_only=True, tag="run.file"):
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


class RunLog(_Event, frozen=True, kw_only=True, tag="run.log"):
    """A line that a run has to say."""

    run_id: str
    level: Literal["debug", "info", "warning", "error"]
    message: str


class StreamChanged(_Event, frozen=True, kw_only=True, tag="stream.status"):
    """A stream changed its state."""

    dataset: str
    state: str
    reason: str | None = None


class StreamGap(_Event, frozen=True, kw_only=True, tag="stream.gap"):
    """A hole in a stream: nothing of ``[start, end)`` (ns) is certain to be there; ``run_id`` repairs it."""

    dataset: str
    start: int
    end: int
    reason: str
    run_id: str | None = None


class StreamSample(_Event, frozen=True, kw_only=True, tag="stream.sample"):
    """A frame that could not be parsed: the error, the start of its bytes, and how many there were so far."""

    dataset: str
    error: str
    sample: str
    count: int


class ActorChanged(_Event, frozen=True, kw_only=True, tag="actor"):
    """An actor was started, exited, restarted, was set aside or could not be stopped."""

    path: str
    change: Literal["started", "exited", "restarted", "gave_up", "unkillable"]
    reason: str | None = None
    restarts: int = 0


class StoragePurged(_Event, frozen=True, kw_only=True, tag="storage.purged"):
    """Retention has removed a period of a dataset, of so many bytes, by this rule."""

    dataset: str
    period: str
    bytes: int
    reason: _Rule


Event = (
    RunStatus | RunProgress | RunFile | RunLog | StreamChanged | StreamGap | StreamSample | StoragePurged | ActorChanged
)
