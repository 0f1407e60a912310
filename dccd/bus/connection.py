"""One connection to NATS, with the settings and the error translation that all of dccd shares.

Subjects and bytes flow in and out; nats-py's exceptions don't leave this package: a server that is away is
:class:`~dccd.errors.BusUnavailable`, missing rights are :class:`~dccd.errors.BusRefused`, and an error reply of a
service is the :class:`~dccd.errors.RequestError` that it was at the other end.

The connection comes back by itself, for ever. It gives up on an error of the protocol only, and when the server doesn't
let us in any more; :meth:`Bus.wait_closed` then returns, which is the crash of the actor that owns it.

What nats-py's errors mean to it is decided in :mod:`dccd.bus.faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import anyio
import nats.errors
import structlog
from nats.aio.client import Server
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from dccd import subjects
from dccd.bus.echo import Echo
from dccd.bus.faults import Forbidden, NotLetIn, TooSlow, Trouble, Untrusted, fault_of
from dccd.bus.login import Login, options
from dccd.bus.presence import Presence
from dccd.bus.refusals import Refusals
from dccd.bus.servers import Servers, pause
from dccd.bus.subscription import Message, Subscription, delivery_to
from dccd.bus.translation import raise_service_error, text_of, translated
from dccd.bus.wire import WireClient
from dccd.errors import BusRefused, BusUnavailable, PayloadTooLarge

__all__ = ["Bus", "Message", "Subscription"]

_PENDING_BYTES = 8 << 20
_INBOXES = (subjects.INBOX, *(f"{subjects.INBOX}.{role}" for role in reversed(subjects.INBOX_ROLES)))
"""Where replies may come to, as dccd's users have it (:mod:`dccd.auth.permissions`): tried in this order."""


