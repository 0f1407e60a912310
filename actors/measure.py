"""Reads what the daemon counts: the shared names flow in, metrics flow out (see ``dccd.metrics`` for what there is).

Nothing is counted here and nothing is kept: it only looks, when somebody asks. Of a thousand streams that takes tenths
of a second, so that every few milliseconds it lets the event loop go on.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, get_args

from actors.links import Links, StreamState
from actors.tally import actor_label
from dccd.exposition import process
from dccd.histogram import Histogram
from dccd.messages import MetricFamily, Metrics, MetricSample, TreeNode
from dccd.metrics import FAMILIES
from dccd.runs import ACTIVE, Trigger
from dccd.symbols import NS

__all__ = ["Sheet", "measure"]

_SLICE = 0.003
"""Seconds for which it holds up the event loop at most, about."""

Labels = dict[str, str]


class Sheet:
    """Samples by metric. Names that aren't declared are an error."""

    def __init__(self) -> None:
        self._samples: dict[str, list[MetricSample]] = {name: [] for name in FAMILIES}

    def __repr__(self) -> str:
        return f"<Sheet {sum(map(len, self._samples.values()))} samples>"

    def put(self, name: str, value: float | None, labels: Labels | None = None) -> None:
        """Add one sample; None is nothing known."""
        if value is not None:
            self._samples[name].append(MetricSample(name=name, labels=labels or {}, value=float(value)))

    def histogram(self, name: str, of: Histogram, labels: Labels | None = None) -> None:
        """Add the samples of a histogram."""
        into, labels = self._samples[name], labels or {}
        buckets = of.cumulative()
        bucket = f"{name}_bucket"
        into += [MetricSample(name=bucket, labels={**labels, "le": le}, value=float(n)) for le, n in buckets]
        into.append(MetricSample(name=f"{name}_sum", labels=labels, value=of.total))
        # The last bucket's: what is counted meanwhile, by a thread, must not make two numbers of one.
        into.append(MetricSample(name=f"{name}_count", labels=labels, value=float(buckets[-1][1])))

    def families(self, prefix: str) -> list[MetricFamily]:
        """Those whose name begins with *prefix*, in the order of the declarations, those without samples, too."""
        return [
            MetricFamily(name=name, type=family.type, help=family.help, samples=self._samples[name])
            for name, family in FAMILIES.items()
            if name.startswith(prefix)
        ]


async def measure(links: Links, prefix: str = "") -> Metrics:
    """Return all metrics whose name begins with *prefix*, as they are now."""
    sheet, now = Sheet(), links.clock.wall_ns()
    begun = time.perf_counter()
    for start, part in _PARTS.items():
        if not (start.startswith(prefix) or prefix.startswith(start)):
            continue
        for _ in part(links, sheet, now):
            if time.perf_counter() - begun > _SLICE:
                await asyncio.sleep(0)
                begun = time.perf_counter()
    families = sheet.families(prefix)
    if "process_".startswith(prefix) or prefix.startswith("process_"):
        known = {family.name: family for family in process()}
        families = [known.get(family.name, family) for family in families]
    return Metrics(host=links.host, at=now, families=families)


# ---------------------------------------------------------------- the parts: each yields where others may go on


