"""One connection that several streams share: reads of a socket flow in, each stream's line gets its own frames.

It sends for all of them at the pace that the exchange allows, and keeps them apart: who leaves ends its subscription
and nothing else, and who doesn't take what has come holds the others up for some seconds at most.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from websockets.frames import CloseCode

from dccd.errors import MessagesLost, SocketClosed
from dccd.exchanges.base import Exchange, StreamProtocol
from dccd.feeds.line import Line
from dccd.feeds.outbox import Outbox, Window
from dccd.feeds.socket import Socket, connect
from dccd.feeds.switch import Inbox, Switch
from dccd.feeds.timing import Clock

__all__ = ["LAG", "QUEUE_BYTES", "Pace", "Shared"]

_Gone: TypeAlias = "Callable[[Shared, SocketClosed], None]"

QUEUE_BYTES = 512 * 1024
"""What may wait for one stream before the connection isn't read any more."""
LAG = 10
"""Seconds for which it may hold up the others so."""
APART = 300.0
"""Seconds for which a topic that left doesn't come back to the same connection: frames of its old subscription may be
under way, which would pass for the new one's; and a subscription that was dead there gets another chance elsewhere."""
_LINGER = 0.1
"""Seconds before an unsubscription is sent: when all leave, the connection is closed instead."""


class Pace:
    """When the next message may be sent, by one connection or by all that share it, and whose turn that is.

    Without turns, who has just sent might be the first again, and others wait for all that it has to say.
    """

    def __init__(self, messages: float) -> None:
        self.window = Window.evenly(messages)
        self.turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Pace {self.window!r}>"


