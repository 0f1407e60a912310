"""Every subject, stream, bucket and header name on the bus: spelt here only.

Pure: datasets and ids flow in, names flow out. See docs in each for who publishes what.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping

from dccd.errors import IdentityError
from dccd.symbols import Dataset

__all__ = [
    "BUCKET_ALERTS",
    "BUCKET_ARCHIVERS",
    "BUCKET_CONFIG",
    "BUCKET_DATASETS",
    "BUCKET_HOSTS",
    "BUCKET_JOBS",
    "BUCKET_PRIVATE",
    "BUCKET_RUNS",
    "CONSUMER_ARCHIVER",
    "CONSUMER_FOLLOWER",
    "CONSUMER_GROUP",
    "CONSUMER_JOURNAL",
    "COVERED",
    "EVENTS",
    "FLOW",
    "FROM_CONSUMERS",
    "INBOX",
    "INBOX_ROLES",
    "KEPT",
    "MSG_ID",
    "MSG_TTL",
    "NUMBER",
    "REPLAY",
    "RUN_MARK",
    "SERVICE",
    "STEP",
    "STREAM_EVENTS",
    "STREAM_TICKS",
    "TICKS",
    "TO_CONSUMERS",
    "acks",
    "actor_event",
    "alert_event",
    "alert_key",
    "covered_header",
    "dataset_key",
    "dataset_of_ticks",
    "echo",
    "event_filters",
    "flow",
    "host_event",
    "host_key",
    "host_request",
    "inbox_role",
    "is_kind",
    "job_key",
    "job_state_key",
    "kept_filter",
    "matches",
    "parse_covered",
    "replay_event",
    "replay_status",
    "replay_ticks",
    "replayed",
    "request",
    "run_event",
    "run_key",
    "run_mark",
    "storage_event",
    "stream_event",
    "ticks",
]

SERVICE = "dccd"
"""Name of the micro service (ADR-32) and first token of every subject."""

TICKS = "dccd.ticks"
EVENTS = "dccd.events"
FLOW = "dccd.flow"
"""Where the receiver of a reply in chunks, or of a replay, says how far it is."""
REPLAY = "dccd.replay"
"""Stored records, published again; below it also the requests that concern replays, one token shorter."""
INBOX = "_INBOX"
"""What every subject for replies begins with: who asks names one, and nothing else is answered."""
INBOX_ROLES = ("collector", "operator", "viewer", "reader")
"""What comes next in it, where the bus has users: whose it is."""

TO_CONSUMERS = (f"{TICKS}.>", f"{EVENTS}.>", f"{REPLAY}.*.>")
"""What anybody may listen to who may see."""
FROM_CONSUMERS = (f"{FLOW}.>",)
"""What who listens publishes beside requests: how far it is."""

STREAM_TICKS = "DCCD_TICKS"
"""JetStream stream that captures ``dccd.ticks.>``: the write-ahead log of the store."""
STREAM_EVENTS = "DCCD_EVENTS"
"""JetStream stream that captures ``dccd.events.>`` for late readers."""
KEPT: Mapping[str, tuple[str, str]] = {"ticks": (STREAM_TICKS, TICKS), "events": (STREAM_EVENTS, EVENTS)}
"""What requests call the two streams, and what the subjects in them begin with."""
CONSUMER_FOLLOWER = "follower"
"""Ephemeral push consumer of one of them, made for who asks; a host adds its id and what nobody can guess."""
CONSUMER_JOURNAL = "journal"
"""Ephemeral pull consumer of STREAM_EVENTS, of one request; the same is added."""
CONSUMER_ARCHIVER = "archiver"
"""Durable pull consumer of STREAM_TICKS whose ack floor says what is on disk; a host adds its id."""
CONSUMER_GROUP = "group"
"""Durable pull consumer of STREAM_TICKS that the members of a group share; its name follows."""

BUCKET_RUNS = "dccd_runs"
RUN_MARK = "active"
"""First token of the keys in BUCKET_RUNS that mark runs which aren't over: ``active.<run_id>``, whose value is their
host."""
BUCKET_CONFIG = "dccd_config"
"""By host: what of its configuration stands in no file. It may hold secrets: only collectors read it."""
BUCKET_JOBS = "dccd_jobs"
"""By host: its jobs, and what is remembered of each."""
BUCKET_DATASETS = "dccd_datasets"
BUCKET_ALERTS = "dccd_alerts"
"""By host: its incidents, and what each webhook was told of them."""
BUCKET_ARCHIVERS = "dccd_archivers"
"""By host: up to which sequence number of STREAM_TICKS all is on disk."""

BUCKET_HOSTS = "dccd_hosts"
"""Who is there: an entry a host, which it writes anew each second; one that isn't disappears within seconds."""

BUCKET_PRIVATE = "dccd_private"
"""By host: what the daemons keep to themselves, the name of its archiver's consumer."""

