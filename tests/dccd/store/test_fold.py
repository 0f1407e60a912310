"""Tests of what is folded when, what it costs, and that no crash harms."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from dccd.errors import CorruptFile, StoreFull, StoreLocked
from dccd.records import Bar, BookDelta
from dccd.store.files import locked
from dccd.store.fold import FoldPolicy, Piece, fold, plan
from dccd.store.layout import period_bounds
from dccd.store.parquet import YEARLY_GROUP, OpenFile
from dccd.store.schema import SCHEMAS
from dccd.symbols import NS, Dataset, DataType

POLICY = FoldPolicy(fan_in=4, settle=10, max_age=1000, max_sources=20)
END = 10_000


def pieces(*levels: int, size: int = 10, at: int = 100) -> list[Piece]:
    """Segments of these levels, oldest first."""
    return [Piece(f"s{n}", level, size, at + n, at + n) for n, level in enumerate(levels)]


def names(*numbers: int) -> tuple[str, ...]:
    return tuple(f"s{n}" for n in numbers)


@pytest.mark.parametrize(
    ("base", "segments", "now", "force", "level", "merged"),
    [
        # Nothing to do.
        (0, pieces(), 200, True, None, None),
        (None, pieces(0), 200, False, None, None),
        (999, pieces(0, 0, 0), 200, False, None, None),
        (999, pieces(1, 1, 1, 0, 0, 0), 200, False, None, None),
        # As many as make one of the next level; all the lower ones go with them.
        (999, pieces(0, 0, 0, 0), 200, False, 1, names(0, 1, 2, 3)),
        (999, pieces(2, 1, 1, 0, 0, 0, 0), 200, False, 1, names(3, 4, 5, 6)),
        (999, pieces(2, 1, 1, 1, 0, 0, 0, 0), 200, False, 2, names(1, 2, 3, 4, 5, 6, 7)),
        (999, pieces(2, 2, 2, 1, 1, 1, 0, 0, 0, 0), 200, False, 3, names(*range(10))),
        (999, pieces(1, 1, 1, 1, 0, 0), 200, False, 2, names(0, 1, 2, 3, 4, 5)),
        # The first base.
        (0, pieces(0), 200, False, "base", names(0)),
        (0, pieces(1, 0), 200, False, "base", names(0, 1)),
        # Grown to the base's size.
        (40, pieces(0, 0, 0, 0), 200, False, "base", names(0, 1, 2, 3)),
        (41, pieces(0, 0, 0, 0), 200, False, 1, names(0, 1, 2, 3)),
        (0, pieces(0, 0, 0, 0), 200, False, "base", names(0, 1, 2, 3)),
        (10, pieces(1, 0), 200, False, None, None),
        # The period has ended, and nothing came for a while.
        (999, pieces(0), END, False, "base", names(0)),
        (999, pieces(0, at=END - 5), END, False, None, None),
        (999, pieces(0, at=END - 5), END + 5, False, "base", names(0)),
        (999, pieces(0), END - 9500, False, None, None),
        # Waited too long.
        (999, pieces(1, 0), 1099, False, None, None),
        (999, pieces(1, 0), 1100, False, "base", names(0, 1)),
        # Now.
        (999, pieces(2, 0), 200, True, "base", names(0, 1)),
        # More than may be open at once: some first, the oldest.
        (0, pieces(*[0] * 30), 200, True, 1, names(*range(20))),
        (0, pieces(1, *[0] * 20), 200, True, 1, names(*range(1, 21))),
    ],
)
def test_plan(
    base: int | None, segments: list[Piece], now: int, force: bool, level: Any, merged: tuple[str, ...] | None
) -> None:
    """What is rewritten follows from sizes, levels and times."""
    found = plan(base, segments, END, now, POLICY, force)
    if merged is None:
        assert found is None
    else:
        assert found is not None
        assert found.level == (None if level == "base" else level)
        assert sorted(found.names) == sorted(merged)


def test_a_day_of_flushes_costs_the_logarithm() -> None:
    """86,400 flushes of a day, planned after each: few files at any time, and a row is rewritten a few times."""
    policy, base, stock, rewritten, most = FoldPolicy(), 0, [], 0, 0
    for n in range(86_400):
        at = n * NS
        stock.append(Piece(str(n), 0, 1, at, at))
        while todo := plan(base, stock, 86_400 * NS, at, policy):
            gone = [piece for piece in stock if piece.name in todo.names]
            stock = [piece for piece in stock if piece.name not in todo.names]
            size = sum(piece.rows for piece in gone)
            if todo.level is None:
                base += size
                rewritten += base
            else:
                stock.append(Piece(f"m{n}", todo.level, size, at, gone[0].since))
                rewritten += size
        most = max(most, len(stock))
    assert base + sum(piece.rows for piece in stock) == 86_400
    assert most <= 7 * 6
    assert rewritten / 86_400 <= 7


def test_write_amplification_of_real_files(bench: Any) -> None:
    """203 flushes written and folded in earnest: rows rewritten per row, files open to a reader, and all rows
    there."""
    rewritten = most = 0
    start, end = period_bounds(bench.day)
    for n in range(203):
        bench.put([bench.trade(25 * n + k, start + (25 * n + k) * 1_000_000) for k in range(25)], seq=n + 1)
        result = fold(bench.layout, bench.trades, bench.day, now=start)
        rewritten += 0 if result is None else result.rows
        most = max(most, len(bench.files()))
    result = fold(bench.layout, bench.trades, bench.day, now=end + 10**18)
    assert result is not None
    assert result.base
    assert bench.files() == ["binance/trades/BTC-USDT/2023-11-15.parquet"]
    assert bench.tids() == [str(n) for n in range(5_075)]
    assert most <= 30
    assert (rewritten + result.rows) / 5_075 <= 8
    assert bench.store.stored_position(bench.trades, bench.day, "e") == 203


def test_a_base_is_plain_parquet_in_order(bench: Any) -> None:
    """Who reads Parquet without dccd finds the day whole, in order, without doubles."""
    bench.put([bench.trade(n) for n in range(5, 10)])
    bench.put([bench.trade(n) for n in range(7)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    frame = pl.read_parquet(bench.layout.root / "binance/trades/BTC-USDT/*.parquet")
    assert frame["tid"].to_list() == [str(n) for n in range(10)]
    assert frame["TS"].is_sorted()
    assert frame.columns == ["TS", "price", "amount", "side", "tid", "recv_ts"]


def test_an_hour_of_a_years_bars_costs_three_weeks_of_them(bench: Any) -> None:
    """A base of a year has row groups of its own size: most of it isn't read for an hour."""
    bars = Dataset.parse("binance.ohlc.BTC-USDT.1m")
    first, end = period_bounds("2023")
    rows = (end - first) // (60 * NS)
    prices, none = pa.array([1.0] * rows), pa.nulls(rows, pa.int64())
    columns = [pa.array(range(first, end, 60 * NS)), *[prices] * 6, none, none]
    bench.writer.write(bars, pa.table(columns, schema=SCHEMAS[DataType.OHLC]))
    fold(bench.layout, bars, "2023", force=True)
    before = bench.store.statistics()["rows"]
    noon = first + 180 * 86_400 * NS
    assert bench.store.read(bars, noon, noon + 3600 * NS).height == 60
    assert bench.store.statistics()["rows"] - before == YEARLY_GROUP


