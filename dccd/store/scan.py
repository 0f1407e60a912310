"""One read of a store: what is meant by it, decided before the first row is read.

A dataset and what is wanted of it flow in; a schema, and rows a batch at a time flow out, stored ones or derived.
Whoever reads (``dccd.read``, an export, SQL) goes this way, so that all give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec
import polars as pl
import pyarrow as pa

from dccd.errors import BadRead
from dccd.store.derive import Derivation, source_of
from dccd.store.intervals import Interval
from dccd.store.layout import period_bounds
from dccd.store.parquet import MAX_TS, MIN_TS, as_frame
from dccd.store.reader import Store, to_batches
from dccd.store.schema import SCHEMAS
from dccd.symbols import NS, Dataset

__all__ = ["About", "Scan"]

_HELD = 100_000
"""So many of the newest rows are held at once, which is quicker than to look for their beginning first."""
_KEY = b"dccd.rows"  # `dccd` is the footer of the files of the store


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What rows are, as JSON under the key ``dccd.rows`` of their Arrow schema.

    ``derived_from``: the dataset that these bars were made of; they are not the exchange's own. ``incomplete``:
    intervals (ns) of which there are no bars, since that dataset isn't known to be whole there. ``first_ts`` and
    ``last_ts``: between these times all rows lie, as far as is known before they are read.
    """

    dataset: str
    derived_from: str | None = None
    incomplete: tuple[Interval, ...] = ()
    first_ts: int | None = None
    last_ts: int | None = None

    @classmethod
    def of(cls, schema: pa.Schema) -> About | None:
        """Return what *schema* says, if it does."""
        text = (schema.metadata or {}).get(_KEY)
        try:
            return None if text is None else msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError:
            return None

    def on(self, schema: pa.Schema) -> pa.Schema:
        """Return *schema* with this in it."""
        return schema.with_metadata({_KEY: msgspec.json.encode(self)})


class Scan:
    """The rows of *dataset* with ``TS`` in ``[start, end)`` ns, the first *limit* of them or with *newest* the last.

    *columns* come in the order of the files, after ``TS``. *source* as :func:`~dccd.store.derive.source_of` has it.
    Raises NotStored, BadRead, CorruptFile.
    """

    def __init__(
        self,
        store: Store,
        dataset: Dataset,
        start: int | None = None,
        end: int | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        newest: bool = False,
        source: str = "auto",
    ) -> None:
        self._store, self.dataset = store, dataset
        self._start, self._end, self._columns = start, end, columns
        self._limit, self._newest = limit, newest and limit is not None
        found = source_of(store, dataset, source)
        self._made = None if found == dataset else Derivation(store, dataset, found, start, end)

    def __repr__(self) -> str:
        return f"<Scan {self.dataset} of {self._made.source if self._made else self.dataset}>"

    @property
    def derived_from(self) -> Dataset | None:
        """What the bars are made of, where they are."""
        return None if self._made is None else self._made.source

    @property
    def incomplete(self) -> list[Interval]:
        """Where there are no bars since what they would be made of isn't known to be whole."""
        return [] if self._made is None else self._made.incomplete

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the rows. Raises BadRead, CorruptFile."""
        known = SCHEMAS[self.dataset.data_type]
        if self._made is not None or (self._columns is not None and {*self._columns} <= {*known.names}):
            schema = known
        else:
            schema = self._store.schema(self.dataset, self._start, self._end)
        wanted = None if self._columns is None else {"TS", *self._columns}
        if wanted is not None and (absent := wanted - {*schema.names}):
            # Other periods may have it: then there is no such column in this range.
            anywhere = schema if self._made is not None else self._store.schema(self.dataset)
            if unknown := sorted(absent - {*anywhere.names}):
                there = " ".join(anywhere.names)
                raise BadRead("columns", f"{self.dataset} has no column {unknown[0][:40]!r}; it has {there}")
        return pa.schema([field for field in schema if wanted is None or field.name in wanted])

    @cached_property
    def about(self) -> About:
        """What the rows are."""
        if self._made is not None:
            first, last = self._made.start, self._made.end
        else:
            bounds = self._store.bounds(self.dataset)
            first, last = bounds[0] or 0, bounds[1] or 0
            first = first if self._start is None else max(first, self._start)
            last = last if self._end is None else min(last, self._end)
        made_of = self.derived_from
        name = None if made_of is None else made_of.name
        return About(self.dataset.name, name, tuple(self.incomplete), first, max(first, last))

    def batches(self, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of up to *rows*, holding a few of them at a time.

        Derived bars come as they are made. Of many newest rows the times are read first, backwards, to know where they
        begin. To be closed when it isn't read to its end. Raises CorruptFile.
        """
        names = self.schema.names
        if not self._newest:
            yield from self._cut(self._frames(self._start, self._end, names), rows)
        elif self._limit is not None and self._limit <= _HELD:
            yield from self._cut([self.read()], rows)
        else:
            start, end, skip = self._newest_range()
            yield from self._cut(self._frames(start, end, names), rows, skip)

    def _cut(self, frames: Iterable[pl.DataFrame], rows: int, skip: int = 0) -> Iterator[pa.RecordBatch]:
        """*frames* in batches, without the first *skip* rows, up to the limit."""
        left = MAX_TS if self._limit is None else self._limit
        for frame in frames:
            left_out = min(skip, frame.height)
            skip -= left_out
            taken = frame.slice(left_out).head(left)
            for part in taken.iter_slices(rows):
                yield from to_batches(part, self.schema)
            left -= taken.height
            if left <= 0:
                return

    def _frames(self, start: int | None, end: int | None, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        if self._made is not None:
            return self._made.frames(start, end)
        return self._store.frames(self.dataset, start, end, columns)

    def _newest_range(self) -> tuple[int, int, int]:
        """From where to where (ns) the last rows are, up to the limit, and how many of the first there to leave out."""
        assert self._limit is not None
        last = self.about.last_ts
        # What comes from now on is none of them: else the last would be others than were counted.
        end = MAX_TS if last is None else last + 1
        end = end if self._end is None else min(end, self._end)
        found, until = 0, end
        for start in self._windows(end):
            found += sum(frame.height for frame in self._frames(start, until, ("TS",)))
            until = start
            if found >= self._limit:
                break
        return until, end, max(found - self._limit, 0)

    def _windows(self, end: int) -> Iterator[int]:
        """Where to look for rows before *end*, in steps back in time that are worth a pass each."""
        if self._made is not None:
            start = self._made.end
            while start > self._made.start:
                start = max(start - _HELD * (self.dataset.span or 1) * NS, self._made.start)
                yield start
            return
        low = MIN_TS if self._start is None else self._start
        for period in reversed(self._store.periods(self.dataset)):
            first, beyond = period_bounds(period)
            if first < end and beyond > low:
                yield max(first, low)

    def read(self) -> pl.DataFrame:
        """Return all the rows. Raises CorruptFile."""
        schema = self.schema
        empty = as_frame(schema.empty_table())
        if self._made is None:
            found = self._store.read(
                self.dataset, self._start, self._end, schema.names, limit=self._limit, newest=self._newest
            )
            return found.select(empty.columns)
        if self._newest:
            assert self._limit is not None
            frames = [bars] if (bars := self._made.newest(self._limit)) is not None else []
        else:
            frames = list(self._made.frames())
        bars = pl.concat([empty, *(frame.select(empty.columns) for frame in frames)])
        return bars if self._limit is None or self._newest else bars.head(self._limit)