MSG_ID = "Nats-Msg-Id"
"""Header by which JetStream drops a message published twice (within the stream's duplicate window)."""
MSG_TTL = "Nats-TTL"
"""Header that says after how many seconds JetStream drops the message, whatever the stream keeps (ADR-43)."""
COVERED = "Dccd-Covered"
"""Header of a tick message: of these intervals it says that all records are in this message and those before it.

``1700000000000000000-1700000001000000000``, in ns, end exclusive; several with commas. An empty one says up to where
it was claimed before, ``0-0`` not even that. A message without the header says nothing of that.
"""

NUMBER = "Dccd-Number"
"""Header of a replay's messages: how many there were, this one included; with flow control, what is acknowledged."""
STEP = "Dccd-Step"
"""Header of a replay's messages that have to be merged: ``12 2/3``, the second of three that make step 12."""


def ticks(dataset: Dataset) -> str:
    """``dccd.ticks.binance.trades.BTC-USDT``: a JSON array of records a message."""
    return f"{TICKS}.{dataset.name}"


def dataset_of_ticks(subject: str) -> Dataset:
    """The dataset whose ticks travel on *subject*; raises IdentityError."""
    name = subject.removeprefix(f"{TICKS}.")
    if name == subject:
        raise IdentityError("subject", f"{subject[:80]!r} is no subject of ticks; those start with {TICKS}.")
    return Dataset.parse(name)


def covered_header(intervals: Iterable[tuple[int, int]]) -> str:
    """The text of a COVERED header that says *intervals*, ``[start, end)`` in ns."""
    return ",".join(f"{start}-{end}" for start, end in intervals) or "0-0"


def parse_covered(text: str) -> list[tuple[int, int]] | None:
    """The intervals of a COVERED header; None for a text that is none, which says nothing."""
    try:
        return [(int(start), int(end)) for start, end in (part.split("-") for part in text.split(","))]
    except ValueError:
        return None


def request(operation: str) -> str:
    """``dccd.backfill.start``: what any host may answer."""
    return f"{SERVICE}.{operation}"


def echo(inbox_prefix: str, connection: str) -> str:
    """``_INBOX.viewer.echo.<connection>``: where a connection hears itself, to know what the server has taken.

    ``*`` stands for any connection.
    """
    return f"{inbox_prefix}.echo.{connection}"


def acks(inbox_prefix: str, publisher: str) -> str:
    """``_INBOX.collector.acks.<publisher>``: where a stream acknowledges what a publisher has published.

    Who hears ticks sees it. So it is no inbox for the answers to requests: nobody else's are to come there.
    """
    return f"{inbox_prefix}.acks.{publisher}"


def inbox_role(inbox: str) -> str | None:
    """Whose an inbox is; None of one that is anybody's, as where the bus has no users."""
    named = inbox.split(".")[1:2]
    return named[0] if named and named[0] in INBOX_ROLES else None


def flow(transfer: str) -> str:
    """``dccd.flow.<transfer>``: where chunks are acknowledged; a transfer's id is known to its receiver only."""
    return f"{FLOW}.{transfer}"


def replay_ticks(replay: str, dataset: Dataset) -> str:
    """``dccd.replay.<id>.binance.trades.BTC-USDT``: as ``ticks``, out of the store."""
    return f"{REPLAY}.{replay}.{dataset.name}"


def replay_status(replay: str) -> str:
    """``dccd.replay.<id>.status``: what the replay does, among its records; the last one says that it is over."""
    return f"{REPLAY}.{replay}.status"


def replayed(replay: str) -> str:
    """``dccd.replay.<id>.>``: all that a replay publishes."""
    return f"{REPLAY}.{replay}.>"


def matches(pattern: str, name: str) -> bool:
    """Whether *name* is what *pattern* means, as the bus matches: ``*`` is one part, ``>`` at the end one or more."""
    wanted, parts = pattern.split("."), name.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(parts) <= len(wanted):
            return False
        parts = parts[: len(wanted)]
    return len(wanted) == len(parts) and all(w in ("*", p) for w, p in zip(wanted, parts, strict=True))


def host_request(host: str, operation: str) -> str:
    """``dccd.host.<id>.backfill.start``: the same of one host."""
    return f"{SERVICE}.host.{host}.{operation}"


def run_event(run_id: str, kind: str) -> str:
    """``dccd.events.run.<run_id>.{status,progress,file,log}``."""
    return f"{EVENTS}.run.{run_id}.{kind}"


def stream_event(dataset: Dataset, kind: str) -> str:
    """``dccd.events.stream.<dataset>.{status,sample,gap}``."""
    return f"{EVENTS}.stream.{dataset.name}.{kind}"


def replay_event(replay: str) -> str:
    """``dccd.events.replay.<id>.status``."""
    return f"{EVENTS}.replay.{replay}.status"


def storage_event(kind: str) -> str:
    """``dccd.events.storage.purged``."""
    return f"{EVENTS}.storage.{kind}"


