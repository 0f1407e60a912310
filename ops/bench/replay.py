"""Replaying what is stored at full speed, next to reading the same rows: rows a second, and the daemon's memory.

One dataset of trades, and three whose trades lie among each other. ``records``: one by one out of the client's
iterator; ``batches``: lists of them; ``exact``: plain messages in the exact order of all, as any NATS client takes them
with acknowledgements. ``read to records``: the same rows over the bus in Arrow, and records made of them, each dataset
by itself. The daemon and what receives are processes of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from daemon import Daemon
from harness import Child, Measurement, Report, arguments, finish, peak_memory

import dccd
from dccd import messages as m
from dccd import subjects
from dccd.bus.credit import CreditReceiver
from dccd.records import Trade
from dccd.store.fold import fold
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.unpack import Unpacker
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

DATASETS = [Dataset.parse(f"binance.trades.{base}-USDT") for base in ("BTC", "ETH", "SOL")]
START = 1_700_006_400 * NS
HOWS = ("records", "batches", "exact", "read to records")


def store(path: Path, rows: int) -> None:
    """*rows* trades of each dataset, two milliseconds apart, in base files."""
    layout = Layout(path)
    writer = SegmentWriter(layout, "bench")
    for number, dataset in enumerate(DATASETS):
        for first in range(0, rows, 100_000):
            trades = [
                Trade(
                    START + n * 2_000_000 + number, 37_000 + n % 97 / 4, 0.001 * (n % 50 + 1), "buy", str(n), START + n
                )
                for n in range(first, min(rows, first + 100_000))
            ]
            writer.write(dataset, table_from_records(dataset.data_type, trades))
        for period in layout.periods(dataset):
            fold(layout, dataset, period)


async def received(url: str, datasets: Sequence[Dataset], how: str) -> int:
    """Have all rows of *datasets* in this way; return how many there were."""
    rows = 0
    async with dccd.connect(url) as client:
        if how == "read to records":
            for dataset in datasets:
                async with client.rows(dataset) as frames:
                    unpacker = Unpacker(dataset.data_type)
                    async for frame in frames:
                        rows += len(unpacker.feed(frame))
        elif how == "exact":
            asked = m.ReplayStart(datasets=[d.name for d in datasets], speed="max", flow=True, id="bench")
            receiver = CreditReceiver(client.bus, subjects.replayed("bench"))
            await receiver.open()
            await receiver.begin((await client.start_replay(asked)).flow)
            async for message in receiver.messages(30.0):
                if message is None:
                    raise SystemExit("nothing came for 30 s")
                if not message.subject.endswith(".status"):
                    rows += message.data.count(b'"ts":')
                elif b'"state":"ended"' in message.data:
                    break
            await receiver.aclose()
            await client.change_replay("stop", m.ReplayOf(id="bench"))
        else:
            async with client.replay(datasets) as replay:
                if how == "records":
                    async for _ in replay:
                        rows += 1
                else:
                    async for batch in replay.batches():
                        rows += len(batch)
    return rows


def receive(url: str, count: int, how: str) -> None:
    """The receiver's process: say when it is ready, then how many rows there were in how many seconds."""
    print(json.dumps({}), flush=True)
    began = time.perf_counter()
    rows = asyncio.run(received(url, DATASETS[:count], how))
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - began}), flush=True)


def main() -> None:
    if sys.argv[1:2] == ["receive"]:
        receive(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    options = arguments(__doc__, ("--rows", {"type": int, "default": 500_000, "help": "of each dataset (500,000)"}))
    report = Report("Replay at full speed")
    with Daemon({"jobs": []}) as daemon:
        store(daemon.folder / "data", options.rows)
        for _ in range(options.rounds):
            for count in (1, 3):
                for how in HOWS:
                    argv = [sys.executable, Path(__file__), "receive", daemon.url, count, how]
                    with Child(argv, f"replay-{how.replace(' ', '-')}", timeout=300) as child:
                        found = child.result()
                    if found["rows"] != count * options.rows:
                        raise SystemExit(f"{how}: {found['rows']:,} rows of {count * options.rows:,}")
                    figures = {
                        "rows": found["rows"],
                        "rows/s": found["rows"] / found["seconds"],
                        "daemon's peak MB": peak_memory(daemon.pid),
                    }
                    report.add(Measurement(f"{count} dataset(s)", how, figures))
    finish(report, options.json)


if __name__ == "__main__":
    main()
