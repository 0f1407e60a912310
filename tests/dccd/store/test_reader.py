"""Tests of reading base and segments as one."""

from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from dccd.errors import CorruptFile
from dccd.store.fold import FoldPolicy, fold
from dccd.store.reader import Store
from dccd.store.schema import SCHEMAS
from dccd.symbols import DataType

DAY = 86_400_000_000_000


def days(bench: Any, rows: int = 10, count: int = 3) -> None:
    """*rows* trades on each of *count* days; the first day is folded."""
    for day in range(count):
        bench.put([bench.trade(day * rows + n, bench.noon + day * DAY + n) for n in range(rows)])
    fold(bench.layout, bench.trades, bench.day, force=True)


@pytest.mark.parametrize(
    ("arguments", "tids"),
    [
        ({}, range(30)),
        ({"start": 5}, range(5, 30)),
        ({"end": 5}, range(5)),
        ({"start": 3, "end": DAY + 2}, range(3, 12)),
        ({"limit": 4}, range(4)),
        ({"start": 8, "limit": 4}, range(8, 12)),
        ({"limit": 4, "newest": True}, range(26, 30)),
        ({"limit": 14, "newest": True}, range(16, 30)),
        ({"limit": 1000, "newest": True}, range(30)),
        ({"end": DAY + 1, "limit": 3, "newest": True}, range(8, 11)),
        ({"limit": 0}, range(0)),
        ({"limit": 0, "newest": True}, range(0)),
        ({"newest": True}, range(30)),
        ({"start": 5, "end": 5}, range(0)),
        ({"start": 9, "end": 5}, range(0)),
        ({"start": 10 * DAY}, range(0)),
    ],
)
def test_ranges_and_limits(bench: Any, arguments: dict[str, int], tids: range) -> None:
    """A read gives the first or the last rows of a half-open range, in order, over periods and files."""
    days(bench)
    moved = {k: v + bench.noon if k in ("start", "end") else v for k, v in arguments.items()}
    read = bench.store.read(bench.trades, **moved)
    assert read["tid"].to_list() == [str(n) for n in tids]
    assert read.schema == pl.Schema(pl.from_arrow(SCHEMAS[DataType.TRADES].empty_table()).schema)  # type: ignore[union-attr]  # a table makes a frame


def test_newest_looks_further_where_twins_are_many(bench: Any) -> None:
    """The last rows are as many as asked for, though most of the stored ones are doubles."""
    for _ in range(6):
        bench.put([bench.trade(n) for n in range(20)])
    read = bench.store.read(bench.trades, limit=15, newest=True)
    assert read["tid"].to_list() == [str(n) for n in range(5, 20)]


def test_columns_come_in_the_order_of_the_files(bench: Any) -> None:
    """Those asked for and TS, by nobody's order but the schema's, with or without a base."""
    days(bench)
    for start in (None, bench.noon + DAY):
        assert bench.store.read(bench.trades, start, columns=["tid", "price"]).columns == ["TS", "price", "tid"]


def test_nothing_is_an_empty_frame(bench: Any) -> None:
    """A dataset that isn't stored has no rows, but its columns."""
    read = bench.store.read(bench.bars)
    assert read.height == 0
    assert read.columns == SCHEMAS[DataType.OHLC].names
    assert bench.store.last_ts(bench.bars) is None
    assert bench.store.stats(bench.bars).rows == 0
    assert bench.store.stored_position(bench.bars, "2023", "e") == 0
    assert list(bench.store.batches(bench.bars)) == []


def test_files_of_dccd_3_are_read(bench: Any) -> None:
    """Base files without the newer columns, unsorted and without our footer, merge with new segments."""
    old = {"TS": [bench.noon + 1, bench.noon], "price": [2.0, 1.0], "amount": [1.0, 1.0]}
    bench.base(pl.DataFrame({**old, "side": ["buy", None], "tid": ["1", "0"]}))
    bench.put([bench.trade(2, recv=4)])
    read = bench.store.read(bench.trades)
    assert read["tid"].to_list() == ["0", "1", "2"]
    assert read["recv_ts"].to_list() == [None, None, 4]
    assert bench.store.last_ts(bench.trades) == bench.noon + 2_000_000
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.store.read(bench.trades).equals(read)


def test_old_books_without_sequence_keep_their_order(bench: Any) -> None:
    """Rows of one time stay in the order of the file."""
    prices = [5.0, 3.0, 9.0, 1.0]
    columns = {"TS": [bench.noon] * 4, "side": ["bid"] * 4, "price": prices, "amount": [1.0] * 4}
    bench.base(pl.DataFrame({**columns, "count": [1] * 4, "is_snapshot": [True] * 4}), bench.book)
    assert bench.store.read(bench.book)["price"].to_list() == prices