def test_nothing_to_fold(bench: Any) -> None:
    """A period without segments, or with too few, is left as it is, and no file is touched."""
    assert fold(bench.layout, bench.trades, bench.day, force=True) is None
    assert bench.files() == []
    bench.put([bench.trade(1), bench.trade(2)])
    fold(bench.layout, bench.trades, bench.day, now=bench.noon)
    bench.put([bench.trade(3)])
    files = bench.files()
    assert fold(bench.layout, bench.trades, bench.day, now=bench.noon) is None
    assert bench.files() == files


def test_the_first_base_is_made_at_once(bench: Any) -> None:
    """Who reads Parquet without dccd finds a file as soon as there are rows, however few."""
    bench.put([bench.trade(1)])
    result = fold(bench.layout, bench.trades, bench.day, now=bench.noon)
    assert result is not None
    assert result.base
    assert bench.files() == ["binance/trades/BTC-USDT/2023-11-15.parquet"]


def stock(bench: Any) -> list[tuple[Any, ...]]:
    """A base and segments of all three kinds of rows, so that doubles and losses would show."""
    for n in range(3):
        bench.put([bench.trade(n), bench.trade(n + 1)], seq=n + 1)
        bench.put([BookDelta(bench.noon + n, n, [(1.0, 1.0), (2.0, 1.0)], [])], bench.book, seq=n + 1)
        bench.put([Bar(bench.noon + n // 2, 1.0, 1.0, 1.0, 1.0, float(n))], bench.bars, seq=n + 1)
    return state(bench)


def state(bench: Any) -> list[tuple[Any, ...]]:
    """All that can be asked of the store, but where the rows are."""
    return [
        (
            dataset.name,
            bench.store.read(dataset).rows(),
            [bench.store.stored_position(dataset, period, "e") for period in bench.layout.periods(dataset)],
        )
        for dataset in (bench.trades, bench.book, bench.bars)
    ]


@pytest.mark.parametrize("force", [True, False])
def test_killed_at_any_step_nothing_is_lost_or_doubled(bench: Any, every_step: Any, force: bool) -> None:
    """Killed before each step of a fold, then folded, then again with new rows: readers never notice."""
    policy = FoldPolicy(fan_in=2)
    datasets = [(bench.trades, bench.day), (bench.book, bench.day), (bench.bars, "2023")]

    def run(dataset: Any, period: str, step: Any) -> Any:
        return fold(bench.layout, dataset, period, force, now=bench.noon, policy=policy, step=step)

    # An earlier base or merged segment, so that the fold rewrites what tells of folded segments.
    stock(bench)
    steps = 0
    for dataset, period in datasets:
        run(dataset, period, lambda name: None)
        for at in range(100):
            for price in (1.0, 9.0):
                fresh: dict[Any, Any] = {
                    bench.trades: bench.trade(steps, price=price),
                    bench.book: BookDelta(bench.noon, steps, [(price, 1.0)], []),
                    bench.bars: Bar(bench.noon, price, price, price, price, float(steps)),
                }
                bench.put([fresh[dataset]], dataset, seq=steps + 10 + int(price))
            before, taken = state(bench), iter(range(1000))

            def kill(name: str, at: int = at, taken: Any = taken) -> None:
                if next(taken) == at:
                    raise bench.Killed(name)

            try:
                run(dataset, period, kill)
            except bench.Killed:
                steps += 1
                assert state(bench) == before, f"killed before step {at}"
            else:
                assert state(bench) == before
                break
        else:
            pytest.fail("a fold has no end")
        run(dataset, period, lambda name: None)
        assert not [name for name in bench.files() if name.endswith(".tmp")]
    assert steps > 3 * 8
    for dataset, period in datasets:
        fold(bench.layout, dataset, period, force=True)
    assert len(bench.files()) == 3


def test_a_killed_fold_is_finished_twice_over(bench: Any) -> None:
    """Killed while removing, again while removing what was left, and so on: still the same rows."""
    before = stock(bench)
    for at in range(6):

        def kill(name: str, at: int = at, left: list[int] = []) -> None:  # noqa: B006  # one a definition
            if name in ("remove", "sync_removed"):
                left.append(1)
                if len(left) > at % 3:
                    raise bench.Killed

        for dataset, period in ((bench.trades, bench.day), (bench.book, bench.day), (bench.bars, "2023")):
            try:
                fold(bench.layout, dataset, period, force=True, step=kill)
            except bench.Killed:
                pass
            assert state(bench) == before


def test_readers_at_every_step_see_the_same(bench: Any) -> None:
    """A reader between any two steps of a fold, into a level or the base, finds all as it was."""
    for force in (False, True):
        before, steps = stock(bench), []

        def look(name: str, before: Any = before, steps: Any = steps) -> None:
            steps.append(name)
            assert state(bench) == before

        for dataset, period in ((bench.trades, bench.day), (bench.book, bench.day), (bench.bars, "2023")):
            fold(bench.layout, dataset, period, force, now=bench.noon, policy=FoldPolicy(fan_in=2), step=look)
        assert {"write", "rename", "sync_folder", "remove", "sync_removed"} <= set(steps)


def test_a_full_disk_leaves_all_as_it_was(bench: Any) -> None:
    """No space for the new base: the segments stay, and so do the rows."""
    import errno

    before, files = stock(bench), bench.files()

    def step(name: str) -> None:
        if name == "sync":
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreFull):
        fold(bench.layout, bench.trades, bench.day, force=True, step=step)
    assert (state(bench), bench.files()) == (before, files)


def test_a_corrupt_segment_stops_the_fold(bench: Any) -> None:
    """What can't be read is not folded away: everything stays as it is for a person to look at."""
    bench.put([bench.trade(1)])
    (segment,) = bench.put([bench.trade(2)])
    segment.path.write_bytes(segment.path.read_bytes()[:-20])
    files = bench.files()
    with pytest.raises(CorruptFile):
        fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.files() == files


def test_one_folds_at_a_time(bench: Any) -> None:
    """A second one is told that the dataset is locked; other datasets aren't."""
    stock(bench)
    with locked(bench.layout.lock_path(bench.trades)):
        with pytest.raises(StoreLocked):
            fold(bench.layout, bench.trades, bench.day, force=True)
        assert fold(bench.layout, bench.bars, "2023", force=True) is not None
    assert fold(bench.layout, bench.trades, bench.day, force=True) is not None


def test_the_footer_stays_small(bench: Any) -> None:
    """However many segments and epochs went into a base, its footer names the last fold's segments and epochs
    only."""
    for n in range(40):
        bench.put([bench.trade(n)], seq=n + 1, epoch=f"epoch {n}")
        bench.put([bench.trade(n)], seq=n + 5, epoch=f"epoch {n}")
        fold(bench.layout, bench.trades, bench.day, force=True)
    footer = OpenFile(bench.layout.base_path(bench.trades, bench.day)).footer
    assert footer is not None
    assert len(footer.folds) == 2
    assert len(footer.bus) == 16
    assert bench.store.stored_position(bench.trades, bench.day, "epoch 39") == 44
    assert [(bus.first, bus.last) for bus in footer.bus][-1] == (40, 44)


def test_many_segments_fold_with_few_files_open(bench: Any) -> None:
    """A pile that nobody folded for long is merged in parts."""
    for n in range(50):
        bench.put([bench.trade(n)])
    result = fold(bench.layout, bench.trades, bench.day, force=True, policy=FoldPolicy(fan_in=4, max_sources=16))
    assert result is not None
    assert result.written > 3
    assert bench.tids() == [str(n) for n in range(50)]
    assert bench.files() == ["binance/trades/BTC-USDT/2023-11-15.parquet"]


def test_folders_of_folded_segments_go(bench: Any) -> None:
    """Nothing of a folded period stays among the segments, and it can be written to again."""
    bench.put([bench.trade(1)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.layout.segment_periods(bench.trades) == []
    bench.put([bench.trade(2)])
    assert bench.tids() == ["1", "2"]
