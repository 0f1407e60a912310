"""Every metric of a daemon, declared once: its name, type, labels and meaning. Pure.

The reply of ``dccd.metrics``, the Prometheus endpoint and the table in ``docs/metrics.md`` follow from this, and a
test holds the dashboard and the alert rules in ``ops/`` to it. Names and units are as Prometheus asks: base units, and
``_total`` behind what only grows (https://prometheus.io/docs/practices/naming/). For Prometheus each sample also has
the label ``host``; ``dccd.metrics`` says it once.

How many samples there are is bounded by the datasets, exchanges, operations and actors: no label is of a run or a
client.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["FAMILIES", "HOST", "PROCESS", "Family", "Kind"]

Kind = Literal["counter", "gauge", "histogram"]

HOST = "host"
"""The label that all samples have for Prometheus."""


class Family(msgspec.Struct, frozen=True):
    """One metric. ``group`` is the heading under which people find it."""

    group: str
    name: str
    type: Kind
    help: str
    labels: tuple[str, ...] = ()


def _group(group: str, labels: str, *rows: tuple[str, Kind, str]) -> list[Family]:
    """Families that share their labels; a name with more has those behind it, in parentheses."""
    found = []
    for name, kind, told in rows:
        bare, _, more = name.partition("(")
        found.append(Family(group, bare, kind, told, (*labels.split(), *more.rstrip(")").split())))
    return found


_STREAM = "dataset exchange data_type"

_ALL = (
    _group(
        "The daemon",
        "",
        ("dccd_build_info(version python)", "gauge", "1; the labels say what runs"),
        ("dccd_start_time_seconds", "gauge", "When the daemon started (Unix time)"),
        ("dccd_health_ok(check)", "gauge", "1 when this check of dccd.health is well, looked at every 5 s, else 0"),
        (
            "dccd_event_loop_delay_seconds",
            "histogram",
            "By how much the event loop came late, tried twice a second",
        ),
    )
    + _group(
        "Streams",
        _STREAM,
        ("dccd_stream_records_total", "counter", "Records that came from the exchange"),
        ("dccd_stream_frames_total", "counter", "WebSocket messages that came for the stream, whatever was in them"),
        ("dccd_stream_messages_total", "counter", "Tick messages handed to the bus; each holds what one read held"),
        ("dccd_stream_published_bytes_total", "counter", "Bytes of those messages"),
        (
            "dccd_stream_lag_seconds(stage)",
            "histogram",
            "From the exchange's time to stage receive (read from the socket) and bus (acknowledged by it), of the "
            "first record of each message; disk (in an fsynced file), of each row. Of a bar, from its end on",
        ),
        (
            "dccd_stream_negative_lags_total(stage)",
            "counter",
            "What was there before the exchange's own time of it, by clocks that differ; not in the histogram",
        ),
        ("dccd_stream_last_record_timestamp_seconds", "gauge", "The exchange's time of the newest record (Unix time)"),
        ("dccd_stream_last_record_age_seconds", "gauge", "Since the newest record came"),
        ("dccd_stream_live", "gauge", "1 when the exchange has confirmed the subscription and it stands, else 0"),
        ("dccd_stream_reconnects_total", "counter", "Connections that were lost"),
        ("dccd_stream_gaps_total", "counter", "Holes that were noticed and put on record"),
        ("dccd_stream_gap_seconds_total", "counter", "The time that those holes cover"),
        ("dccd_stream_unparsed_frames_total", "counter", "Messages that weren't what the exchange documents"),
    )
    + _group("Streams", "", ("dccd_streams(state)", "gauge", "Streams in this state"))
    + _group(
        "Archiver",
        "",
        ("dccd_archiver_pending_messages", "gauge", "Tick messages on the bus that aren't on disk"),
        ("dccd_archiver_oldest_age_seconds", "gauge", "How long the oldest of them has been waiting, 0 without any"),
        ("dccd_archiver_messages_total", "counter", "Tick messages taken from the bus"),
        ("dccd_archiver_flushes_total", "counter", "Times that what was taken was written"),
        ("dccd_archiver_segments_total", "counter", "Files written"),
        ("dccd_archiver_segment_bytes_total", "counter", "Bytes of those files"),
        ("dccd_archiver_rejected_messages_total", "counter", "Messages on dccd.ticks that were no ticks, set aside"),
        (
            "dccd_archiver_lost_messages_total",
            "counter",
            "Messages that fell off the bus unread: reported gaps",
        ),
    )
    + _group("Archiver", _STREAM, ("dccd_archiver_rows_total", "counter", "Rows of streams written"))
    + _group(
        "Store",
        _STREAM,
        ("dccd_dataset_rows", "gauge", "Rows stored"),
        ("dccd_dataset_files", "gauge", "Files, base and segments"),
        ("dccd_dataset_bytes", "gauge", "Bytes of those files"),
        ("dccd_dataset_newest_timestamp_seconds", "gauge", "The time of the newest row (Unix time)"),
        ("dccd_dataset_gaps", "gauge", "Holes that aren't repaired"),
        ("dccd_dataset_missing_seconds", "gauge", "The time that is missing"),
        ("dccd_dataset_covered_ratio", "gauge", "How much of what was asked for is there or known to be empty, 0 to 1"),
    )
    + _group(
        "Store",
        "",
        ("dccd_fold_runs_total", "counter", "Periods that were folded"),
        ("dccd_fold_failures_total", "counter", "Folds that failed; nothing is lost by one"),
        ("dccd_fold_rows_total", "counter", "Rows that folds wrote"),
        ("dccd_fold_bytes_total", "counter", "Bytes that folds wrote"),
        ("dccd_fold_seconds_total", "counter", "Time that folds took"),
        ("dccd_disk_free_bytes", "gauge", "Free space of the disk under data_path"),
        ("dccd_disk_size_bytes", "gauge", "Size of that disk"),
    )
    + _group(
        "Runs",
        "operation",
        ("dccd_runs_active(state)", "gauge", "Runs (backfills and the like) that are running or queued"),
        ("dccd_runs_ended_total(trigger state)", "counter", "Runs that ended, by what had started them and how"),
    )
    + _group("Runs", _STREAM, ("dccd_backfill_rows_total", "counter", "Rows of backfills written"))
    + _group(
        "Exchanges",
        "exchange",
        ("dccd_exchange_connections", "gauge", "WebSocket connections that are open or being opened"),
        ("dccd_exchange_connections_paused", "gauge", "Those of them that aren't read, since a stream doesn't keep up"),
        ("dccd_exchange_connection_opens_total", "counter", "Connections tried"),
        ("dccd_exchange_connection_failures_total", "counter", "Connections that couldn't be opened"),
        ("dccd_exchange_websocket_bytes_total", "counter", "Bytes read from WebSockets"),
        ("dccd_exchange_websocket_messages_total", "counter", "Messages read from WebSockets"),
        ("dccd_exchange_rest_requests_total", "counter", "REST requests"),
        ("dccd_exchange_rest_retries_total", "counter", "REST requests that were made again after a failure"),
        ("dccd_exchange_rest_failures_total", "counter", "REST requests that were given up"),
        ("dccd_exchange_rest_bytes_total", "counter", "Bytes of REST answers"),
        ("dccd_exchange_rate_limited_total", "counter", "Times that the exchange said to stay away (429, 418)"),
        (
            "dccd_exchange_rate_limit_cost_total",
            "counter",
            "What was used of the rate limit, in ccxt's units; its rate over "
            "dccd_exchange_rate_limit_cost_per_second is the share in use",
        ),
        ("dccd_exchange_rate_limit_cost_per_second", "gauge", "What may be used of it in a second; none with no limit"),
        ("dccd_exchange_rate_limit_waiting", "gauge", "Requests that wait for their turns"),
        ("dccd_exchange_rate_limit_wait_seconds_total", "counter", "Time that requests have waited for their turns"),
        ("dccd_exchange_rate_limit_pause_seconds", "gauge", "How long nobody may ask yet, since the exchange said so"),
        ("dccd_exchange_used_weight", "gauge", "Weight used of this minute by the exchange's word, where it says so"),
    )
    + _group(
        "Bus",
        "",
        ("dccd_bus_connected", "gauge", "1 when the connection stands, else 0"),
        ("dccd_bus_reconnects_total", "counter", "Times that it came back"),
        ("dccd_bus_received_messages_total", "counter", "Messages received"),
        ("dccd_bus_received_bytes_total", "counter", "Bytes of them"),
        ("dccd_bus_sent_messages_total", "counter", "Messages sent"),
        ("dccd_bus_sent_bytes_total", "counter", "Bytes of them"),
    )
    + _group(
        "Bus",
        "publisher",
        ("dccd_publisher_in_flight_messages", "gauge", "Messages on their way, not acknowledged"),
        ("dccd_publisher_window_messages", "gauge", "How many may be on their way"),
        ("dccd_publisher_waiting_messages", "gauge", "Messages that wait for the window"),
        ("dccd_publisher_buffer_bytes", "gauge", "Bytes of all that isn't acknowledged"),
        ("dccd_publisher_buffer_limit_bytes", "gauge", "How many there may be before what is new is dropped"),
        ("dccd_publisher_oldest_age_seconds", "gauge", "How long the oldest of them has been waiting, 0 without any"),
        ("dccd_publisher_acked_messages_total", "counter", "Messages that the bus has acknowledged"),
        ("dccd_publisher_resent_messages_total", "counter", "Messages published again, unacknowledged in time"),
        ("dccd_publisher_refused_messages_total", "counter", "Answers of the bus that it didn't store a message"),
        ("dccd_publisher_dropped_records_total", "counter", "Records that found no room: reported gaps"),
        ("dccd_publisher_overflowing", "gauge", "1 while what is new is dropped, else 0"),
    )
    + _group(
        "Requests",
        "operation",
        (
            "dccd_request_duration_seconds",
            "histogram",
            "How long requests took, refused ones, too",
        ),
        ("dccd_request_errors_total(code)", "counter", "Requests that were answered with an error"),
    )
    + _group("Requests", "", ("dccd_requests_running", "gauge", "Requests that are being answered"))
    + _group(
        "Actors",
        "actor",
        ("dccd_actor_up", "gauge", "1 when the actor runs, else 0; all runs of a supervisor are one actor, named *"),
        ("dccd_actor_restarts_total", "counter", "Times that it was started again"),
        ("dccd_actor_gave_up_total", "counter", "Times that it was set aside, since it had crashed too often"),
        ("dccd_actor_mailbox_messages", "gauge", "Messages that wait in its mailbox"),
        ("dccd_actor_mailbox_size", "gauge", "How many find room there"),
    )
)

PROCESS = tuple(
    _group(
        "Process",
        "",
        ("process_cpu_seconds_total", "counter", "CPU time, user and system"),
        ("process_resident_memory_bytes", "gauge", "Memory in use"),
        ("process_virtual_memory_bytes", "gauge", "Address space in use"),
        ("process_start_time_seconds", "gauge", "When the process started (Unix time)"),
        ("process_open_fds", "gauge", "Files and sockets that are open"),
        ("process_max_fds", "gauge", "How many may be"),
    )
)
"""What the system knows of the process; on Linux only, as /proc has it."""

FAMILIES: dict[str, Family] = {family.name: family for family in (*_ALL, *PROCESS)}
"""By name, in the order in which they are told."""
