"""New rows into segments.

Tables of rows flow in, immutable Parquet files flow out, one a period, each durable when ``write`` returns. Cost
grows with the new rows only: nothing that is stored is looked at.

Exactly once from the bus: a segment's footer says which messages its rows come from. Whoever writes from the bus does
so in order of their sequences, one writer a dataset at a time; then :meth:`~dccd.store.reader.Store.stored_position`
tells where a period stands, and what is redelivered up to there is left out. Two writers at once on one dataset's
messages would break that: the lease of a stream's archiver keeps them apart.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from dccd.errors import BadRecord
from dccd.store.coverage import IntervalSet
from dccd.store.files import Step, clean_temps, no_step, token, write_durably
from dccd.store.layout import Layout, period_bounds, period_of, segment_name
from dccd.store.order import KEYS_OF_ORDER, in_order, is_in_order
from dccd.store.parquet import MIN_TS, BusPosition, Footer, as_frame, between, write_parquet
from dccd.store.schema import REQUIRED, SCHEMAS
from dccd.symbols import Dataset, DataType

__all__ = ["BusPosition", "Segment", "SegmentWriter", "beside"]


_WRITER = re.compile(r"[A-Za-z0-9_.-]{1,80}")


class Segment(msgspec.Struct, frozen=True):
    """A segment that was written: where, how many rows and bytes, and its first and last ``TS`` (ns)."""

    path: Path
    dataset: Dataset
    period: str
    rows: int
    bytes: int
    first_ts: int
    last_ts: int


class SegmentWriter:
    """Writes segments under names that are its own. Any number of these may write, also to one dataset;
    thread-safe."""

    def __init__(
        self, layout: Layout, writer_id: str, clock: Callable[[], int] = time.time_ns, step: Step = no_step
    ) -> None:
        """*writer_id* names who writes, as a host; *clock* gives the time in ns; *step* is for tests.

        Raises ValueError for an id that can't be part of a file name.
        """
        if not _WRITER.fullmatch(writer_id):
            raise ValueError(f"{writer_id[:80]!r} can't be part of a file name: letters, digits and _ . - are")
        self.layout, self.writer_id = layout, writer_id
        # A writer that starts again never takes a name it had before: the base may know that as folded in.
        self._run = f"{writer_id}.{token()}"
        self._numbers = count()
        self._clock, self._step = clock, step
        self._lock = threading.Lock()
        self._last_time = self._rows = self._bytes = self._segments = 0

    def __repr__(self) -> str:
        return f"<SegmentWriter {self.writer_id}: {self._segments} segments, {self._rows} rows>"

    def statistics(self) -> dict[str, int]:
        """Segments, rows and bytes written since it was made."""
        return {"segments": self._segments, "rows": self._rows, "bytes": self._bytes}

    def write(
        self,
        dataset: Dataset,
        table: pa.Table,
        bus: BusPosition | None = None,
        run_id: str | None = None,
        covered: IntervalSet | None = None,
        after: int | None = None,
    ) -> list[Segment]:
        """Write *table* (as ``table_from_payloads`` makes it, in any order), a segment a period; durable on return.

        *bus* tells which messages all of these rows come from, *run_id* which backfill; *covered*: these rows, with
        those that are stored already, are all that there are of these times (ns), None where nobody claims that. What
        is claimed of a period without rows isn't kept (see :func:`beside`), but where it relies on rows of other files,
        the newest of time *after* (ns): then the first segment keeps all from before it. Rows that cross the end of a
        period make a segment each; a crash or an error in between leaves the first: ask ``stored_position`` before
        writing those messages again.
        Raises StoreFull, StoreError, or BadRecord for a table that lacks what the data type asks for.
        """
        parts = list(split(dataset.data_type, table))
        written: list[Segment] = []
        for period, part in parts:
            claimed = None
            if covered is not None:
                low, high = period_bounds(period)
                claimed = covered.within(low if written or after is None else MIN_TS, high)
            written.append(self._write(dataset, period, part, bus, run_id, claimed, after))
        return written

    def clean(self) -> int:
        """Remove what crashed writers of this id left, and others after a day; returns how many files."""
        return sum(
            clean_temps(folder, self.writer_id)
            for dataset in self.layout.datasets()
            for period in self.layout.segment_periods(dataset)
            for _, folder in self.layout.levels(dataset, period)
        )

    def _write(
        self,
        dataset: Dataset,
        period: str,
        table: pa.Table,
        bus: BusPosition | None,
        run_id: str | None,
        covered: IntervalSet | None,
        after: int | None,
    ) -> Segment:
        with self._lock:
            # Later written wins, also when the clock was set back.
            self._last_time = written_at = max(self._clock(), self._last_time + 1)
            number = next(self._numbers)

        def footer(first: int, last: int) -> Footer:
            return Footer(
                kind="segment",
                writer=self.writer_id,
                written_at=written_at,
                first_ts=first,
                last_ts=last,
                bus=() if bus is None else (bus,),
                run_id=run_id,
                covered=None if covered is None else tuple(covered),
                after=after if covered and covered.within(MIN_TS, first) else None,
            )

        def write(file: Any) -> None:
            write_parquet(file, [table], table.schema, footer)

        name = segment_name(self._run, number, written_at, table.num_rows)
        path = self.layout.segment_dir(dataset, period) / f"{name}.parquet"
        size = write_durably(path, self.writer_id, write, self._step)
        with self._lock:
            self._segments, self._rows, self._bytes = (
                self._segments + 1,
                self._rows + table.num_rows,
                self._bytes + size,
            )
        times = table["TS"]
        return Segment(path, dataset, period, table.num_rows, size, times[0].as_py(), times[-1].as_py())


def beside(covered: IntervalSet, segments: Iterable[Segment]) -> IntervalSet:
    """Return what of *covered* lies in none of the *segments*' periods: nothing is stored of it, and it is to be noted
    as empty."""
    return covered.minus(IntervalSet(period_bounds(segment.period) for segment in segments))


def split(data_type: DataType, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Put *table* in order, and yield each period with its rows.

    Raises BadRecord when a column is missing, of another type, or null where a value must be.
    """
    schema = SCHEMAS[data_type]
    for field in schema:
        if field.name not in table.schema.names or table.schema.field(field.name).type != field.type:
            raise BadRecord(0, f"{data_type} needs a column {field.name} of type {field.type}")
    for name in REQUIRED[data_type]:
        if table[name].null_count:
            raise BadRecord(0, f"{data_type} needs a value in each row's {name}")
    extra = [name for name in table.schema.names if name not in schema.names]
    table = table.select([*schema.names, *extra])
    order = as_frame(table.select(KEYS_OF_ORDER[data_type]))
    if not is_in_order(data_type, order):
        order = in_order(data_type, order.with_row_index("row"))
        table = table.take(pa.array(order["row"].to_arrow()))
    done = 0
    while done < table.num_rows:
        period = period_of(data_type, order["TS"][done])
        rows = between(order.slice(done), *period_bounds(period)).height
        yield period, table.slice(done, rows)
        done += rows
