"""dccd 3.8.1's own backfill against a local exchange: runs in the environment of that release.

Pages of a Binance REST API at ``--url`` flow in, through its ``backfill`` operation into its Parquet store, with its
run and coverage records as its own command line makes them; one line of JSON flows out: rows, time and CPU time. Its
rate limit is set out of reach.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
import time

import dccd.sources.binance as binance
from dccd.application.jobs import JobParams, JobSpec, JobTarget, Trigger
from dccd.application.operations import backfill
from dccd.application.service_factory import build_coverage_store, build_runs_store, build_store
from dccd.domain.dataset import DatasetId
from dccd.domain.symbol import Symbol
from dccd.domain.types import DataType
from dccd.sources.registry import SourceRegistry
from dccd.transport.ratelimit import shared_limiter

parser = argparse.ArgumentParser()
parser.add_argument("--url", required=True)
parser.add_argument("--type", choices=["ohlc", "trades"], required=True)
parser.add_argument("--start", type=int, required=True, help="ns; the end is now, this release has no other")
options = parser.parse_args()

binance._BASE_REST = f"{options.url}/api/v3"
shared_limiter()._rates["binance"] = 1e12


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main(folder: str) -> None:
    kind = DataType(options.type)
    span = 60 if kind is DataType.OHLC else None
    symbol = Symbol(base="BTC", quote="USDT")
    store, runs, coverage = build_store(folder), build_runs_store(folder), build_coverage_store(folder)
    registry = SourceRegistry()
    registry.register("binance", binance.BinanceSource())
    spec = JobSpec(
        id="bench",
        operation="backfill",
        target=JobTarget(exchange="binance", symbol=symbol, data_type=kind, span=span),
        params=JobParams(start=options.start),
        trigger=Trigger(kind="manual"),
    )
    print(json.dumps({"ready": True}), flush=True)
    began, used = time.perf_counter(), cpu()
    result = await backfill(spec, registry=registry, store=store, runs_store=runs, coverage_store=coverage)
    wall, used = time.perf_counter() - began, cpu() - used
    if "error" in result:
        raise SystemExit(result["error"])
    rows = len(store.load(DatasetId(exchange="binance", symbol=symbol, data_type=kind, span=span)))
    print(
        json.dumps({"rows": rows, "wall": wall, "cpu": used, "start": result["start_ns"], "end": result["end_ns"]}),
        flush=True,
    )


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
