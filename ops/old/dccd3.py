"""What dccd 3.8.1 writes: runs in an environment with that release (see ``regenerate``).

``write FOLDER`` makes a data_path, ``read FOLDER`` prints as JSON what 3.8.1 makes of one: the rows of each dataset of
its inventory, ``append FOLDER`` lets it add rows to it (``append-bars``: bars only).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from dccd.application.service_factory import build_coverage_store, build_runs_store
from dccd.domain.dataset import DatasetId, Provenance
from dccd.domain.records import FundingRate, OHLCBar, OpenInterest, OrderBookLevel, OrderBookSnapshot, Trade
from dccd.domain.symbol import Symbol
from dccd.domain.timeutils import str_to_ns
from dccd.domain.types import DataType
from dccd.storage.parquet import ParquetStore

NS = 1_000_000_000
NEW_YEAR = str_to_ns("2024-01-01 00:00:00", tz="UTC")
DAY = str_to_ns("2024-03-01 00:00:00", tz="UTC")
BY_REST = Provenance(source="binance:rest")

CONFIG = """\
settings:
  data_path: ./data
  timezone: Europe/Paris
  ui_port: 8081
  ui_auth_token: abc
  runs_retention_days: 30
storage:
  min_free_gb: 5
  sync_interval: 7200
  remotes:
    - provider: rclone
      remote: nas:crypto
alerts:
  webhook_url: https://example.org/hook
  max_consecutive_errors: 5
jobs:
  - exchange: binance
    pairs: [BTC/USDT, ETH-USDT]
    data_type: ohlc
    span: 3600
    every: 3600
    start: "2024-01-01"
  - exchange: binance
    pairs: [BTC/USDT]
    data_type: trades
    operation: stream
    trigger_kind: supervised
  - exchange: kraken
    pairs: [XBT/USD]
    data_type: orderbook
    operation: stream
    trigger_kind: supervised
    depth: 100
    snapshot_interval: 60
  - exchange: binance
    pairs: [BTC/USDT:perp]
    data_type: open_interest
    span: 3600
    trigger_kind: cron
    cron: "5 * * * *"
  - exchange: bybit
    pairs: [SOL/USDT]
    data_type: ohlc
    span: 2592000
    trigger_kind: manual
