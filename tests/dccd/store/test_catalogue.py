"""Tests of the statistics, and of how little is read for them."""

from __future__ import annotations

import shutil
from typing import Any

import polars as pl

from dccd.records import Bar, Record
from dccd.store.catalogue import Catalogue
from dccd.store.coverage import IntervalSet
from dccd.store.fold import fold
from dccd.store.layout import period_bounds
from dccd.store.schema import table_from_records
from dccd.symbols import NS, Dataset


def test_only_new_files_are_opened(bench: Any) -> None:
    """Asking again opens nothing; one new segment is one footer; a fold is one more."""
    catalogue = Catalogue(bench.layout)
    for n in range(5):
        bench.put([bench.trade(n)])
    assert catalogue.dataset(bench.trades).rows == 5
    assert catalogue.opened == 5
    catalogue.dataset(bench.trades)
    catalogue.all()
    assert catalogue.opened == 5
    bench.put([bench.trade(5)])
    assert catalogue.dataset(bench.trades).rows == 6
    assert catalogue.opened == 6
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert catalogue.dataset(bench.trades).files == 1
    assert catalogue.opened == 7
    bench.put([bench.trade(9)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert catalogue.dataset(bench.trades).rows == 7
    assert catalogue.opened == 8


def test_what_is_gone_is_forgotten(bench: Any) -> None:
    """Nothing is remembered of files that aren't there any more."""
    catalogue = Catalogue(bench.layout)
    (segment,) = bench.put([bench.trade(1)])
    bench.put([bench.trade(2)], bench.trades)
    assert catalogue.all()[bench.trades].rows == 2
    segment.path.unlink()
    assert catalogue.all()[bench.trades].rows == 1
    for name in bench.files():
        (bench.layout.root / name).unlink()
    assert catalogue.dataset(bench.trades).rows == 0
    assert "0 files" in repr(catalogue)


def test_folded_segments_that_still_lie_about_do_not_count(bench: Any) -> None:
    """After a crash between the base and the removal a row counts once."""
    for n in range(3):
        bench.put([bench.trade(n)])

    def step(name: str) -> None:
        if name == "remove":
            raise bench.Killed

    try:
        fold(bench.layout, bench.trades, bench.day, force=True, step=step)
    except bench.Killed:
        pass
    assert len(bench.files()) == 4
    stats = Catalogue(bench.layout).dataset(bench.trades)
    assert (stats.rows, stats.files) == (3, 1)


def test_what_was_seen_is_kept_for_the_next_process(bench: Any) -> None:
    """A catalogue that takes over what another has seen opens only what has changed since."""
    for n in range(3):
        bench.put([bench.trade(n)], covered=[(bench.noon + n, bench.noon + n + 1)])
    catalogue, kept = Catalogue(bench.layout), bench.layout.root / ".dccd" / "catalogue.msgpack"
    before = catalogue.look(bench.trades)
    catalogue.save(kept)
    later = Catalogue(bench.layout)
    later.load(kept)
    assert later.look(bench.trades) == before
    assert later.opened == 0
    bench.put([bench.trade(3)])
    assert later.dataset(bench.trades).rows == 4
    assert later.opened == 1


def test_what_was_kept_of_another_version_is_nothing(bench: Any) -> None:
    """A file that isn't what a catalogue keeps only costs time."""
    bench.put([bench.trade(1)])
    catalogue = Catalogue(bench.layout)
    catalogue.load(bench.layout.root / "nothing there")
    (bench.layout.root / "kept").write_bytes(b"what?")
    catalogue.load(bench.layout.root / "kept")
    assert catalogue.dataset(bench.trades).rows == 1


def test_a_file_changed_by_hand_is_the_only_one_opened(bench: Any) -> None:
    """Among many datasets, looking again opens no file; where one was replaced, that one."""
    bench.put([bench.trade(1)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    base = bench.layout.base_path(bench.trades, bench.day)
    many = [Dataset.parse(f"binance.trades.C{n}-USDT") for n in range(50)]
    for dataset in many:
        bench.layout.folder(dataset).mkdir(parents=True)
        shutil.copyfile(base, bench.layout.base_path(dataset, bench.day))
    catalogue = Catalogue(bench.layout)
    assert len(catalogue.all()) == 51
    assert catalogue.opened == 51
    before = {dataset: catalogue.look(dataset) for dataset in many}
    assert catalogue.opened == 51
    bench.put([bench.trade(n) for n in range(7)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    shutil.copyfile(base, bench.layout.base_path(many[7], bench.day))
    after = {dataset: catalogue.look(dataset) for dataset in many}
    assert [dataset for dataset in many if after[dataset] is not before[dataset]] == [many[7]]
    assert after[many[7]][0].rows == 7
    assert catalogue.opened == 52


def test_it_tells_whether_it_is_worth_saving(bench: Any) -> None:
    """Only what has changed since is written again."""
    catalogue, kept = Catalogue(bench.layout), bench.layout.root / ".dccd" / "catalogue.msgpack"
    assert not catalogue.unsaved
    (segment,) = bench.put([bench.trade(1)])
    catalogue.all()
    assert catalogue.unsaved
    catalogue.save(kept)
    catalogue.all()
    assert not catalogue.unsaved
    later = Catalogue(bench.layout)
    later.load(kept)
    later.all()
    assert not later.unsaved
    segment.path.unlink()
    later.all()
    assert later.unsaved


def test_bars_that_nobody_vouches_for_reach_to_the_next(bench: Any) -> None:
    """Between the last bar of one year's file and the first of the next nothing is missing; the very last bar may have
    been open, and is to be had again, whatever comes after it."""
    minute = 60 * NS
    new_year = period_bounds("2023")[0]
    for period, first in (("2022", new_year - 5 * minute), ("2023", new_year)):
        bars: list[Record] = [Bar(first + n * minute, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(5)]
        frame = pl.from_arrow(table_from_records(bench.bars.data_type, bars))
        bench.base(frame, bench.bars, period)
    coverage = bench.store.coverage(bench.bars)
    assert coverage.missing == ()
    assert coverage.unverified == IntervalSet([(new_year - 5 * minute, new_year + 5 * minute)])
    assert bench.store.resume(bench.bars) == new_year + 4 * minute
    later = new_year + 60 * minute
    bench.put([Bar(later, 1.0, 1.0, 1.0, 1.0, 1.0)], bench.bars, covered=[(later, later + minute)])
    assert bench.store.resume(bench.bars) == new_year + 4 * minute
