"""Publishing into a stream so that everything offered arrives once: ticks of the collectors, and events.

Subjects and payloads flow in synchronously, messages of the stream flow out. Each has an id (``Nats-Msg-Id``) and is
published again until the server has acknowledged it; the server drops what it has already. A bounded number is on its
way at a time; :meth:`Publisher.room` is the backpressure that makes a collector pause its socket.

While the bus is away nothing pauses: messages wait in a buffer of bounded size. What doesn't fit is dropped, the newest
first, since old data is the harder one to get again from an exchange, and is reported with its time range, so that it
becomes a known gap. Nothing is ever dropped in silence.

Messages are stored in the order of their offers. The exception is a server that refuses one of a window and takes the
next (a cluster that changes its leader): the refused one comes later.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from dccd import subjects
from dccd.bus.acks import AckError, read_ack
from dccd.bus.connection import Bus
from dccd.bus.direct import get_batch
from dccd.bus.outbox import Dropped, Offer, Outbox
from dccd.errors import BusError, BusUnavailable, PayloadTooLarge

__all__ = ["AckCallback", "OverflowCallback", "Publisher"]

OverflowCallback = Callable[[str, int, int, int], None]
"""Subject, number of records dropped, and the times (ns) of the first and the last of them."""
AckCallback = Callable[[str, int], None]
"""Subject of a message that the bus has acknowledged, and the time (ns) of its first record."""

_LOOKED_UP = 50
"""Messages of the stream that are read at once, to look for some: they may be large."""


class Publisher:
    """Publishes into the stream that captures the subjects; one a process and stream is enough.

    *window*: messages on their way at a time. *deadline*: seconds after which one that isn't acknowledged is published
    again. *buffer_bytes*: what may wait here; a single message always may. *on_overflow* is called once a subject when
    an overflow is over, and at the end for what could not be delivered, *on_ack* for each message that is acknowledged.
    *duplicate_window* (seconds) is the stream's: a message older than half of it is looked up in *stream* before it is
    published again.
    """

    def __init__(
        self,
        bus: Bus,
        window: int = 64,
        deadline: float = 5.0,
        buffer_bytes: int = 64 << 20,
        on_overflow: OverflowCallback | None = None,
        *,
        stream: str = subjects.STREAM_TICKS,
        duplicate_window: float = 120.0,
        on_ack: AckCallback | None = None,
    ) -> None:
        self._bus = bus
        self._outbox = Outbox(window, deadline, buffer_bytes, duplicate_window, time.monotonic())
        self._on_overflow = on_overflow
        self._on_ack = on_ack
        self._stream = stream
        self._log = structlog.get_logger("dccd.bus.publisher").bind(stream=stream)
        self._id = secrets.token_urlsafe(9)
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._inbox = ""
        self._subscription: NatsSubscription | None = None
        self._pumping: asyncio.Task[None] | None = None
        self._closing = False
        self._closed = False
        self._unregister = bus.on_change(self._connection_changed)

    # ---------------------------------------------------------------- for collectors

    def offer(
        self,
        subject: str,
        payload: bytes,
        count: int = 1,
        first_ts: int = 0,
        last_ts: int = 0,
        covered: str | None = None,
        ttl: int | None = None,
    ) -> bool:
        """Take a message of *count* records with times (ns) from *first_ts* to *last_ts*; returns at once, whether
        there was room for it. *covered* becomes its header :data:`dccd.subjects.COVERED`; after *ttl*
        seconds the bus forgets it.

        Raises PayloadTooLarge (a ValueError) for more bytes than the bus takes in one message (:attr:`max_payload`),
        BusUnavailable once the publisher is closed.
        """
        size = len(payload)
        if size > self.max_payload:
            raise PayloadTooLarge(size, self.max_payload)
        if self._closing:
            raise BusUnavailable("the publisher is closed")
        outbox, now = self._outbox, time.monotonic()
        if not outbox.offer(subject, payload, count, first_ts, last_ts, covered, ttl, now):
            if outbox.overflow == 1:
                self._log.error("the buffer is full: dropping what is new", buffer_bytes=outbox.held_bytes)
            return False
        self._empty.clear()
        if outbox.full and not outbox.stalled(now, self._bus.connected):
            self._room.clear()
        if self._pumping is None:
            self._pumping = asyncio.get_running_loop().create_task(self._pump(), name=f"publisher {self._stream}")
        elif outbox.window_open:
            self._wake.set()
        return True

    async def room(self) -> None:
        """Wait until fewer than a window of messages wait here: what a collector does before it reads on.

        Returns at once while the bus is away, or has not acknowledged anything for a deadline: a market doesn't wait.
        """
        if not self._room.is_set():
            await self._room.wait()

    async def drain(self, timeout: float = 10.0) -> int:
        """Wait until all is acknowledged, *timeout* seconds at most; return how many messages are not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        return len(self._outbox)

    async def aclose(self, timeout: float = 5.0) -> int:
        """Drain, stop, and report what is left as overflow; return how many messages that is. Safe to repeat.

        Of those left some may be stored: they had been sent, and the answer was missing.
        """
        if self._closed:
            return 0
        self._closing = True
        with anyio.CancelScope(shield=True):
            left = await self.drain(timeout)
            self._closed = True
            self._unregister()
            self._wake.set()
            self._room.set()
            if self._pumping is not None:
                # Never cancelled: inside nats-py's publish that is swallowed. Each of its waits is bounded.
                with anyio.move_on_after(5):
                    await asyncio.wait({self._pumping})
            if self._subscription is not None:
                with contextlib.suppress(nats.errors.Error):
                    await self._subscription.unsubscribe()
        self._report(self._outbox.end())
        return left

    async def __aenter__(self) -> Publisher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def max_payload(self) -> int:
        """Bytes that one message may have."""
        return self._bus.max_payload - 1024

    @property
    def waiting_since(self) -> float | None:
        """When the oldest message that isn't acknowledged was offered (monotonic seconds), ``None`` when none is."""
        return self._outbox.waiting_since

    @property
    def overflowing(self) -> bool:
        """Whether what is offered now is dropped."""
        return bool(self._outbox.overflow)

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and what waits now."""
        return self._outbox.statistics()

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<Publisher {self._stream} waiting={now['waiting']} on_way={now['on_way']} acked={now['acked']}>"

    # ---------------------------------------------------------------- the loop

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            self._outbox.reconnected(time.monotonic())
        else:
            self._room.set()
        self._wake.set()

    async def _pump(self) -> None:
        while not self._closed:
            self._wake.clear()
            if self._bus.connected and self._outbox.may_send(time.monotonic()):
                try:
                    if self._subscription is None:
                        await self._listen()
                    if self._outbox.resend:
                        await self._send_again()
                    while (offer := self._outbox.next(time.monotonic())) is not None:
                        await self._send(offer)
                except (nats.errors.Error, BusError, OSError) as exc:
                    # Whatever was not taken now is sent again.
                    self._log.debug("not publishable now", error=str(exc))
                    self._outbox.failed(time.monotonic())
                except Exception:
                    # A fault of ours must not end the pump: everything offered after it would wait in silence.
                    self._log.exception("publishing failed; tried again")
                    self._outbox.failed(time.monotonic())
            await self._wait()

    async def _wait(self) -> None:
        """Until something is to do; looks for deadlines that have passed while anything is on its way."""
        wait = self._outbox.wait(time.monotonic())
        if wait is None:
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._wake.wait()
        now = time.monotonic()
        # Also when something woke it: where there is always something to do, nothing else would look.
        if self._outbox.look(now) and self._outbox.stalled(now, self._bus.connected):
            self._room.set()

    async def _listen(self) -> None:
        self._inbox = subjects.acks(self._bus.inbox_prefix, secrets.token_urlsafe(16))
        self._subscription = await self._bus.client.subscribe(
            f"{self._inbox}.*", cb=self._answered, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def _send(self, offer: Offer) -> None:
        number = str(offer.number)
        headers = {subjects.MSG_ID: f"{self._id}-{number}"}
        if offer.covered is not None:
            headers[subjects.COVERED] = offer.covered
        if offer.ttl is not None:
            headers[subjects.MSG_TTL] = f"{offer.ttl}s"
        await self._bus.client.publish(offer.subject, offer.payload, reply=f"{self._inbox}.{number}", headers=headers)
        self._outbox.sent(offer, time.monotonic())

    async def _send_again(self) -> None:
        """Publish again, in the order of the offers, all that is on its way and marked."""
        marked, to_look_up = self._outbox.again(time.monotonic())
        for subject, seq in to_look_up.items():
            await self._settle(subject, seq)
        for offer in marked:
            if self._outbox.take_again(offer):
                await self._send(offer)
        self._outbox.sent_again()

    async def _settle(self, subject: str, seq: int) -> None:
        """Find out which of ours are stored on *subject*, from number *seq* of the stream on: each by its id.

        That a later one is stored says nothing: a server may refuse one of a window and take the next.
        """
        while messages := (await get_batch(self._bus, self._stream, seq, _LOOKED_UP, subject)).messages:
            for message in messages:
                writer, _, number = message.headers.get(subjects.MSG_ID, "").rpartition("-")
                if writer == self._id and number.isdecimal():
                    self._done(int(number), message.seq)
            seq = messages[-1].seq + 1

    # ---------------------------------------------------------------- answers

    async def _answered(self, message: Msg) -> None:
        number = int(message.subject[len(self._inbox) + 1 :])
        offer = self._outbox.get(number)
        if offer is None:
            return  # the answer to an earlier sending of it has come before
        ack = read_ack(message.data, self._stream)
        if ack is None:
            return
        if ack.error is None:
            self._done(number, ack.seq, ack.duplicate)
        elif ack.hopeless:
            self._refused_for_good(offer, ack.error)
        else:
            self._refused(offer, ack.error)

    def _done(self, number: int, seq: int, duplicate: bool = False) -> None:
        offer = self._outbox.acked(number, seq, time.monotonic(), duplicate)
        if offer is None:
            return
        if self._on_ack is not None:
            self._on_ack(offer.subject, offer.first_ts)
        self._left()

    def _refused(self, offer: Offer, error: AckError) -> None:
        """The server has not stored it: not there yet (no answer to speak of), or for a reason."""
        if self._outbox.refused(offer, time.monotonic()):
            self._log.warning(
                "the bus does not store messages now; publishing them again until it does", error=error.description
            )
        self._wake.set()

    def _refused_for_good(self, offer: Offer, error: AckError) -> None:
        self._log.error("the stream will never take this message", subject=offer.subject, error=error.description)
        dropped = self._outbox.refused_for_good(offer)
        self._left()
        self._report(dropped)

    def _left(self) -> None:
        """A message is not here any more."""
        outbox = self._outbox
        if not outbox.full:
            self._room.set()
            if not outbox:
                self._empty.set()
        if outbox.overflow and not self._closing:
            self._report(outbox.end_overflow())
        if outbox.has_work:
            self._wake.set()

    def _report(self, dropped: Mapping[str, Dropped]) -> None:
        for subject, total in dropped.items():
            self._log.error("records dropped", subject=subject, messages=total.messages, records=total.records)
            if self._on_overflow is not None:
                try:
                    self._on_overflow(subject, total.records, total.first_ts, total.last_ts)
                except Exception:
                    self._log.exception("the callback of an overflow failed")
