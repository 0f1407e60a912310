"""Order books made again of their rows: replay is the truth, or says that it isn't known."""

from __future__ import annotations

import polars as pl
import pytest

from dccd.errors import BookUnknown
from dccd.records import BookDelta, BookSnapshot, Level
from dccd.store.books import CROSSED, NO_SNAPSHOT, Book, Breaks, Rebuilder, breaks_in, frame_of, series
from dccd.store.coverage import Claims, Notes, coverage_of
from dccd.store.intervals import Gap, IntervalSet
from dccd.store.schema import table_from_records
from dccd.symbols import Dataset, DataType

BOOK = Dataset.parse("binance.orderbook.BTC-USDT")


def rows(*records: BookSnapshot | BookDelta) -> pl.DataFrame:
    frame = pl.from_arrow(table_from_records(DataType.ORDERBOOK, records))
    assert isinstance(frame, pl.DataFrame)
    return frame


def whole(ts: int, seq: int, bid: float = 9.0, ask: float = 10.0) -> BookSnapshot:
    return BookSnapshot(ts, seq, [(bid, 1.0), (bid - 1, 2.0)], [(ask, 1.0), (ask + 1, 2.0)])


def bids(ts: int, seq: int, *levels: Level) -> BookDelta:
    return BookDelta(ts, seq, list(levels), [])


def made(*records: BookSnapshot | BookDelta, gaps: tuple[Gap, ...] = ()) -> Rebuilder:
    book = Rebuilder(BOOK, Breaks(gaps))
    book.apply(rows(*records))
    return book


def test_a_snapshot_and_its_changes_make_a_book() -> None:
    """Levels are set, added and removed; best first, with the last row's time and number."""
    book = made(whole(100, 1), bids(200, 2, (9.0, 0.0), (8.5, 3.0)), bids(300, 3, (8.0, 5.0), (1.0, 0.0)))
    found = book.book(350)
    assert found == Book(350, 300, 3, 100, [(8.5, 3.0), (8.0, 5.0)], [(10.0, 1.0), (11.0, 2.0)])
    assert found.stale == 50
    assert book.book(350, depth=1).bids == [(8.5, 3.0)]


def test_a_snapshot_takes_all_levels_away() -> None:
    """What an earlier book had and a snapshot hasn't is gone; one that comes in two frames is one."""
    book = made(whole(100, 1))
    later = rows(whole(200, 2, bid=5.0, ask=6.0))
    book.apply(later[:2])
    book.apply(later[2:])
    assert book.book(200) == Book(200, 200, 2, 200, [(5.0, 1.0), (4.0, 2.0)], [(6.0, 1.0), (7.0, 2.0)])


def test_changes_before_the_first_snapshot_make_no_book() -> None:
    """Without a snapshot nothing is known."""
    book = made(bids(100, 1, (9.0, 1.0)))
    with pytest.raises(BookUnknown) as caught:
        book.book(100)
    assert caught.value.reason == NO_SNAPSHOT


@pytest.mark.parametrize(
    ("gap", "at", "known"),
    [
        (Gap(200, 300), 199, True),
        (Gap(200, 300), 200, False),
        (Gap(200, 300), 299, False),
        (Gap(200, 300), 400, False),
        (Gap(50, 100), 150, True),  # over before the snapshot
        (Gap(50, 101), 150, False),  # the snapshot lies in it
        (Gap(50, 101), 100, False),
        (Gap(500, 600), 400, True),
    ],
)
def test_a_missing_interval_breaks_the_book(gap: Gap, at: int, known: bool) -> None:
    """From its start on, until a snapshot that is not before its end."""
    book = made(whole(100, 1), gaps=(gap,))
    assert (book.unknown(at) is None) == known
    book.apply(rows(whole(600, 2)))
    assert book.unknown(600) is None


def test_a_long_missing_interval_outlasts_short_ones_in_it() -> None:
    """Of several that begin before a time the one that ends last counts."""
    book = made(whole(150, 1), gaps=(Gap(100, 900, "long"), Gap(110, 120, "short")))
    assert book.unknown(200) == "long"


def test_a_crossed_book_is_unknown_until_the_next_snapshot() -> None:
    """It is wrong, and stays so where the best bid goes again."""
    book = made(whole(100, 1), bids(200, 2, (10.0, 1.0)))
    assert book.unknown(200) == CROSSED
    book.apply(rows(bids(300, 3, (10.0, 0.0))))
    assert book.unknown(300) == CROSSED
    book.apply(rows(whole(400, 4)))
    assert book.unknown(400) is None


