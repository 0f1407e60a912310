"""Reading a stream through a pull consumer, as the member of a group does.

No more is asked for than there is room, so for a caller that doesn't read the server holds nothing.
"""

from __future__ import annotations

import time
from abc import abstractmethod

from nats.aio.msg import Msg

from dccd.bus.connection import Bus
from dccd.bus.direct import StreamState, same_stream
from dccd.bus.incoming import Incoming, StreamMessage, message_of

__all__ = ["PullReader"]

_NS = 1_000_000_000
_EXPIRES = 5
"""Seconds after which the server answers a request that found nothing."""
_HEARTBEAT = 1
"""Seconds after which it says that it still has a request for which there is nothing."""


class PullReader(Incoming):
    """The machinery. A subclass says in ``_prepare`` which consumer is asked, and in ``_accept`` what of it is kept."""

    def __init__(self, bus: Bus, stream: str, capacity: int, max_bytes: int) -> None:
        super().__init__(bus, stream)
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._consumer = ""
        self._pull = self._wanted = 0

    # ---------------------------------------------------------------- for subclasses

    @abstractmethod
    async def _prepare(self, state: StreamState) -> str:
        """Make the consumer ready and return its name; *state* is the stream's, of the same epoch as before."""

    @abstractmethod
    def _accept(self, message: StreamMessage) -> bool:
        """Whether to keep *message*."""

    @abstractmethod
    def _wants_more(self) -> bool:
        """Whether to ask for messages, room or not."""

    @abstractmethod
    async def _before_request(self) -> None:
        """Called before messages are asked for."""

    # ---------------------------------------------------------------- the machinery

    async def _start(self, state: StreamState) -> None:
        """Set it up for the first time: raises what that raises; from then on it comes back by itself."""
        self.epoch = state.epoch
        await self._set_up(state)
        self._begin()

    async def _recover(self) -> None:
        await self._set_up(await same_stream(self._bus, self.stream, self.epoch))

    async def _set_up(self, state: StreamState) -> None:
        await self._unsubscribe()
        self._wanted = 0
        self._consumer = await self._prepare(state)
        await self._listen(".*")
        self._is_set_up()

    def _expects(self) -> bool:
        return self._wanted > 0

    def _taken(self, messages: list[StreamMessage]) -> None:
        if not self._wanted:
            self._wake.set()

    async def _turn(self) -> None:
        if self._wanted:
            return
        room = self._capacity - len(self._buffer)
        if room < self._capacity // 2 or not self._wants_more():
            return
        await self._before_request()
        self._pull += 1
        self._wanted = room
        self._heard_at = time.monotonic()
        body = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d,"max_bytes":%d}' % (
            room,
            _EXPIRES * _NS,
            _HEARTBEAT * _NS,
            max(self._max_bytes, self._bus.max_payload),
        )
        await self._bus.client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._consumer}", body, reply=f"{self._inbox}.{self._pull}"
        )

    async def _deliver(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        delivered = message_of(message)
        if delivered is None:
            self._end_of_request(message)
            return
        found, consumer, _ = delivered
        if consumer != self._consumer:
            return  # of one that was given up
        self._wanted = max(0, self._wanted - 1)
        self._received += 1
        if not self._reset_wanted and self._accept(found):
            self._put(found)
        if not self._wanted:
            self._wake.set()

    def _end_of_request(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None or status == "100" or message.subject != f"{self._inbox}.{self._pull}":
            return
        if status in ("404", "408") or headers.get("Description", "").endswith(("MaxBytes", "Batch Completed")):
            self._wanted = 0  # all that was asked for, or all that fits, or nothing more in time: ask again
        else:
            self._want_reset()  # consumer or stream deleted, JetStream not there: find out
        self._wake.set()
