"""A Binance trade stream on loopback that costs next to nothing: what feeds every contender the same frames.

``/ws/btcusdt@aggTrade``, ``/stream?streams=a@aggTrade/b@aggTrade`` and SUBSCRIBE requests flow in; aggregate trades
flow out, ``--rows`` of each symbol, then silence: as fast as the client reads, or ``--rate`` a second and symbol, and
then a trade's quantity is the moment it was sent (:func:`sent_at`). All ``--streams`` start together, when the last of
them is subscribed to. Ids of a symbol are consecutive; times are the clock's with ``--rate``, else they count up from
``--day``, ten trades a millisecond.

Two lines of JSON are printed: the port, then, when the first trade goes out, the time of the monotonic clock.

(dccd's own simulator speaks much more of the exchange, and takes more of the processor for it: with two cores it
would be what is measured.)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

FIRST_ID = 3_000_000_000
BURST = 256
"""Frames written at a time."""
_SHIFT = 100_000_000
"""Added to the clock, so that every stamp is of the same width."""


def stamp() -> str:
    """Now, as a quantity: seconds of the monotonic clock, which all processes of a machine share."""
    return f"{_SHIFT + time.monotonic():.8f}"


def sent_at(quantity: float) -> float:
    """The moment that a quantity made by :func:`stamp` tells; a float holds it to 15 ns."""
    return quantity - _SHIFT


def header(size: int) -> bytes:
    """The head of an unfragmented, unmasked text frame (RFC 6455, 5.2)."""
    return bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2)


class Stream:
    """One symbol's frames on one connection. Every number is of fixed width, so heads can be made beforehand."""

    def __init__(self, name: str, wrapped: bool, options: argparse.Namespace) -> None:
        self.next, self.left, self.day = FIRST_ID, options.rows, options.day
        self.stamped = bool(options.rate)
        symbol = name.partition("@")[0].upper()
        dice = random.Random(symbol)
        price = 61_000.0
        self.templates = []
        for _ in range(1000):
            price += dice.gauss(0, 3)
            body = (
                f'{{"e":"aggTrade","E":%d,"s":"{symbol}","a":%d,"p":"{price:.8f}","q":"%s","f":%d,"l":%d,"T":%d,'
                f'"m":{"true" if dice.random() < 0.5 else "false"},"M":true}}'
            )
            if wrapped:
                body = f'{{"stream":"{name}","data":{body}}}'
            quantity = stamp() if self.stamped else f"{dice.uniform(0.0001, 9):.8f}"
            filled = body % (self.day, FIRST_ID, quantity, FIRST_ID, FIRST_ID, self.day)
            self.templates.append((header(len(filled)) + body.encode(), quantity.encode()))

    def frames(self, count: int) -> bytes:
        """Up to *count* further frames."""
        count = min(count, self.left)
        first, templates, day = self.next, self.templates, self.day
        now = time.time_ns() // 1_000_000
        self.next += count
        self.left -= count
        parts = []
        for i in range(first, first + count):
            template, quantity = templates[i % 1000]
            if self.stamped:
                quantity = stamp().encode()
            ms = now if self.stamped else day + (i - FIRST_ID) // 10
            parts.append(template % (ms, i, quantity, i, i, ms))
        return b"".join(parts)


def tell(**values: object) -> None:
    """Print a line for the benchmark that started this process."""
    print(json.dumps(values), flush=True)


class Connection(asyncio.Protocol):
    """One client: the handshake and control frames by websockets, the trades straight to the transport."""

    subscribed = 0
    begun = asyncio.Event()

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.protocol = ServerProtocol()
        self.streams: list[Stream] = []
        self.wrapped = False
        self.writable = asyncio.Event()
        self.writable.set()
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=512 * 1024)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.protocol.send_response(self.protocol.accept(event))
                self.flush()
                self.open(event.path)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.subscribe(json.loads(bytes(event.data)))
        self.flush()
        if self.protocol.close_expected():
            self.transport.close()

    def eof_received(self) -> None:
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.task:
            self.task.cancel()

    def flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)

    def open(self, path: str) -> None:
        """Start the streams that the path names."""
        url = urlsplit(path)
        if url.path == "/stream":
            names = [name for value in parse_qs(url.query).get("streams", []) for name in value.split("/")]
        else:
            names = url.path.split("/")[2:]
        self.wrapped = url.path == "/stream"
        self.add(names)

    def subscribe(self, request: dict[str, object]) -> None:
        """Answer a SUBSCRIBE request and start what it asks for."""
        self.protocol.send_text(json.dumps({"result": None, "id": request.get("id")}).encode())
        self.flush()
        if request.get("method") == "SUBSCRIBE" and isinstance(names := request.get("params"), list):
            self.add(names)

    def add(self, names: list[str]) -> None:
        fresh = [name for name in names if re.fullmatch(r"[a-z0-9]+@aggTrade", name)]
        self.streams += [Stream(name, self.wrapped, self.options) for name in fresh]
        Connection.subscribed += len(fresh)
        if Connection.subscribed >= self.options.streams and not Connection.begun.is_set():
            Connection.begun.set()
            tell(began=time.monotonic())
        if self.streams and self.task is None:
            self.task = asyncio.create_task(self.pump() if not self.options.rate else self.pace())

    async def pump(self) -> None:
        """Write as fast as the client reads."""
        await self.begun.wait()
        run = self.options.run
        while any(stream.left for stream in self.streams):
            if run < BURST:
                await self.writable.wait()
                rounds = range(max(1, BURST // (run * len(self.streams))))
                self.transport.write(b"".join(stream.frames(run) for _ in rounds for stream in self.streams))
            else:
                for stream in self.streams:
                    await self.writable.wait()
                    self.transport.write(stream.frames(BURST))
            await asyncio.sleep(0)

    async def pace(self) -> None:
        """Write what is due, a frame at a time; being late by a timer's grain is made up for at once."""
        await self.begun.wait()
        began, sent, each = time.monotonic(), 0, 1 / self.options.rate
        while any(stream.left for stream in self.streams):
            while sent * each <= time.monotonic() - began:
                for stream in self.streams:
                    self.transport.write(stream.frames(1))
                sent += 1
            await asyncio.sleep(max(0.0, began + sent * each - time.monotonic()))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--run", type=int, default=BURST, help="frames of a symbol in a row, on one connection")
    parser.add_argument("--rate", type=float, default=0)
    # Times that are ahead are refused: ten million trades are 1,000 s.
    today = (int(time.time()) - 1800) // 86400 * 86_400_000
    parser.add_argument("--day", type=int, default=today, help="ms; today by default, yesterday until 00:30")
    options = parser.parse_args()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(options), "127.0.0.1", 0)
    tell(port=server.sockets[0].getsockname()[1], day=options.day)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
