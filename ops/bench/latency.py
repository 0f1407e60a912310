"""(c) Tick latency: from the moment a trade is written to the exchange's socket to a subscriber's callback.

At 1,000 and 10,000 trades a second, through the whole of dccd (socket, parser, bus; the archiver stores the same
trades meanwhile), next to a bare nats-py publisher and subscriber, for which a trade begins when it is published.
"""

from __future__ import annotations

import asyncio
import sys
import time
from importlib.metadata import version

import msgspec
import nats
from daemon import BareServer, Daemon, title
from harness import ROOT, Child, Measurement, Report, arguments, finish, percentile
from nats.aio.msg import Msg
from source import sent_at

import dccd

SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"
SKIPPED = 0.1
"""Share of the trades, at the start, that is left out: connections and caches are warming up."""


class Amount(msgspec.Struct):
    """The one field of a trade that is looked at."""

    amount: float


async def listen(url: str, subject: str, rows: int, ready: asyncio.Event | None = None) -> list[float]:
    """Seconds from sent to received of *rows* trades, as a plain subscriber of nats-py sees them."""
    seconds: list[float] = []
    done = asyncio.Event()
    decode = msgspec.json.Decoder(list[Amount]).decode

    async def take(message: Msg) -> None:
        now = time.monotonic()
        seconds.extend(now - sent_at(trade.amount) for trade in decode(message.data))
        if len(seconds) >= rows:
            done.set()

    bus = await nats.connect(url)
    await bus.subscribe(subject, cb=take)
    await bus.rtt()
    if ready:
        ready.set()
    try:
        await asyncio.wait_for(done.wait(), 120)
    except TimeoutError:
        raise SystemExit(f"{len(seconds):,} of {rows:,} trades arrived on {subject}") from None
    await bus.close()
    return seconds


def measured(case: str, who: str, seconds: list[float], note: str) -> Measurement:
    """The percentiles of what remains after the warming up."""
    kept = sorted(seconds[int(len(seconds) * SKIPPED) :])
    shares = {"p50 ms": 0.5, "p99 ms": 0.99, "p99.9 ms": 0.999}
    return Measurement(case, who, {name: percentile(kept, share) * 1000 for name, share in shares.items()}, note)


def ours(case: str, pace: int, rows: int) -> Measurement:
    with Child(
        [sys.executable, ROOT / "ops" / "bench" / "source.py", "--rows", str(rows), "--rate", str(pace)], "source"
    ) as frames:
        config = {"exchanges": {"binance": {"ws_url": f"ws://127.0.0.1:{frames.ready['port']}"}}}
        with Daemon(config) as daemon:
            seconds = asyncio.run(started(daemon, rows))
    return measured(case, title(), seconds, "socket to subscriber")


async def started(daemon: Daemon, rows: int) -> list[float]:
    """Subscribe first, then have the daemon start the stream, so that no trade is missed."""
    ready = asyncio.Event()
    listening = asyncio.create_task(listen(daemon.url, SUBJECT, rows, ready))
    await ready.wait()
    async with dccd.connect(daemon.url) as client:
        await client.start_stream("binance", "BTC/USDT")
    return await listening


def bare(case: str, pace: int, rows: int) -> Measurement:
    with BareServer() as server:
        seconds = asyncio.run(published(server.url, pace, rows))
    return measured(case, f"bare nats-py {version('nats-py')}", seconds, "publish to subscriber")


async def published(url: str, pace: int, rows: int) -> list[float]:
    ready = asyncio.Event()
    listening = asyncio.create_task(listen(url, "bare.ticks", rows, ready))
    await ready.wait()
    runner = [sys.executable, ROOT / "ops" / "bench" / "bare.py", "publish", "--url", url]
    # Entering waits for the publisher's first line, in this thread: nothing is to be received before.
    with Child([*runner, "--rate", str(pace), "--rows", str(rows)], "bare-publish"):
        return await listening


def main() -> None:
    options = arguments(__doc__, ("--seconds", {"type": float, "default": 10, "help": "of each measurement (10)"}))
    report = Report("Tick latency, from the socket to a subscriber")
    for _ in range(options.rounds):
        for pace in (1_000, 10_000):
            case, rows = f"{pace:,} trades/s", int(pace * options.seconds)
            report.add(bare(case, pace, rows), ours(case, pace, rows))
    finish(report, options.json)


if __name__ == "__main__":
    main()
