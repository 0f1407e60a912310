"""What NATS itself takes, with nats-py and nothing else: the other end of the bare figures.

``publish`` sends small messages at a rate, each with the moment that it was sent; ``echo`` answers requests to a micro
service with a reply of a given size. Both run until they are ended.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import nats
import nats.micro
from nats.micro.request import Request
from source import stamp, tell


async def publish(options: argparse.Namespace) -> None:
    """Publish what a tick message with one trade looks like, a message a trade."""
    bus = await nats.connect(options.url)
    tell(ready=True)
    began, each = time.monotonic(), 1 / options.rate
    for number in range(options.rows):
        trade = (
            f'[{{"ts":1700000000000000000,"price":61234.5,"amount":{stamp()},"side":"buy","tid":"{number}",'
            '"recv_ts":1700000000000000000}]'
        )
        await bus.publish("bare.ticks", trade.encode())
        wait = began + (number + 1) * each - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
    await bus.drain()


async def echo(options: argparse.Namespace) -> None:
    """Answer with as many bytes as asked."""
    bus = await nats.connect(options.url)
    service = await nats.micro.add_service(bus, name="bare", version="1.0.0")
    reply = b"x" * options.bytes

    async def answer(request: Request) -> None:
        await request.respond(reply)

    await service.add_endpoint(name="echo", handler=answer, subject="bare.echo")
    await bus.flush()
    tell(ready=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["publish", "echo"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=2)
    asyncio.run({"publish": publish, "echo": echo}[(options := parser.parse_args()).what](options))
