"""Order books as an Arrow IPC stream."""

from __future__ import annotations

import polars as pl

from dccd.store.book_ipc import book_chunks
from dccd.store.books import Book, frame_of
from dccd.store.intervals import Gap


def test_books_and_stretches_are_rows_of_one_stream() -> None:
    """A stretch without a book is a row that says when and why; pieces are small."""
    books = [Book(at, at - 5, 1, 0, [(9.0, 1.0)], [(10.0, 2.0)]) for at in (100, 200)]
    pieces = list(book_chunks([(frame_of(books), []), (frame_of([]), [Gap(300, 500, "lost")])], "long", 1, rows=3))
    frame = pl.read_ipc_stream(b"".join(pieces))
    assert frame.filter(pl.col("unknown").is_null()).drop("unknown").rows() == frame_of(books).rows()
    assert frame.filter(pl.col("unknown").is_not_null()).select("TS", "as_of", "side", "unknown").rows() == [
        (300, 500, None, "lost")
    ]
    assert len(pieces) == 5  # the schema, 4 rows by 3, the stretch, the end


def test_no_books_still_have_columns() -> None:
    """An answer without rows can be read."""
    frame = pl.read_ipc_stream(b"".join(book_chunks([], "wide", 2)))
    assert frame.columns[:4] == ["TS", "as_of", "bid_price_1", "bid_amount_1"]
    assert frame.columns[-1] == "unknown"
