"""Reading a stream: what an ordered reader and a member of a group have in common.

Messages flow out of :meth:`Incoming.fetch`, in the order in which the server delivers them. No more comes than there is
room for, so a caller that doesn't read holds a bounded number of messages and bytes here.

Whenever the connection was lost, or anything looks odd, the reader is set up again (what that means is the subclass's
business) and listens on a new inbox; what was on its way to the old one is void.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
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
from dccd.bus.consumers import delivery
from dccd.bus.translation import translated
from dccd.errors import BusError, BusRefused, BusUnavailable, StreamReplaced, TicksGone

__all__ = ["Incoming", "StreamMessage", "message_of"]

_LOOK = 1.0
"""Seconds after which it is looked whether anything is overdue, if nothing else happens."""
OVERDUE = 2.5
"""Seconds of silence, where something should have been said, after which it is set up again."""
_CLOSING = 5.0
_PAUSE, _MAX_PAUSE = 0.1, 1.0
"""Seconds until it is tried again to set it up: doubled each time."""


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


def message_of(message: Msg) -> tuple[StreamMessage, str, int] | None:
    """What a consumer delivers: the message, the consumer's name and the message's number there; None of a status."""
    said = delivery(message.reply)
    if said is None:
        return None
    consumer, delivered, seq, number, at, pending = said
    found = StreamMessage(
        int(seq),
        message.subject,
        message.data,
        int(at),
        message.headers.get(subjects.MSG_ID) if message.headers else None,
        int(delivered),
        message.reply,
        int(pending),
    )
    return found, consumer, int(number)


class Incoming(ABC):
    """The machinery. A subclass makes the consumer in ``_set_up``, and puts into ``_buffer`` what ``_deliver`` gets."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self.stream = stream
        self.epoch = ""
        self._bus = bus
        self._log = structlog.get_logger("dccd.bus.incoming").bind(stream=stream)
        self._buffer: deque[StreamMessage] = deque()
        self._inbox = ""
        self._subscription: NatsSubscription | None = None
        self._heard_at = 0.0
        self._reset_wanted = True
        self._pause = 0.0
        self._failure: BusError | None = None
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._pumping: asyncio.Task[None] | None = None
        self._unregister: Callable[[], None] | None = None
        self._received = self._resets = 0

    # ---------------------------------------------------------------- for subclasses

    @abstractmethod
    async def _recover(self) -> None:
        """Set it up again behind what has come. Raises StreamReplaced, TicksGone, BusRefused for good."""

    @abstractmethod
    async def _turn(self) -> None:
        """Do what is due now: ask for more, say that there is room."""

    @abstractmethod
    async def _deliver(self, message: Msg) -> None:
        """Take what comes to the inbox."""

    def _expects(self) -> bool:
        """Whether silence means that something is wrong."""
        return True

    @abstractmethod
    def _taken(self, messages: list[StreamMessage]) -> None:
        """*messages* were handed out."""

    async def _leave(self) -> None:
        """End the subscription, at the end."""
        await self._unsubscribe()

    def _want_reset(self) -> None:
        self._reset_wanted = True
        self._wake.set()

    def _put(self, message: StreamMessage) -> None:
        self._buffer.append(message)
        self._arrived.set()

    async def _listen(self, tail: str = "") -> None:
        """Listen on a new inbox, and its subjects that end with *tail*, instead of the old one."""
        await self._unsubscribe()
        if self._failure is not None:
            raise self._failure  # it was closed while it was set up: nobody would end the subscription
        self._inbox = self._bus.client.new_inbox()
        with translated("subscribing"):
            # No limits: there is room for what comes.
            self._subscription = await self._bus.client.subscribe(
                f"{self._inbox}{tail}", cb=self._deliver, pending_msgs_limit=0, pending_bytes_limit=0
            )

    def _is_set_up(self) -> None:
        self._reset_wanted = False
        self._resets += 1
        self._heard_at = time.monotonic()

    def _begin(self) -> None:
        """It was set up for the first time: from now on it comes back by itself."""
        self._unregister = self._bus.on_change(self._connection_changed)
        self._pumping = asyncio.get_running_loop().create_task(self._pump(), name=f"reader of {self.stream}")

    # ---------------------------------------------------------------- life

    async def aclose(self) -> None:
        """Stop reading. Safe to repeat."""
        if self._unregister is not None:
            self._unregister()
        self._failure = self._failure or BusUnavailable("the reader is closed")
        with anyio.move_on_after(_CLOSING, shield=True):
            if self._pumping is not None:
                # Not cancelled: that could be swallowed inside nats-py. Each of its waits is bounded, if by more.
                self._wake.set()
                await asyncio.wait({self._pumping})
        self._arrived.set()
        with anyio.move_on_after(_CLOSING, shield=True):
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
        self._taken(taken)
        return taken

    def statistics(self) -> dict[str, Any]:
        """Counters since it was opened."""
        return {
            "epoch": self.epoch,
            "received": self._received,
            "buffered": len(self._buffer),
            "resets": self._resets,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream} received={self._received}>"

    # ---------------------------------------------------------------- the loop

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._pause = 0.0
            self._want_reset()
        self._wake.set()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

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
                    async with asyncio.timeout(_LOOK):
                        await self._wake.wait()
        finally:
            closed.cancel()
            self._arrived.set()

    async def _step(self) -> bool:
        """Do what is to be done now; returns whether there is something to wait for then."""
        try:
            if not self._reset_wanted and self._expects() and self._silent:
                # What has come may lie unread in the socket, when this process had no time for it.
                await self._bus.barrier(1.0)
                self._reset_wanted = self._expects() and self._silent
            if self._reset_wanted:
                await self._recover()
                self._pause = 0.0
            await self._turn()
        except (StreamReplaced, TicksGone, BusRefused) as exc:
            self._failure = exc
            return False
        except (BusError, nats.errors.Error) as exc:
            # JetStream isn't up again yet, nobody answers, or the connection went again: try in a moment.
            self._log.debug("not readable now", error=str(exc))
            self._reset_wanted = True
            self._pause = min(_MAX_PAUSE, 2 * self._pause or _PAUSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._wake.wait()
            return False
        except Exception as exc:
            # A fault of ours: fetch() raises it; silence would pass for no messages.
            self._log.exception("the reader failed")
            self._failure = BusError(f"the reader failed: {type(exc).__name__}: {exc}")
            return False
        return not self._reset_wanted

    @property
    def _silent(self) -> bool:
        return time.monotonic() - self._heard_at > OVERDUE
