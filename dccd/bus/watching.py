"""Watching a bucket: a consumer's messages flow in, what is there and each change flow out, whatever becomes of the
server.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from dccd.bus.connection import Bus
from dccd.bus.consumers import delivery, from_message
from dccd.bus.direct import JetStreamError, Stored, api, stream_state
from dccd.bus.translation import translated
from dccd.errors import BusError, StreamReplaced

__all__ = ["Watch"]

_NS = 1_000_000_000
_HEARTBEAT = 0.5
"""Seconds between heartbeats to a watch: it notices within three that its server is not the one it was."""


class Watch:
    """An ephemeral push consumer that is made again, from the last revision on, whenever it skips or falls silent.

    Not nats-py's ordered consumer: that one gives up for good when making it again fails once, and what exceeds its
    pending limit is lost.
    """

    def __init__(self, bus: Bus, stream: str, subject: str) -> None:
        self._bus = bus
        self._stream = stream
        self._subject = subject
        self._epoch = ""
        self._last = 0
        self._expected = 1
        self._heard = time.monotonic()
        self._broken = False
        self._initial = True
        self._queue: asyncio.Queue[Stored | None] = asyncio.Queue()
        self._subscription: NatsSubscription | None = None
        self._unregister: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Watch {self._subject} {self._last}{' broken' if self._broken else ''}>"

    async def start(self) -> None:
        """Begin with what is there. Raises BusUnavailable, JetStreamError."""
        self._unregister = self._bus.on_change(self._connection_changed)
        self._epoch = (await stream_state(self._bus, self._stream)).epoch
        await self._create()

    async def next(self) -> Stored | None:
        """The next message; None once all that was there at the beginning has come. Raises StreamReplaced."""
        while True:
            if self._queue.empty() and self._bus.connected:
                if self._broken:
                    await self._mend()
                elif time.monotonic() - self._heard > 3 * _HEARTBEAT:
                    self._broken = True
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT):
                    return await self._queue.get()

    async def stop(self) -> None:
        """Listen no more."""
        if self._unregister is not None:
            self._unregister()
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
        # The server deletes the consumer itself, once nobody listens.

    def _connection_changed(self, connected: bool) -> None:
        self._broken = True

    async def _mend(self) -> None:
        try:
            if (await stream_state(self._bus, self._stream)).epoch != self._epoch:
                raise StreamReplaced(f"bucket {self._stream} was made anew")
            await self._create()
        except StreamReplaced:
            raise
        except BusError as exc:
            if isinstance(exc, JetStreamError) and exc.code == 404:
                raise StreamReplaced(f"bucket {self._stream} was deleted") from exc
            # The server isn't up to it yet.
            await asyncio.sleep(0.1)

    async def _create(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
        inbox = self._bus.client.new_inbox()
        self._expected = 1
        self._broken = False
        with translated("subscribing"):
            self._subscription = await self._bus.client.subscribe(
                inbox, cb=self._deliver, pending_msgs_limit=0, pending_bytes_limit=0
            )
        config: dict[str, Any] = {
            "deliver_subject": inbox,
            "deliver_policy": "last_per_subject",
            "filter_subject": self._subject,
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "flow_control": True,
            "idle_heartbeat": int(_HEARTBEAT * _NS),
            "inactive_threshold": 30 * _NS,
        }
        if self._last:
            config |= from_message(self._last + 1)
        info = await api(
            self._bus, f"CONSUMER.CREATE.{self._stream}", {"stream_name": self._stream, "config": config}, _Made
        )
        self._heard = time.monotonic()
        if self._initial and info.num_pending == 0 and info.delivered.consumer_seq == 0:
            self._initial = False
            self._queue.put_nowait(None)

    async def _deliver(self, message: Msg) -> None:
        self._heard = time.monotonic()
        said = delivery(message.reply)
        if said is None:
            await self._control(message)
            return
        seq, number, at, pending = map(int, said[2:])
        if number != self._expected:
            self._broken = True
        if self._broken:
            return
        self._expected += 1
        self._last = seq
        self._queue.put_nowait(Stored(seq, message.subject, message.data, at, message.headers or {}))
        if self._initial and pending == 0:
            self._initial = False
            self._queue.put_nowait(None)

    async def _control(self, message: Msg) -> None:
        headers = message.headers or {}
        if message.reply.startswith("$JS.FC."):  # flow control; nothing else is answered in our name
            with contextlib.suppress(nats.errors.Error):
                await self._bus.client.publish(message.reply)
        elif headers.get("Nats-Last-Consumer", str(self._expected - 1)) != str(self._expected - 1):
            self._broken = True  # the last ones before it were lost


class _Delivered(msgspec.Struct):
    consumer_seq: int = 0


class _Made(msgspec.Struct):
    num_pending: int = 0
    delivered: _Delivered = msgspec.field(default_factory=_Delivered)