def test_a_series_of_books() -> None:
    """A book at each time holds the rows up to it; what isn't known is left out and told as stretches."""
    frames = [
        rows(whole(100, 1), bids(200, 2, (9.0, 7.0))),
        rows(bids(200, 3, (9.0, 8.0)), whole(520, 4)),
    ]
    parts = list(series(BOOK, frames, range(0, 800, 100), 1, Breaks([Gap(310, 450, "lost")]), 620))
    frame = pl.concat([part for part, _ in parts])
    assert frame.filter(side="bid").select("TS", "as_of", "level", "price", "amount").rows() == [
        (100, 100, 1, 9.0, 1.0),
        (200, 200, 1, 9.0, 8.0),
        (300, 200, 1, 9.0, 8.0),
        (600, 520, 1, 9.0, 1.0),
    ]
    assert [gap for _, told in parts for gap in told] == [
        Gap(0, 100, NO_SNAPSHOT),
        Gap(400, 600, "lost"),
        Gap(700, 800, "nothing is stored after it"),
    ]


def test_wide_books_have_a_row_each() -> None:
    """Levels are columns, null where there is none."""
    frame = frame_of([Book(5, 4, 1, 4, [(9.0, 1.0)], [(10.0, 2.0), (11.0, 3.0)])], "wide", 2)
    assert frame.to_dicts() == [
        {
            "TS": 5, "as_of": 4,
            "bid_price_1": 9.0, "bid_amount_1": 1.0, "ask_price_1": 10.0, "ask_amount_1": 2.0,
            "bid_price_2": None, "bid_amount_2": None, "ask_price_2": 11.0, "ask_amount_2": 3.0,
        }
    ]  # fmt: skip


def test_a_long_series_comes_in_parts() -> None:
    """What is held at once doesn't grow with the series."""
    frames = [rows(whole(0, 1), bids(200_000, 2, (1.0, 1.0)))]
    parts = [part.height for part, _ in series(BOOK, frames, range(0, 30_000), None, Breaks(), 200_000)]
    assert sum(parts) == 120_000
    assert max(parts) < 70_000


@pytest.mark.parametrize(
    ("verified", "unverified", "notes", "breaks"),
    [
        ([(0, 100), (10**11, 2 * 10**11)], [], Notes(), [(100, 10**11)]),  # a crash: nobody told
        ([(0, 100)], [(10**11, 2 * 10**11)], Notes(), []),  # the files of before are files, no more
        ([], [(0, 100), (200, 300)], Notes(), []),
        ([], [(0, 300)], Notes(missing=(Gap(300, 400, "disconnect"),)), [(300, 400)]),
        ([(0, 300)], [], Notes(unavailable=(Gap(300, 400, "past"),)), [(300, 400)]),
        ([(0, 300)], [], Notes(purged=((300, 400),)), [(300, 400)]),
        ([(0, 300)], [], Notes(missing=(Gap(100, 200, "disconnect"),)), []),
        ([], [], Notes(asked=((0, 300),)), []),
    ],
)
def test_what_breaks_a_book(
    verified: list[tuple[int, int]], unverified: list[tuple[int, int]], notes: Notes, breaks: list[tuple[int, int]]
) -> None:
    """Holes that were told, and those between what is vouched for."""
    coverage = coverage_of(Claims(IntervalSet(verified), IntervalSet(unverified)), notes)
    assert [(gap.start, gap.end) for gap in breaks_in(coverage)] == breaks


def test_times_without_a_book_cost_nothing() -> None:
    """Years of milliseconds before, between and after what is stored are told in a moment."""
    day = 86_400 * 1_000_000_000
    times, breaks = range(0, 9000 * day, 1_000_000), Breaks([Gap(1000 * day + 1, 3000 * day, "lost")])
    parts = list(series(BOOK, [rows(whole(1000 * day, 1), whole(3000 * day, 2))], times, 1, breaks, 3000 * day))
    told = [(gap.start // day, gap.end // day, gap.reason) for _, gaps in parts for gap in gaps]
    assert told == [(0, 1000, NO_SNAPSHOT), (1000, 3000, "lost"), (3000, 9000, "nothing is stored after it")]
    assert [row["TS"] // day for frame, _ in parts for row in frame.rows(named=True)] == [1000, 1000, 3000, 3000]
