"""Messages to one receiver that takes its time, and loses none: both ends.

Messages flow in at the sender and out at the receiver, each with its number, from 1 on, in the header ``Dccd-Number``.

* The receiver publishes to the sender's flow subject the number of the last message that it is done with: ``0`` says
  that it is there. At most a window of messages is on the way.
* ``17 again`` asks for all after message 17 once more: a connection was lost, or one is missing. What comes twice, or
  out of its turn, the receiver leaves out.
* When its own connection was lost, the sender publishes again by itself what wasn't acknowledged.

Without a flow subject messages go out as they are given, and what a connection loses is lost; the numbers tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping

import anyio
import msgspec
import nats.errors

from dccd import subjects
from dccd.bus.connection import Bus, Message, Subscription
from dccd.errors import BusError, BusUnavailable

__all__ = ["CreditReceiver", "CreditSender", "heard_by_anybody"]

WINDOW_BYTES = 4 << 20
WINDOW_MESSAGES = 1024
_ACK_MESSAGES = WINDOW_MESSAGES // 16
_ACK_BYTES = WINDOW_BYTES // 16
"""Acknowledged is now and then: a window is never full of what is done with."""
_ACK = re.compile(rb"(\d{1,18})( again)?")
_ASK_SECONDS = 1.0
_HEARD_SECONDS = 5.0


class _Sent(msgspec.Struct, frozen=True):
    number: int
    subject: str
    payload: bytes
    headers: dict[str, str]


class CreditSender:
    """Publishes numbered messages; at most a window of them is unacknowledged, and kept, on the subject *flow*.

    *changed* is called when there is room again, when the receiver is heard and when the connection is back.
    """

    def __init__(self, bus: Bus, flow: str | None, changed: Callable[[], object]) -> None:
        self._bus, self.flow, self._changed = bus, flow, changed
        self.number = 0
        """Of the last message."""
        self.acked = 0
        self.heard = False
        """Whether a receiver has said anything."""
        self.sent_again = 0
        self._on_way: deque[_Sent] = deque()
        self._bytes = 0
        self._turn = asyncio.Lock()  # what is sent again and what is new keep their order
        self._subscription: Subscription | None = None
        self._forget: Callable[[], None] | None = None
        self._resending: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<CreditSender number={self.number} acked={self.acked}>"

    async def start(self) -> None:
        """Listen to the receiver. Raises BusError."""
        self._forget = self._bus.on_change(self._connection)
        if self.flow is not None:
            self._subscription = await self._bus.subscribe(self.flow, self._said)

    async def stop(self) -> None:
        """Stop listening. Safe to repeat."""
        if self._forget is not None:
            self._forget()
        for task in self._resending:
            task.cancel()
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    @property
    def room(self) -> bool:
        """Whether a message may be sent now."""
        if not self._bus.connected:
            return False
        return self.flow is None or (self._bytes < WINDOW_BYTES and len(self._on_way) < WINDOW_MESSAGES)

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way that it knows of."""
        return not self._on_way

    async def send(self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Publish with the next number, which is returned; ask for ``room`` before.

        With flow control it may be called while the bus is away: it goes out when that is back. Else it raises
        BusUnavailable, and the number isn't used. Raises PayloadTooLarge.
        """
        async with self._turn:
            number = self.number + 1
            message = _Sent(number, subject, payload, {**(headers or {}), subjects.NUMBER: str(number)})
            try:
                await self._bus.publish(subject, payload, message.headers)
            except BusUnavailable:
                if self.flow is None:
                    raise
            self.number = number
            if self.flow is not None:
                self._on_way.append(message)
                self._bytes += len(payload)
            return number

    async def _said(self, message: Message) -> None:
        match = _ACK.fullmatch(message.data)
        if match is None:
            return  # whoever knows the subject may publish there: what is none is nothing
        self.heard = True
        acked = min(int(match[1]), self.number)
        while self._on_way and self._on_way[0].number <= acked:
            self._bytes -= len(self._on_way.popleft().payload)
        self.acked = max(self.acked, acked)
        if match[2]:
            self._resend()
        self._changed()

    def _connection(self, connected: bool) -> None:
        if connected:
            self._resend()
            self._changed()

    def _resend(self) -> None:
        if self._on_way and not self._resending:
            task = asyncio.get_running_loop().create_task(self._send_again(), name=f"resend {self.flow}")
            self._resending.add(task)
            task.add_done_callback(self._resending.discard)

    async def _send_again(self) -> None:
        async with self._turn:
            for message in list(self._on_way):
                if message.number > self.acked:
                    self.sent_again += 1
                    with contextlib.suppress(BusError):  # away again: another time, then
                        await self._bus.publish(message.subject, message.payload, message.headers)


class CreditReceiver:
    """Takes the messages on *subject* in order, each once, and says on *flow* when it is done with them."""

    def __init__(self, bus: Bus, subject: str, flow: str | None = None) -> None:
        self._bus, self._subject, self.flow = bus, subject, flow
        self.number = 0
        """Of the last message that was handed out."""
        self.again = 0
        """How often it had to ask for messages once more."""
        self._came = 0
        self._arrived: deque[tuple[int, Message]] = deque()
        self._news = asyncio.Event()
        self._acked, self._bytes = 0, 0
        self._asked_at = 0.0
        self._subscription: Subscription | None = None
        self._exit = contextlib.ExitStack()

    def __repr__(self) -> str:
        return f"<CreditReceiver {self._subject} number={self.number}>"

    async def open(self) -> None:
        """Subscribe. Raises BusError."""
        self._subscription = await self._bus.subscribe(self._subject, self._take)
        self._exit.callback(self._bus.on_change(self._connection))
        closed = asyncio.ensure_future(self._bus.wait_closed())
        closed.add_done_callback(lambda _: self._news.set())
        self._exit.callback(closed.cancel)
        self._closed = closed

    async def begin(self, flow: str | None) -> None:
        """Say on *flow* that it is there, and from now on how far it is."""
        self.flow = flow
        await self._say(b"%d" % self._came)

    async def compare(self, number: int, acked: int | None) -> None:
        """Ask again for what hasn't come, and acknowledge again what has, where the sender says that it has sent
        message *number* and knows of *acked*: between two servers of a cluster messages are lost without a sign."""
        if self.flow is None:
            return
        if number > self._came:
            await self._ask_again()
        elif acked is not None and acked < self._acked:
            await self._say(b"%d" % self._acked)

    async def aclose(self) -> None:
        """Unsubscribe. Safe to repeat."""
        self._exit.close()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with anyio.CancelScope(shield=True):
                await subscription.unsubscribe()

    async def messages(self, quiet: float) -> AsyncGenerator[Message | None, None]:
        """Yield each message; None when nothing has come for *quiet* seconds. Ends when the connection is closed by us.

        A message is done with when the next one is asked for. Raises BusError when the server closes the connection.
        """
        while True:
            while self._arrived:
                self.number, message = self._arrived.popleft()
                yield message
                self._bytes += len(message.data)
                if self.number - self._acked >= _ACK_MESSAGES or self._bytes >= _ACK_BYTES:
                    await self._ack()
            if self._closed.done():
                if not self._closed.cancelled() and (why := self._closed.result()):
                    raise BusError(f"the bus closed the connection: {why}")
                return
            self._news.clear()
            try:
                async with asyncio.timeout(quiet):
                    await self._news.wait()
            except TimeoutError:
                yield None

    async def _ack(self) -> None:
        self._acked, self._bytes = self.number, 0
        await self._say(b"%d" % self.number)

    async def _say(self, what: bytes) -> None:
        if self.flow is not None:
            with contextlib.suppress(BusUnavailable):  # said again when it is back
                await self._bus.publish(self.flow, what)

    async def _take(self, message: Message) -> None:
        text = (message.headers or {}).get(subjects.NUMBER, "")
        if not text.isdigit():
            self._put(self._came, message)  # a sign of life
            return
        number = int(text)
        if self.flow is None or number == self._came + 1:
            self._came = number
            self._put(number, message)
        elif number > self._came:
            await self._ask_again()
        elif number == self._came:
            await self._say(b"%d" % self._acked)  # our acknowledgement was lost

    def _put(self, number: int, message: Message) -> None:
        self._arrived.append((number, message))
        self._news.set()

    async def _ask_again(self) -> None:
        """Once for all that come after a missing one, and again when that hasn't helped."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at > _ASK_SECONDS:
            self._asked_at = now
            self.again += 1
            await self._say(b"%d again" % self._came)

    def _connection(self, connected: bool) -> None:
        if connected and self.flow is not None:
            task = asyncio.get_running_loop().create_task(self._ask_after_loss())
            self._exit.callback(task.cancel)

    async def _ask_after_loss(self) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        self.again += 1
        await self._say(b"%d again" % self._came)


async def heard_by_anybody(bus: Bus, subject: str, payload: bytes, headers: Mapping[str, str] | None = None) -> bool:
    """Publish to *subject*, and return whether anybody subscribes to it; False while the bus is away or doesn't answer.

    The server tells the sender of a request when there is nobody; who is there need not answer. What we send to
    ourselves after it comes behind that word, however busy the server is.
    """
    if not bus.connected:
        return False
    inbox = bus.client.new_inbox()
    try:
        told = await bus.client.subscribe(inbox)
        try:
            await bus.client.publish(subject, payload, inbox, dict(headers) if headers else None)
            await bus.client.publish(inbox)
            first = await told.next_msg(_HEARD_SECONDS)
        finally:
            await told.unsubscribe()
    except (TimeoutError, nats.errors.Error):
        return False
    return (first.headers or {}).get("Status") != "503"
