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
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import get_last
from dccd.errors import BusError, BusUnavailable, PayloadTooLarge

__all__ = ["AckCallback", "OverflowCallback", "Publisher"]

OverflowCallback = Callable[[str, int, int, int], None]
"""Subject, number of records dropped, and the times (ns) of the first and the last of them."""
AckCallback = Callable[[str, int], None]
"""Subject of a message that the bus has acknowledged, and the time (ns) of its first record."""

_OVERHEAD = 256
"""What a buffered message costs beside its payload, about, in bytes."""
_HOPELESS = {10054}
"""Error codes of JetStream that trying again doesn't change: larger than the stream's own maximum."""


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct, gc=False):
    """ADR-1's answer to a publish."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


class _Offer(msgspec.Struct, gc=False):
    number: int
    subject: str
    payload: bytes
    count: int
    first_ts: int
    last_ts: int
    offered: float
    covered: str | None = None
    ttl: int | None = None
    first_sent: float = 0.0
    sent: float = 0.0  # 0: to be sent (again)


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
        self._window = window
        self._deadline = deadline
        self._limit = buffer_bytes
        self._on_overflow = on_overflow
        self._on_ack = on_ack
        self._stream = stream
        self._duplicate_window = duplicate_window
        self._log = structlog.get_logger("dccd.bus.publisher").bind(stream=stream)
        self._id = secrets.token_urlsafe(9)
        self._number = 0
        self._queue: deque[_Offer] = deque()
        self._on_way: dict[int, _Offer] = {}
        self._resend = False
        self._bytes = 0
        self._dropped: dict[str, list[int]] | None = None  # not None while it overflows
        self._progress = time.monotonic()
        self._retry_at = 0.0
        self._retry_wait = 0.0
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
        self._acked = self._again = self._duplicates = self._refused = 0
        self._dropped_messages = self._dropped_records = 0

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
        # Where nothing waits there is room for one, however small the buffer: an overflow ends when something has left,
        # so with nothing there it would never end.
        if self._dropped is not None or (self._bytes and self._bytes + size > self._limit):
            self._drop(subject, count, first_ts, last_ts)
            return False
        self._number += 1
        offered = time.monotonic()
        self._queue.append(_Offer(self._number, subject, payload, count, first_ts, last_ts, offered, covered, ttl))
        self._bytes += size + _OVERHEAD
        self._empty.clear()
        if len(self._queue) + len(self._on_way) >= self._window and not self._stalled:
            self._room.clear()
        if self._pumping is None:
            self._pumping = asyncio.get_running_loop().create_task(self._pump(), name=f"publisher {self._stream}")
        elif len(self._on_way) < self._window:
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
        return len(self._queue) + len(self._on_way)

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
        dropped, self._dropped = self._dropped or {}, None
        for offer in [*self._on_way.values(), *self._queue]:
            _add(dropped, offer.subject, offer.count, offer.first_ts, offer.last_ts)
        self._on_way.clear()
        self._queue.clear()
        self._bytes = 0
        self._report(dropped)
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
        oldest = next(iter(self._on_way.values()), None) or (self._queue[0] if self._queue else None)
        return None if oldest is None else oldest.offered

    @property
    def overflowing(self) -> bool:
        """Whether what is offered now is dropped."""
        return self._dropped is not None

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and what waits now."""
        return {
            "offered": self._number,
            "acked": self._acked,
            "published_again": self._again,
            "duplicates": self._duplicates,
            "refused": self._refused,
            "waiting": len(self._queue),
            "on_way": len(self._on_way),
            "window": self._window,
            "buffer_bytes": self._bytes,
            "buffer_limit": self._limit,
            "overflowing": self.overflowing,
            "dropped_messages": self._dropped_messages,
            "dropped_records": self._dropped_records,
        }

    def __repr__(self) -> str:
        return f"<Publisher {self._stream} waiting={len(self._queue)} on_way={len(self._on_way)} acked={self._acked}>"

    # ---------------------------------------------------------------- what doesn't fit

    def _drop(self, subject: str, count: int, first_ts: int, last_ts: int) -> None:
        if self._dropped is None:
            # From now on everything is dropped until half is free, so that each subject has one gap and not many.
            self._dropped = {}
            self._log.error("the buffer is full: dropping what is new", buffer_bytes=self._bytes)
        _add(self._dropped, subject, count, first_ts, last_ts)

    def _report(self, dropped: dict[str, list[int]]) -> None:
        for subject, (messages, count, first_ts, last_ts) in dropped.items():
            self._dropped_messages += messages
            self._dropped_records += count
            self._log.error("records dropped", subject=subject, messages=messages, records=count)
            if self._on_overflow is not None:
                try:
                    self._on_overflow(subject, count, first_ts, last_ts)
                except Exception:
                    self._log.exception("the callback of an overflow failed")

    # ---------------------------------------------------------------- the loop

    @property
    def _stalled(self) -> bool:
        return not self._bus.connected or (bool(self._on_way) and time.monotonic() - self._progress > self._deadline)

    def _connection_changed(self, connected: bool) -> None:
        if connected:
            for offer in self._on_way.values():
                offer.sent = 0.0
            self._resend = bool(self._on_way)
            self._retry_at = 0.0
            self._progress = time.monotonic()
        else:
            self._room.set()
        self._wake.set()

    async def _pump(self) -> None:
        while not self._closed:
            self._wake.clear()
            if self._bus.connected and time.monotonic() >= self._retry_at:
                self._retry_at = 0.0
                try:
                    if self._subscription is None:
                        await self._listen()
                    if self._resend:
                        await self._send_again()
                    while self._queue and len(self._on_way) < self._window and not self._resend:
                        offer = self._queue.popleft()
                        self._on_way[offer.number] = offer
                        offer.first_sent = time.monotonic()
                        await self._send(offer)
                except (nats.errors.Error, BusError, OSError) as exc:
                    # Whatever was not taken now is sent again.
                    self._log.debug("not publishable now", error=str(exc))
                    self._try_later()
                except Exception:
                    # A fault of ours must not end the pump: everything offered after it would wait in silence.
                    self._log.exception("publishing failed; tried again")
                    self._try_later()
            await self._wait()

    async def _wait(self) -> None:
        """Until something is to do; looks for deadlines that have passed while anything is on its way."""
        if not self._on_way and not self._retry_at:
            await self._wake.wait()
            return
        now = time.monotonic()
        wait = self._retry_at - now if self._retry_at > now else self._deadline / 4
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            if self._stalled:
                self._room.set()
            self._look_for_overdue()

    def _look_for_overdue(self) -> None:
        overdue = time.monotonic() - self._deadline
        for offer in self._on_way.values():
            if offer.sent < overdue:
                offer.sent = 0.0
                self._resend = True

    async def _listen(self) -> None:
        self._inbox = subjects.acks(self._bus.inbox_prefix, secrets.token_urlsafe(16))
        self._subscription = await self._bus.client.subscribe(
            f"{self._inbox}.*", cb=self._answered, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def _send(self, offer: _Offer) -> None:
        number = str(offer.number)
        headers = {subjects.MSG_ID: f"{self._id}-{number}"}
        if offer.covered is not None:
            headers[subjects.COVERED] = offer.covered
        if offer.ttl is not None:
            headers[subjects.MSG_TTL] = f"{offer.ttl}s"
        await self._bus.client.publish(offer.subject, offer.payload, reply=f"{self._inbox}.{number}", headers=headers)
        offer.sent = time.monotonic()

    async def _send_again(self) -> None:
        """Publish again, in the order of the offers, all that is on its way and marked."""
        again = [offer for offer in self._on_way.values() if not offer.sent]
        old = time.monotonic() - self._duplicate_window / 2
        for subject in {offer.subject for offer in again if offer.first_sent < old}:
            await self._settle(subject)
        for offer in again:
            if offer.number in self._on_way and not offer.sent:
                self._again += 1
                await self._send(offer)
        self._resend = any(not offer.sent for offer in self._on_way.values())

    async def _settle(self, subject: str) -> None:
        """Find out by the newest message on *subject* which of ours are stored: the server forgets ids in time."""
        newest = await get_last(self._bus, self._stream, subject)
        writer, _, number = (newest.headers.get(subjects.MSG_ID, "") if newest else "").rpartition("-")
        if writer == self._id:
            for offer in [o for o in self._on_way.values() if o.subject == subject and o.number <= int(number)]:
                self._done(offer)

    def _try_later(self) -> None:
        self._retry_wait = min(1.0, self._retry_wait * 2 or 0.05)
        self._retry_at = time.monotonic() + self._retry_wait
        for offer in self._on_way.values():
            if not offer.sent:
                self._resend = True

    # ---------------------------------------------------------------- answers

    async def _answered(self, message: Msg) -> None:
        offer = self._on_way.get(int(message.subject[len(self._inbox) + 1 :]))
        if offer is None:
            return  # the answer to an earlier sending of it has come before
        try:
            ack = msgspec.json.decode(message.data, type=_Ack) if message.data else None
        except msgspec.DecodeError:
            ack = None
        if ack is not None and ack.error is None and (ack.stream != self._stream or not ack.seq):
            return  # not the bus's: the inbox is in each message, for all to see who hear it
        if ack is None or ack.error is not None:
            self._refusal(offer, ack.error if ack else None)
            return
        self._duplicates += ack.duplicate
        self._done(offer)

    def _done(self, offer: _Offer) -> None:
        if self._on_way.pop(offer.number, None) is None:
            return
        self._acked += 1
        if self._on_ack is not None:
            self._on_ack(offer.subject, offer.first_ts)
        self._progress = time.monotonic()
        self._retry_wait = 0.0
        self._forget(offer)

    def _forget(self, offer: _Offer) -> None:
        self._bytes -= len(offer.payload) + _OVERHEAD
        waiting = len(self._queue) + len(self._on_way)
        if waiting < self._window:
            self._room.set()
            if not waiting:
                self._empty.set()
        if self._dropped is not None and not self._closing and self._bytes <= self._limit // 2:
            dropped, self._dropped = self._dropped, None
            self._report(dropped)
        if self._queue or self._resend:
            self._wake.set()

    def _refusal(self, offer: _Offer, error: _Error | None) -> None:
        """The server has not stored it: not there yet (no answer to speak of), or for a reason."""
        self._refused += 1
        if error is not None and error.err_code in _HOPELESS:
            self._log.error("the stream will never take this message", subject=offer.subject, error=error.description)
            self._on_way.pop(offer.number, None)
            self._forget(offer)
            self._report({offer.subject: [1, offer.count, offer.first_ts, offer.last_ts]})
            return
        if not self._resend:
            self._log.warning(
                "the bus does not store messages now; publishing them again until it does",
                error=error.description if error else "no stream answers",
            )
        offer.sent = 0.0
        self._resend = True
        if time.monotonic() >= self._retry_at:
            self._try_later()
        self._wake.set()


def _add(dropped: dict[str, list[int]], subject: str, count: int, first_ts: int, last_ts: int) -> None:
    """Add a message to the totals of its subject: messages, records, first and last time."""
    total = dropped.get(subject)
    if total is None:
        dropped[subject] = [1, count, first_ts, last_ts]
    else:
        total[:] = total[0] + 1, total[1] + count, min(total[2], first_ts), max(total[3], last_ts)