def actor_event(kind: str) -> str:
    """``dccd.events.actor.{started,exited,restarted,gave_up}``."""
    return f"{EVENTS}.actor.{kind}"


def alert_event(host: str, kind: str) -> str:
    """``dccd.events.alert.<host>.{opened,resolved}``."""
    return f"{EVENTS}.alert.{host}.{kind}"


def alert_key(host: str, incident: str) -> str:
    """Key of an incident in BUCKET_ALERTS: ``<host>.<digest of its key>``, which may hold what a key can't."""
    return f"{host}.{hashlib.sha256(incident.encode()).hexdigest()[:32]}"


def host_event(host: str, kind: str) -> str:
    """``dccd.events.host.<id>.{up,down}``."""
    return f"{EVENTS}.host.{host}.{kind}"


def host_key(host: str) -> str:
    """Key of a host in BUCKET_HOSTS: ``host.<id>``; ``*`` stands for any."""
    return f"host.{host}"


def dataset_key(host: str, dataset: str) -> str:
    """Key of a dataset as *host* has it in BUCKET_DATASETS: ``<host>.binance.trades.BTC-USDT``; without a dataset, the
    prefix of all that it has."""
    return f"{host}.{dataset}"


def job_key(host: str, job: str) -> str:
    """Key of a job in BUCKET_JOBS: ``<host>.job.stream.binance.trades.BTC-USDT``; without a job, the prefix of all."""
    return f"{host}.job.{job}"


def job_state_key(host: str, job: str) -> str:
    """Key of what is remembered of a job in BUCKET_JOBS: ``<host>.state.backfill.binance.ohlc.BTC-USDT.1m``."""
    return f"{host}.state.{job}"


def run_key(run_id: str, job: str) -> str:
    """Key of a run in BUCKET_RUNS: ``<run_id>.backfill.binance.ohlc.BTC-USDT.1m``.

    The id comes first, so that a run is found by its id with a prefix; the job follows, so that the runs of
    one job are a subject filter.
    """
    return f"{run_id}.{job}"


def run_mark(run_id: str) -> str:
    """Key in BUCKET_RUNS that says that a run isn't over: ``active.<run_id>``."""
    return f"{RUN_MARK}.{run_id}"


_REST = ">"
_PART = re.compile(r"\*|>|[!-)+\-/-=?-~]+")
_NAME = re.compile(r"[-_a-zA-Z0-9]+(\.[-_a-zA-Z0-9]+)*")


def kept_filter(stream: str, text: str) -> str:
    """*text*, if it is a subject below those of *stream* (a key of KEPT), wildcards included. Raises IdentityError."""
    above = KEPT[stream][1]
    tail = text.removeprefix(f"{above}.")
    parts = tail.split(".")
    if tail == text or not all(_PART.fullmatch(part) for part in parts) or _REST in parts[:-1]:
        raise IdentityError("filters", f"{text[:80]!r} is no subject below {above}: write it whole, as {above}.>")
    return text


def is_kind(kind: str, kinds: Collection[str]) -> bool:
    """Whether an event's *kind* is one of *kinds*, as :func:`event_filters` takes them; any is of none."""
    return not kinds or any(kind == one or kind.startswith(f"{one}.") for one in kinds)


def event_filters(run: str | None = None, stream: str | None = None, kinds: Collection[str] = ()) -> list[str]:
    """The subjects that events travel on: of one *run*, of the stream of a dataset (or of all whose name begins with
    *stream*), of some *kinds* (``run.log``; ``run`` for all of its kinds). None of them overlap. Raises IdentityError.
    """
    for field, value in (("run", run), ("stream", stream), *(("kind", kind) for kind in kinds)):
        if value is not None and not _NAME.fullmatch(value):
            raise IdentityError(field, f"{value[:80]!r} is no {field}")
    if run is not None and stream is not None:
        raise IdentityError("stream", "an event is of a run or of a stream: ask for one of both")
    about = "run" if run is not None else "stream" if stream is not None else None
    named = (run or stream or "").split(".") if about else []
    wide = {kind for kind in kinds if "." not in kind}
    found: list[str] = []
    for kind in dict.fromkeys(kinds):
        first, _, tail = kind.partition(".")
        if about is not None and first != about:
            raise IdentityError("kind", f"a {about} has no events of kind {kind}")
        if tail and first not in wide:
            lengths = [length for length in _LENGTHS.get(first, range(5)) if length >= len(named)]
            found += [".".join([EVENTS, first, *named, *["*"] * (n - len(named)), tail]) for n in lengths]
        else:
            found.append(".".join([EVENTS, first, *named, ">"]))
    if not kinds:
        found = [".".join([EVENTS, *([about] if about else []), *named, ">"])]
    return list(dict.fromkeys(found))


_LENGTHS = {"run": (1,), "stream": (3, 4)}
"""How many tokens name what an event is about; its kind follows them. Of others there may be any number."""
