"""The JetStream streams and buckets of dccd: made, and kept to their configuration.

Limits flow in, streams that exist as wanted flow out. What they hold is asked through :mod:`dccd.bus.direct`, ticks are
read by :mod:`dccd.bus.reader`; both are found here, too.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import (
    JetStreamError,
    Stored,
    StreamState,
    api,
    decode_reply,
    get_batch,
    get_last,
    renew_epoch,
    stream_epoch,
    stream_state,
)
from dccd.bus.reader import TickReader
from dccd.bus.tick_message import Lag, LostRange, TickMessage
from dccd.errors import BusError

__all__ = [
    "HOSTS_TTL",
    "Lag",
    "LostRange",
    "StreamState",
    "TickLimits",
    "TickMessage",
    "TickReader",
    "ensure_bucket",
    "ensure_streams",
    "host_events",
    "last_message",
    "publish_once",
    "renew_epoch",
    "stream_epoch",
    "stream_state",
    "streams_made",
]

BUCKETS = (
    subjects.BUCKET_RUNS,
    subjects.BUCKET_JOBS,
    subjects.BUCKET_CONFIG,
    subjects.BUCKET_DATASETS,
    subjects.BUCKET_ARCHIVERS,
    subjects.BUCKET_PRIVATE,
    subjects.BUCKET_ALERTS,
)

HOSTS_TTL = 6.0
"""Seconds after which a host that says nothing disappears."""

_NS = 1_000_000_000
_NO_SPACE, _NAME_IN_USE = 10047, 10058  # error codes of the JetStream API


class TickLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the streams: ages in seconds, sizes in bytes; ``replicas`` on a cluster.

    ``duplicate_window`` (seconds) is how long the server knows a message's id, so that one which is published again is
    stored once. It is kept in memory, about 150 bytes a message.
    """

    max_age: float = 2 * 86400.0
    max_bytes: int = 2 << 30
    events_max_age: float = 7 * 86400.0
    events_max_bytes: int = 256 << 20
    duplicate_window: float = 120.0
    replicas: int = 1


class _PubAck(msgspec.Struct):
    duplicate: bool = False


class _Info(msgspec.Struct):
    config: dict[str, Any]


async def ensure_streams(bus: Bus, limits: TickLimits | None = None) -> None:
    """Make the streams of ticks and events and the buckets, or change them to *limits*.

    May run at each start and on several hosts at once. What somebody else has set of a stream (placement, compression)
    stays. Raises BusUnavailable, BusRefused, and BusError when the server has no room for the limits.
    """
    limits = limits or TickLimits()
    await _ensure(
        bus,
        {
            "name": subjects.STREAM_TICKS,
            "description": "dccd: every record as it came in; the write-ahead log of the store",
            "subjects": [f"{subjects.TICKS}.>"],
            **_limited(limits.max_age, limits.max_bytes, limits),
        },
    )
    await _ensure(
        bus,
        {
            "name": subjects.STREAM_EVENTS,
            "description": "dccd: what happened, for those who come late",
            "subjects": [f"{subjects.EVENTS}.>"],
            "allow_msg_ttl": True,
            **_limited(limits.events_max_age, limits.events_max_bytes, limits),
        },
    )
    for bucket in BUCKETS:
        await ensure_bucket(bus, bucket, replicas=limits.replicas)
    await ensure_bucket(bus, subjects.BUCKET_HOSTS, replicas=limits.replicas, ttl=HOSTS_TTL)


async def streams_made(bus: Bus) -> dict[str, str]:
    """When each of dccd's streams and buckets was made, by its name; those that aren't there are left out.

    Another time is another stream, which has nothing of what the first one had. Raises BusUnavailable, BusError.
    """
    names = [subjects.STREAM_TICKS, subjects.STREAM_EVENTS]
    names += [f"KV_{bucket}" for bucket in (*BUCKETS, subjects.BUCKET_HOSTS)]
    made = {}
    for name in names:
        try:
            made[name] = (await stream_epoch(bus, name)).partition("+")[0]
        except JetStreamError as exc:
            if exc.code != 404:
                raise
    return made


async def ensure_bucket(bus: Bus, bucket: str, *, replicas: int = 1, ttl: float = 0.0) -> None:
    """Make a KV bucket, or change it to this: one revision a key, read by direct get; *ttl* seconds, 0 for ever.

    It is a stream as ADR-8 says, so that every NATS client knows it as a bucket.
    """
    await _ensure(
        bus,
        {
            "name": f"KV_{bucket}",
            "subjects": [f"$KV.{bucket}.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "new",
            "max_msgs_per_subject": 1,
            "max_age": int(ttl * _NS),
            "duplicate_window": int(min(ttl or 120.0, 120.0) * _NS),
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "allow_msg_ttl": True,
            "deny_delete": True,
            "num_replicas": replicas,
        },
    )


async def last_message(bus: Bus, subject: str) -> Stored | None:
    """Return the newest message on a tick or event subject, or None when there is none."""
    stream = subjects.STREAM_EVENTS if subject.startswith(f"{subjects.EVENTS}.") else subjects.STREAM_TICKS
    return await get_last(bus, stream, subject)


async def publish_once(bus: Bus, subject: str, payload: bytes, id: str) -> bool:
    """Publish what several may say at once: of those with the same *id* the first is stored. Whether this was it.

    Raises BusUnavailable; then it may have been stored or not.
    """
    message = await bus.exchange(subject, payload, headers={subjects.MSG_ID: id})
    return not decode_reply(subject, message.data, _PubAck).duplicate


async def host_events(bus: Bus) -> list[Stored]:
    """What is still known of hosts that came and went: their events, oldest first."""
    found: list[Stored] = []
    seq = 1
    while True:
        part = await get_batch(bus, subjects.STREAM_EVENTS, seq, 1000, subjects.host_event("*", "*"))
        found += part.messages
        if not part.messages or not part.pending:
            return found
        seq = part.messages[-1].seq + 1


def _limited(age: float, size: int, limits: TickLimits) -> dict[str, Any]:
    return {
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": int(age * _NS),
        "max_bytes": size,
        # The server takes no window that is longer than the age.
        "duplicate_window": int(min(limits.duplicate_window, age) * _NS),
        "allow_direct": True,
        "num_replicas": limits.replicas,
    }


async def _ensure(bus: Bus, wanted: dict[str, Any]) -> None:
    name = wanted["name"]
    log = structlog.get_logger("dccd.bus").bind(stream=name)
    try:
        config = await _config(bus, name)
        if config is None:
            try:
                await api(bus, f"STREAM.CREATE.{name}", wanted, _Info, timeout=10)
                log.info("stream made")
                return
            except JetStreamError as exc:
                if exc.err_code != _NAME_IN_USE:
                    raise
                config = await _config(bus, name) or {}  # another host was first, with other limits
        changed = {key: value for key, value in wanted.items() if config.get(key, 0) != value}
        if changed:
            await api(bus, f"STREAM.UPDATE.{name}", {**config, **changed}, _Info, timeout=10)
            log.info("stream changed", **{key: value for key, value in changed.items() if key != "name"})
    except JetStreamError as exc:
        if exc.err_code == _NO_SPACE:
            raise BusError(
                f"stream {name}: the server has no room for its {wanted['max_bytes']:,} bytes; "
                "make the limit (bus.ticks_max_bytes) smaller or give it a larger disk"
            ) from exc
        raise


async def _config(bus: Bus, name: str) -> dict[str, Any] | None:
    try:
        return (await api(bus, f"STREAM.INFO.{name}", None, _Info)).config
    except JetStreamError as exc:
        if exc.code == 404:
            return None
        raise
