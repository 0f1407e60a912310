"""Taking frames off a WebSocket, nothing else: three clients in turns on the same source, CPU time of each a frame.

`websockets`' asyncio client, a message at a time; its sans-I/O protocol inside an ``asyncio.Protocol``, a read at a
time; and ``dccd.feeds.socket``, which cuts plain text frames out itself and gives the rest to that protocol. The last
lines are why it does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from harness import ROOT, Child, Report, arguments, finish, rate
from websockets.asyncio.client import connect as websockets_connect
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from dccd.feeds.socket import connect

CASE = "one stream of Binance trades"
CLIENT, SANS_IO, OURS = "websockets, asyncio client", "websockets, sans-I/O", "dccd.feeds.socket"


async def asyncio_client(url: str, rows: int) -> None:
    """The usual way."""
    async with websockets_connect(url, compression=None, max_size=None) as socket:
        for _ in range(rows):
            await socket.recv(decode=False)


async def sans_io(url: str, rows: int) -> None:
    """The protocol alone, fed with what the loop reads."""
    done = asyncio.get_running_loop().create_future()

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.left = transport, rows
            self.protocol = ClientProtocol(parse_uri(url), max_size=None)
            self.protocol.send_request(self.protocol.connect())
            transport.write(b"".join(self.protocol.data_to_send()))

        def data_received(self, data: bytes) -> None:
            self.protocol.receive_data(data)
            found = [bytes(event.data) for event in self.protocol.events_received() if isinstance(event, Frame)]
            self.left -= len(found)
            if self.left <= 0 and not done.done():
                done.set_result(None)

    uri = parse_uri(url)
    transport, _ = await asyncio.get_running_loop().create_connection(Reader, uri.host, uri.port)
    await done
    transport.close()


async def ours(url: str, rows: int) -> None:
    """What the collector uses."""
    socket = await connect(url)
    while rows > 0:
        rows -= len(await socket.receive())
    await socket.aclose()


CONTENDERS: dict[str, Callable[[str, int], Awaitable[None]]] = {CLIENT: asyncio_client, SANS_IO: sans_io, OURS: ours}


def main() -> None:
    options = arguments(__doc__, ("--rows", {"type": int, "default": 300_000, "help": "frames of a run (300,000)"}))
    report = Report("Frames off a WebSocket, without parsing them")
    for _ in range(options.rounds):
        for name, take in CONTENDERS.items():
            runner = [sys.executable, ROOT / "ops" / "bench" / "source.py", "--rows", options.rows]
            with Child(runner, "source", timeout=120) as frames:
                url = f"ws://127.0.0.1:{frames.ready['port']}/ws/btcusdt@aggTrade"
                wall, cpu = time.monotonic(), time.process_time()
                asyncio.run(asyncio.wait_for(take(url, options.rows), 120))
                wall, cpu = time.monotonic() - wall, time.process_time() - cpu
            report.add(rate(CASE, name, options.rows, wall, cpu, {"CPU µs/frame": cpu / options.rows * 1e6}))
    for other in (CLIENT, SANS_IO):
        report.compare(CASE, OURS, other, "rows/CPU s", 3.0)
    finish(report, options.json)


if __name__ == "__main__":
    main()
