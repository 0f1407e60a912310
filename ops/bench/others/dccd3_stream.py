"""dccd 3.8.1's own trade stream on local Binance frames: runs in the environment of that release.

A day file of ``--stored`` rows is made first. Then frames flow in from the WebSocket server at ``--port``, through
its ``stream`` operation into its Parquet store, and one line of JSON flows out: the time and CPU time that
``--rows`` more rows took, stored.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time

import polars as pl
import websockets
from dccd.application.jobs import JobParams, JobSpec, JobTarget, Trigger
from dccd.application.operations import stream
from dccd.domain.dataset import DatasetId
from dccd.domain.symbol import Symbol
from dccd.domain.types import DataType
from dccd.sources.binance import BinanceSource
from dccd.sources.registry import SourceRegistry
from dccd.storage.parquet import ParquetStore

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--rows", type=int, required=True, help="a multiple of 1,000: it stores a thousand at a time")
parser.add_argument("--stored", type=int, required=True)
parser.add_argument("--day", type=int, required=True, help="the first trade's time, in ms")
options = parser.parse_args()

connect = websockets.connect
websockets.connect = lambda url, **kwargs: connect(
    url.replace("wss://stream.binance.com:9443", f"ws://127.0.0.1:{options.port}"), **kwargs
)


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Store(ParquetStore):
    """The release's own store; only tells when enough rows have been saved."""

    saved = 0

    def save(self, *arguments: object, **more: object) -> int:
        rows: int = super().save(*arguments, **more)
        self.saved += rows
        if self.saved >= options.rows:
            loop.call_soon_threadsafe(done.set)
        return rows


async def main(folder: str) -> None:
    global loop, done
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    symbol = Symbol(base="BTC", quote="USDT")
    dataset = DatasetId(exchange="binance", symbol=symbol, data_type=DataType.TRADES, span=None)
    store = Store(folder)
    # The rows of the day so far: older ids and times than those that will stream in.
    ids = range(1_000_000_000, 1_000_000_000 + options.stored)
    day = pl.DataFrame(
        {
            "TS": [options.day * 1_000_000 + i for i in range(options.stored)],
            "price": [61_000.0 + i % 997 / 100 for i in range(options.stored)],
            "amount": [0.001 * (1 + i % 331) for i in range(options.stored)],
            "side": ["buy" if i % 3 else "sell" for i in range(options.stored)],
            "tid": [str(i) for i in ids],
        }
    )
    name = time.strftime("%Y-%m-%d", time.gmtime(options.day / 1000))
    day.write_parquet(store.directory(dataset) / f"{name}.parquet", compression="snappy")
    registry = SourceRegistry()
    registry.register("binance", BinanceSource())
    spec = JobSpec(
        id="bench",
        operation="stream",
        target=JobTarget(exchange="binance", symbol=symbol, data_type=DataType.TRADES),
        params=JobParams(),
        trigger=Trigger(kind="supervised"),
    )
    print(json.dumps({"ready": True}), flush=True)
    began, used = time.perf_counter(), cpu()
    task = asyncio.create_task(stream(spec, registry=registry, store=store))
    await done.wait()
    wall, used = time.perf_counter() - began, cpu() - used
    task.cancel()
    stored = len(store.load(dataset))
    print(json.dumps({"rows": store.saved, "wall": wall, "cpu": used, "stored": stored}), flush=True)


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
