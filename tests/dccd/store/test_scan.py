"""Tests of one read of a store: its columns, its rows, and how little of the files it touches."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from dccd.errors import BadRead, NotStored
from dccd.records import Bar
from dccd.store.fold import fold
from dccd.store.parquet import ROW_GROUP
from dccd.store.scan import About, Scan
from dccd.store.schema import SCHEMAS
from dccd.symbols import NS, Dataset, DataType

HOUR = 3600 * NS
TWO = Dataset.parse("binance.ohlc.BTC-USDT.2m")


def minutes(bench: Any, count: int = 20) -> None:
    """Store *count* bars of a minute."""
    bench.put([Bar(bench.noon + n * 60 * NS, 1.0, 2.0, 0.5, 1.5, 1.0) for n in range(count)], bench.bars)


def batches(scan: Scan, rows: int = 7) -> pl.DataFrame:
    found = list(scan.batches(rows))
    assert all(0 < batch.num_rows <= rows for batch in found)
    frame = pl.from_arrow(pa.Table.from_batches(found, scan.schema))
    assert isinstance(frame, pl.DataFrame)
    return frame


@pytest.mark.parametrize("limit", [None, 0, 3, 8, 100])
@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("columns", [None, ["close"]])
@pytest.mark.parametrize("span", ["1m", "2m"])
def test_batches_are_what_read_returns(bench: Any, limit: Any, newest: bool, columns: Any, span: str) -> None:
    """Stored or derived, the first or the last, with a limit or without."""
    minutes(bench)
    scan = Scan(bench.store, Dataset.parse(f"binance.ohlc.BTC-USDT.{span}"), None, None, columns, limit, newest)
    read = scan.read()
    assert_frame_equal(batches(scan), read)
    count = {"1m": 20, "2m": 10}[span]
    assert read.height == min(count, count if limit is None else limit)
    times = [bench.noon + n * (20 // count) * 60 * NS for n in range(count)]
    assert read["TS"].to_list() == (times[count - read.height :] if newest else times[: read.height])
    assert read.columns == (["TS", "close"] if columns else SCHEMAS[DataType.OHLC].names)


@pytest.mark.parametrize("limit", [1, 8, 29, 30, 31, 100])
@pytest.mark.parametrize("span", ["1m", "2m"])
@pytest.mark.parametrize("bounds", [{}, {"start": 4, "end": 27}])
def test_many_newest_rows_are_not_held(
    bench: Any, monkeypatch: pytest.MonkeyPatch, limit: int, span: str, bounds: dict[str, int]
) -> None:
    """Where their beginning is looked for first, they are the same; over the turn of a year, too."""
    year = 1_704_067_200 * NS  # 2024
    bars = [Bar(year + n * 60 * NS, 1.0, 2.0, 0.5, 1.5, 1.0) for n in range(-20, 40)]
    bench.put(bars[:40], bench.bars)
    bench.put(bars[30:], bench.bars)
    ranged = {name: year + n * 60 * NS for name, n in bounds.items()}
    dataset = Dataset.parse(f"binance.ohlc.BTC-USDT.{span}")
    held = Scan(bench.store, dataset, limit=limit, newest=True, **ranged).read()
    monkeypatch.setattr("dccd.store.scan._HELD", 0 if span == "1m" else 3)
    scan = Scan(bench.store, dataset, limit=limit, newest=True, **ranged)
    assert_frame_equal(batches(scan), held)


def test_derived_bars_say_so(bench: Any) -> None:
    """Whoever reads them is told what they were made of, and where they weren't made."""
    minutes(bench, 21)
    scan = Scan(bench.store, TWO)
    end = bench.noon + 20 * 60 * NS
    assert scan.about == About(TWO.name, bench.bars.name, ((end, end + 120 * NS),), bench.noon, end + 120 * NS)
    assert About.of(scan.about.on(scan.schema)) == scan.about
    assert Scan(bench.store, bench.bars).about.derived_from is None


def test_what_is_not_stored_is_told_before_the_first_row(bench: Any) -> None:
    """When the scan is made, not when it is read."""
    with pytest.raises(NotStored, match="nothing is stored of"):
        Scan(bench.store, TWO)


