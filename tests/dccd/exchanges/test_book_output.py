"""When a book's snapshots and deltas are given out."""

from __future__ import annotations

from dccd.exchanges.base import StreamOptions
from dccd.exchanges.book import Book
from dccd.exchanges.book_output import BookOutput
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS

CHANGE = ([(9.0, 2.0)], [])


def output(**options: object) -> tuple[BookOutput, list[Record]]:
    book = Book()
    book.reset([(9.0, 1.0)], [(10.0, 1.0)])
    return BookOutput(book, StreamOptions(snapshot_interval=10, **options)), []  # type: ignore[arg-type]


def test_a_snapshot_comes_first_and_then_deltas() -> None:
    """Each change is a delta with the exchange's time and number."""
    made, out = output()
    made.start(100, 7, 1000, out)
    made.change(200, 8, 2000, CHANGE, out)
    assert out == [
        BookSnapshot(100, 7, [(9.0, 1.0)], [(10.0, 1.0)], 1000),
        BookDelta(200, 8, [(9.0, 2.0)], [], 2000),
    ]


def test_a_snapshot_follows_the_delta_that_makes_it_due() -> None:
    """After snapshot_interval the next change is followed by the whole book."""
    made, out = output()
    made.start(0, 7, 0, out)
    made.change(10 * NS, 8, 10 * NS, CHANGE, out)
    assert [type(record) for record in out] == [BookSnapshot, BookDelta, BookSnapshot]
    assert out[-1].ts == 10 * NS


def test_a_snapshot_between_moments() -> None:
    """Of changes that come one by one none is followed by a snapshot; one that is due comes before the next moment."""
    made, out = output()
    made.start(0, 7, 0, out)
    made.change(10 * NS, 8, 10 * NS, CHANGE, out, more=True)
    made.change(10 * NS, 9, 10 * NS, CHANGE, out, more=True)
    made.settle(9 * NS, out)
    assert [type(record) for record in out] == [BookSnapshot, BookDelta, BookDelta]
    made.settle(11 * NS, out)
    assert out[3:] == [BookSnapshot(10 * NS, 9, [(9.0, 1.0)], [(10.0, 1.0)], 11 * NS)]
    made.stop()
    made.settle(99 * NS, out)
    assert len(out) == 4


def test_snapshots_only() -> None:
    """With book=snapshots there are no deltas."""
    made, out = output(book="snapshots")
    made.start(0, 7, 0, out)
    made.change(5 * NS, 8, 5 * NS, CHANGE, out)
    made.change(11 * NS, 9, 11 * NS, CHANGE, out)
    assert [(type(record), record.ts) for record in out] == [(BookSnapshot, 0), (BookSnapshot, 11 * NS)]


def test_a_change_out_of_view_is_no_delta() -> None:
    """An update that changes nothing in view isn't given out."""
    made, out = output()
    made.start(0, 7, 0, out)
    made.change(1, 8, 1, ([], []), out)
    assert len(out) == 1


def test_a_quiet_book_is_given_out_in_the_exchanges_time() -> None:
    """A snapshot that time makes due tells until when the book is certain to have been so, once an interval."""
    made, out = output()
    made.start(1_000 * NS, 7, 5_000 * NS, out)
    made.tick(5_009 * NS, out)
    assert len(out) == 1
    made.tick(5_010 * NS, out)
    made.tick(5_011 * NS, out)
    assert [record.ts for record in out] == [1_000 * NS, 1_005 * NS]


def test_a_snapshot_that_says_nothing_new_waits() -> None:
    """No two have the same time and number: until more is certain of a book at rest it isn't given out again."""
    book = Book()
    book.reset([(9.0, 1.0)], [(10.0, 1.0)])
    made, out = BookOutput(book, StreamOptions(snapshot_interval=1)), list[Record]()
    made.start(1_000 * NS, 7, 5_000 * NS, out)
    made.tick(5_003 * NS, out)
    made.settle(5_004 * NS, out)
    assert len(out) == 1
    made.tick(5_006 * NS, out)
    assert [record.ts for record in out] == [1_000 * NS, 1_001 * NS]


def test_a_change_dated_before_a_snapshot_that_time_made() -> None:
    """It is given out at the snapshot's time, whose higher number puts it behind that."""
    made, out = output()
    made.start(1_000 * NS, 7, 5_000 * NS, out)
    made.tick(5_010 * NS, out)
    made.change(1_003 * NS, 8, 5_011 * NS, CHANGE, out)
    assert [(type(record), record.ts) for record in out[1:]] == [
        (BookSnapshot, 1_005 * NS),
        (BookDelta, 1_005 * NS),
    ]
    assert made.last_ts == 1_005 * NS


def test_times_that_go_back() -> None:
    """An exchange's time may go back by a moment from one update to the next: what is given out doesn't."""
    made, out = output()
    made.start(100, 7, 1, out)
    made.change(97, 8, 2, CHANGE, out)
    made.change(120, 9, 3, CHANGE, out)
    made.change(119, 10, 4, CHANGE, out)
    assert [record.ts for record in out] == [100, 100, 120, 120]


def test_numbers_that_begin_anew() -> None:
    """What has a lower number at the same time is a nanosecond later: sorted by number it came first."""
    made, out = output()
    made.start(100, 7, 1, out)
    made.change(100, 3, 2, CHANGE, out)
    made.start(90, 3, 3, out)
    made.start(90, 1, 4, out)
    books = [record for record in out if isinstance(record, BookSnapshot | BookDelta)]
    assert [(book.ts, book.seq) for book in books] == [(100, 7), (101, 3), (102, 3), (103, 1)]


def test_a_broken_book_is_silent() -> None:
    """Nothing is due until the book starts again."""
    made, out = output()
    made.start(0, 7, 0, out)
    made.stop()
    made.tick(100 * NS, out)
    assert len(out) == 1
