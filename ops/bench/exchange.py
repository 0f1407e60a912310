"""dccd's simulated Binance as a process of its own, for the benchmarks: without limits, with history deep enough.

One line of JSON flows out: its URLs, and how many trades a second its market makes.
"""

from __future__ import annotations

import argparse
import asyncio

from source import tell
from stored import names

from dccd.simulator import SimConfig, Simulator


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500, help="trades a second (500)")
    parser.add_argument("--history", type=float, default=4000, help="days (4,000)")
    parser.add_argument("--streams", type=int, default=0, help="so many made-up symbols instead of BTC/USDT")
    options = parser.parse_args()
    symbols = tuple(names(options.streams)) or ("BTC/USDT",)
    config = SimConfig(exchanges=("binance",), symbols=symbols, rate=options.rate, history=options.history)
    async with Simulator(config) as simulator:
        tell(**simulator.urls()["binance"], trades_per_second=options.rate)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
