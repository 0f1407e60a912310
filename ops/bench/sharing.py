"""What sharing a connection costs: the same frames to as many streams, each with its own socket, and all on one.

Nothing is parsed. The shared connection has to ask Binance's router about each frame; where a symbol's frames come in a
row it hands them on together, and where every frame is of another symbol than the one before, one by one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from harness import ROOT, Child, Report, arguments, finish, rate
from ingest import symbols

from dccd.exchanges.base import Connections, Market, StreamOptions
from dccd.exchanges.binance import Binance
from dccd.feeds.pool import SocketPool
from dccd.feeds.socket import connect
from dccd.symbols import Dataset

OWN, SHARED = "a socket a stream", "one socket for all"
STREAMS = 50
CASES = {
    "one stream": (1, 256),
    f"{STREAMS} streams, in a row": (STREAMS, 256),
    f"{STREAMS} streams, mixed": (STREAMS, 1),
}


class Unpaced(Binance):
    """The source isn't Binance, and waiting isn't what is measured."""

    connections = Connections(topics=1000, messages=1e6, opens=1e6, opens_per_second=1e6)


async def own(url: str, names: list[str], rows: int) -> None:
    """As many sockets as streams."""

    async def listen(name: str) -> None:
        socket = await connect(f"{url}/stream?streams={name.replace('-', '').lower()}@aggTrade")
        left = rows
        while left > 0:
            left -= len(await socket.receive())
        await socket.aclose()

    await asyncio.gather(*(listen(name) for name in names))


async def shared(url: str, names: list[str], rows: int) -> None:
    """As the collector does it."""
    binance = Unpaced()
    pool = SocketPool(binance, ws_url=url)

    async def listen(name: str) -> None:
        changed = asyncio.Event()
        dataset = Dataset.make("binance", "trades", name)
        market = binance.market(dataset.symbol) or Market("")
        line = await pool.join(binance.stream(dataset, StreamOptions(), market), changed)
        line.send(line.protocol.subscribe())
        while line.inbox.count < rows:
            changed.clear()
            if not line.take():
                await changed.wait()

    await asyncio.gather(*(listen(name) for name in names))
    await pool.aclose()


CONTENDERS: dict[str, Callable[[str, list[str], int], Awaitable[None]]] = {OWN: own, SHARED: shared}


def main() -> None:
    options = arguments(__doc__, ("--rows", {"type": int, "default": 300_000, "help": "frames of a run (300,000)"}))
    report = Report("Sharing a connection")
    for _ in range(options.rounds):
        for case, (streams, run) in CASES.items():
            each = options.rows // streams
            for name, take in CONTENDERS.items():
                runner = [sys.executable, ROOT / "ops" / "bench" / "source.py", "--rows", each, "--streams", streams]
                with Child([*runner, "--run", run], "source", timeout=120) as frames:
                    url = f"ws://127.0.0.1:{frames.ready['port']}"
                    wall, cpu = time.monotonic(), time.process_time()
                    asyncio.run(asyncio.wait_for(take(url, symbols(streams), each), 120))
                    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
                rows = each * streams
                report.add(rate(case, name, rows, wall, cpu, {"CPU µs/frame": cpu / rows * 1e6}))
    for case in CASES:
        report.compare(case, SHARED, OWN, "rows/CPU s", 0.4)
    finish(report, options.json)


if __name__ == "__main__":
    main()
