"""dccd's store, measured alone, by the same tasks as ``dccd3_store``: see ``store381``.

A folder of data flows in, one line of JSON flows out: milliseconds of each time, rows, and the most memory. ``fill``
writes a day by a thousand rows at a time, folded as it grows.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from measured import HOUR, run, timed

from dccd.records import Bar, Record, Trade
from dccd.store.fold import fold
from dccd.store.layout import Layout, period_of
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import Dataset, DataType


def dataset(kind: DataType, pair: str = "BTC/USDT") -> Dataset:
    return Dataset.make("binance", kind, pair, "1m" if kind is DataType.OHLC else None)


def trades(first: int, start: int) -> list[Record]:
    return [
        Trade(
            start + n * 1_000_000,
            37_000 + n % 997 / 100,
            0.001 * (1 + n % 331),
            "buy" if n % 3 else "sell",
            str(9_000_000_000 + first + n),
            None,
        )
        for n in range(1000)
    ]


def save(writer: SegmentWriter, to: Dataset, records: list[Record]) -> None:
    """As 3.8.1's ``save``: records in, rows on disk; and here synced, too."""
    writer.write(to, table_from_records(to.data_type, records))


def append(root: Path, start: int, times: int) -> dict[str, Any]:
    writer = SegmentWriter(Layout(root), "bench")
    save(writer, dataset(DataType.TRADES, "WARM/UP"), trades(0, start))
    batches = iter([trades(n * 1000, start + n * 1_000_000_000) for n in range(times)])
    found, _ = timed(lambda: save(writer, dataset(DataType.TRADES), next(batches)), times)
    stored = Store(root).stats(dataset(DataType.TRADES)).rows
    return {"ms": found, "rows": stored}


def fill(root: Path, start: int, marks: list[int]) -> dict[str, Any]:
    """Milliseconds that a thousand rows took on average, up to each of *marks* rows; the last with the fold at the end
    of the day."""
    layout, to = Layout(root), dataset(DataType.TRADES)
    writer, day, spent, found = SegmentWriter(layout, "bench"), period_of(DataType.TRADES, start), 0.0, []
    save(writer, dataset(DataType.TRADES, "WARM/UP"), trades(0, start))
    apart = 80_000_000_000_000 // marks[-1]
    for stored in range(1000, marks[-1] + 1, 1000):
        first = stored - 1000
        batch: list[Record] = [
            Trade(start + n * apart, 37_000 + n % 997 / 100, 0.001 * (1 + n % 331), "buy", str(9_000_000_000 + n), None)
            for n in range(first, stored)
        ]
        began = time.perf_counter()
        save(writer, to, batch)
        fold(layout, to, day, now=start)  # the day isn't over: only what is due by its size
        spent += time.perf_counter() - began
        if stored in marks:
            found.append(spent * 1000 / (stored // 1000))
    last, _ = timed(lambda: fold(layout, to, day, force=True), 1)
    found[-1] += last[0] / (marks[-1] // 1000)
    return {"ms": found, "rows": Store(root).stats(to).rows}


def inventory(root: Path, times: int) -> dict[str, Any]:
    store = Store(root)
    first, found = timed(store.all_stats, 1)
    again, _ = timed(store.all_stats, times)
    seen = root / ".dccd" / "catalogue.msgpack"
    store.catalogue.save(seen)

    def restart() -> None:
        later = Store(root)
        later.catalogue.load(seen)
        later.all_stats()
        assert later.catalogue.opened == 0

    restarted, _ = timed(restart, times)
    os.unlink(seen)
    rows = sum(entry.rows for entry in found.values())
    return {
        "the first time": first,
        "asked again": again,
        "in the next process": restarted,
        "rows": rows,
        "datasets": len(found),
    }


def read(root: Path, kind: DataType, start: int, times: int) -> dict[str, Any]:
    store, warm = Store(root), dataset(kind, "WARM/UP")
    bar = Bar(start, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
    save(SegmentWriter(Layout(root), "bench"), warm, [bar] if kind is DataType.OHLC else trades(0, start))
    store.read(warm, start, start + HOUR)
    found, frame = timed(lambda: store.read(dataset(kind), start, start + HOUR), times)
    return {"ms": found, "rows": len(frame)}


def main() -> None:
    run(
        __doc__,
        {
            "append": lambda o: append(o.root, o.start, o.times),
            "fill": lambda o: fill(o.root, o.start, o.marks),
            "inventory": lambda o: inventory(o.root, o.times),
            "ohlc": lambda o: read(o.root, DataType.OHLC, o.start, o.times),
            "trades": lambda o: read(o.root, DataType.TRADES, o.start, o.times),
        },
    )


if __name__ == "__main__":
    main()
