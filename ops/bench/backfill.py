"""(b) Backfill: pages of a simulated Binance over REST to Parquet, rate limits off.

dccd 3.8.1 and this dccd fetch the same range of the same market from the same simulator, in turns. What is compared is
rows per second of processor time, the contender's own (for this dccd its bus included).
"""

from __future__ import annotations

import asyncio
import sys
import time

from daemon import Daemon, title
from environments import DCCD3, Unavailable
from harness import ROOT, Child, Measurement, Report, arguments, cpu_seconds, finish, rate

import dccd
from dccd.runs import Run
from dccd.symbols import NS, Dataset

WANTED = 8
"""How many times dccd 3.8.1's rows per CPU second are asked for."""


def simulator() -> Child:
    """A simulated Binance without rate limits; its first line says where."""
    return Child([sys.executable, ROOT / "ops" / "bench" / "exchange.py"], "simulator")


def dccd3(case: str, kind: str, url: str, start: int, exchange: Child) -> Measurement:
    """The release's own backfill operation, from *start* to now."""
    before = cpu_seconds(exchange.pid)
    runner = [DCCD3.python(), ROOT / "ops" / "bench" / "others" / "dccd3_backfill.py", "--url", url]
    with Child([*runner, "--type", kind, "--start", str(start)], "dccd3", timeout=600) as child:
        found = child.result()
    served = cpu_seconds(exchange.pid) - before
    return rate(case, DCCD3.title(), found["rows"], found["wall"], found["cpu"], {"exchange CPU s": served})


def ours(case: str, kind: str, url: str, start: int, exchange: Child) -> Measurement:
    """A backfill asked for over the bus, from *start* to now."""
    span = "1m" if kind == "ohlc" else None
    dataset = Dataset.make("binance", kind, "BTC/USDT", span)
    with Daemon({"exchanges": {"binance": {"rest_url": url, "rate_limit": False}}}) as daemon:
        # The first backfill of a daemon imports ccxt; the other's imports are done before its clock starts, too.
        asyncio.run(
            fetch(daemon.url, Dataset.make("binance", "ohlc", "BTC/USDT", "1d"), time.time_ns() - 7 * 86400 * NS)
        )
        served = cpu_seconds(exchange.pid)
        (used, bus), began = daemon.cpu(), time.monotonic()
        run = asyncio.run(fetch(daemon.url, dataset, start))
        wall = time.monotonic() - began
        now_used, now_bus = daemon.cpu()
        served = cpu_seconds(exchange.pid) - served
        rows = len(daemon.store.read(dataset, columns=["TS"]))
    if rows != run.rows:
        raise SystemExit(f"{dataset}: the run says {run.rows:,} rows, stored are {rows:,}")
    more = {"exchange CPU s": served, "of it bus": now_bus - bus}
    return rate(case, title(), rows, wall, now_used - used, more)


async def fetch(url: str, dataset: Dataset, start: int) -> Run:
    async with dccd.connect(url) as client:
        return await client.backfill(
            dataset.exchange, dataset.symbol.human, dataset.data_type, dataset.span, start=start
        )


def main() -> None:
    options = arguments(
        __doc__,
        ("--bars", {"type": int, "default": 500_000, "help": "1m bars (500,000)"}),
        ("--trades", {"type": int, "default": 500_000, "help": "trades, about (500,000; at most an hour of them)"}),
    )
    report, missing = Report("Backfill, from a simulated exchange, rate limits off"), []
    with simulator() as exchange:
        url, pace = exchange.ready["rest_url"], exchange.ready["trades_per_second"]
        for _ in range(options.rounds):
            for kind, seconds in (("ohlc", options.bars * 60), ("trades", options.trades / pace)):
                case = {"ohlc": "1m bars", "trades": "trades"}[kind]
                start = time.time_ns() - int(seconds * NS)
                try:
                    report.add(dccd3(case, kind, url, start, exchange))
                except Unavailable as error:
                    missing.append(str(error))
                report.add(ours(case, kind, url, start, exchange))
    for case in ("1m bars", "trades"):
        report.compare(case, "dccd 4", "dccd 3.8.1", "rows/CPU s", WANTED)
    finish(report, options.json, dict.fromkeys(missing))


if __name__ == "__main__":
    main()
