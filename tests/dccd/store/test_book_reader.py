"""Order books out of files: whatever the flushes, folds and days, replay is the truth."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import BookUnknown
from dccd.records import BookDelta, BookSnapshot, Level
from dccd.store.book_reader import book_at, book_series, last_snapshot
from dccd.store.claims import NoteBook
from dccd.store.fold import fold
from dccd.store.intervals import Gap
from dccd.store.layout import Layout
from dccd.store.parquet import OpenFile
from dccd.store.reader import Store
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

BOOK = Dataset.parse("binance.orderbook.BTC-USDT")
MIDNIGHT = 1_700_006_400 * NS  # 2023-11-15T00:00:00Z

Sides = tuple[list[Level], list[Level]]

step = st.fixed_dictionaries(
    {
        "wait": st.sampled_from([0, 1, 7, 3_000, 40_000_000_000_000]),  # the last one reaches into the next day
        "level": st.integers(0, 7),  # 0 to 3 are bids
        "amount": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        "snapshot": st.booleans(),
        "lost": st.integers(0, 9).map(lambda n: n == 0),  # with a snapshot after it
        "flush": st.booleans(),
        "fold": st.sampled_from([None, None, False, True]),
    }
)


class Market:
    """What the steps make: records as they are stored, the true book after each time, and what was lost."""

    def __init__(self) -> None:
        self.ts, self.seq = MIDNIGHT - 5_000, 0
        self.amounts = dict.fromkeys([1.0, 8.0], 1.0)
        self.truth: list[tuple[int, Sides]] = []
        self.gaps: list[Gap] = []
        self.records: list[BookSnapshot | BookDelta] = []
        self._lost_since: int | None = None
        self._emit(None, whole=True)

    def step(self, what: dict[str, Any]) -> None:
        self.ts += what["wait"]
        self.seq += 1
        price = float(what["level"] + 1)
        # One side never goes: a book is there at all times.
        amount = what["amount"] or (1.0 if price in (1.0, 8.0) else 0.0)
        self.amounts[price] = amount
        if what["lost"] and self._lost_since is None and what["wait"]:
            self._lost_since = self.truth[-1][0]
        self._emit((price, amount), what["snapshot"])

    def _emit(self, change: Level | None, whole: bool) -> None:
        book = self.book()
        self.truth.append((self.ts, book))
        if self._lost_since is not None:
            if not whole:
                return
            self.gaps.append(Gap(self._lost_since, self.ts, "lost"))
            self._lost_since = None
        elif change is not None:
            bid = change[0] <= 4
            self.records.append(BookDelta(self.ts, self.seq, [change] if bid else [], [] if bid else [change]))
        if whole:
            self.records.append(BookSnapshot(self.ts, self.seq, *book))

    def end(self) -> None:
        if self._lost_since is not None:
            self.gaps.append(Gap(self._lost_since, self.ts + 10**15, "lost"))

    def book(self) -> Sides:
        levels = sorted((price, amount) for price, amount in self.amounts.items() if amount)
        return [level for level in levels if level[0] <= 4][::-1], [level for level in levels if level[0] > 4]

    def at(self, ts: int) -> Sides | None:
        if any(gap.start <= ts < gap.end for gap in self.gaps):
            return None
        return next((book for when, book in reversed(self.truth) if when <= ts), None)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=40), st.lists(st.integers(-1, 3), min_size=1, max_size=4))
def test_a_book_read_back_is_the_true_one_at_every_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, Any]], offsets: list[int]
) -> None:
    """At every time at which something changed, and about it: the truth, or unknown where changes were lost."""
    layout = Layout(tmp_path_factory.mktemp("store"))
    store, writer, market = Store(layout), SegmentWriter(layout, "test"), Market()

    def flush() -> None:
        if market.records:
            writer.write(BOOK, table_from_records(BOOK.data_type, market.records))
            market.records.clear()

    for what in steps:
        market.step(what)
        if what["flush"]:
            flush()
        if what["fold"] is not None:
            for period in layout.periods(BOOK):
                fold(layout, BOOK, period, what["fold"])
    flush()
    market.end()
    times = sorted({when + offset for when, _ in market.truth for offset in offsets})
    expected = {at: market.at(at) for at in times}
    for at, true in expected.items():
        try:
            found = book_at(store, BOOK, at, missing=market.gaps)
        except BookUnknown:
            assert true is None
        else:
            assert (found.bids, found.asks) == true
            assert at - found.stale == found.ts <= at
    # The same as a series at a fine grain about some of these times.
    for at in times[:: max(1, len(times) // 5)]:
        parts = list(book_series(store, BOOK, 1, at - 2, at + 3, missing=market.gaps))
        frame = pl.concat([part for part, _ in parts])
        told = [gap for _, gaps in parts for gap in gaps]
        newest = store.last_ts(BOOK)
        assert newest is not None
        for time in range(at - 2, at + 3):
            rows = frame.filter(TS=time)
            true = market.at(time) if time <= newest else None
            assert rows.filter(side="bid").select("price", "amount").rows() == (true[0] if true else [])
            assert rows.filter(side="ask").select("price", "amount").rows() == (true[1] if true else [])
            assert any(gap.start <= time < gap.end for gap in told) == (true is None)


def a_day(bench: Any, snapshots: list[int]) -> int:
    """A base of a day with 400,000 changes, a snapshot before each of these; returns the last time."""
    records: list[BookSnapshot | BookDelta] = []
    for n in range(400_000):
        ts = MIDNIGHT + n * 1_000
        if n in snapshots:
            records.append(BookSnapshot(ts, n, [(1.0, 1.0)], [(9.0, 1.0)]))
        records.append(BookDelta(ts, n, [(1.0 + n % 3, 1.0 + n)], []))
    bench.put(records, bench.book)
    fold(bench.layout, bench.book, "2023-11-15", force=True)
    return MIDNIGHT + 399_999 * 1_000


def test_only_the_row_groups_from_the_last_snapshot_on_are_read(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One book of a large day doesn't cost the day."""
    last = a_day(bench, [0, 100_000, 300_000, 399_000])
    read: list[tuple[int, int]] = []
    frames = OpenFile.frames

    def noting(self: OpenFile, lo: int, hi: int, columns: Any = None) -> Any:
        read.extend(group[:2] for group in self.groups(lo, hi))
        return frames(self, lo, hi, columns)

    monkeypatch.setattr(OpenFile, "frames", noting)
    book = book_at(bench.store, bench.book, last)
    assert (book.ts, book.snapshot_ts) == (last, MIDNIGHT + 399_000 * 1_000)
    assert len(set(read)) == 1


