"""dccd 3.8.1's own Parquet store, measured alone: runs in the environment of that release (see ``store381``).

A folder of data flows in, one line of JSON flows out: milliseconds of each time, rows, and the most memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dccd.domain.dataset import DatasetId, Provenance
from dccd.domain.records import OHLCBar, Trade
from dccd.domain.symbol import Symbol
from dccd.domain.types import DataType
from dccd.storage.parquet import ParquetStore
from measured import HOUR, run, timed

BY_REST = Provenance(source="binance:rest")


def dataset(kind: DataType, pair: str = "BTC/USDT") -> DatasetId:
    span = 60 if kind is DataType.OHLC else None
    return DatasetId(exchange="binance", symbol=Symbol.parse(pair), data_type=kind, span=span)


def trades(first: int, start: int) -> list[Trade]:
    return [
        Trade(
            ts=start + n * 1_000_000,
            price=37_000 + n % 997 / 100,
            amount=0.001 * (1 + n % 331),
            side="buy" if n % 3 else "sell",
            tid=str(9_000_000_000 + first + n),
        )
        for n in range(1000)
    ]


def append(root: Path, start: int, times: int) -> dict[str, Any]:
    store = ParquetStore(root)
    store.save(dataset(DataType.TRADES, "WARM/UP"), trades(0, start), BY_REST)
    batches = iter([trades(n * 1000, start + n * 1_000_000_000) for n in range(times)])
    found, _ = timed(lambda: store.save(dataset(DataType.TRADES), next(batches), BY_REST), times)
    (rows,) = [entry["rows"] for entry in store.inventory() if entry["pair"] == "BTC-USDT"]
    return {"ms": found, "rows": rows}


def inventory(root: Path, times: int) -> dict[str, Any]:
    store = ParquetStore(root)
    first, _ = timed(store.inventory, 1)
    again, entries = timed(store.inventory, times)
    return {
        "the first time": first,
        "asked again": again,
        # It remembers nothing of what another process has seen.
        "in the next process": timed(lambda: ParquetStore(root).inventory(), times)[0],
        "rows": sum(entry["rows"] for entry in entries),
        "datasets": len(entries),
    }


def read(root: Path, kind: DataType, start: int, times: int) -> dict[str, Any]:
    store = ParquetStore(root)
    bar = OHLCBar(ts=start, open=1, high=1, low=1, close=1, volume=1)
    warm = dataset(kind, "WARM/UP")
    store.save(warm, [bar] if kind is DataType.OHLC else trades(0, start), BY_REST)
    store.load(warm, start, start + HOUR - 1)
    found, frame = timed(lambda: store.load(dataset(kind), start, start + HOUR - 1), times)
    return {"ms": found, "rows": len(frame)}


def main() -> None:
    run(
        __doc__,
        {
            "append": lambda o: append(o.root, o.start, o.times),
            "inventory": lambda o: inventory(o.root, o.times),
            "ohlc": lambda o: read(o.root, DataType.OHLC, o.start, o.times),
            "trades": lambda o: read(o.root, DataType.TRADES, o.start, o.times),
        },
    )


if __name__ == "__main__":
    main()
