"""Order books out of the files: a dataset and times flow in, books flow out, in bounded memory.

Row groups are looked through backwards for the last snapshot, by two columns only; from there on rows are read
forwards. So one book costs what there is between two snapshots, not a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from dccd.store.books import COLUMNS, NO_SNAPSHOT, Book, Breaks, Rebuilder, Shape, series, unknown
from dccd.store.intervals import Gap
from dccd.store.layout import period_bounds
from dccd.store.parquet import MAX_TS, MIN_TS, OpenFile
from dccd.symbols import Dataset

if TYPE_CHECKING:
    from dccd.store.reader import Store

__all__ = ["book_at", "book_series", "book_times", "last_snapshot"]


def book_at(store: Store, dataset: Dataset, at: int, depth: int | None = None, missing: Sequence[Gap] = ()) -> Book:
    """Return the book at *at* (ns), the best *depth* levels of it: all rows up to *at*, inclusive, are in it.

    *missing*: intervals in which changes may be missing. Raises BookUnknown, CorruptFile.
    """
    breaks = Breaks(missing)
    made = Rebuilder(dataset, breaks)
    gap = breaks.before(at)
    if gap is not None and gap.end > at:
        raise unknown(dataset, at, gap.reason or "changes may be missing", gap.end)
    start = last_snapshot(store, dataset, at, MIN_TS if gap is None else gap.end)
    if start is None:
        reason = NO_SNAPSHOT if gap is None else f"{gap.reason or 'changes may be missing'}, and no snapshot since"
        raise unknown(dataset, at, reason)
    for rows in store.frames(dataset, start, at + 1, COLUMNS):
        made.apply(rows)
    return made.book(at, depth)


def book_series(
    store: Store,
    dataset: Dataset,
    every: int,
    start: int | None = None,
    end: int | None = None,
    depth: int | None = None,
    missing: Sequence[Gap] = (),
    shape: Shape = "long",
) -> Iterator[tuple[pl.DataFrame, list[Gap]]]:
    """Yield the books at the times of :func:`book_times`, as :func:`~dccd.store.books.series` does; nothing where
    nothing is stored. Raises CorruptFile."""
    times, last = book_times(store, dataset, every, start, end), store.last_ts(dataset)
    if times is None or last is None:
        return
    breaks = Breaks(missing)
    gap = breaks.before(times.start)
    since = MIN_TS if gap is None else gap.end
    found = last_snapshot(store, dataset, times.start, since) if since <= times.start else None
    frames = store.frames(dataset, times.start if found is None else found, times.stop, COLUMNS)
    yield from series(dataset, frames, times, depth, breaks, last, shape)


def book_times(
    store: Store, dataset: Dataset, every: int, start: int | None = None, end: int | None = None
) -> range | None:
    """Return *start*, *start* + *every* and so on, before *end* (ns); None where nothing is stored.

    Default for *start*: the first multiple of *every* that has a row at or before it; for *end*: just behind the newest
    row. Raises CorruptFile.
    """
    last = store.last_ts(dataset)
    if last is None:
        return None
    if start is None:
        start = -(-_first_ts(store, dataset) // every) * every
    return range(start, last + 1 if end is None else end, every)


def last_snapshot(store: Store, dataset: Dataset, at: int, since: int = MIN_TS) -> int | None:
    """Return the ``TS`` of the last snapshot in ``[since, at]`` ns, if there is one. Raises CorruptFile."""
    for period in reversed(store.periods(dataset)):
        first, end = period_bounds(period)
        if first > at or end <= since:
            continue
        with store.open(dataset, period) as files:
            found = _last_snapshot(files, at, since)
        if found is not None:
            return found
    return None


def _last_snapshot(files: Sequence[OpenFile], at: int, since: int) -> int | None:
    groups = [(group[1], group[0], n) for n, file in enumerate(files) for group in file.groups(since, at + 1)]
    found: int | None = None
    for last, first, n in sorted(groups, reverse=True):
        if found is not None and last <= found:
            break
        lo = max(first, since if found is None else found + 1)
        for rows, _ in files[n].frames(lo, min(last, at) + 1, ("TS", "is_snapshot")):
            if "is_snapshot" in rows.columns:
                times = rows.filter(pl.col("is_snapshot"))["TS"]
                if times.len():
                    found = max(times[-1], MIN_TS if found is None else found)
    return found


def _first_ts(store: Store, dataset: Dataset) -> int:
    for period in store.periods(dataset):
        with store.open(dataset, period) as files:
            times = [file.first_ts for file in files if file.first_ts is not None]
        if times:
            return min(times)
    return MAX_TS
