"""What is stored, base and segments as one.

Datasets and times flow in, frames of rows, positions and statistics flow out. Each row once, whatever is folded
meanwhile (:mod:`dccd.store.period`).

A corrupt file raises CorruptFile: rows are never left out in silence.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Protocol

import msgspec
import polars as pl
import pyarrow as pa

from dccd.errors import CorruptFile
from dccd.store.book_reader import book_at, book_series
from dccd.store.books import Book, Shape, breaks_in
from dccd.store.catalogue import Catalogue, DatasetStats
from dccd.store.claims import read_notes
from dccd.store.coverage import Claims, Coverage, Gap, IntervalSet, Notes, coverage_of
from dccd.store.layout import Layout, period_bounds
from dccd.store.merge import merged, unified_schema
from dccd.store.parquet import MAX_TS, MIN_TS, OpenFile, ReadCounts, as_frame
from dccd.store.period import HeldPeriods, counting, open_period
from dccd.store.schema import SCHEMAS
from dccd.symbols import NS, Dataset

__all__ = ["DatasetStats", "Store", "to_batches"]


class Past(Protocol):
    """Where files are that were here; see ``remote.past``."""

    def change(self, remotes: Sequence[Any], limit: int) -> None:
        """These are the remotes from now on, and *limit* bytes of what was had from them are kept."""
        ...

    def periods(self, dataset: Dataset) -> list[str]:
        """The periods of which it may have some."""
        ...

    def plain(self, dataset: Dataset, period: str) -> bool:
        """Whether its files of *period* have no columns but those that we know."""
        ...

    def open(self, dataset: Dataset, period: str, here: Sequence[OpenFile]) -> AbstractContextManager[list[OpenFile]]:
        """Open those of *period* that aren't *here* any more."""
        ...


