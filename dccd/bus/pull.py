"""Reading a stream through a pull consumer: what an ordered reader and a member of a group have in common.

Messages flow out of :meth:`PullReader.fetch`, in the order in which the server delivers them. No more is asked for than
there is room, so a caller that doesn't read holds a bounded number of messages and bytes here, and none at the server.

Whenever the connection was lost, or anything looks odd, the reader is set up again (what that means is the subclass's
business) and listens on a new inbox; what was on its way to the old one is void.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import anyio
import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import StreamState, same_stream
from dccd.bus.translation import translated
from dccd.errors import BusError, BusRefused, BusUnavailable, StreamReplaced, TicksGone

__all__ = ["PullReader", "StreamMessage"]

_NS = 1_000_000_000
_EXPIRES = 5
"""Seconds after which the server answers a request that found nothing."""
_HEARTBEAT = 1
"""Seconds after which it says that it still has a request for which there is nothing."""
_OVERDUE = 2.5
"""Seconds of silence after which a request counts as lost: the consumer is gone, or its server."""


class StreamMessage(msgspec.Struct, frozen=True, gc=False):
    """One message of a stream. ``at`` (ns) is when the bus stored it, ``id`` what the publisher calls it.

    ``delivered`` says how often the consumer has handed it out, this time included; ``token`` acknowledges it,
    ``pending`` is how many there were behind it.
    """

    seq: int
    subject: str
    data: bytes
    at: int
    id: str | None = None
    delivered: int = 1
    token: str = ""
    pending: int = 0


class PullReader:
    """The machinery. A subclass says in ``_prepare`` which consumer is asked, and in ``_accept`` what of it is kept."""

    def __init__(self, bus: Bus, stream: str, capacity: int, max_bytes: int) -> None:
        self.stream = stream
        self.epoch = ""
        self._bus = bus
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._log = structlog.get_logger("dccd.bus.pull").bind(stream=stream)
        self._buffer: deque[StreamMessage] = deque()
        self._consumer = ""
        self._inbox = ""
        self._subscription: NatsSubscription | None = None
        self._pull = self._wanted = 0
        self._heard_at = self._ended_at = 0.0  # when anything came, and when all had come that was asked for
        self._reset_wanted = True
        self._failure: BusError | None = None
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._pumping: asyncio.Task[None] | None = None
        self._unregister: Callable[[], None] | None = None
        self._received = self._resets = 0

    # ---------------------------------------------------------------- for subclasses

    async def _prepare(self, state: StreamState) -> str:
        """Make the consumer ready and return its name; *state* is the stream's, of the same epoch as before."""
        raise NotImplementedError

    def _accept(self, message: StreamMessage, number: int) -> bool:
        """Whether to keep *message*, which is the consumer's *number*-th."""
        raise NotImplementedError

    def _wants_more(self) -> bool:
        """Whether to ask for messages, room or not."""
        return True

    async def _leave(self) -> None:
        """End the subscription, at the end."""
        await self._unsubscribe()

    async def _before_request(self) -> None:
        """Called before messages are asked for."""

    def _idle(self) -> None:
        """Called when a request has ended since there is nothing more."""

    def _want_reset(self) -> None:
        self._reset_wanted = True
        self._wake.set()

    # ---------------------------------------------------------------- life

    async def _start(self, state: StreamState) -> None:
        """Set it up for the first time: raises what that raises; from then on it comes back by itself."""
        self.epoch = state.epoch
        await self._set_up(state)
        self._unregister = self._bus.on_change(self._connection_changed)
        self._pumping = asyncio.get_running_loop().create_task(self._pump(), name=f"reader of {self.stream}")

    async def aclose(self) -> None:
        """Stop reading. Safe to repeat."""
        if self._unregister is not None:
            self._unregister()
        self._failure = self._failure or BusUnavailable("the reader is closed")
        with anyio.move_on_after(5, shield=True):
            if self._pumping is not None:
                # Not cancelled: that could be swallowed inside nats-py. Each of its waits is bounded.
                self._wake.set()
                await asyncio.wait({self._pumping})
            self._arrived.set()
            await self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def fetch(self, limit: int = 500, wait: float | None = 1.0) -> list[StreamMessage]:
        """Return up to *limit* messages, as soon as there are any; ``[]`` after *wait* seconds (None: never).

        While the bus is away nothing comes. Raises StreamReplaced, TicksGone, BusRefused, BusUnavailable when it is
        closed or the connection is for good: each once what was read before is handed out.
        """
        if not self._buffer:
            deadline = None if wait is None else time.monotonic() + wait
            while not self._buffer:
                if self._failure is not None:
                    raise self._failure
                self._arrived.clear()
                try:
                    async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                        await self._arrived.wait()
                except TimeoutError:
                    return []
        if len(self._buffer) <= limit:
            taken = list(self._buffer)
            self._buffer.clear()
        else:
            taken = [self._buffer.popleft() for _ in range(limit)]
        if not self._wanted:
            self._wake.set()
        return taken

    def statistics(self) -> dict[str, Any]:
        """Counters since it was opened."""
        return {
            "consumer": self._consumer,
            "epoch": self.epoch,
            "received": self._received,
            "buffered": len(self._buffer),
            "resets": self._resets,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream} {self._consumer} received={self._received}>"

    # ---------------------------------------------------------------- the loop

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._want_reset()
        self._wake.set()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _set_up(self, state: StreamState) -> None:
        await self._unsubscribe()
        self._wanted = 0
        self._consumer = await self._prepare(state)
        self._inbox = self._bus.client.new_inbox()
        with translated("subscribing"):
            # No limits: what comes was asked for, and there was room for it.
            self._subscription = await self._bus.client.subscribe(
                f"{self._inbox}.*", cb=self._deliver, pending_msgs_limit=0, pending_bytes_limit=0
            )
        self._reset_wanted = False
        self._resets += 1

    async def _recover(self) -> None:
        await self._set_up(await same_stream(self._bus, self.stream, self.epoch))

    async def _pump(self) -> None:
        closed = asyncio.ensure_future(self._bus.wait_closed())
        closed.add_done_callback(lambda _: self._wake.set())
        try:
            while self._failure is None:
                self._wake.clear()
                if closed.done():
                    self._failure = BusUnavailable(f"the connection is closed: {closed.result() or 'by its owner'}")
                    break
                if self._bus.connected and not await self._step():
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT):
                        await self._wake.wait()
        finally:
            closed.cancel()
            self._arrived.set()

    async def _step(self) -> bool:
        """Do what is to be done now; returns whether there is something to wait for then."""
        try:
            if self._reset_wanted:
                await self._recover()
            elif self._wanted and time.monotonic() - self._heard_at > _OVERDUE:
                self._reset_wanted = True
                return False
            if not self._wanted:
                await self._request_more()
        except (StreamReplaced, TicksGone, BusRefused) as exc:
            self._failure = exc
            return False
        except (BusError, nats.errors.Error) as exc:
            # JetStream isn't up again yet, or the connection went again: try in a moment.
            self._log.debug("not readable now", error=str(exc))
            self._reset_wanted = True
            await asyncio.sleep(0.1)
            return False
        except Exception as exc:
            # A fault of ours: fetch() raises it; silence would pass for no messages.
            self._log.exception("the reader failed")
            self._failure = BusError(f"the reader failed: {type(exc).__name__}: {exc}")
            return False
        return not self._reset_wanted

    async def _request_more(self) -> None:
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
        reply = message.reply
        self._heard_at = time.monotonic()
        if not reply.startswith("$JS.ACK."):
            self._end_of_request(message)
            return
        # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, and with two more tokens
        # in front (domain, account) from some servers: count from the end of what both have.
        tokens = reply.split(".")
        first = 4 if len(tokens) < 11 else 6
        if tokens[first - 1] != self._consumer:
            return  # of one that was given up
        self._wanted = max(0, self._wanted - 1)
        self._received += 1
        found = StreamMessage(
            int(tokens[first + 1]),
            message.subject,
            message.data,
            int(tokens[first + 3]),
            message.headers.get(subjects.MSG_ID) if message.headers else None,
            int(tokens[first]),
            reply,
            int(tokens[first + 4]),
        )
        if not self._reset_wanted and self._accept(found, int(tokens[first + 2])):
            self._buffer.append(found)
            self._arrived.set()
        if not self._wanted:
            self._ended_at = time.monotonic()
            self._wake.set()

    def _end_of_request(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status")
        if status is None or status == "100" or message.subject != f"{self._inbox}.{self._pull}":
            return
        if status in ("404", "408") or headers.get("Description", "").endswith(("MaxBytes", "Batch Completed")):
            self._wanted = 0  # all that was asked for, or all that fits, or nothing more in time: ask again
            self._ended_at = time.monotonic()
            if status in ("404", "408"):
                self._idle()
        else:
            self._want_reset()  # consumer or stream deleted, JetStream not there: find out
        self._wake.set()
