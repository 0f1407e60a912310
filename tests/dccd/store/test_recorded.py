"""What is stored comes back as records in time order, over segments, base files and periods."""

from __future__ import annotations

import pytest

from dccd.errors import CorruptFile
from dccd.records import Bar, BookDelta, BookSnapshot, Record
from dccd.store.claims import NoteBook
from dccd.store.fold import fold
from dccd.store.interleave import runs
from dccd.store.intervals import Gap, IntervalSet
from dccd.store.recorded import Absence, Recorded, absences, bounds_of
from dccd.symbols import NS, Dataset
from tests.dccd.store.conftest import DAY, NOON, Bench

OTHER = Dataset.parse("kraken.trades.BTC-USD")


def told(recorded: Recorded) -> list[tuple[int, Record]]:
    found = []
    while (block := recorded.next()) is not None:
        found += [(number, record) for number, records in runs(block) for record in records]
    recorded.close()
    return found


@pytest.mark.parametrize("folded", [False, True])
def test_records_of_several_datasets_come_by_time(bench: Bench, folded: bool) -> None:
    """Two days of trades of two exchanges and of bars: all, once, in order; those at the end are not in it."""
    trades = [bench.trade(n, NOON + n * DAY // 5) for n in range(6)]
    others = [bench.trade(n, NOON + n * DAY // 7) for n in range(8)]
    bars = [Bar(NOON + n * DAY // 2, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(3)]
    bench.put(trades[::2])
    bench.put(trades[1::2])
    bench.put(others, OTHER)
    bench.put(bars, bench.bars)
    if folded:
        for dataset in (bench.trades, OTHER, bench.bars):
            for period in bench.layout.periods(dataset):
                fold(bench.layout, dataset, period)
    datasets = [bench.trades, OTHER, bench.bars]
    assert bounds_of(bench.store, datasets) == (NOON, NOON + 6 * DAY // 5 - DAY // 5 + 1)
    every = [(0, r) for r in trades] + [(1, r) for r in others] + [(2, r) for r in bars]
    inside = [one for one in every if one[1].ts < NOON + DAY]
    expected = sorted(inside, key=lambda one: (one[1].ts, one[0]))
    assert told(Recorded(bench.store, datasets, NOON, NOON + DAY)) == expected


def test_a_book_begins_with_what_it_was(bench: Bench) -> None:
    """From the middle of deltas on, the first record is the book up to there; from its beginning on, none is added."""
    records: list[Record] = [
        BookSnapshot(NOON, 1, [(9.0, 1.0)], [(10.0, 1.0)]),
        BookDelta(NOON + 5, 2, [(9.0, 2.0)], []),
        BookDelta(NOON + 9, 3, [], [(10.0, 4.0)]),
    ]
    bench.put(records, bench.book)
    whole = told(Recorded(bench.store, [bench.book], NOON, NOON + 100))
    assert [record for _, record in whole] == records
    late = told(Recorded(bench.store, [bench.book], NOON + 7, NOON + 100))
    assert [record for _, record in late] == [BookSnapshot(NOON + 5, 2, [(9.0, 2.0)], [(10.0, 1.0)]), records[2]]
    plain = told(Recorded(bench.store, [bench.book], NOON + 7, NOON + 100, books=False))
    assert [record for _, record in plain] == records[2:]


def test_a_book_that_is_not_known_begins_with_what_is_stored(bench: Bench) -> None:
    """Without a snapshot before the start there is none to make one of."""
    records: list[Record] = [BookDelta(NOON + n, n, [(9.0, 2.0)], []) for n in range(4)]
    bench.put(records, bench.book)
    assert [r for _, r in told(Recorded(bench.store, [bench.book], NOON + 2, NOON + 100))] == records[2:]


def test_a_corrupt_file_is_told(bench: Bench) -> None:
    """Rather than fewer records."""
    bench.put([bench.trade(0)])
    path = next(bench.layout.dataset_segments(bench.trades).rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-10])
    recorded = Recorded(bench.store, [bench.trades], 0, 2**62)
    with pytest.raises(CorruptFile):
        recorded.next()
    recorded.close()


def test_what_may_be_missing_is_said_of_each_dataset(bench: Bench) -> None:
    """With its reason, also where nobody ever asked; and where nothing of any is there."""
    bench.put([bench.trade(0)], covered=[(NOON, NOON + 10 * NS)])
    NoteBook(bench.layout, "test").add(bench.trades, missing=[Gap(NOON + 10 * NS, NOON + 20 * NS, "lost")])
    bench.put([bench.trade(0)], OTHER, covered=[(NOON, NOON + 15 * NS)])
    told, more, holes = absences(bench.store, [bench.trades, OTHER], NOON, NOON + 30 * NS, 10)
    assert told == [
        Absence(bench.trades.name, NOON + 10 * NS, NOON + 20 * NS, "missing", "lost"),
        Absence(OTHER.name, NOON + 15 * NS, NOON + 30 * NS, "missing", "nothing is known of it"),
        Absence(bench.trades.name, NOON + 20 * NS, NOON + 30 * NS, "missing", "nothing is known of it"),
    ]
    assert (more, holes) == (0, IntervalSet([(NOON + 15 * NS, NOON + 30 * NS)]))
    told, more, _ = absences(bench.store, [bench.trades, OTHER], NOON, NOON + 30 * NS, 1)
    assert (len(told), more) == (1, 2)


def test_of_nothing_there_are_no_bounds(bench: Bench) -> None:
    """An empty range at 0."""
    assert bounds_of(bench.store, [bench.trades]) == (0, 0)
