"""WebSocket framing of one client connection, without I/O: bytes of the socket flow in, messages flow out.

`websockets`' sans-I/O protocol does the handshake, control frames, fragments, compression and every error. The one
kind of frame that market data consists of (unmasked, unfragmented, uncompressed text) is cut out here, since the
protocol's generators cost some 4 µs a frame, which is more than decoding and publishing it; ``ops/bench/frames.py``
shows the ratio, and a property test holds that both ways give the same messages and answers.

Frames: RFC 6455, 5.2. Text is not checked for UTF-8 here: the JSON decoder does that.
"""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State

__all__ = ["CAPACITY", "Framing"]

CAPACITY = 256 * 1024
"""Bytes read from the socket at once, at most."""

_FIRST_CAPACITY = 16 * 1024
_FINAL_TEXT = 0x81  # FIN, no reserved bit, opcode 1
_MASKED = 0x80
_HEADERS_END = b"\r\n\r\n"


class Framing:
    """Cuts what is read from a server into messages.

    The caller reads into :meth:`room` and then calls :meth:`received`; what is to be sent afterwards (pongs, the
    answer to a close) is in ``protocol.data_to_send()``. Memory: a read buffer that starts small and grows to
    ``CAPACITY``; a longer frame is collected by the protocol, up to its ``max_size``.
    """

    def __init__(self, protocol: ClientProtocol) -> None:
        self.protocol = protocol
        self.response: Response | None = None
        """The server's answer to the handshake."""
        self.messages = 0
        """Messages received so far."""
        limit = protocol.max_message_size
        self._limit = limit if limit is not None else 1 << 62
        self._buffer = memoryview(bytearray(_FIRST_CAPACITY))
        self._end = 0  # what of the buffer is filled
        self._need = 0  # length of the frame that the buffer begins with, once known: no use to look before
        self._owed = 0  # bytes of a long frame that the protocol still has to get
        self._fragments: list[bytes] = []
        self._handshake = True  # no frame can come yet
        self._headers_in = False
        self._over = False  # nothing that comes from now on counts: a close frame came, or an error

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._buffer[self._end :]

    def received(self, count: int) -> list[bytes]:
        """Take the *count* bytes that were put into :meth:`room`; returns the messages they complete."""
        end = self._end + count
        if end < self._need:
            self._end = end
            return []
        data = bytes(self._buffer[:end])
        out: list[bytes] = []
        pos = self._open(data) if self._handshake else 0
        if not self._handshake:
            pos = self._cut(data, pos, out)
        rest = end - pos
        # A read that filled the buffer means that more is waiting: take more at once from now on.
        wanted = max(self._need, 2 * end if end == len(self._buffer) else 0)
        if wanted > len(self._buffer) < CAPACITY:
            self._buffer = memoryview(bytearray(min(CAPACITY, 1 << (wanted - 1).bit_length())))
        self._buffer[:rest] = data[pos:]
        self._end = rest
        self.messages += len(out)
        return out

    def _cut(self, data: bytes, pos: int, out: list[bytes]) -> int:
        """Append the messages in *data* from *pos* on; return where the first incomplete frame begins."""
        end = len(data)
        self._need = 0
        if self._over:
            return end
        if self._owed:
            taken = min(self._owed, end - pos)
            self._owed -= taken
            if self._hand_over(data[pos : pos + taken], out):
                return end
            pos += taken
        whole = self.protocol.current_size is None
        limit, append = self._limit, out.append
        while end - pos >= 2:
            size = data[pos + 1]
            start = pos + 2
            if size >= 126:
                start = pos + (4 if size == 126 else 10)
                if size >= _MASKED:
                    # A server must not mask: whatever follows, the protocol fails the connection.
                    self._hand_over(data[pos:], out)
                    return end
                if start > end:
                    break
                size = int.from_bytes(data[pos + 2 : start])
            stop = start + size
            if stop <= end and whole and size <= limit and data[pos] == _FINAL_TEXT:
                append(data[start:stop])
                pos = stop
                continue
            if size > limit or stop - pos > CAPACITY:
                # Too long: the protocol says so. Long: it collects it, and is owed the rest.
                self._owed = max(0, stop - end)
                over = self._hand_over(data[pos : min(stop, end)], out)
                return end if over else min(stop, end)
            if stop > end:
                self._need = stop - pos
                break
            if self._hand_over(data[pos:stop], out):
                return end
            whole = self.protocol.current_size is None
            pos = stop
        return pos

    def _open(self, data: bytes) -> int:
        """Hand the response to the handshake to the protocol; return where the frames begin."""
        stop = len(data)
        if not self._headers_in:
            found = data.find(_HEADERS_END)
            if found < 0 and stop < CAPACITY:
                return 0
            # Headers that don't end within a whole buffer are the protocol's to refuse.
            self._headers_in = True
            if found >= 0:
                stop = found + len(_HEADERS_END)
        self._hand_over(data[:stop], [])
        self._handshake = self.protocol.state is State.CONNECTING
        if self._handshake and stop < len(data):
            # No upgrade: what follows is the body of a refusal.
            self._hand_over(data[stop:], [])
            stop = len(data)
        return stop

    def ended(self) -> None:
        """Take the end of the stream; what was cut short by it is the protocol's to judge."""
        if self._end and not self._over:
            self._hand_over(bytes(self._buffer[: self._end]), [])
            self._end = 0
        self.protocol.receive_eof()
        self._collect([])

    def _hand_over(self, data: bytes, out: list[bytes]) -> bool:
        """Let the protocol take *data*: whole frames, or what there is of one that is too long for the buffer.

        Returns whether it is over: a close frame came, or an error.
        """
        self.protocol.receive_data(data)
        self._collect(out)
        return self._over

    def _collect(self, out: list[bytes]) -> None:
        """Append the messages that the protocol has made of what it was given."""
        protocol = self.protocol
        for event in protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if event.fin and not self._fragments:
                    out.append(bytes(event.data))
                else:
                    self._fragments.append(bytes(event.data))
                    if event.fin:
                        out.append(b"".join(self._fragments))
                        self._fragments.clear()
        if protocol.close_rcvd is not None or protocol.parser_exc is not None:
            self._over = True