class Store:
    """One ``data_path``, for reading. Sync; thread-safe, and independent of who writes there."""

    def __init__(self, root: str | os.PathLike[str] | Layout, past: Past | None = None) -> None:
        """*past* has what retention has purged here."""
        self.layout = root if isinstance(root, Layout) else Layout(root)
        self.past = past
        self.catalogue = Catalogue(self.layout)
        self.counts = ReadCounts()
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"Store({str(self.layout.root)!r})"

    def statistics(self) -> dict[str, int]:
        """What was read of files so far: files opened, row groups, columns of these, their bytes, rows decoded."""
        return self.counts.statistics()

    def datasets(self) -> list[Dataset]:
        """Every dataset that is stored, in order."""
        return self.layout.datasets()

    def read(
        self,
        dataset: Dataset,
        start: int | None = None,
        end: int | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        newest: bool = False,
    ) -> pl.DataFrame:
        """Return the rows with ``TS`` in ``[start, end)`` ns, in order, each once.

        *columns* (all by default; those that no file has are left out) come in the order of the files, after ``TS``,
        which is always there. *limit* bounds
        the rows: the first, or with *newest* the last ones. Raises CorruptFile.
        """
        lo, hi = _range(start, end)
        frames: list[pl.DataFrame] = []
        left = MAX_TS if limit is None else limit
        for period in self._periods(dataset, lo, hi, newest):
            if left <= 0:
                break
            with self.open(dataset, period) as files:
                found = _newest(dataset, files, lo, hi, columns, left) if newest else None
                for rows in merged(dataset.data_type, files, lo, hi, columns) if found is None else found:
                    frames.append(rows.head(left))
                    left -= frames[-1].height
                    if left <= 0:
                        break
        if newest:
            frames.reverse()
        empty = as_frame(_select(SCHEMAS[dataset.data_type], columns).empty_table())
        # A column that only later periods have is null in the earlier ones.
        return pl.concat([empty, *frames], how="diagonal_relaxed")

    def batches(
        self,
        dataset: Dataset,
        start: int | None = None,
        end: int | None = None,
        rows: int = 65_536,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield what ``read`` returns, in batches of up to *rows*, holding a few of them at a time.

        Each is consistent within its period; a period is opened when its turn comes. All have one schema.
        """
        left = MAX_TS if limit is None else limit
        # Arrow IPC wants one schema for all: columns unknown to us must be known before the first batch.
        schema = _select(self.schema(dataset, start, end), columns)
        for frame in self.frames(dataset, start, end, schema.names):
            for part in frame.head(left).iter_slices(rows):
                left -= part.height
                yield from to_batches(part, schema)
            if left <= 0:
                return

    def frames(
        self, dataset: Dataset, start: int | None = None, end: int | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the same in frames as they come, each with the columns that its period has."""
        lo, hi = _range(start, end)
        for period in self._periods(dataset, lo, hi, False):
            with self.open(dataset, period) as files:
                yield from merged(dataset.data_type, files, lo, hi, columns)

    def schema(self, dataset: Dataset, start: int | None = None, end: int | None = None) -> pa.Schema:
        """The columns of *dataset*, with those unknown to us that its files in the range have. Raises CorruptFile."""
        schema = SCHEMAS[dataset.data_type]
        purged = set() if self.past is None else {*self.past.periods(dataset)}
        for period in self._periods(dataset, *_range(start, end), False):
            # Nothing is fetched only to know its columns where it is known to have those of ours.
            plain = self.past is not None and period in purged and self.past.plain(dataset, period)
            with self._here(dataset, period) if plain else self.open(dataset, period) as files:
                found = unified_schema(dataset.data_type, files)
                schema = pa.unify_schemas([schema, found], promote_options="permissive")
        return schema

    def book(self, dataset: Dataset, at: int, depth: int | None = None, missing: Sequence[Gap] | None = None) -> Book:
        """Return the order book at *at* ns, the best *depth* levels a side: every row up to then, inclusive, is in it.

        *missing* are the intervals in which changes may be missing (default: those that the coverage knows). Raises
        BookUnknown, where one lies between *at* and the snapshot before; CorruptFile.
        """
        return book_at(self, dataset, at, depth, self._breaks(dataset) if missing is None else missing)

    def books(
        self,
        dataset: Dataset,
        every: int,
        start: int | None = None,
        end: int | None = None,
        depth: int | None = None,
        missing: Sequence[Gap] | None = None,
        shape: Shape = "long",
    ) -> Iterator[tuple[pl.DataFrame, list[Gap]]]:
        """Yield the order books at *start*, and each *every* ns after it, before *end*, some 65,536 rows at a time.

        With each frame (columns: see :func:`~dccd.store.books.frame_of`) come the stretches that were found unknown:
        they are left out. Default: from the first row to the last one, at multiples of *every*. Raises CorruptFile.
        """
        gaps = self._breaks(dataset) if missing is None else missing
        return book_series(self, dataset, every, start, end, depth, gaps, shape)

    def _breaks(self, dataset: Dataset) -> list[Gap]:
        return breaks_in(self.readable(dataset))

    def resume(self, dataset: Dataset) -> int | None:
        """Where a backfill goes on (ns): at the first hole, else where what is there ends; None of nothing.

        The last bar that nobody vouches for may have been open: it is had again. Raises CorruptFile.
        """
        coverage = self.coverage(dataset)
        end, unverified = coverage.resume, coverage.unverified.bounds
        if end is not None and unverified is not None and unverified[1] == end:
            return end - ((dataset.span or 0) * NS or 1)
        return self.last_ts(dataset) if end is None else end

    def last_ts(self, dataset: Dataset) -> int | None:
        """The newest ``TS`` (ns) stored, by the footers."""
        for period in reversed(self.layout.periods(dataset)):
            with self.open(dataset, period) as files:
                times = [file.last_ts for file in files if file.last_ts is not None]
            if times:
                return max(times)
        # All of it may have been purged, and be had from a remote: then as late as that is known to reach.
        purged = self.past is not None and self.past.periods(dataset) and read_notes(self.layout, dataset).purged
        return purged[-1][1] - 1 if purged else None

    def stats(self, dataset: Dataset) -> DatasetStats:
        """Rows, files, bytes, first and last time of *dataset*, from footers; only those of new files are read."""
        return self.catalogue.dataset(dataset)

    def look(self, dataset: Dataset) -> tuple[DatasetStats, Claims, Notes]:
        """Statistics, what the files claim, and what is noted beside them. Raises CorruptFile."""
        return *self.catalogue.look(dataset), read_notes(self.layout, dataset)

    def coverage(self, dataset: Dataset) -> Coverage:
        """What is there of *dataset*'s time, and what isn't and why. Raises CorruptFile."""
        return coverage_of(self.catalogue.look(dataset)[1], read_notes(self.layout, dataset))

    def readable(self, dataset: Dataset) -> Coverage:
        """The coverage as it is for readers: what was purged and is had from a remote is there. Raises CorruptFile."""
        coverage = self.coverage(dataset)
        if self.past is None or not coverage.purged or not self.past.periods(dataset):
            return coverage
        had = coverage.verified.union(coverage.purged)
        return msgspec.structs.replace(coverage, verified=had, purged=IntervalSet())

    def all_stats(self) -> dict[Dataset, DatasetStats]:
        """The same of every dataset, from one listing."""
        return self.catalogue.all()

    def stored_position(self, dataset: Dataset, period: str, epoch: str, *, pass_over_corrupt: bool = False) -> int:
        """The highest bus sequence of *epoch* whose rows of *dataset* in *period* are on disk; 0 if none is.

        All earlier messages of the dataset are then too, since its writer goes in order of the sequences. Raises
        CorruptFile; with *pass_over_corrupt* such a file counts for nothing, as its rows do until somebody mends it.
        """
        corrupt: list[CorruptFile] | None = [] if pass_over_corrupt else None
        with open_period(self.layout, dataset, period, corrupt) as (files, _):
            positions = [bus for file in files if file.footer is not None for bus in file.footer.bus]
        return max((bus.last for bus in positions if bus.epoch == epoch), default=0)

    def bounds(self, dataset: Dataset) -> tuple[int | None, int | None]:
        """The first and the last time (ns) that a row may have, also of what was purged and is had from a remote."""
        stats = self.stats(dataset)
        purged = []
        if self.past is not None and self.past.periods(dataset):
            purged = [ts for start, end in read_notes(self.layout, dataset).purged for ts in (start, end - 1)]
        times = [*purged, *(ts for ts in (stats.first_ts, stats.last_ts) if ts is not None)]
        return min(times, default=None), max(times, default=None)

    @contextmanager
    def _here(self, dataset: Dataset, period: str) -> Iterator[list[OpenFile]]:
        with open_period(self.layout, dataset, period, counts=self.counts) as (files, _):
            yield files

    @contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs, a period that was opened in this thread stays open, the last few of them: what is asked
        several times of it (is there any row, which columns, the rows) opens its files once, as of one moment."""
        if getattr(self._local, "held", None) is not None:
            yield  # somebody further out holds them
            return
        with HeldPeriods() as held:
            self._local.held = held
            try:
                yield
            finally:
                self._local.held = None

    @contextmanager
    def open(self, dataset: Dataset, period: str) -> Iterator[list[OpenFile]]:
        """Open the files whose rows are those of *period*, in the order they were written, as of one moment."""
        held: HeldPeriods | None = getattr(self._local, "held", None)
        opening = partial(self._open, dataset, period)
        with opening() if held is None else held.open((dataset, period), opening) as files:
            yield files

    @contextmanager
    def _open(self, dataset: Dataset, period: str) -> Iterator[list[OpenFile]]:
        with open_period(self.layout, dataset, period, counts=self.counts) as (files, _):
            if self.past is None:
                yield files
                return
            with self.past.open(dataset, period, files) as more:
                yield counting([*files, *more])

    def periods(self, dataset: Dataset) -> list[str]:
        """The periods that may be read, in order: those that are here, and those that were purged and are had from a
        remote."""
        here = self.layout.periods(dataset)
        return here if self.past is None else sorted({*here, *self.past.periods(dataset)})

    def _periods(self, dataset: Dataset, lo: int, hi: int, newest: bool) -> list[str]:
        found = [p for p in self.periods(dataset) if period_bounds(p)[1] > lo and period_bounds(p)[0] < hi]
        return found[::-1] if newest else found


def _newest(
    dataset: Dataset, files: list[OpenFile], lo: int, hi: int, columns: Sequence[str] | None, limit: int
) -> list[pl.DataFrame]:
    """The last *limit* rows: from the last row groups that hold so many, and more where twins made them fewer."""
    groups = sorted((group for file in files for group in file.groups(lo, hi)), reverse=True)
    wanted = limit
    while True:
        rows, first = 0, lo
        for group in groups:
            rows += group[2]
            if rows >= wanted:
                first = max(lo, group[0])
                break
        # Row groups overlap in time: those that begin before `first` reach into it as well, which only adds rows.
        found = list(merged(dataset.data_type, files, first, hi, columns))
        if first <= lo or sum(frame.height for frame in found) >= limit:
            whole = pl.concat(found) if found else None
            return [] if whole is None else [whole.tail(limit)]
        wanted *= 2


def to_batches(frame: pl.DataFrame, schema: pa.Schema) -> list[pa.RecordBatch]:
    """Return *frame* as *schema* has it: a column that it lacks is null."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    for field in schema:
        if field.name not in table.schema.names:
            table = table.append_column(field.name, pa.nulls(len(table), field.type))
    batches: list[pa.RecordBatch] = table.select(schema.names).cast(schema).combine_chunks().to_batches()
    return batches


def _select(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    return pa.schema([field for field in schema if columns is None or field.name in columns or field.name == "TS"])


def _range(start: int | None, end: int | None) -> tuple[int, int]:
    return MIN_TS if start is None else max(start, MIN_TS), MAX_TS if end is None else min(end, MAX_TS)