def test_columns_unknown_to_us_are_kept_through_a_fold(bench: Any) -> None:
    """What another program added to a base is still there afterwards, null where it has no value."""
    frame = pl.DataFrame(
        {"TS": [bench.noon], "price": [1.0], "amount": [1.0], "side": ["buy"], "tid": ["0"], "venue": ["x"]}
    )
    bench.base(frame)
    bench.put([bench.trade(1)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.store.read(bench.trades)["venue"].to_list() == ["x", None]
    assert bench.files() == ["binance/trades/BTC-USDT/2023-11-15.parquet"]


def test_batches_are_what_read_is(bench: Any) -> None:
    """In record batches of one schema and of the size asked for."""
    days(bench)
    bench.base(
        pl.DataFrame({"TS": [bench.noon + 3 * DAY], "price": [1.0], "amount": [1.0], "venue": ["x"]}),
        period="2023-11-18",
    )
    batches = list(bench.store.batches(bench.trades, bench.noon + 2, bench.noon + 9 * DAY, rows=4))
    assert max(batch.num_rows for batch in batches) == 4
    table = pa.Table.from_batches(batches)
    assert table.schema.names == [*SCHEMAS[DataType.TRADES].names, "venue"]
    read = bench.store.read(bench.trades, bench.noon + 2)
    assert table.to_pylist() == read.to_dicts()


def test_statistics_and_last_time(bench: Any) -> None:
    """Rows, files, bytes and times, by the footers alone."""
    days(bench)
    stats = bench.store.stats(bench.trades)
    assert (stats.rows, stats.files) == (30, 3)
    assert stats.bytes == sum((bench.layout.root / name).stat().st_size for name in bench.files())
    assert (stats.first_ts, stats.last_ts) == (bench.noon, bench.noon + 2 * DAY + 9)
    assert bench.store.last_ts(bench.trades) == stats.last_ts
    assert bench.store.all_stats() == {bench.trades: stats}
    assert bench.store.datasets() == [bench.trades]


def test_positions_are_of_one_epoch_and_one_period(bench: Any) -> None:
    """The highest sequence is told of the stream as it was created, per period, from segments and base alike."""
    bench.put([bench.trade(1)], seq=900, epoch="old")
    bench.put([bench.trade(2)], seq=5)
    bench.put([bench.trade(3)])
    bench.put([bench.trade(4, bench.noon + DAY)], seq=8)

    def positions() -> list[int]:
        wanted = [(bench.day, "e"), (bench.day, "old"), (bench.day, "none"), ("2023-11-16", "e")]
        return [bench.store.stored_position(bench.trades, period, epoch) for period, epoch in wanted]

    assert positions() == [5, 900, 0, 8]
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert positions() == [5, 900, 0, 8]
    bench.put([bench.trade(5)], seq=12)
    assert positions() == [12, 900, 0, 8]


@pytest.mark.parametrize("where", ["base", "segment"])
@pytest.mark.parametrize("damage", ["empty", "cut", "text"])
def test_a_corrupt_file_is_an_error_everywhere(bench: Any, where: str, damage: str) -> None:
    """No way of asking returns fewer rows in silence, and the error names the file."""
    bench.put([bench.trade(n) for n in range(100)])
    if where == "base":
        fold(bench.layout, bench.trades, bench.day, force=True)
    (path,) = (bench.layout.root / name for name in bench.files())
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": data[:-100], "text": b"hello " * 100}[damage])
    store = Store(bench.layout)
    for ask in (
        lambda: store.read(bench.trades),
        lambda: list(store.batches(bench.trades)),
        lambda: store.stats(bench.trades),
        lambda: store.all_stats(),
        lambda: store.last_ts(bench.trades),
        lambda: store.stored_position(bench.trades, bench.day, "e"),
    ):
        with pytest.raises(CorruptFile) as caught:
            ask()
        assert caught.value.path == path


def test_readers_beside_a_writer_and_a_folder(bench: Any) -> None:
    """Threads that write, fold and read at once: each read has a gapless stretch from the first row on, each row
    once."""
    writes, done = 150, threading.Event()
    failures: list[BaseException] = []

    def guarded(run: Any) -> threading.Thread:
        def body() -> None:
            try:
                run()
            except BaseException as exc:
                failures.append(exc)
                done.set()

        thread = threading.Thread(target=body)
        thread.start()
        return thread

    def write() -> None:
        for n in range(writes):
            bench.put([bench.trade(n)], seq=n + 1)
        done.set()

    def keep_folding() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            fold(bench.layout, bench.trades, bench.day, turn % 5 == 0, policy=FoldPolicy(fan_in=2))

    def keep_reading() -> None:
        store, before = Store(bench.layout), 0
        while not done.is_set():
            read = store.read(bench.trades)["tid"].to_list()
            assert read == [str(n) for n in range(len(read))]
            assert len(read) >= before
            before = len(read)
            assert store.stored_position(bench.trades, bench.day, "e") >= before

    threads = [guarded(run) for run in (write, keep_folding, keep_reading)]
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert bench.tids() == [str(n) for n in range(writes)]


def test_what_is_held_is_as_of_one_moment_and_no_more_than_needed(bench: Any) -> None:
    """While it is held, a period isn't opened again, whatever is written; the last few stay, and all end with it."""
    days(bench, rows=1, count=5)
    with bench.store.held():
        first = bench.store.read(bench.trades, end=bench.noon + DAY)
        bench.put([bench.trade(100, bench.noon + 5)])
        assert bench.store.read(bench.trades, end=bench.noon + DAY)["tid"].to_list() == first["tid"].to_list()
        assert bench.store.read(bench.trades).height == 5
        opened = bench.store.statistics()["opened"]
        bench.store.read(bench.trades, start=bench.noon + 4 * DAY)
        assert bench.store.statistics()["opened"] == opened
        assert bench.store.read(bench.trades, end=bench.noon + DAY).height == 2
    assert bench.store.read(bench.trades).height == 6