def _daemon(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    tally = links.tally
    sheet.put("dccd_build_info", 1, {"version": links.version, "python": platform.python_version()})
    sheet.put("dccd_start_time_seconds", links.started / NS)
    for check, ok in tally.checks.items():
        sheet.put("dccd_health_ok", ok, {"check": check})
    sheet.histogram("dccd_event_loop_delay_seconds", tally.loop_delay)
    yield


def _streams(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    supervisor = getattr(links, "streams", None)
    aside = {child.id for child in supervisor.nodes() if child.status == "gave_up"} if supervisor else set()
    states = Counter(dict.fromkeys(("live", "connecting", "reconnecting", "refused", "gave_up"), 0))
    for name, state in list(links.board.items()):
        shown = "gave_up" if name in aside else state.state
        states[shown] += 1
        _stream(sheet, state, shown, now)
        yield
    for name, late in list(links.tally.disk.items()):
        _lag(sheet, "disk", late, of_dataset(name))
        yield
    for shown, count in states.items():
        sheet.put("dccd_streams", count, {"state": shown})


def _stream(sheet: Sheet, state: StreamState, shown: str, now: int) -> None:
    labels = of_dataset(state.dataset.name)
    for name, value in (
        ("records_total", state.records),
        ("frames_total", state.frames),
        ("messages_total", state.messages),
        ("published_bytes_total", state.published),
        ("last_record_timestamp_seconds", None if state.last_ts is None else state.last_ts / NS),
        ("last_record_age_seconds", None if state.last_recv_ts is None else (now - state.last_recv_ts) / NS),
        ("live", shown == "live"),
        ("reconnects_total", state.reconnects),
        ("gaps_total", state.gaps),
        ("gap_seconds_total", state.gap_seconds),
        ("unparsed_frames_total", state.unparsed),
    ):
        sheet.put(f"dccd_stream_{name}", value, labels)
    _lag(sheet, "receive", state.received, labels)
    _lag(sheet, "bus", state.acked, labels)


def _lag(sheet: Sheet, stage: str, of: Histogram, labels: Labels) -> None:
    labels = {**labels, "stage": stage}
    sheet.histogram("dccd_stream_lag_seconds", of, labels)
    sheet.put("dccd_stream_negative_lags_total", of.negative, labels)


def _archiver(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    archive, tally = links.archive, links.tally
    for name, value in (
        ("pending_messages", archive.pending),
        ("oldest_age_seconds", 0.0 if archive.oldest is None else max(0.0, (now - archive.oldest) / NS)),
        ("messages_total", tally.messages),
        ("flushes_total", tally.flushes),
        ("segments_total", tally.segments),
        ("segment_bytes_total", tally.segment_bytes),
        ("rejected_messages_total", archive.rejected),
        ("lost_messages_total", tally.lost_messages),
    ):
        sheet.put(f"dccd_archiver_{name}", value)
    for dataset, rows in list(tally.stored.items()):
        sheet.put("dccd_archiver_rows_total", rows, of_dataset(dataset))
    yield


def _datasets(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    for name, entry in list(links.entries.items()):
        labels = of_dataset(name)
        for what, value in (
            ("rows", entry.rows),
            ("files", entry.files),
            ("bytes", entry.bytes),
            ("newest_timestamp_seconds", None if entry.last_ts is None else entry.last_ts / NS),
            ("gaps", entry.gaps_total),
            ("missing_seconds", entry.missing),
            ("covered_ratio", entry.coverage),
        ):
            sheet.put(f"dccd_dataset_{what}", value, labels)
        yield


def _folds(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    tally = links.tally
    sheet.put("dccd_fold_runs_total", tally.folds)
    sheet.put("dccd_fold_failures_total", tally.fold_failures)
    sheet.put("dccd_fold_rows_total", tally.fold_rows)
    sheet.put("dccd_fold_bytes_total", tally.fold_bytes)
    sheet.put("dccd_fold_seconds_total", tally.fold_seconds)
    yield


def _disk(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    try:
        disk = shutil.disk_usage(links.data_path)
    except OSError:
        return  # unmounted: the health check and the log say so
    sheet.put("dccd_disk_free_bytes", disk.free)
    sheet.put("dccd_disk_size_bytes", disk.total)
    yield


def _runs(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    active = Counter({("backfill", "running"): 0, ("backfill", "queued"): 0})
    active.update((run.operation, run.state) for run in links.active.values() if run.state in ACTIVE)
    for (operation, state), count in active.items():
        sheet.put("dccd_runs_active", count, {"operation": operation, "state": state})
    # Backfills from 0 on: of a count that begins with 1 Prometheus sees no increase.
    ended = Counter({("backfill", trigger, state): 0 for trigger in get_args(Trigger) for state in ("done", "failed")})
    ended.update(links.tally.runs)
    for (operation, trigger, state), count in ended.items():
        labels = {"operation": operation, "trigger": trigger, "state": state}
        sheet.put("dccd_runs_ended_total", count, labels)
    yield


def _backfills(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    for dataset, rows in list(links.tally.backfilled.items()):
        sheet.put("dccd_backfill_rows_total", rows, of_dataset(dataset))
    yield


def _exchanges(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    for exchange, pool in links.sockets.statistics().items():
        labels = {"exchange": exchange}
        connections: list[dict[str, Any]] = pool["connections"]
        # ccxt.pro's one object has several, and reads them by itself.
        count = sum(one.get("connections", 1) for one in connections)
        for name, value in (
            ("connections", count),
            ("connections_paused", sum(one.get("paused", False) for one in connections)),
            ("connection_opens_total", pool["opens"]),
            ("connection_failures_total", pool.get("failed")),
            ("websocket_bytes_total", pool.get("bytes")),
            ("websocket_messages_total", pool.get("messages")),
        ):
            sheet.put(f"dccd_exchange_{name}", value, labels)
        yield
    for exchange, rest in links.rest.statistics().items():
        labels, period = {"exchange": exchange}, rest.get("period")
        for name, value in (
            ("rest_requests_total", rest["requests"]),
            ("rest_retries_total", rest["retries"]),
            ("rest_failures_total", rest["failures"]),
            ("rest_bytes_total", rest["bytes"]),
            ("rate_limited_total", rest["rate_limited"]),
            ("rate_limit_cost_total", rest.get("cost")),
            ("rate_limit_cost_per_second", 1 / period if period else None),
            ("rate_limit_waiting", rest.get("waiting")),
            ("rate_limit_wait_seconds_total", rest.get("waited")),
            ("rate_limit_pause_seconds", rest.get("paused_for")),
            ("used_weight", rest["used_weight"]),
        ):
            sheet.put(f"dccd_exchange_{name}", value, labels)
        yield


def _bus(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    bus = getattr(links, "bus", None)
    sheet.put("dccd_bus_connected", bus is not None and bus.connected)
    if bus is not None:
        told = bus.statistics()
        sheet.put("dccd_bus_reconnects_total", told["reconnects"])
        for ours, theirs in (("received", "in"), ("sent", "out")):
            sheet.put(f"dccd_bus_{ours}_messages_total", told[f"{theirs}_messages"])
            sheet.put(f"dccd_bus_{ours}_bytes_total", told[f"{theirs}_bytes"])
    yield


def _publishers(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    for publisher in ("ticks", "events"):
        one = getattr(links, "publisher", None) if publisher == "ticks" else links.events
        if one is None:
            continue
        told, labels, since = one.statistics(), {"publisher": publisher}, one.waiting_since
        for name, value in (
            ("in_flight_messages", told["on_way"]),
            ("window_messages", told["window"]),
            ("waiting_messages", told["waiting"]),
            ("buffer_bytes", told["buffer_bytes"]),
            ("buffer_limit_bytes", told["buffer_limit"]),
            ("oldest_age_seconds", 0.0 if since is None else time.monotonic() - since),
            ("acked_messages_total", told["acked"]),
            ("resent_messages_total", told["published_again"]),
            ("refused_messages_total", told["refused"]),
            ("dropped_records_total", told["dropped_records"]),
            ("overflowing", told["overflowing"]),
        ):
            sheet.put(f"dccd_publisher_{name}", value, labels)
    yield


def _requests(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    service = links.service
    if service is None:
        return
    sheet.put("dccd_requests_running", service.running)
    for operation, timing in list(service.timings.items()):
        labels = {"operation": operation}
        if timing.durations.count or timing.errors:
            sheet.histogram("dccd_request_duration_seconds", timing.durations, labels)
        for code, count in timing.errors.items():
            sheet.put("dccd_request_errors_total", count, {**labels, "code": str(code)})
        yield


def _actors(links: Links, sheet: Sheet, now: int) -> Iterator[None]:
    tally = links.tally
    restarts = dict.fromkeys(tally.restarts, 0)
    found: dict[str, list[TreeNode]] = {}
    if hasattr(links, "tree"):
        root = links.tree()
        _walk(root, (root.id,), found)
    for actor, nodes in found.items():
        labels = {"actor": actor}
        sheet.put("dccd_actor_up", all(node.status == "running" for node in nodes), labels)
        sheet.put("dccd_actor_mailbox_messages", max(node.mailbox for node in nodes), labels)
        sheet.put("dccd_actor_mailbox_size", max(node.mailbox_size for node in nodes), labels)
        yield
    for actor in {**found, **restarts}:
        sheet.put("dccd_actor_restarts_total", tally.restarts[actor], {"actor": actor})
        sheet.put("dccd_actor_gave_up_total", tally.gave_up[actor], {"actor": actor})
    yield


def _walk(node: TreeNode, path: tuple[str, ...], found: dict[str, list[TreeNode]]) -> None:
    found.setdefault(actor_label(path), []).append(node)
    for child in node.children:
        _walk(child, (*path, child.id), found)


def of_dataset(name: str) -> Labels:
    """The labels of what is of one dataset."""
    exchange, data_type, _ = name.split(".", 2)
    return {"dataset": name, "exchange": exchange, "data_type": data_type}


_PARTS: dict[str, Callable[[Links, Sheet, int], Iterator[None]]] = {
    "dccd_stream": _streams,
    "dccd_archiver_": _archiver,
    "dccd_dataset_": _datasets,
    "dccd_fold_": _folds,
    "dccd_disk_": _disk,
    "dccd_runs_": _runs,
    "dccd_backfill_": _backfills,
    "dccd_exchange_": _exchanges,
    "dccd_bus_": _bus,
    "dccd_publisher_": _publishers,
    "dccd_request": _requests,
    "dccd_actor_": _actors,
    "dccd_": _daemon,
}
"""How the names begin that a part has: what isn't asked for isn't looked at."""
