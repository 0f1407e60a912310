"""The durable consumer of an archiver, and the note of how far it is.

Sequence numbers flow in and out; no message does: those are the reader's.

How far all is stored is noted in a bucket, beside the consumer's ack floor: the server moves that one over messages
which fall off the stream after they were delivered, so that their loss couldn't be seen. The note has an owner, and is
changed by compare-and-set only: a reader that another has replaced (on a host that was frozen and wakes up) can't.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

import msgspec
import structlog

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumers import create_consumer, from_message
from dccd.bus.direct import StreamState, api, renew_epoch
from dccd.bus.kv import Bucket
from dccd.errors import BusUnavailable, Conflict, JetStreamError, StreamReplaced

__all__ = ["ArchiverConsumer", "archived"]

_NS = 1_000_000_000
_RESET_SINCE = (2, 14)
"""The nats-server that can set a consumer back (ADR-60)."""


class _Position(msgspec.Struct):
    """What the bucket says of an archiver; ``reader`` is the one that may change it."""

    epoch: str
    acked: int
    reader: str


class _Floor(msgspec.Struct):
    stream_seq: int


class _ConsumerInfo(msgspec.Struct):
    ack_floor: _Floor
    num_waiting: int = 0


async def archived(bus: Bus, host: str, epoch: str) -> int:
    """Up to which sequence number of the stream's *epoch* all is on *host*'s disk; 0 where nobody knows.

    Raises BusUnavailable.
    """
    found = await Bucket(bus, subjects.BUCKET_ARCHIVERS).get(host)
    if found is None:
        return 0
    position = msgspec.json.decode(found[0], type=_Position)
    return position.acked if position.epoch == epoch else 0


class ArchiverConsumer:
    """The consumer ``archiver-<host>-<random>`` of *stream*. Of a host one reader at a time: the one that took over
    last.

    Who reads the stream may make consumers of it, and could read on, acknowledge or change one whose name it can guess:
    so nobody can guess this one's. It is noted in a bucket that only daemons may read.
    """

    def __init__(self, bus: Bus, stream: str, host: str) -> None:
        self.name = f"{subjects.CONSUMER_ARCHIVER}-{host}-{secrets.token_hex(8)}"
        self.epoch = ""
        self.acked = 0
        """All up to this sequence number is stored, as noted."""
        self._bus = bus
        self._stream = stream
        self._host = host
        self._bucket = Bucket(bus, subjects.BUCKET_ARCHIVERS)
        self._id = secrets.token_urlsafe(9)
        self._revision = 0
        self._log = structlog.get_logger("dccd.bus.reader").bind(archiver=host)

    async def take_over(self, state: StreamState, stored: int) -> bool:
        """Become its owner: then ``epoch`` and ``acked`` hold. Returns whether there was one before in this epoch.

        When the stream ends before *stored* or what was noted, it has lost its end in a power cut: the epoch is
        renewed, and all that is left counts as not stored. Raises BusUnavailable, JetStreamError.
        """
        self.epoch = state.epoch
        noted = await self._noted()
        await self._find_name()
        with contextlib.suppress(JetStreamError):  # of a daemon before names were at random
            old = f"{subjects.CONSUMER_ARCHIVER}-{self._host}"
            await api(self._bus, f"CONSUMER.DELETE.{self._stream}.{old}", None, dict[str, Any])
        info = await self._info() or await self._create(None)
        self.acked = info.ack_floor.stream_seq if noted is None else noted
        if state.last < max(stored, self.acked):
            self._log.error("the stream has lost its end", ends_at=state.last, known=max(stored, self.acked))
            self.epoch = await renew_epoch(self._bus, self._stream)
            self.acked = state.first - 1
        self._revision = await self._bucket.put(self._host, self._position())
        if info.num_waiting:
            # Of a process that is dead the server knows. So another one lives, and would go on to be served.
            self._log.warning("another reader of this name is connected: taking over")
            await self._replace(self.acked + 1)
        return noted is not None

    async def note(self, acked: int) -> None:
        """Note that all up to *acked* is stored. Raises StreamReplaced when another reader has taken over."""
        before, self.acked = self.acked, acked
        try:
            try:
                self._revision = await self._bucket.update(self._host, self._position(), self._revision)
            except Conflict:
                await self.check_owner()
                self._revision = await self._bucket.update(self._host, self._position(), self._revision)
        except BaseException:
            self.acked = before
            raise

    async def check_owner(self) -> None:
        """Raise StreamReplaced when another reader has taken over."""
        found = await self._bucket.get(self._host)
        if found is None or msgspec.json.decode(found[0], type=_Position).reader != self._id:
            raise StreamReplaced(f"another reader has taken over consumer {self.name}")
        self._revision = found[1]  # may be that of an update whose answer we never got

    async def reset(self, start: int) -> None:
        """Set the consumer back, so that it delivers from *start* on and nothing is pending; make it if it is gone."""
        if await self._info() is None:
            await self._create(start)
            return
        try:
            await api(self._bus, f"CONSUMER.RESET.{self._stream}.{self.name}", {"seq": start}, _ConsumerInfo)
        except JetStreamError as exc:
            if exc.code not in (400, 404):
                raise
            await self._replace(start)  # gone meanwhile, or made with a start after ours
        except BusUnavailable:
            version = self._bus.client.connected_server_version
            if (version.major, version.minor) >= _RESET_SINCE:
                raise
            await self._replace(start)

    async def _noted(self) -> int | None:
        """Where the last reader was, if it was in this epoch."""
        found = await self._bucket.get(self._host)
        if found is None:
            return None
        position = msgspec.json.decode(found[0], type=_Position)
        return position.acked if position.epoch == self.epoch else None

    async def _find_name(self) -> None:
        """Go on with the name of the last reader; note ours, before there is a consumer of it, where there was none."""
        bucket = Bucket(self._bus, subjects.BUCKET_PRIVATE)
        found = await bucket.get(self._host)
        if found is None:
            await bucket.put(self._host, self.name.encode())
        else:
            self.name = found[0].decode()

    def _position(self) -> bytes:
        return msgspec.json.encode(_Position(self.epoch, self.acked, self._id))

    async def _info(self) -> _ConsumerInfo | None:
        try:
            return await api(self._bus, f"CONSUMER.INFO.{self._stream}.{self.name}", None, _ConsumerInfo)
        except JetStreamError as exc:
            if exc.code == 404:
                return None
            raise

    async def _create(self, start: int | None) -> _ConsumerInfo:
        config: dict[str, Any] = {
            "durable_name": self.name,
            "description": "dccd: what it has acknowledged is in Parquet",
            "ack_policy": "all",
            # The reader bounds what is on its way, and asks again itself: never the server by its clock.
            "max_ack_pending": -1,
            "ack_wait": 3600 * _NS,
            "deliver_policy": "all",
        }
        if start is not None:
            config |= from_message(start)
        return await create_consumer(self._bus, self._stream, self.name, config, _ConsumerInfo)

    async def _replace(self, start: int) -> None:
        with contextlib.suppress(JetStreamError):
            await api(self._bus, f"CONSUMER.DELETE.{self._stream}.{self.name}", None, dict[str, Any])
        await self._create(start)