def test_the_snapshot_may_be_of_the_day_before(bench: Any) -> None:
    """Days are gone back to the last one, and changes of all days since are in the book."""
    snapshot = BookSnapshot(MIDNIGHT - 10, 1, [(1.0, 1.0)], [(9.0, 1.0)])
    changes = [BookDelta(MIDNIGHT + n * 86_400 * NS, 2 + n, [(2.0, 1.0 + n)], []) for n in range(3)]
    bench.put([snapshot, *changes], bench.book)
    assert len(bench.layout.periods(bench.book)) == 4
    assert last_snapshot(bench.store, bench.book, changes[-1].ts) == MIDNIGHT - 10
    assert book_at(bench.store, bench.book, changes[-1].ts).bids == [(2.0, 3.0), (1.0, 1.0)]
    assert last_snapshot(bench.store, bench.book, changes[-1].ts, since=MIDNIGHT) is None


def test_nothing_before_the_first_snapshot(bench: Any) -> None:
    """It is said that there is none, and of a dataset without rows a series is empty."""
    with pytest.raises(BookUnknown, match="no snapshot"):
        book_at(bench.store, bench.book, MIDNIGHT)
    assert list(book_series(bench.store, bench.book, NS)) == []
    bench.put([BookSnapshot(MIDNIGHT, 1, [(1.0, 1.0)], [])], bench.book)
    with pytest.raises(BookUnknown, match="no snapshot"):
        book_at(bench.store, bench.book, MIDNIGHT - 1)


def test_a_series_begins_at_a_whole_interval(bench: Any) -> None:
    """Without a start the times are multiples of the interval, from the first row on to the last."""
    bench.put(
        [
            BookSnapshot(MIDNIGHT + 300, 1, [(1.0, 1.0)], [(9.0, 1.0)]),
            BookDelta(MIDNIGHT + 2_500, 2, [(1.0, 2.0)], []),
        ],
        bench.book,
    )
    ((frame, told),) = book_series(bench.store, bench.book, 1_000, shape="wide", depth=1)
    assert (frame["TS"] - MIDNIGHT).to_list() == [1_000, 2_000]
    assert told == []


def test_books_of_dccd_3_are_read(bench: Any) -> None:
    """Files without sequence numbers, of snapshots only."""
    frame = pl.DataFrame(
        {
            "TS": [MIDNIGHT, MIDNIGHT, MIDNIGHT + 60 * NS, MIDNIGHT + 60 * NS],
            "side": ["bid", "ask"] * 2,
            "price": [1.0, 9.0, 2.0, 8.0],
            "amount": [1.0] * 4,
            "count": pl.Series([None] * 4, dtype=pl.Int64),
            "is_snapshot": [True] * 4,
        }
    )
    bench.base(frame, bench.book, "2023-11-15")
    assert book_at(bench.store, bench.book, MIDNIGHT + 59 * NS).bids == [(1.0, 1.0)]
    found = book_at(bench.store, bench.book, MIDNIGHT + 61 * NS)
    assert (found.bids, found.asks, found.stale, found.seq) == ([(2.0, 1.0)], [(8.0, 1.0)], NS, None)


def test_the_store_knows_what_is_missing(bench: Any) -> None:
    """Changes that a note tells to be missing make the book unknown, up to the next snapshot."""
    day = MIDNIGHT + 3600 * NS
    bench.put(
        [BookSnapshot(day, 1, [(1.0, 1.0)], [(9.0, 1.0)]), BookDelta(day + 10 * NS - 1, 1, [(1.0, 3.0)], [])],
        bench.book,
    )
    bench.put([BookSnapshot(day + 60 * NS, 2, [(2.0, 1.0)], [(9.0, 1.0)])], bench.book)
    NoteBook(bench.layout, "test").add(bench.book, missing=[Gap(day + 10 * NS, day + 20 * NS, "disconnect")])
    assert bench.store.book(bench.book, day + 10 * NS - 1).bids == [(1.0, 3.0)]
    with pytest.raises(BookUnknown, match="disconnect") as caught:
        bench.store.book(bench.book, day + 15 * NS)
    assert caught.value.until == day + 20 * NS
    with pytest.raises(BookUnknown, match="no snapshot since"):
        bench.store.book(bench.book, day + 30 * NS)
    ((frame, told),) = bench.store.books(bench.book, 10 * NS, depth=1)
    assert frame.filter(side="bid")["TS"].to_list() == [day, day + 60 * NS]
    assert [(gap.start, gap.end) for gap in told] == [(day + 10 * NS, day + 60 * NS)]