@pytest.mark.parametrize("dataset", ["1m", "2m"])
def test_a_column_that_nobody_has_is_an_error(bench: Any, dataset: str) -> None:
    """A misspelt column isn't one that happens to be missing."""
    minutes(bench)
    scan = Scan(bench.store, Dataset.parse(f"binance.ohlc.BTC-USDT.{dataset}"), columns=["close", "vloume"])
    with pytest.raises(BadRead, match="no column 'vloume'; it has TS open") as caught:
        _ = scan.schema
    assert caught.value.field == "columns"


def test_a_column_of_other_files_only_is_left_out(bench: Any) -> None:
    """In a range without it, a column of the dataset is no error."""
    day = 86_400 * NS
    bench.put([bench.trade(0)])
    extra = pl.DataFrame({"TS": [bench.noon + day], "price": [1.0], "amount": [1.0], "venue": ["x"]})
    bench.base(extra, period="2023-11-16")
    scan = Scan(bench.store, bench.trades, None, bench.noon + HOUR, ["price", "venue"])
    assert scan.schema.names == ["TS", "price"]
    assert batches(Scan(bench.store, bench.trades, columns=["venue"]))["venue"].to_list() == [None, "x"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A day of five row groups of trades, folded into one file."""
    from tests.dccd.store.conftest import Bench

    bench = Bench(tmp_path_factory.mktemp("large"))
    rows = 5 * ROW_GROUP
    step = 12 * HOUR // rows
    table = pa.table(
        [
            pa.array([bench.noon + n * step for n in range(rows)]),
            pa.array([100.0 + n % 977 for n in range(rows)]),
            pa.array([1.0] * rows),
            pa.array(["buy"] * rows),
            pa.array([str(n) for n in range(rows)]),
            pa.array([None] * rows, pa.int64()),
        ],
        schema=SCHEMAS[DataType.TRADES],
    )
    bench.writer.write(bench.trades, table)
    fold(bench.layout, bench.trades, bench.day, force=True)
    return bench


def test_only_the_row_groups_of_the_range_are_read(large: Any) -> None:
    """A minute in the middle of a day costs a row group of it, whatever the day holds."""
    before = large.store.statistics()
    found = Scan(large.store, large.trades, large.noon + 7 * HOUR, large.noon + 7 * HOUR + 60 * NS).read()
    read = {name: value - before[name] for name, value in large.store.statistics().items()}
    assert 0 < found.height < ROW_GROUP / 100
    assert (read["row_groups"], read["columns"], read["rows"]) == (1, 6, ROW_GROUP)


def test_only_the_columns_asked_for_are_read(large: Any) -> None:
    """Of one column and the times, of a file that needs no other to know which rows are the same."""
    before = large.store.statistics()
    everything = Scan(large.store, large.trades).read()
    between = large.store.statistics()
    prices = Scan(large.store, large.trades, columns=["price"]).read()
    after = large.store.statistics()
    assert_frame_equal(prices, everything.select("TS", "price"))
    assert between["columns"] - before["columns"] == 30
    assert after["columns"] - between["columns"] == 10
    assert after["bytes"] - between["bytes"] < (between["bytes"] - before["bytes"]) / 2


def test_a_reader_that_stops_reads_no_further(large: Any) -> None:
    """Rows that nobody takes aren't read, and the file is closed with the reader."""
    before = large.store.statistics()["row_groups"]
    rows = Scan(large.store, large.trades).batches(8192)
    next(rows)
    assert large.store.statistics()["row_groups"] - before <= 2
    rows.close()  # type: ignore[attr-defined]  # a generator
    assert large.store.statistics()["row_groups"] - before <= 2


def test_derived_bars_read_three_columns(large: Any) -> None:
    """Bars of trades need times, prices and amounts, and a day costs the row groups that it has."""
    before = large.store.statistics()
    start = large.noon + 7 * HOUR
    found = Scan(large.store, Dataset.parse("binance.ohlc.BTC-USDT.10s"), start, start + 60 * NS).read()
    after = large.store.statistics()
    assert found.height == 6
    assert (after["row_groups"] - before["row_groups"], after["columns"] - before["columns"]) == (1, 3)
