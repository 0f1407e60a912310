"""One WebSocket to an exchange: a URL flows in, batches of messages flow out.

`websockets`' sans-I/O protocol (through :mod:`dccd.feeds.framing`) inside an ``asyncio.BufferedProtocol``: every
read from the socket is one batch, with the time at which it was read. Nobody taking batches pauses reading, so that
TCP's window holds the exchange back and memory stays bounded. Any end, clean or not, is ``SocketClosed`` to the
reader, after what had been received before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.uri import parse_uri

from dccd.errors import SocketClosed
from dccd.feeds.framing import Framing
from dccd.feeds.network import why
from dccd.feeds.timing import Clock, SystemClock

__all__ = ["Read", "Socket", "connect"]

Read = tuple[int, list[bytes]]
"""What one read from the socket held: when (ns UTC), and the messages that it completed; never none."""

_UNSENT_LIMIT = 1 << 20
"""Bytes that may wait to be sent: a peer that makes us answer and doesn't read is dropped."""


class Socket(asyncio.BufferedProtocol):
    """One open WebSocket; made by :func:`connect`. For one reader.

    *notify* is called, and ``changed`` set, whenever :meth:`take` has something new to say.
    """

    def __init__(
        self,
        url: str,
        *,
        notify: Callable[[], None] | None,
        clock: Clock,
        max_size: int,
        queue_bytes: int,
        compression: bool,
    ) -> None:
        # What exchanges offer of compression costs more CPU than it saves bandwidth, hence off by default.
        extensions = [ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})] if compression else None
        self.url = url
        self.changed = asyncio.Event()
        self._notify = notify or self.changed.set
        self._clock = clock
        self._protocol = ClientProtocol(parse_uri(url), extensions=extensions, max_size=max_size)
        self._framing = Framing(self._protocol)
        self._queue_limit = queue_bytes
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone = asyncio.Event()  # the transport has closed
        self._writable = asyncio.Event()
        self._writable.set()
        self._reads: list[Read] = []
        self._queued = 0  # bytes in _reads
        self._paused = False
        self._closed: SocketClosed | None = None
        self._pauses = 0
        self._bytes = 0
        self.last_read = clock.now()
        """Monotonic time of the last bytes of any kind, pongs included."""

    def __repr__(self) -> str:
        state = "closed" if self._closed else self._protocol.state.name.lower()
        return f"<Socket {self.url} {state} queued={self._queued}{' paused' if self._paused else ''}>"

    def statistics(self) -> dict[str, Any]:
        """Counters: bytes, messages, and how often reading was paused because nobody took them."""
        return {
            "bytes": self._bytes,
            "messages": self._framing.messages,
            "queued_bytes": self._queued,
            "pauses": self._pauses,
            "paused": self._paused,
        }

    # ------------------------------------------------------------ for the reader

    def take(self) -> list[Read]:
        """All that has been read since the last call, without waiting. Raises SocketClosed once it was all taken."""
        if self._reads:
            reads, self._reads, self._queued = self._reads, [], 0
            self.resume()
            return reads
        if self._closed is not None:
            raise self._closed
        return []

    async def receive(self) -> list[bytes]:
        """Wait for messages and return all there are. Raises SocketClosed."""
        while True:
            self.changed.clear()
            if reads := self.take():
                return [message for _, messages in reads for message in messages]
            await self.changed.wait()

    async def send(self, text: str) -> None:
        """Send one text message; waits while the peer doesn't read. Raises SocketClosed."""
        self.send_now(text)
        await self._writable.wait()

    def send_now(self, text: str) -> None:
        """Send one text message without waiting: a peer that reads nothing is dropped. Raises SocketClosed."""
        if self._closed is not None or self._protocol.state is not State.OPEN:
            raise self._closed or SocketClosed(CloseCode.ABNORMAL_CLOSURE, "the socket is closing")
        self._protocol.send_text(text.encode())
        self._flush()

    def pause(self) -> None:
        """Read nothing until :meth:`resume`: whoever takes at once holds the exchange back by this."""
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._pauses += 1
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def ping(self) -> None:
        """Send a ping; the pong shows in ``last_read``. Does nothing on a socket that is closing."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    async def aclose(self, timeout: float = 1.0) -> None:
        """Close, waiting at most *timeout* seconds for the peer's answer; safe to call twice, and when cancelled."""
        try:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
                self._flush()
            self._end(SocketClosed(CloseCode.NORMAL_CLOSURE, "closed by us"))
            # Nobody takes any more: what is queued goes, so that the answer to the close can be read.
            self._reads, self._queued = [], 0
            self.resume()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._gone.wait()
        finally:
            if self._transport is not None:
                self._transport.abort()

    # ------------------------------------------------------------ for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derives from no class of asyncio's
        request = self._protocol.connect()
        request.headers["User-Agent"] = "dccd"
        self._protocol.send_request(request)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop reads to."""
        return self._framing.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Take a read."""
        self._bytes += nbytes
        self.last_read = self._clock.now()
        messages = self._framing.received(nbytes)
        if messages and self._closed is None:
            self._reads.append((self._clock.wall_ns(), messages))
            # Counted by what was read: exact over many reads, and no sum over messages a read.
            self._queued += nbytes
            if self._queued >= self._queue_limit:
                self.pause()
            self._notify()
        protocol = self._protocol
        if protocol.writes:
            self._flush()
        if not self._opened.done():
            self._check_opened()
        elif protocol.state is not State.OPEN and self._closed is None:
            # A close frame, or something that is no WebSocket: there is nothing more to come.
            self._end(self._reason())

    def eof_received(self) -> bool:
        """The peer ended the stream: close our side too."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has closed, whoever did it."""
        self._framing.ended()
        self._gone.set()
        self._writable.set()
        if not self._opened.done():
            self._check_opened()
            if not self._opened.done():
                self._opened.set_exception(
                    SocketClosed(CloseCode.ABNORMAL_CLOSURE, _words(exc) or "no answer to the handshake")
                )
        self._end(self._reason(exc))

    def pause_writing(self) -> None:
        """The peer doesn't read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writable.set()

    # ------------------------------------------------------------ inner

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            self._protocol.data_to_send()
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            else:
                # The protocol's mark for the end of our stream; TLS can't half-close, hence the whole.
                transport.close()
        if transport.get_write_buffer_size() > _UNSENT_LIMIT:
            self._end(SocketClosed(CloseCode.ABNORMAL_CLOSURE, "the peer reads none of our answers"))
            transport.abort()

    def _check_opened(self) -> None:
        if self._protocol.handshake_exc is not None:
            self._opened.set_exception(_refusal(self._protocol.handshake_exc))
        elif self._protocol.state is not State.CONNECTING:
            self._opened.set_result(None)

    def _end(self, closed: SocketClosed) -> None:
        """Note the first reason for which the socket ended; the reader gets it after all messages."""
        if self._closed is None:
            self._closed = closed
            self._notify()

    def _reason(self, exc: Exception | None = None) -> SocketClosed:
        protocol = self._protocol
        if protocol.close_rcvd is not None:
            return SocketClosed(int(protocol.close_rcvd.code), protocol.close_rcvd.reason or "closed by the peer")
        if protocol.close_sent is not None:
            # We failed the connection: the peer broke the protocol.
            closed = SocketClosed(int(protocol.close_sent.code), protocol.close_sent.reason)
            closed.__cause__ = protocol.parser_exc
            return closed
        closed = SocketClosed(CloseCode.ABNORMAL_CLOSURE, _words(exc) or "the connection ended without a close frame")
        closed.__cause__ = exc
        return closed


async def connect(
    url: str,
    *,
    notify: Callable[[], None] | None = None,
    clock: Clock | None = None,
    open_timeout: float = 10.0,
    max_size: int = 16 * 1024 * 1024,
    queue_bytes: int = 512 * 1024,
    compression: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Socket:
    """Open a WebSocket (``ws://`` or ``wss://``) within *open_timeout* seconds.

    *max_size*: bytes of one message at most (a longer one ends the socket with 1009). *queue_bytes*: how much may wait
    for the reader before reading pauses. *notify* is called instead of setting ``changed``.

    Raises SocketClosed when it can't be opened, with the HTTP status as code if the server refused the handshake.
    """
    try:
        uri = parse_uri(url)
    except InvalidURI as exc:
        raise SocketClosed(CloseCode.ABNORMAL_CLOSURE, f"{url!r} is no WebSocket URL") from exc
    made: list[Socket] = []
    loop = asyncio.get_running_loop()
    # Not every loop (uvloop) races address families; where it is done, a dead IPv6 route costs 0.25 s, not all.
    race: dict[str, Any] = {"happy_eyeballs_delay": 0.25} if isinstance(loop, asyncio.BaseEventLoop) else {}

    def factory() -> Socket:
        made.append(
            Socket(
                url,
                notify=notify,
                clock=clock or SystemClock(),
                max_size=max_size,
                queue_bytes=queue_bytes,
                compression=compression,
            )
        )
        return made[-1]

    try:
        async with asyncio.timeout(open_timeout):
            _, socket = await loop.create_connection(
                factory, uri.host, uri.port, ssl=(tls or _tls()) if uri.secure else None, **race
            )
            await socket._opened
    except TimeoutError as exc:
        raise SocketClosed(CloseCode.ABNORMAL_CLOSURE, f"not open within {open_timeout:g} s") from exc
    except OSError as exc:
        told = f"{uri.host} can't be reached: {why(exc) or _words(exc)}"
        raise SocketClosed(CloseCode.ABNORMAL_CLOSURE, told) from exc
    else:
        made.clear()
        return socket
    finally:
        # Whatever didn't become an open socket must not stay behind: an error, a time-out, a cancellation.
        for socket in made:
            if socket._transport is not None:
                socket._transport.abort()
            # Nobody waits for it any more: what it has, or would get, must not be reported as forgotten.
            if not socket._opened.cancel() and not socket._opened.cancelled():
                socket._opened.exception()


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The system's certificates; loading them takes milliseconds, hence once."""
    return ssl.create_default_context()


def _refusal(exc: Exception) -> SocketClosed:
    """What a failed handshake means."""
    code, words, wait = int(CloseCode.ABNORMAL_CLOSURE), _words(exc), None
    if isinstance(exc, InvalidStatus):
        code = exc.response.status_code
        body = bytes(exc.response.body[:200]).decode(errors="replace").strip()
        words = f"HTTP {code} {exc.response.reason_phrase}" + (f": {body}" if body else "")
        wait = _retry_after(exc.response.headers)
    closed = SocketClosed(code, words, wait)
    closed.__cause__ = exc
    return closed


def _retry_after(headers: Headers) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None


def _words(exc: BaseException | None) -> str:
    """An exception in words: some have none but their name."""
    return "" if exc is None else str(exc) or type(exc).__name__
