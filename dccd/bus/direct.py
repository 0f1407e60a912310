"""What a stream holds, asked of the JetStream API without a consumer (ADR-1, ADR-31).

A stream's name flows in; its state, its epoch and stored messages flow out: one message by its subject, or a batch from
a sequence number on in a single request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg

from dccd.bus.connection import Bus
from dccd.bus.translation import translated
from dccd.errors import BusError, BusUnavailable, JetStreamError, StreamReplaced

__all__ = [
    "Batch",
    "JetStreamError",
    "Stored",
    "StreamState",
    "api",
    "decode_reply",
    "get_batch",
    "get_last",
    "renew_epoch",
    "rfc3339",
    "rfc3339_ns",
    "same_stream",
    "start_of_newest",
    "stream_epoch",
    "stream_state",
]

_GENERATION = "dccd.generation"
"""Metadata of a stream: how often its sequence numbers have begun to mean something else; see stream_epoch."""

_NOT_NOW = (503, 429)
_OFFLINE = (10118, 10119)
"""What the others of a cluster say of a stream or a consumer none of whose servers is there at the moment. (10194 and
10195, offline for a reason, say that a newer server made it: that doesn't pass.)

https://github.com/nats-io/nats-server/blob/v2.15.2/server/errors.json
"""

T = TypeVar("T")


class _ApiError(msgspec.Struct):
    code: int = 500
    err_code: int = 0
    description: str = ""


class _ApiReply(msgspec.Struct):
    error: _ApiError | None = None


class _StreamConfig(msgspec.Struct):
    metadata: dict[str, str] = {}


class _StreamCounts(msgspec.Struct):
    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    first_ts: str = ""
    last_ts: str = ""


class _StreamInfo(msgspec.Struct):
    created: str
    config: _StreamConfig
    state: _StreamCounts
    ts: str = ""


class _RawInfo(msgspec.Struct):
    config: dict[str, Any]


class StreamState(msgspec.Struct, frozen=True):
    """What a stream holds now: sequence numbers ``first`` to ``last`` (``first`` is ``last + 1`` when it is empty).

    ``epoch`` as by :func:`stream_epoch`, sizes in bytes, times (ns) say when the first and the last were stored, and
    ``now`` what the server's clock said when it answered.
    """

    epoch: str
    messages: int
    bytes: int
    first: int
    last: int
    first_at: int
    last_at: int
    now: int = 0


async def api(bus: Bus, subject: str, body: object, type: type[T], timeout: float = 5.0) -> T:
    """Ask the JetStream API ``$JS.API.<subject>``. Raises as :func:`decode_reply`, and BusUnavailable when nobody
    answers in time."""
    message = await bus.exchange(f"$JS.API.{subject}", b"" if body is None else msgspec.json.encode(body), timeout)
    return decode_reply(subject, message.data, type)


def decode_reply(subject: str, data: bytes, type: type[T]) -> T:
    """Read what JetStream answers to a request, or to a publish. Raises JetStreamError when it refuses, BusUnavailable
    when it can't now."""
    try:
        error = msgspec.json.decode(data, type=_ApiReply).error
        if error is None:
            return msgspec.json.decode(data, type=type)
    except msgspec.DecodeError as exc:
        raise BusError(f"{subject}: not an answer of JetStream: {data[:200]!r}") from exc
    raise _refusal(error.code, error.err_code, f"{subject}: {error.description}")


def _refusal(code: int, err_code: int, told: str) -> BusError:
    """What an error of JetStream means. 503 is its word for not now: it starts, has no leader, or no room on its disk;
    429 says that a stream is given more than it can take. Who waits out a bus that is away waits these out, too."""
    not_now = code in _NOT_NOW or err_code in _OFFLINE
    return BusUnavailable(told) if not_now else JetStreamError(code, err_code, told)


async def stream_state(bus: Bus, name: str) -> StreamState:
    """Return what stream *name* holds. Raises JetStreamError (code 404) when there is none."""
    info = await api(bus, f"STREAM.INFO.{name}", None, _StreamInfo)
    counts = info.state
    return StreamState(
        epoch=info.created + "".join(f"+{n}" for n in [info.config.metadata.get(_GENERATION)] if n),
        messages=counts.messages,
        bytes=counts.bytes,
        first=counts.first_seq,
        last=counts.last_seq,
        first_at=rfc3339_ns(counts.first_ts) if counts.messages else 0,
        last_at=rfc3339_ns(counts.last_ts) if counts.messages else 0,
        now=rfc3339_ns(info.ts) if info.ts else 0,
    )


async def same_stream(bus: Bus, name: str, epoch: str) -> StreamState:
    """Return what stream *name* holds, if it is that of *epoch* yet. Raises StreamReplaced, JetStreamError."""
    try:
        state = await stream_state(bus, name)
    except JetStreamError as exc:
        if exc.code == 404:
            raise StreamReplaced(f"stream {name} was deleted") from exc
        raise
    if state.epoch != epoch:
        raise StreamReplaced(f"stream {name} was made anew: epoch {state.epoch} after {epoch}")
    return state


async def stream_epoch(bus: Bus, name: str) -> str:
    """Return what tells a stream's sequence numbers from those of another of its name.

    It is the time of its creation, followed by ``+n`` when a power cut has taken sequence numbers back that the store
    had seen already (:func:`renew_epoch`).
    """
    return (await stream_state(bus, name)).epoch


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message as the stream has it; ``at`` is when it was stored (ns), ``headers`` those of the publisher too."""

    seq: int
    subject: str
    data: bytes
    at: int
    headers: dict[str, str]


class Batch(msgspec.Struct, frozen=True):
    """Messages in sequence order, and how many further ones match beyond the last of them."""

    messages: list[Stored]
    pending: int


def rfc3339_ns(text: str) -> int:
    """Nanoseconds since 1970 of a server's time stamp, as ``2026-11-23T23:22:35.191730917Z``."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0")[:9] or 0)


def rfc3339(ns: int) -> str:
    """A time (ns) as the JetStream API takes it."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


async def renew_epoch(bus: Bus, name: str) -> str:
    """Give stream *name* a new epoch and return it.

    Needed when a power cut has taken messages back that had been read: their sequence numbers are given out again, and
    who has noted "stored up to here" would take the new messages for the old.
    """
    config = (await api(bus, f"STREAM.INFO.{name}", None, _RawInfo)).config
    metadata = dict(config.get("metadata") or {})
    metadata[_GENERATION] = str(int(metadata.get(_GENERATION, "0")) + 1)
    await api(bus, f"STREAM.UPDATE.{name}", {**config, "metadata": metadata}, _RawInfo)
    return await stream_epoch(bus, name)


async def get_last(bus: Bus, stream: str, subject: str, timeout: float = 5.0) -> Stored | None:
    """Return the newest message on *subject* (wildcards: of any that matches), or None. Raises BusUnavailable."""
    if "*" in subject or subject.endswith(">"):
        body = msgspec.json.encode({"last_by_subj": subject})
        message = await bus.exchange(f"$JS.API.DIRECT.GET.{stream}", body, timeout)
    else:
        # So that the bus can tell who may read what.
        message = await bus.exchange(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout)
    if message.headers and "Status" in message.headers:
        _raise_status(message, stream)
        return None
    return _stored(message)


async def get_batch(bus: Bus, stream: str, seq: int, batch: int, subject: str = ">", timeout: float = 5.0) -> Batch:
    """Return up to *batch* messages on *subject* from sequence number *seq* on, oldest first.

    Raises BusUnavailable when the answer isn't complete within *timeout* seconds.
    """
    if batch < 1:
        return Batch([], 0)
    await bus.wait_connected(timeout)
    found: list[Stored] = []
    done: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

    async def take(message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            if not done.done():
                done.set_result(message)
        else:
            found.append(_stored(message))

    inbox = bus.client.new_inbox()
    what = f"reading stream {stream}"
    body: dict[str, Any] = {"seq": max(1, seq), "batch": batch, "next_by_subj": subject}
    with translated(what):
        subscription = await bus.client.subscribe(inbox, cb=take)
        try:
            await bus.client.publish(f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(body), reply=inbox)
            async with asyncio.timeout(timeout):
                end = await done
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
    assert end.headers is not None
    if end.headers["Status"] != "204":
        _raise_status(end, stream)
    return Batch(found, int(end.headers.get("Nats-Num-Pending", "0")))


async def start_of_newest(bus: Bus, stream: str, filters: Sequence[str], count: int) -> int:
    """Return a sequence number from which on *count* messages match *filters*, and not many more; the first one when
    there are fewer. Costs some requests, however many messages there are."""
    state = await stream_state(bus, stream)
    span = count
    while (start := state.last - span + 1) > state.first:
        parts = [await get_batch(bus, stream, start, 1, subject) for subject in filters]
        if sum(len(part.messages) + part.pending for part in parts) >= count:
            return start
        span *= 4
    return max(1, state.first)


def _stored(message: Msg) -> Stored:
    headers = message.headers or {}
    return Stored(
        int(headers["Nats-Sequence"]),
        headers["Nats-Subject"],
        message.data,
        rfc3339_ns(headers["Nats-Time-Stamp"]),
        headers,
    )


def _raise_status(message: Msg, stream: str) -> None:
    """Raise for any status but 404, which says that nothing matches."""
    headers = message.headers or {}
    status = headers["Status"]
    if status != "404":
        code = int(status) if status.isdecimal() else 500
        raise _refusal(code, 0, f"stream {stream}: {headers.get('Description') or 'nobody answers'} ({status})")
