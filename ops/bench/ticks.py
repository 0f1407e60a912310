"""Consumers of ticks: trades a second into a program, by ``client.ticks`` and by plain nats-py, in the same run.

``live``: a plain subscription, while another process publishes as fast as it can; 10 trades a message. ``past``: the
same messages out of the stream, by an ordered consumer, which for dccd a daemon makes in another process. Of each:
lists of records, where nats-py's are decoded by msgspec into the same structs, in a callback (its fastest way), or with
``json`` into dicts; and Polars frames of 50,000 rows, which who has nats-py alone makes of those dicts. Out of the
stream, dccd also leaves out what came before, and holds no more than it has asked for. What is compared is the
consumer's own CPU time.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from importlib.metadata import version
from typing import Any

import msgspec
import nats
import polars as pl
from daemon import BareServer, title
from harness import ROOT, Child, Measurement, Report, arguments, finish, rate
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

import dccd
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.publisher import Publisher
from dccd.bus.streams import ensure_streams
from dccd.client.fake import FakeDaemon
from dccd.records import Trade

SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"
EACH = 10
FRAME = 50_000
Ready = Callable[[], None]
Consumer = Callable[[str, int, Ready], Awaitable[int]]


def body(first: int) -> bytes:
    """A message."""
    now = 1_700_000_000_000_000_000
    return msgspec.json.encode(
        [
            Trade(ts=now + n, price=61234.5 + n % 100 / 10, amount=0.0123, side="buy", tid=str(n), recv_ts=now + n)
            for n in range(first, first + EACH)
        ]
    )


# ---------------------------------------------------------------- nats-py alone


def plain(past: bool, decode: Callable[[bytes], list[Any]], frames: bool) -> Consumer:
    async def consume(url: str, rows: int, ready: Ready) -> int:
        seen, held, done = 0, [], asyncio.Event()

        async def take(message: Msg) -> None:
            nonlocal seen
            records = decode(message.data)
            seen += len(records)
            if frames:
                held.extend(records)
                if len(held) >= FRAME:
                    pl.DataFrame(held)
                    held.clear()
            if seen >= rows:
                done.set()

        bus = await nats.connect(url)
        limits: Any = {"pending_msgs_limit": 0, "pending_bytes_limit": 0}
        if past:
            config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            stream = subjects.STREAM_TICKS
            ready()
            await bus.jetstream().subscribe(
                SUBJECT, cb=take, stream=stream, ordered_consumer=True, config=config, **limits
            )
        else:
            await bus.subscribe(SUBJECT, cb=take, **limits)
            await bus.rtt()
            ready()
        await asyncio.wait_for(done.wait(), 300)
        await bus.close()
        return seen

    return consume


# ---------------------------------------------------------------- dccd


def ours(past: bool, frames: bool) -> Consumer:
    async def consume(url: str, rows: int, ready: Ready) -> int:
        seen = 0
        async with dccd.connect(url) as client:
            feed = client.ticks("binance", "BTC/USDT", **({"since": "2023-01-01", "store": False} if past else {}))
            if past:
                ready()
            async with feed:
                if not past:
                    ready()
                if frames:
                    async with aclosing(feed.frames(every=None, rows=FRAME)) as found:
                        async for frame in found:
                            seen += frame.height
                            if seen >= rows:
                                break
                else:
                    async with aclosing(feed.batches()) as batches:
                        async for batch in batches:
                            seen += len(batch)
                            if seen >= rows:
                                break
            if feed.lost or feed.doubles:
                raise SystemExit(f"{feed!r}: {feed.doubles} doubles")
        return seen

    return consume


# ---------------------------------------------------------------- running


async def fill(url: str, rows: int) -> None:
    """The stream with *rows* trades in it."""
    async with await Bus.open(url, "bench") as bus:
        await ensure_streams(bus)
        async with Publisher(bus, window=256) as publisher:
            for first in range(0, rows, EACH):
                await publisher.room()
                publisher.offer(SUBJECT, body(first))
            if await publisher.drain(60):
                raise SystemExit("the stream could not be filled")


async def flood(url: str, rows: int) -> None:
    """Publish without asking anybody, once told to."""
    bodies = [body(first) for first in range(0, rows, EACH)]
    bus = await nats.connect(url, pending_size=64 << 20)
    told = await bus.subscribe("bench.go")
    await bus.rtt()
    print("{}", flush=True)
    await told.next_msg(timeout=60)
    for number, one in enumerate(bodies):
        await bus.publish(SUBJECT, one)
        if number % 100 == 0:
            await bus.flush()
    await bus.close()


async def answer(url: str) -> None:
    """Do what a daemon does for who reads the stream, until it is ended."""
    async with await Bus.open(url, "daemon") as bus, FakeDaemon(bus):
        print("{}", flush=True)
        await asyncio.Event().wait()


def go(url: str) -> None:
    """Tell the other process to publish; from within a consumer, which must not wait for anything."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as raw:
        raw.sendall(b'CONNECT {"verbose":false}\r\nPUB bench.go 0\r\n\r\nPING\r\n')
        said = b""
        while b"PONG" not in said:
            said += raw.recv(4096)


def measure(case: str, who: str, consume: Consumer, url: str, rows: int, ready: Ready) -> Measurement:
    began: list[tuple[float, float]] = []

    def start() -> None:
        began.append((time.perf_counter(), time.process_time()))
        ready()

    asyncio.run(consume(url, rows, start))
    wall, cpu = time.perf_counter() - began[0][0], time.process_time() - began[0][1]
    return rate(case, who, rows, wall, cpu, {})


def main() -> None:
    if sys.argv[1:2] == ["flood"]:
        asyncio.run(flood(sys.argv[2], int(sys.argv[3])))
        return
    if sys.argv[1:2] == ["answer"]:
        asyncio.run(answer(sys.argv[2]))
        return
    options = arguments(__doc__, ("--rows", {"type": int, "default": 500_000, "help": "trades of each (500,000)"}))
    rows = options.rows // FRAME * FRAME
    structs = msgspec.json.Decoder(list[Trade]).decode
    report = Report("Consumers of ticks")
    nats_py = f"nats-py {version('nats-py')}"
    for past in (False, True):
        what = "past" if past else "live"
        contenders = [
            (f"{what}, records", f"{nats_py} and msgspec", plain(past, structs, False)),
            (f"{what}, records", f"{nats_py} and json", plain(past, json.loads, False)),
            (f"{what}, records", f"{title()} batches()", ours(past, False)),
            (f"{what}, frames", f"{nats_py}, json and Polars", plain(past, json.loads, True)),
            (f"{what}, frames", f"{title()} frames()", ours(past, True)),
        ]
        script = [sys.executable, ROOT / "ops" / "bench" / "ticks.py"]
        with BareServer() as server, ExitStack() as stack:
            if past:
                asyncio.run(fill(server.url, rows))
                stack.enter_context(Child([*script, "answer", server.url], "daemon"))
            for _ in range(options.rounds):
                for case, who, consume in contenders:
                    if past:
                        report.add(measure(case, who, consume, server.url, rows, lambda: None))
                        continue
                    with Child([*script, "flood", server.url, rows], "flood"):
                        report.add(measure(case, who, consume, server.url, rows, lambda: go(server.url)))
    for what in ("live", "past"):
        report.compare(
            f"{what}, records", title(), f"{nats_py} and msgspec", "rows/CPU s", 0.8 if what == "live" else 0.5
        )
        report.compare(f"{what}, frames", title(), f"{nats_py}, json", "rows/CPU s", 1.0)
    finish(report, options.json)


if __name__ == "__main__":
    main()