class Shared:
    """One connection. *gone* is called once, when nobody can join it any more; *messages* is what others share, too."""

    def __init__(self, url: str, exchange: Exchange, clock: Clock, gone: _Gone, messages: Pace | None = None) -> None:
        limits = exchange.connections
        self.url = url
        self._clock = clock
        self._limits = limits
        self._gone = gone
        self._switch = Switch(exchange.router(), QUEUE_BYTES)
        self._pace = messages or Pace(limits.messages)
        self._outbox = Outbox(self._pace.window)
        self._lines: dict[int, Line] = {}
        self._left: dict[str, float] = {}
        self._lanes = itertools.count(1)
        self._ready = asyncio.Event()
        self._socket: Socket | None = None
        self._closed: SocketClosed | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing: asyncio.Task[None] | None = None
        self._held = False
        self._held_until = clock.now()
        self._pinged = float("-inf")
        self._last_frame = clock.now()
        self._cut = 0

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._socket else "opening"
        return f"<Shared {self.url} {state} streams={len(self._lines)}{' held up' if self._held else ''}>"

    def statistics(self) -> dict[str, Any]:
        """Counters: of the socket, of frames that nobody got, of what waits to be sent, of who was cut off."""
        switch, outbox = self._switch, self._outbox
        return {
            "url": self.url,
            "streams": len(self._lines),
            "dropped": switch.dropped,
            "unheard": switch.unheard,
            "unclaimed": switch.unclaimed,
            "stranger": switch.stranger,
            "unsent": len(outbox),
            "sent": outbox.sent,
            "cut_off": self._cut,
            "paused": self._held,
            **({} if self._socket is None else {"socket": self._socket.statistics()}),
        }

    # ------------------------------------------------------------ for the pool

    def open(self, turn: Callable[[], Awaitable[object]]) -> None:
        """Open it, once *turn* has come."""
        self._start("opener", self._open(turn))

    def has_room(self, topic: str) -> bool:
        """Whether a stream of *topic* can join."""
        if self._closed is not None or len(self._lines) >= self._limits.topics or topic in self._switch.topics:
            return False
        return topic not in self._left or self._clock.now() - self._left[topic] > APART

    def seat(self, protocol: StreamProtocol, changed: asyncio.Event) -> Line:
        """A new stream's line; it can't be used before :meth:`ready`."""
        lane = protocol.lane = next(self._lanes)
        line = self._lines[lane] = Line(self, protocol, lane, changed)
        self._left.pop(protocol.topic, None)
        self._switch.add(line.inbox)
        return line

    async def ready(self) -> None:
        """Wait until it is open. Raises SocketClosed."""
        await self._ready.wait()
        if self._closed is not None:
            raise self._closed

    def end(self, closed: SocketClosed) -> None:
        """End it for all; each gets what had come for it before."""
        if self._closed is not None:
            return
        self._closed = closed
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.end(closed)
        self._ready.set()
        self._closing = asyncio.create_task(self._close(), name=f"closing {self.url}")
        self._gone(self, closed)

    async def closing(self) -> None:
        """Wait until it is closed, if it has ended."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def then(self, done: Callable[[], None]) -> None:
        """Call *done* once it is closed; it must have ended."""
        assert self._closing is not None
        self._closing.add_done_callback(lambda _: done())

    @property
    def was_open(self) -> bool:
        """Whether it has ever been open."""
        return self._socket is not None

    # ------------------------------------------------------------ for the lines

    @property
    def last_read(self) -> float:
        """When a byte came last; while we don't read, nobody can be blamed for silence."""
        if self._held or self._socket is None:
            return self._clock.now()
        return max(self._socket.last_read, self._held_until)

    @property
    def spoke_at(self) -> float:
        """When a message really came last, whatever held the reading up since."""
        return self._last_frame

    @property
    def last_frame(self) -> float:
        """When a message came last."""
        return self._clock.now() if self._held else max(self._last_frame, self._held_until)

    def send(self, line: Line, frames: list[str]) -> None:
        """Take frames to send."""
        if self._closed is not None:
            return  # the line says so
        line.unsent += len(frames)
        self._outbox.put(line.lane, frames, urgent=line.spoke)
        if not frames:
            self._switch.listen(line.inbox)
        self._pump()

    def ping(self) -> None:
        """One ping until a byte comes."""
        if self._socket is not None and self._pinged <= self._socket.last_read:
            self._pinged = self._clock.now()
            self._socket.ping()

    def taken(self, inbox: Inbox) -> None:
        """It isn't that one which holds the reading up."""
        if self._held:
            self._switch.taken(inbox)
            self._go_on()

    def leave(self, line: Line, unsubscribe: bool) -> None:
        """*line*'s stream takes no more part."""
        line.end(SocketClosed(CloseCode.NORMAL_CLOSURE, "closed by us"))
        if self._lines.pop(line.lane, None) is None:
            return
        now = self._clock.now()
        self._left = {topic: at for topic, at in self._left.items() if now - at <= APART}
        self._left[line.inbox.topic] = now
        self._switch.remove(line.inbox)
        self._outbox.forget(line.lane)
        self._go_on()
        if not self._lines:
            self.end(SocketClosed(CloseCode.NORMAL_CLOSURE, "closed by us"))
        elif unsubscribe and line.spoke:
            self._outbox.put(line.lane, line.protocol.unsubscribe(), not_before=now + _LINGER)
            self._pump()

    # ------------------------------------------------------------ inner

    async def _open(self, turn: Callable[[], Awaitable[object]]) -> None:
        try:
            await turn()
            self._socket = await connect(self.url, notify=self._arrived, clock=self._clock)
        except SocketClosed as exc:
            self.end(exc)
            return
        except Exception as exc:
            # Nothing else should happen; but whoever waits for it must not wait for ever.
            self.end(SocketClosed(CloseCode.ABNORMAL_CLOSURE, f"{type(exc).__name__}: {exc}"))
            return
        self._last_frame = self._clock.now()
        self._outbox.put(0, self._switch.router.opening(), urgent=True)
        self._ready.set()
        self._pump()
        if self._limits.ping:
            self._start("pings", self._say_hello())
        self._arrived()

    def _arrived(self) -> None:
        """The socket has read something, or has ended."""
        socket = self._socket
        if socket is None or self._closed is not None:
            return
        try:
            reads = socket.take()
            for read in reads:
                self._last_frame = now = socket.last_read
                self._switch.give(read, sum(map(len, read[1])), now)
        except SocketClosed as exc:
            self.end(exc)
        except MessagesLost as exc:
            self.end(SocketClosed(CloseCode.ABNORMAL_CLOSURE, str(exc)))
        except Exception as exc:
            # A router never raises anything else. Should one do so, all know that they have lost something.
            self.end(SocketClosed(CloseCode.ABNORMAL_CLOSURE, f"the router failed: {type(exc).__name__}: {exc}"))
        else:
            if self._switch.full and not self._held:
                self._held = True
                socket.pause()
                self._start("guard", self._guard())

    def _go_on(self) -> None:
        if self._held and not self._switch.full:
            self._held = False
            self._held_until = self._clock.now()
            self._stop("guard")
            if self._socket is not None:
                self._socket.resume()

    async def _guard(self) -> None:
        """Cut off whoever holds the others up."""
        while True:
            for _ in range(LAG):
                # A second at a time: a machine that stands still for a minute is not the stream's fault.
                await self._clock.sleep(1.0)
            full = self._switch.full
            lagging = [line for line in self._lines.values() if line.inbox in full]
            # Where nobody keeps up, it is something that all wait for, as the bus, and it helps nobody.
            if any(not line.inbox.queued for line in self._lines.values()):
                break
        self._tasks.pop("guard", None)
        for line in lagging:
            self._cut += 1
            line.end(SocketClosed(CloseCode.ABNORMAL_CLOSURE, "fell behind the connection that it shares"))
            self.leave(line, unsubscribe=True)

    def _pump(self) -> None:
        """Send what may be sent now; the rest when its turn comes."""
        if self._flush() and "sender" not in self._tasks and len(self._outbox):
            self._start("sender", self._send())

    def _flush(self) -> bool:
        """Whether more can be sent on this connection."""
        socket, outbox, now = self._socket, self._outbox, self._clock.now()
        if socket is None or self._closed is not None:
            return False
        while (found := outbox.take(now)) is not None:
            lane, frame = found
            try:
                socket.send_now(frame)
            except SocketClosed:
                return False  # the socket's end is told to _arrived
            if (line := self._lines.get(lane)) is not None:
                self._switch.listen(line.inbox)
                line.sent()
        return True

    async def _send(self) -> None:
        while len(self._outbox):
            async with self._pace.turn:  # in the order in which they came
                if (wait := self._outbox.wait(self._clock.now())) is not None:
                    await self._clock.sleep(wait)
                if not self._flush():
                    break
        # At once, not when the loop comes to it: what is to be sent from now on needs another one.
        self._tasks.pop("sender", None)

    async def _say_hello(self) -> None:
        """The exchange's own ping."""
        while True:
            await self._clock.sleep(self._limits.ping_every)
            self._outbox.put(0, [self._limits.ping], urgent=True)
            self._pump()

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[name] = asyncio.create_task(work, name=f"{name} of {self.url}")
        task.add_done_callback(lambda done: self._tasks.pop(name) if self._tasks.get(name) is done else None)

    def _stop(self, name: str) -> None:
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()

    async def _close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if self._socket is not None:
            await self._socket.aclose()
        await asyncio.gather(*tasks, return_exceptions=True)
