"""What dccd 2.4.0 writes: runs in an environment with that release (see ``regenerate``).

``write FOLDER`` makes a data_path by its own ``DataStore`` (Parquet, seconds), with rows that went through its own
checks and sorting, and files of its ``IODataBase`` in ``dump/``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
from dccd.histo_dl import FromBinance, FromKraken
from dccd.process_data import set_marketdepth
from dccd.storage import DataStore
from dccd.tools.io import IODataBase

NEW_YEAR = 1_704_067_200
DAY = 1_709_251_200


def bars(source: FromBinance | FromKraken, start: int, span: int, count: int, *, average: bool) -> None:
    """Save *count* bars but one, which 2.x fills in with the one before."""
    rows = [
        {
            "date": float(start + i * span), "open": 100.0 + i, "high": 101.5 + i, "low": 99.25 + i,
            "close": 100.1 + i, "volume": 1.1 * i, "quoteVolume": 110.3 * i,
            **({"weightedAverage": 100.05 + i} if average else {}),
        }
        for i in range(count)
        if i != 3
    ]  # fmt: skip
    source.start, source.end = start, start + count * span
    source._sort_data(rows)
    source.save()


def write(root: Path) -> None:
    path = str(root)
    bars(FromBinance(path, "BTC", 3600, fiat="USDT"), NEW_YEAR - 4 * 3600, 3600, 12, average=False)
    kraken = FromKraken(path, "XBT", 60, fiat="EUR")  # spelt as Kraken does
    # A window that begins before the first bar: 2.x keeps rows without a price.
    kraken.start = DAY - 120
    rows = [
        {"date": float(DAY + i * 60), "open": 50.0, "high": 52.0, "low": 49.0, "close": 51.0, "volume": 2.5,
         "quoteVolume": 127.5, "weightedAverage": 50.7 + i}
        for i in range(5)
    ]  # fmt: skip
    kraken.end = DAY + 5 * 60
    kraken._sort_data(rows)
    kraken.save()

    binance = FromBinance(path, "BTC", 60, fiat="USDT")
    binance._sort_trades([
        {"tid": 7000 + i, "timestamp": DAY + i * 0.125 + 0.001, "price": 100 + i / 8, "amount": 0.5 + i,
         "type": "buy" if i % 2 else "sell"}
        for i in range(10)
    ]).save_trades()  # fmt: skip
    kraken._sort_trades([
        {"tid": None, "timestamp": DAY + i + 0.1234567, "price": 100.5, "amount": 0.25, "type": "buy"} for i in range(3)
    ]).save_trades()  # fmt: skip
    binance._sort_orderbook([
        {"side": "bid", "price": "99.5", "amount": 1.0, "count": None},
        {"side": "ask", "price": "100.5", "amount": 2.0, "count": None},
    ])  # fmt: skip
    binance.orderbook_df = binance.orderbook_df.with_columns(pl.lit(DAY).alias("TS"))
    binance.save_orderbook()
    depth = set_marketdepth({"100.5": 2.0, "99.5": 1.0, "101.5": -1.0}, t=DAY)
    DataStore(path, "bitfinex", "BTC/USD", None, "orderbook").save(depth)

    trades = binance.trades_df.rename({"TS": "timestamp"})
    for method, name in (("csv", "trades"), ("sqlite", "trades"), ("parquet", "trades"), ("dataframe", "trades")):
        saver = IODataBase(str(root / "dump"), method)
        saver(trades.head(6), name=name)
        saver(trades.tail(4), name=name)


if __name__ == "__main__":
    write(Path(sys.argv[2]))