"""


def dataset(exchange: str, symbol: str, kind: DataType, span: int | None = None) -> DatasetId:
    return DatasetId(exchange=exchange, symbol=Symbol.parse(symbol), data_type=kind, span=span)


def bars(start: int, span: int, count: int, *, bare: bool = False) -> list[OHLCBar]:
    """*count* bars; *bare*: as of an exchange that tells neither quote volume nor trades."""
    return [
        OHLCBar(
            ts=start + i * span * NS,
            open=100 + i,
            high=101.5 + i,
            low=99.25 + i,
            close=100.1 + i,
            volume=1.1 * i,
            quote_volume=None if bare else 110.3 * i,
            trades=None if bare else i,
        )
        for i in range(count)
    ]


def write(root: Path) -> None:
    """Write a data_path with each data type, and what 3.x spells otherwise than we do."""
    store = ParquetStore(root)

    def save(exchange: str, symbol: str, kind: DataType, span: int | None, rows: list[object]) -> None:
        store.save(dataset(exchange, symbol, kind, span), rows, BY_REST)

    # Across the end of a year; a span that 3.x writes in seconds; one that is longer than any of ours.
    save("binance", "BTC/USDT", DataType.OHLC, 3600, bars(NEW_YEAR - 12 * 3600 * NS, 3600, 24))
    save("kraken", "ETH/USD", DataType.OHLC, 600, bars(DAY, 600, 12, bare=True))
    save("bybit", "SOL/USDT", DataType.OHLC, 2_592_000, bars(NEW_YEAR, 2_592_000, 2))
    save("binance", "BTC/USDT", DataType.TRADES, None, [
        Trade(ts=DAY - 2 * NS + i * 250_000_000, price=100 + i / 8, amount=0.001 * (i + 1),
              side="buy" if i % 3 else "sell", tid=str(9000 + i))
        for i in range(16)
    ])  # fmt: skip
    save("bitfinex", "BTC/USD", DataType.TRADES, None, [
        Trade(ts=DAY + i * NS, price=100.5, amount=0.25, side=None if i == 2 else "buy") for i in (0, 1, 1, 2)
    ])  # fmt: skip
    save("binance", "BTC/USDT", DataType.ORDERBOOK, None, [
        OrderBookSnapshot(
            ts=DAY + i * 60 * NS, is_snapshot=i == 0,
            bids=[OrderBookLevel(price=99.5 - n, amount=1 + n + i, count=2) for n in range(3)],
            asks=[OrderBookLevel(price=100.5 + n, amount=(2 + n) * (i != 1)) for n in range(3)],
        )
        for i in range(3)
    ])  # fmt: skip
    save("binance", "BTC/USDT:perp", DataType.FUNDING, None, [
        FundingRate(ts=DAY + i * 8 * 3600 * NS, rate=0.0001 * i, mark_price=None if i else 61_000.5) for i in range(4)
    ])  # fmt: skip
    # Two spans of what is one dataset to us: the hours say the same as the five minutes, but for one.
    five = [OpenInterest(ts=DAY + i * 300 * NS, open_interest=5000 + i, open_interest_value=1e6 + i) for i in range(25)]
    hours = [one for one in five if one.ts % (3600 * NS) == 0]
    other = hours[2].model_copy(update={"open_interest": 1.0})
    hours = [*hours[:2], other, OpenInterest(ts=DAY + 3 * 3600 * NS, open_interest=7)]
    save("binance", "BTC/USDT:perp", DataType.OPEN_INTEREST, 300, five)
    save("binance", "BTC/USDT:perp", DataType.OPEN_INTEREST, 3600, hours)

    runs = build_runs_store(root)
    spec = "backfill:binance:BTC/USDT:ohlc:3600s"
    for number, (state, rows, error) in enumerate(
        [("succeeded", 24, None), ("failed", 3, "HTTP 503"), ("cancelled", 0, None), ("running", 0, None)]
    ):
        run_id = f"{spec}@{DAY + number}"
        runs.create_run(run_id, spec, "backfill", "binance", "BTC/USDT", "ohlc", started_at=DAY + number * NS)
        runs.update_progress(run_id, {"done": 50 * NS, "total": 100 * NS, "unit": "time", "rows": rows, "at": DAY})
        if state != "running":
            runs.finish_run(run_id, state, ended_at=DAY + (number + 5) * NS, rows_written=rows, error=error)
    stream = "stream:kraken:BTC/USD:trades"
    runs.create_run(f"{stream}@{DAY}", stream, "stream", "kraken", "BTC/USD", "trades", started_at=DAY)
    runs.finish_run(f"{stream}@{DAY}", "failed", ended_at=DAY + 9 * NS, error="gave up")
    runs.create_run(f"remote-sync@{DAY}", "remote-sync", "sync", "", "", "", started_at=DAY)
    runs.finish_run(f"remote-sync@{DAY}", "succeeded", ended_at=DAY + NS)
    build_coverage_store(root).record(
        dataset("binance", "BTC/USDT", DataType.OHLC, 3600), min_ts=NEW_YEAR, max_ts=DAY, rows_added=24
    )
    (root / "config.yml").write_text(CONFIG)


def read(root: Path) -> dict[str, dict[str, object]]:
    """What 3.8.1 sees: of each dataset of its inventory the rows, and a checksum of them."""
    store = ParquetStore(root)
    found: dict[str, dict[str, object]] = {}
    for entry in store.inventory():
        pair, _, market = entry["pair"].partition("_")
        symbol = pair.replace("-", "/") + (f":{market.lower()}" if market else "")
        if entry["data_type"] in ("ohlc", "open_interest") and entry["span"] is None:
            continue  # a label that it doesn't know, as 10m: it lists it, and can't read it
        frame = store.load(dataset(entry["exchange"], symbol, DataType(entry["data_type"]), entry["span"]))
        label = f"{entry['exchange']}.{entry['data_type']}.{entry['pair']}"
        label += f".{entry['span']}" if entry["span"] else ""
        text = frame.sort(frame.columns).write_csv()
        found[label] = {"rows": len(frame), "sum": hashlib.sha256(text.encode()).hexdigest()}
    return found


def append(root: Path, *, trades_too: bool = True) -> None:
    """Add two bars and two trades to what is at *root*."""
    store = ParquetStore(root)
    store.save(dataset("binance", "BTC/USDT", DataType.OHLC, 3600), bars(NEW_YEAR + 12 * 3600 * NS, 3600, 2), BY_REST)
    if not trades_too:  # to trades of dccd 2 it can add nothing: their ids are numbers
        return
    trades = [Trade(ts=DAY + (5 + i) * NS, price=1.0, amount=2.0, side="buy", tid=str(9900 + i)) for i in range(2)]
    store.save(dataset("binance", "BTC/USDT", DataType.TRADES), trades, BY_REST)


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    if sys.argv[1] == "write":
        write(folder)
    elif sys.argv[1] in ("append", "append-bars"):
        append(folder, trades_too=sys.argv[1] == "append")
    else:
        print(json.dumps(read(folder)))
