"""Requests for order books of the past: a request flows in, a book, rows or Arrow chunks flow out.

Where one isn't known is what the store's coverage says: holes of live streams are noted there before anything after
them is published.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import anyio

from actors.links import Links
from dccd import messages as m
from dccd.errors import RequestError
from dccd.store.book_ipc import book_chunks
from dccd.store.book_reader import book_times
from dccd.store.intervals import Gap
from dccd.symbols import Dataset, DataType, parse_interval, parse_range, parse_time

if TYPE_CHECKING:
    import polars as pl

__all__ = ["book", "books_arrow", "books_json"]

_ROWS = 10_000
_TIMES = 100
_WIDEST = 5_000
"""Levels of wide books: each is four columns."""


async def book(links: Links, request: m.Book) -> m.BookReply:
    """Return the book at one time. Raises RequestError, BookUnknown, CorruptFile."""
    dataset = _dataset(request)
    at = None if request.at is None else parse_time(request.at, "at")
    return await anyio.to_thread.run_sync(_book, links, dataset, at, request.depth)


def _book(links: Links, dataset: Dataset, at: int | None, depth: int | None) -> m.BookReply:
    last = links.store.last_ts(dataset)
    if last is None:
        raise _nothing(dataset)
    found = links.store.book(dataset, last if at is None else at, depth)
    return m.BookReply(
        dataset=dataset.name,
        at=found.at,
        ts=found.ts,
        stale=found.stale,
        seq=found.seq,
        snapshot_ts=found.snapshot_ts,
        bids=found.bids,
        asks=found.asks,
    )


async def books_json(links: Links, request: m.Books) -> m.BooksReply:
    """Return books as rows. Raises RequestError, CorruptFile."""
    return await anyio.to_thread.run_sync(_json, links, request)


def _json(links: Links, request: m.Books) -> m.BooksReply:
    asked, times, parts = _series(links, request, request.limit or _TIMES)
    rows: list[list[object]] = []
    unknown: list[m.Unknown] = []
    columns: list[str] = []
    for frame, told in parts:
        columns = frame.columns
        if len(rows) + frame.height > _ROWS:
            raise RequestError(
                422, "too_many_rows", f"JSON gives up to {_ROWS:,} rows: ask for fewer times or levels", "limit"
            )
        rows += [list(row) for row in frame.rows()]
        unknown += [m.Unknown(start=gap.start, end=gap.end, reason=gap.reason) for gap in told]
    return m.BooksReply(
        dataset=_dataset(request).name,
        start=asked.start,
        end=asked.stop,
        every=asked.step,
        columns=columns,
        rows=rows,
        unknown=unknown,
        next=asked[len(times)] if len(times) < len(asked) else None,
    )


async def books_arrow(links: Links, request: m.Books) -> Iterator[bytes]:
    """Return Arrow IPC chunks, to be taken in worker threads. Raises RequestError, CorruptFile."""
    _, _, parts = await anyio.to_thread.run_sync(partial(_series, links, request, request.limit))
    return book_chunks(parts, request.shape, request.depth)


def _series(
    links: Links, request: m.Books, limit: int | None
) -> tuple[range, range, Iterator[tuple[pl.DataFrame, list[Gap]]]]:
    """The times asked for, those of them that *limit* leaves, and the books at these."""
    dataset = _dataset(request)
    every = parse_interval(request.every)
    if request.shape == "wide" and (request.depth is None or request.depth > _WIDEST):
        told = f"wide books have columns for each level: how many? Give a depth, up to {_WIDEST:,}"
        raise RequestError(422, "no_depth", told, "depth")
    start, end = parse_range(request.start, request.end)
    asked = book_times(links.store, dataset, every, start, end)
    if asked is None:
        raise _nothing(dataset)
    times = asked if limit is None else asked[:limit]
    until = min(times.stop, asked.stop)
    parts = links.store.books(dataset, every, times.start, until, request.depth, shape=request.shape)
    return asked, times, parts


def _dataset(request: m.Book | m.Books) -> Dataset:
    dataset = request.resolve()
    if dataset.data_type is not DataType.ORDERBOOK:
        raise RequestError(422, "no_book", f"{dataset} isn't a dataset of order books", "dataset")
    return dataset


def _nothing(dataset: Dataset) -> RequestError:
    return RequestError(404, "no_dataset", f"nothing is stored of {dataset}; dccd.inventory lists what is", "dataset")