class Bus:
    """A connection to a NATS server or cluster. Made by :meth:`open`, closed by :meth:`aclose`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client = WireClient()
        """nats-py's client, for the modules of this package."""
        self._log = structlog.get_logger("dccd.bus").bind(connection=name)
        self._presence = Presence(self._log)
        self._refusals = Refusals()
        self._errors: Counter[str] = Counter()
        self._rejected = asyncio.Event()
        self._rejection = ""
        self._opened = False
        self._ending: asyncio.Task[None] | None = None
        self._attempt = 0
        self._echo = Echo(self.client, self._refusals.of)
        self._js: JetStreamContext | None = None

    # ---------------------------------------------------------------- life

    @classmethod
    async def open(
        cls,
        url: str | Sequence[str],
        name: str,
        *,
        timeout: float = 10.0,
        login: Login | None = None,
    ) -> Bus:
        """Connect to *url* (several, or separated by commas: nodes of one cluster) under *name*, as *login*.

        Raises BusUnavailable when nobody answers within *timeout* seconds, BusRefused at once when the server rejects
        who we are, or we the server's certificate.
        """
        bus = cls(name)
        login = login or Login()
        servers = Servers(url)
        given = options(login, servers.encrypted)
        connecting = asyncio.ensure_future(
            bus.client.connect(
                servers=servers.urls,
                name=name,
                error_cb=bus._on_error,
                disconnected_cb=bus._on_disconnected,
                reconnected_cb=bus._on_reconnected,
                closed_cb=bus._on_closed,
                reconnect_to_server_handler=bus._next_server,
                connect_timeout=2,
                reconnect_time_wait=0.1,  # type: ignore[arg-type]  # its annotation says int, it sleeps
                max_reconnect_attempts=-1,
                ping_interval=5,
                max_outstanding_pings=2,
                pending_size=_PENDING_BYTES,
                flush_timeout=2.0,
                inbox_prefix=login.inbox_prefix or subjects.INBOX,
                **given,
            )
        )
        rejected = asyncio.ensure_future(bus._rejected.wait())
        try:
            await asyncio.wait({connecting, rejected}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                with translated(f"connecting to {servers}"):
                    connecting.result()
            elif rejected.done():
                raise BusRefused(f"{servers}: {bus._rejection}")
            else:
                seen = bus._presence.last_error or "no error seen"
                raise BusUnavailable(f"no NATS server answers at {servers} within {timeout:g} s ({seen})")
            bus._presence.came()
            await bus._find_inbox((login.inbox_prefix,) if login.inbox_prefix else _INBOXES)
            bus._opened = True
        except BaseException:
            with anyio.CancelScope(shield=True):
                connecting.cancel()
                await asyncio.wait({connecting})
                await bus.aclose()
            raise
        finally:
            rejected.cancel()
        return bus

    async def aclose(self, timeout: float = 2.0) -> None:
        """Close the connection: what is written goes out first, within *timeout* seconds. Safe to repeat."""
        self._presence.closing = True
        # The server may go away in the middle of it; closed it is all the same.
        with anyio.move_on_after(timeout / 2, shield=True), contextlib.suppress(nats.errors.Error, OSError):
            await self.barrier(timeout)
        with anyio.move_on_after(timeout / 2, shield=True) as closing, contextlib.suppress(nats.errors.Error, OSError):
            await self.client.end()
        if closing.cancelled_caught:
            self.client.abort()  # it waits to write to a server that doesn't read any more
        self._presence.closed()

    async def _end_refused(self) -> None:
        """Close for good since we aren't let in any more; whoever has other credentials opens another connection."""
        with contextlib.suppress(nats.errors.Error, OSError):
            await self.client.end()
        if not self._presence.over:
            await self._on_closed()

    async def __aenter__(self) -> Bus:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def wait_closed(self) -> str:
        """Wait until the connection is closed for good; return why (``""`` when :meth:`aclose` did it)."""
        return await self._presence.wait_over()

    @property
    def connected(self) -> bool:
        """Whether the server answers, as far as is known (a frozen one is noticed after about 15 s)."""
        # nats-py says so a moment before it has made the subscriptions again: too early for what wants an answer.
        return self._presence.there and self.client.is_connected

    @property
    def closed(self) -> bool:
        """Whether it is closed for good: nothing that was begun over it comes to its end."""
        return self._presence.over

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until connected; raises BusUnavailable after *timeout* seconds or when closed for good."""
        if not self.connected:
            await self._presence.settled(timeout)
        if not self.connected:
            raise BusUnavailable(f"the bus is away ({self._presence.last_error or 'no error seen'})")

    def on_change(self, callback: Callable[[bool], None]) -> Callable[[], None]:
        """Call *callback* with True at each reconnection and False at each loss; returns what ends that.

        It is called with False once more when the connection is closed for good.
        """
        return self._presence.on_change(callback)

    # ---------------------------------------------------------------- messages

    @property
    def inbox_prefix(self) -> str:
        """What the subjects begin with that replies come to."""
        return self.client.inbox_prefix

    @property
    def max_payload(self) -> int:
        """Bytes that the server takes in one message, headers included."""
        return self.client.max_payload

    @property
    def jetstream(self) -> JetStreamContext:
        """nats-py's JetStream context; use it inside :func:`translated`."""
        if self._js is None:
            self._js = self.client.jetstream(timeout=5)
        return self._js

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send without any confirmation. Raises PayloadTooLarge, and BusUnavailable while the bus is away."""
        self._check_size(payload)
        if not self.connected:
            raise BusUnavailable(f"publishing to {subject}: the bus is away")
        with translated(f"publishing to {subject}"):
            await self.client.publish(subject, payload, headers=dict(headers) if headers else None)

    async def request(
        self, subject: str, payload: bytes = b"", timeout: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask *subject* and return the reply's body.

        While the bus is away the request waits for it, and goes out once or not at all. Raises RequestError for an
        error reply, BusUnavailable when nobody serves the subject or no reply comes within *timeout* seconds,
        BusRefused when we may not ask, PayloadTooLarge.
        """
        message = await self.exchange(subject, payload, timeout, headers)
        raise_service_error(message)
        return message.data

    async def exchange(
        self, subject: str, payload: bytes = b"", timeout: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """As :meth:`request`, for this package: returns the message, error reply or not."""
        self._check_size(payload)
        deadline = time.monotonic() + timeout
        await self.wait_connected(timeout)
        with self.refusal(subject) as refused:
            reply = asyncio.ensure_future(
                self.client.request(
                    subject, payload, deadline - time.monotonic(), headers=dict(headers) if headers else None
                )
            )
            try:
                awaited: set[asyncio.Future[Any]] = {reply, refused}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if not reply.done():
                    refused.result()
                with translated(f"asking {subject}"):
                    return reply.result()
            finally:
                reply.cancel()

    def refusal(self, subject: str) -> AbstractContextManager[asyncio.Future[None]]:
        """What is published or subscribed to on *subject* inside the block: the future raises BusRefused when the
        server doesn't allow it.
        """
        return self._refusals.of(subject)

    async def subscribe(
        self,
        subject: str,
        callback: Callable[[Message], Awaitable[None]],
        queue: str = "",
        *,
        pending_messages: int = 65_536,
        pending_bytes: int = 64 << 20,
    ) -> Subscription:
        """Call *callback* with each message on *subject*, one at a time; share them within the group *queue*.

        The server knows the subscription when this returns. It survives reconnects; what is published meanwhile is
        missed. A callback that is slower than its messages loses the newest beyond the limits (counted as
        ``SlowConsumerError`` in :meth:`statistics`); one that raises is logged and goes on. Raises BusRefused when we
        may not.
        """
        with self.refusal(subject) as refused:
            with translated(f"subscribing to {subject}"):
                subscription = await self.client.subscribe(
                    subject,
                    queue,
                    delivery_to(callback, self._log, self._errors),
                    pending_msgs_limit=pending_messages,
                    pending_bytes_limit=pending_bytes,
                )
            await self.barrier()
            if refused.done():
                await Subscription(subscription).unsubscribe()
                refused.result()
        return Subscription(subscription)

    async def messages(self, subject: str, *, limit: int = 65_536) -> AsyncIterator[Message]:
        """Iterate over the messages on *subject*; beyond *limit* unread ones the newest are lost; to be closed."""
        arrived: asyncio.Queue[Message] = asyncio.Queue(limit)

        async def put(message: Message) -> None:
            await arrived.put(message)

        subscription = await self.subscribe(subject, put, pending_messages=limit)
        try:
            while True:
                yield await arrived.get()
        finally:
            with anyio.CancelScope(shield=True):
                await subscription.unsubscribe()

    async def barrier(self, timeout: float = 5.0) -> None:
        """Wait until the server has taken all that was sent before."""
        if self.connected and self._echo.subject:
            with (
                translated("waiting for the server"),
                # It may have been killed at this moment: what was sent is sent again when it is back.
                contextlib.suppress(TimeoutError, nats.errors.NoRespondersError),
            ):
                async with asyncio.timeout(timeout):
                    await self._echo.hear()

    # ---------------------------------------------------------------- for people

    def statistics(self) -> dict[str, Any]:
        """Counters since the connection was opened."""
        stats = self.client.stats
        return {
            "connected": self.connected,
            "server": self.client.connected_url.netloc.rpartition("@")[2] if self.client.connected_url else None,
            "since_s": round(self._presence.seconds, 1),
            "reconnects": stats["reconnects"],
            "in_messages": stats["in_msgs"],
            "in_bytes": stats["in_bytes"],
            "out_messages": stats["out_msgs"],
            "out_bytes": stats["out_bytes"],
            "errors": dict(self._errors),
            "malformed": self.client.malformed,
            "last_error": self._presence.last_error,
        }

    def __repr__(self) -> str:
        return f"<Bus {self.name} {'connected' if self.connected else 'away'}>"

    # ---------------------------------------------------------------- nats-py calls these

    async def _on_error(self, error: Exception) -> None:
        self._errors[type(error).__name__] += 1
        match fault_of(error):
            case Forbidden(kind, subject) as forbidden:
                self._errors["refused"] += 1
                if not self._refusals.tell(forbidden):  # else whoever waits says so
                    self._log.error("the bus refuses", what=kind, subject=subject)
            case NotLetIn(why):
                self._reject(why)
                if self._opened and not self._presence.closing and self._ending is None:
                    # nats-py would go on trying for ever with what was refused.
                    self._ending = asyncio.get_running_loop().create_task(self._end_refused(), name="bus refused")
            case Untrusted(why):
                self._reject(why)
            case TooSlow(subject):
                self._log.warning("a subscriber is too slow: messages dropped", subject=subject)
            case Trouble(text):
                self._presence.last_error = text
                if self.connected:  # else one of many attempts to come back: the loss itself is logged
                    self._log.warning("bus error", error=text)

    def _reject(self, why: str) -> None:
        # What comes after it, as a connection that was reset, says less.
        self._presence.last_error = self._rejection = why
        self._rejected.set()

    async def _on_disconnected(self) -> None:
        self.client.forget_unsent()
        self._echo.lost()
        self._attempt = 0
        self._presence.lost()

    async def _on_reconnected(self) -> None:
        self._presence.back()

    async def _on_closed(self) -> None:
        error = self.client.last_error if self._ending is None else None
        self._presence.ended(text_of(error) if error else "")

    def _next_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """Choose where to reconnect and after how long: at once, then ever later, each in its turn."""
        if self._presence.closing or self._ending is not None:
            raise asyncio.CancelledError  # see WireClient.end
        server = servers[self._attempt % len(servers)]
        wait = pause(self._attempt, random.random())
        self._attempt += 1
        return server, wait

    async def _find_inbox(self, prefixes: Sequence[str]) -> None:
        """Begin inboxes with the first of *prefixes* that we may subscribe to. Raises BusRefused when that is none."""
        for prefix in prefixes:
            self.client.inbox_prefix = prefix
            if await self._echo.start(prefix):
                return
        raise BusRefused(f"no inbox may be used, as {prefixes[-1]}.>: which inbox_prefix has this user?")

    def _check_size(self, payload: bytes) -> None:
        # Headers count too, and a message that only they push over closes the connection for good.
        if len(payload) > self.max_payload - 1024:
            raise PayloadTooLarge(len(payload), self.max_payload - 1024)
