"""Every subject, stream, bucket and header name on the bus: spelt here only.

Pure: datasets and ids flow in, names flow out. See docs in each for who publishes what.
"""

from __future__ import annotations

from collections.abc import Iterable

from dccd.errors import IdentityError
from dccd.symbols import Dataset

__all__ = [
    "BUCKET_ARCHIVERS",
    "BUCKET_DATASETS",
    "BUCKET_HOSTS",
    "BUCKET_JOBS",
    "BUCKET_RUNS",
    "CONSUMER_ARCHIVER",
    "CONSUMER_GROUP",
    "COVERED",
    "EVENTS",
    "FLOW",
    "FROM_CONSUMERS",
    "INBOX",
    "MSG_ID",
    "SERVICE",
    "STREAM_EVENTS",
    "STREAM_TICKS",
    "TICKS",
    "TO_CONSUMERS",
    "actor_event",
    "config_key",
    "covered_header",
    "dataset_of_ticks",
    "echo",
    "flow",
    "host_event",
    "host_key",
    "host_request",
    "job_key",
    "job_state_key",
    "parse_covered",
    "request",
    "run_event",
    "run_key",
    "storage_event",
    "stream_event",
    "ticks",
]

SERVICE = "dccd"
"""Name of the micro service (ADR-32) and first token of every subject."""

TICKS = "dccd.ticks"
EVENTS = "dccd.events"
FLOW = "dccd.flow"
"""Where the receiver of a reply in chunks says how far it is."""
INBOX = "_INBOX"
"""What every subject for replies begins with: who asks names one, and nothing else is answered."""

TO_CONSUMERS = (f"{TICKS}.>", f"{EVENTS}.>", "dccd.replay.*.>")
"""What anybody may listen to who may see."""
FROM_CONSUMERS = (f"{FLOW}.>",)
"""What who listens publishes beside requests: how far it is."""

STREAM_TICKS = "DCCD_TICKS"
"""JetStream stream that captures ``dccd.ticks.>``: the write-ahead log of the store."""
STREAM_EVENTS = "DCCD_EVENTS"
"""JetStream stream that captures ``dccd.events.>`` for late readers."""
CONSUMER_ARCHIVER = "archiver"
"""Durable pull consumer of STREAM_TICKS whose ack floor says what is on disk; a host adds its id."""
CONSUMER_GROUP = "group"
"""Durable pull consumer of STREAM_TICKS that the members of a group share; its name follows."""

BUCKET_RUNS = "dccd_runs"
BUCKET_JOBS = "dccd_jobs"
"""By host: its jobs, and what is remembered of each."""
BUCKET_DATASETS = "dccd_datasets"
BUCKET_ARCHIVERS = "dccd_archivers"
"""By host: up to which sequence number of STREAM_TICKS all is on disk."""

BUCKET_HOSTS = "dccd_hosts"
"""Who is there: an entry a host, which it writes anew each second; one that isn't disappears within seconds."""

MSG_ID = "Nats-Msg-Id"
"""Header by which JetStream drops a message published twice (within the stream's duplicate window)."""
COVERED = "Dccd-Covered"
"""Header of a tick message: of these intervals it says that all records are in this message and those before it.

``1700000000000000000-1700000001000000000``, in ns, end exclusive; several with commas. An empty one says up to where
it was claimed before, ``0-0`` not even that. A message without the header says nothing of that.
"""


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


def flow(transfer: str) -> str:
    """``dccd.flow.<transfer>``: where chunks are acknowledged; a transfer's id is known to its receiver only."""
    return f"{FLOW}.{transfer}"


def host_request(host: str, operation: str) -> str:
    """``dccd.host.<id>.backfill.start``: the same of one host."""
    return f"{SERVICE}.host.{host}.{operation}"


def run_event(run_id: str, kind: str) -> str:
    """``dccd.events.run.<run_id>.{status,progress,file,log}``."""
    return f"{EVENTS}.run.{run_id}.{kind}"


def stream_event(dataset: Dataset, kind: str) -> str:
    """``dccd.events.stream.<dataset>.{status,sample,gap}``."""
    return f"{EVENTS}.stream.{dataset.name}.{kind}"


def storage_event(kind: str) -> str:
    """``dccd.events.storage.purged``."""
    return f"{EVENTS}.storage.{kind}"


def actor_event(kind: str) -> str:
    """``dccd.events.actor.{started,exited,restarted,gave_up}``."""
    return f"{EVENTS}.actor.{kind}"


def host_event(host: str, kind: str) -> str:
    """``dccd.events.host.<id>.{up,down}``."""
    return f"{EVENTS}.host.{host}.{kind}"


def host_key(host: str) -> str:
    """Key of a host in BUCKET_HOSTS: ``host.<id>``; ``*`` stands for any."""
    return f"host.{host}"


def config_key(host: str) -> str:
    """Key in BUCKET_JOBS of what of a host's configuration stands in no file."""
    return f"{host}.config"


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
