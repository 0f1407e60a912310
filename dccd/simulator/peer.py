"""One client's WebSocket: bytes flow in, frames flow out, at any rate and with the faults asked for.

Control frames and handshakes are left to `websockets`' sans-I/O protocol. Data frames are encoded here and written
in chunks straight to the transport, since a call a frame would cap the rate at a fraction of what clients take.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from dccd.simulator.faults import (
    FRAME_FAULTS,
    BadChecksum,
    Disconnect,
    Drop,
    Duplicate,
    Malformed,
    RefuseConnection,
    Reorder,
)
from dccd.simulator.venue import Session, Stream
from dccd.simulator.wire import break_frame, encode_frames
from dccd.symbols import NS

if TYPE_CHECKING:
    from dccd.simulator.websocket import Hub

__all__ = ["Peer"]

_CHUNK = 500  # frames encoded at once in benchmark mode
_HIGH_WATER = 256 * 1024
_SLOW_CLIENT = 64 * 1024 * 1024  # bytes not taken, at which a client counts as too slow and is dropped
_PONG_TIMEOUT = 60.0
_CLOSE_TIMEOUT = 5.0
_WITHOUT_CHECKSUM = tuple(kind for kind in FRAME_FAULTS if kind is not BadChecksum)


class Peer(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.session: Session | None = None
        self.transport: asyncio.Transport | None = None
        self.address = ""
        self.sent = self.received = 0
        """Messages, text or binary."""
        self._protocol = ServerProtocol(max_size=1 << 20)
        self._loop = asyncio.get_running_loop()
        self._writable = True
        self._flood_soon: asyncio.Handle | None = None
        self._held: dict[str, str] = {}  # frames that a Reorder holds back, by stream
        self._opened = self._pinged = self._ponged = self._loop.time()
        self._fragments: list[bytes] = []
        self._messages: tuple[int, int] = (0, 0)  # (second, messages of the client in it)
        self._spoke = False

    def __repr__(self) -> str:
        return f"<Peer {self.address} {self._protocol.state.name.lower()} sent={self.sent}>"

    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self.session is not None and self._protocol.state is State.OPEN

    def pairs(self) -> list[tuple[str, str]]:
        """(symbol, data type) of each subscription."""
        if self.session is None:
            return []
        return [(stream.symbol, stream.data_type) for stream in self.session.streams.values()]

    # ------------------------------------------------------------ from the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        host, port = transport.get_extra_info("peername")[:2]
        self.address = f"{host}:{port}"
        self.hub.peers.add(self)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        self._protocol.receive_data(data)
        self._serve()

    def eof_received(self) -> None:
        """The client has ended its side."""
        self._protocol.receive_eof()
        self._serve()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.session = None
        if self._flood_soon is not None:
            self._flood_soon.cancel()
        self.hub.forget(self)

    def pause_writing(self) -> None:
        """The client doesn't take more for now."""
        self._writable = False

    def resume_writing(self) -> None:
        """The client takes more again."""
        self._writable = True
        self._schedule_flood()

    # ------------------------------------------------------------ frames in

    def _serve(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()

    def _handshake(self, request: Request) -> None:
        refusal = self.hub.faults.take(RefuseConnection, self.hub.venue.id)
        session = None if refusal else self.hub.venue.open(request.path, self.hub.clock.now())
        if refusal is not None:
            response = self._protocol.reject(refusal.status, "refused\n")
            if refusal.retry_after is not None:
                response.headers["Retry-After"] = str(math.ceil(refusal.retry_after))
        elif session is None:
            response = self._protocol.reject(404, "not found\n")
        else:
            # What is no WebSocket handshake is answered with an error here too.
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if session is not None and self._protocol.state is State.OPEN:
            self.session = session
            self._flush()
            if not self.hub.silent(self):
                self.write(session.opening())
            self.hub.note()
            self._schedule_flood()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._ponged = self._loop.time()
        self.received += frame.opcode in (Opcode.TEXT, Opcode.BINARY)
        if self._too_many():
            self.close(1008, "Too many requests")
            return
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or self.session is None:
            return
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        text, self._fragments = b"".join(self._fragments).decode(errors="replace"), []
        self._spoke = True
        answers = self.session.receive(text, self.hub.clock.now())
        # A stalled connection takes requests too, and answers none of them.
        if not self.hub.silent(self):
            self.write(answers)
        self.hub.note()
        self._schedule_flood()

    def _too_many(self) -> bool:
        """Whether the client sends more messages a second than the exchange takes."""
        limit = self.hub.venue.message_limit
        if limit is None or not self.hub.venue.config.limits:
            return False
        second, count = self.hub.clock.now() // NS, 1
        if second == self._messages[0]:
            count += self._messages[1]
        self._messages = (second, count)
        return count > limit

    # ------------------------------------------------------------ frames out

    def write(self, frames: list[str]) -> None:
        """Send text frames."""
        if frames and self.transport is not None and self._protocol.state is State.OPEN:
            self.sent += len(frames)
            self.transport.write(encode_frames(frames))

    def deliver(self, stream: Stream, frames: list[str]) -> None:
        """Send frames of *stream*, with whatever faults are at work."""
        if not frames or self.session is None:
            return
        # Wrapped first: a frame that gets lost leaves a hole in the numbers of its connection, too.
        frames = self.session.wrap(stream, frames)
        if self._held or self.hub.faults.has(FRAME_FAULTS):
            frames = self._spoiled(stream, frames)
        self.write(frames)

    def _spoiled(self, stream: Stream, frames: list[str]) -> list[str]:
        faults, venue, out = self.hub.faults, self.hub.venue, list[str]()
        for frame in frames:
            spoilt = venue.spoil(frame)
            kinds = _WITHOUT_CHECKSUM if spoilt is None else FRAME_FAULTS
            fault = faults.take(kinds, venue.id, symbol=stream.symbol, data_type=stream.data_type)
            held = self._held.pop(stream.name, None)
            match fault:
                case Disconnect():
                    self.write(out)
                    self.disconnect(fault)
                    return []
                case Drop():
                    pass
                case Duplicate():
                    out += [frame, frame]
                case Reorder():
                    self._held[stream.name] = frame
                case Malformed():
                    out.append(break_frame(frame, fault.how))
                case BadChecksum():
                    out.append(spoilt or frame)
                case _:
                    out.append(frame)
            if held is not None:
                out.append(held)
        return out

    def _schedule_flood(self) -> None:
        if self.hub.flooding and self._flood_soon is None:
            self._flood_soon = self._loop.call_soon(self._flood)

    def _flood(self) -> None:
        """Benchmark mode: send each stream's next chunk, and go on as long as the client takes them."""
        self._flood_soon = None
        if self.session is None or self.hub.silent(self):
            return
        more = False
        for stream in list(self.session.streams.values()):
            if not self._writable or not self.is_open():
                return
            if frames := stream.take(_CHUNK):
                more = True
                self.deliver(stream, frames)
        if more and self._writable:
            # Through the loop, or nobody else on it would have a turn.
            self._schedule_flood()

    def pump(self, now: int) -> None:
        """Send what is due at *now*."""
        if self.session is None or self._protocol.state is not State.OPEN:
            return
        self._keep_alive()
        silent = self.hub.silent(self)
        sent = False
        for stream in list(self.session.streams.values()):
            frames = stream.due(now)
            if frames and silent:
                # Lost, and numbered nevertheless.
                self.session.wrap(stream, frames)
            elif frames:
                sent = True
                self.deliver(stream, frames)
                if not self.is_open():
                    return
        if not silent:
            self.write(self.session.idle(now, sent))
            # A silence that has ended lets the rest of a benchmark's trades through.
            self._schedule_flood()
        if self.transport is not None and self.transport.get_write_buffer_size() > _SLOW_CLIENT:
            self.hub.slow_clients += 1
            self.transport.abort()

    def _keep_alive(self) -> None:
        """Pings, by the real time: a test's clock that jumps an hour must not end connections."""
        interval, now = self.hub.venue.ping_interval, self._loop.time()
        if now - self._opened > self.hub.venue.lifetime:
            self.close(1001, "connection lifetime exceeded")
        elif self._is_mute(now - self._opened):
            self.close(1008, "nothing was subscribed to in time")
        elif interval is not None and now - self._pinged >= interval:
            if self._ponged >= self._pinged:
                self._pinged = now
                self._protocol.send_ping(str(int(now * 1000)).encode())
                self._flush()
            elif now - self._pinged > _PONG_TIMEOUT:
                self.close(1008, "Pong timeout")

    def _is_mute(self, age: float) -> bool:
        """Whether the client has sent nothing for longer than the exchange waits."""
        within = self.hub.venue.first_message_within
        return within is not None and self.hub.venue.config.limits and not self._spoke and age > within

    # ------------------------------------------------------------ ends

    def disconnect(self, fault: Disconnect) -> None:
        """End the connection as *fault* says."""
        if fault.clean:
            self.close(fault.code, fault.reason)
        elif self.transport is not None:
            self.session = None
            # Without lingering, closing resets the connection.
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake; a client that doesn't answer is dropped after some seconds."""
        if self._protocol.state is State.OPEN and self.transport is not None:
            self._protocol.send_close(code, reason)
            self._flush()
            self._loop.call_later(_CLOSE_TIMEOUT, self.transport.abort)

    def _flush(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.close()
