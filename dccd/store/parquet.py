"""One Parquet file: its footer, and its rows a batch at a time.

Arrow tables and a :class:`Footer` flow in, bytes flow out, and back. Whatever isn't the Parquet that it should be is
a CorruptFile: pages carry checksums and they are verified.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dccd.errors import CorruptFile, OldFile, StoreError
from dccd.store.coverage import Claims, IntervalSet
from dccd.store.layout import period_bounds
from dccd.store.seal import UNSEALED, check_body, read_footer, seal, sealed

__all__ = [
    "MAX_TS",
    "MIN_TS",
    "ROW_GROUP",
    "YEARLY_GROUP",
    "BusPosition",
    "Footer",
    "OpenFile",
    "ReadCounts",
    "as_frame",
    "between",
    "corrupt",
    "write_parquet",
]

MIN_TS, MAX_TS = -(2**63), 2**63 - 1
"""All times (ns) lie in ``[MIN_TS, MAX_TS)``."""

ROW_GROUP = 131_072
"""Rows in a row group: what a reader of a time range can leave out at once, and what a fold holds of a file."""
YEARLY_GROUP = 32_768
"""The same in a file of a year, of which an hour is read as well: three weeks of bars of a minute."""

_BATCH = 65_536
_SMALL = 256 * 1024  # bytes; files up to this are read whole when opened, and hold no descriptor
_KEY = b"dccd"


class BusPosition(msgspec.Struct, frozen=True):
    """Which messages of a JetStream stream a file's rows come from: sequences *first* to *last*, both included.

    ``epoch`` is the stream's creation time: in a stream made anew sequences start again, so that they only compare
    within one.
    """

    stream: str
    epoch: str
    first: int
    last: int


class Footer(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of ours says of itself, as JSON under the key ``dccd`` of the Parquet footer.

    ``first_ts`` and ``last_ts`` are its rows' (ns), ``written_at`` (ns) orders files: of two values for the same row
    the later written wins. ``bus`` is what of the bus is in it, at most one entry an epoch in a merged file;
    ``folds`` names the segments whose rows it holds: while they still lie about, they don't count. ``covered``: of
    these intervals (ns) this file, with what it folds, has all records that there are; None where nobody claims
    anything, and ``unverified`` are the stretches of rows that came from such files. A stream claims a time seconds
    after its rows: what ``covered`` says of the time before this file's first row holds as long as another file has
    the row of time ``after`` (ns). ``body`` and ``seal`` are filled in last, see there.
    """

    kind: Literal["segment", "base"]
    writer: str
    written_at: int
    first_ts: int
    last_ts: int
    bus: tuple[BusPosition, ...] = ()
    folds: tuple[str, ...] = ()
    run_id: str | None = None
    covered: tuple[tuple[int, int], ...] | None = None
    unverified: tuple[tuple[int, int], ...] = ()
    after: int | None = None
    version: int = 1
    body: str = UNSEALED
    seal: str = UNSEALED


_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Footer).decode


def write_parquet(
    file: BinaryIO,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    footer: Callable[[int, int], Footer],
    *,
    level: int = 1,
    group: int = ROW_GROUP,
) -> tuple[int, Footer]:
    """Write *tables*, together sorted by TS and not empty, to *file* (open for reading too), with *group* rows a row
    group at most; return the number of rows and the footer.

    *footer* is asked for the footer when all is written, with the first and last ``TS``. zstd at *level*; integers
    and trade ids delta-encoded, which makes a file half as large as plain values do and takes less time; numbers with a
    fraction plain, since a dictionary of them takes twice the time and, for bars and books, more room; page checksums;
    statistics for ``TS`` only, since rows are in its order.
    """
    words = [field.name for field in schema if not pa.types.is_integer(field.type) | pa.types.is_floating(field.type)]
    packed = {field.name: "DELTA_BINARY_PACKED" for field in schema if pa.types.is_integer(field.type)}
    if "tid" in schema.names:
        packed["tid"] = "DELTA_BYTE_ARRAY"
    rows, first, last = 0, 0, 0
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=level,
        use_dictionary=[name for name in words if name not in packed],
        column_encoding=packed,
        write_statistics=["TS"],
        write_page_checksum=True,
        # The Arrow schema would only repeat the Parquet one, and old readers stumble over its flavours of strings.
        store_schema=False,
    ) as writer:
        for table in tables:
            if table.num_rows:
                writer.write_table(table, row_group_size=group)
                first = first if rows else table["TS"][0].as_py()
                last = table["TS"][-1].as_py()
                rows += table.num_rows
        written = footer(first, last)
        writer.add_key_value_metadata({_KEY.decode(): _encode(written).decode()})
    seal(file)
    return rows, written


class ReadCounts:
    """What was read of files: ``opened`` of them, ``row_groups`` begun, ``columns`` of these, ``bytes`` that they take
    on disk, and ``rows`` decoded. Counts of several threads may miss a little."""

    def __init__(self) -> None:
        self.opened = self.row_groups = self.columns = self.bytes = self.rows = 0

    def __repr__(self) -> str:
        return f"<ReadCounts {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """The counts by name."""
        return dict(vars(self))


class OpenFile:
    """A file of rows, opened: it stays readable when it is removed meanwhile.

    ``name`` (the stem, by which ``Footer.folds`` knows it), ``footer`` (``None``: not written by us, as by dccd 3.x),
    ``rows``, ``first_ts``, ``last_ts``. Raises FileNotFoundError when it isn't there, CorruptFile when it isn't what
    it should be.
    """

    def __init__(
        self, path: Path, level: int | None = None, counts: ReadCounts | None = None, *, check: bool = True
    ) -> None:
        """Open *path*; ``level`` is the segment's, ``None`` for a base. What is read of it is added to *counts*.
        *check*: a small file is compared with its checksum at once."""
        self.path, self.level = path, level
        self._counts = ReadCounts() if counts is None else counts
        self.name = path.stem
        with corrupt(path):
            source = pa.OSFile(str(path), "rb")
            self.bytes: int = source.size()
            if self.bytes <= _SMALL:
                with source:
                    source = pa.BufferReader(source.read())
            footer = read_footer(source)
            ours = sealed(footer)
            if check and self.bytes <= _SMALL:
                check_body(source, footer)
            source.seek(0)
            self._file = pq.ParquetFile(source, page_checksum_verification=True)
            self.schema: pa.Schema = self._file.schema_arrow
            meta = self._file.metadata
            self.rows: int = meta.num_rows
            about = (meta.metadata or {}).get(_KEY)
            self.footer = None if about is None else _decode(about)
            if ours != (self.footer is not None) or (level is not None and not ours):
                raise CorruptFile(path, "a file of dccd without its footer's checksum")
            if "TS" not in self.schema.names or self.schema.field("TS").type != pa.int64():
                raise CorruptFile(path, "no column TS of 64-bit integers")
            self._groups = self._ranges(meta)
        self._counts.opened += 1
        self.first_ts = min((group[0] for group in self._groups), default=None)
        self.last_ts = max((group[1] for group in self._groups), default=None)
        if level is None and self.footer is None and self._strange():
            raise OldFile(path)

    def __repr__(self) -> str:
        return f"<OpenFile {self.path.name}: {self.rows} rows from {self.first_ts} to {self.last_ts}>"

    def close(self) -> None:
        self._file.close(force=True)

    def check(self) -> None:
        """Read the whole file, and compare it with its checksum. Raises CorruptFile."""
        with corrupt(self.path), self.path.open("rb") as source:
            check_body(source, read_footer(source))

    def _strange(self) -> bool:
        """Whether times lie outside of the period that the file is called: in seconds, all are of 1970."""
        try:
            first, end = period_bounds(self.name)
        except ValueError:
            return False
        return (
            self.first_ts is not None and self.last_ts is not None and not first <= self.first_ts <= self.last_ts < end
        )

    @property
    def claims(self) -> Claims:
        """What the file says of the completeness of its rows; those of a file that says nothing are unverified."""
        footer = self.footer
        if footer is not None and footer.covered is not None:
            return Claims(IntervalSet(footer.covered), IntervalSet(footer.unverified))
        if self.first_ts is None or self.last_ts is None:
            return Claims()
        return Claims(unverified=IntervalSet([(self.first_ts, self.last_ts + 1)]))

    def groups(self, lo: int, hi: int) -> list[tuple[int, int, int]]:
        """First ``TS``, last ``TS`` and rows of each row group that may have rows in ``[lo, hi)``."""
        return [group for group in self._groups if group[1] >= lo and group[0] < hi]

    def frames(self, lo: int, hi: int, columns: Collection[str] | None = None) -> Iterator[tuple[pl.DataFrame, bool]]:
        """Rows in ``[lo, hi)`` in order of TS, in batches, in the file's own types; row groups beyond aren't read.

        With each batch, whether another follows. With *columns*, only those of them that the file has, and TS.
        """
        wanted = [i for i, group in enumerate(self._groups) if group[1] >= lo and group[0] < hi]
        left = sum(self._groups[i][2] for i in wanted)
        names = [n for n in self.schema.names if columns is None or n in columns or n == "TS"]
        if not wanted:
            return
        if not self.in_order:
            with corrupt(self.path):
                table = self._file.read_row_groups(wanted, columns=names)
            for group in wanted:
                self._count(group, names)
            yield between(as_frame(table).sort("TS", maintain_order=True), lo, hi), False
            return
        begun, end = deque(wanted), 0  # what a reader never comes to isn't counted
        with corrupt(self.path):
            for batch in self._file.iter_batches(_BATCH, row_groups=wanted, columns=names):
                end += batch.num_rows
                while end > 0 and begun:
                    end -= self._groups[begun[0]][2]
                    self._count(begun.popleft(), names)
                frame = as_frame(batch)
                if frame["TS"].null_count() or not frame["TS"].is_sorted():
                    raise CorruptFile(self.path, "a row without TS, or out of order")
                left -= frame.height
                yield between(frame, lo, hi), left > 0
        if left:
            raise CorruptFile(self.path, f"{left} rows fewer than its footer says")

    @cached_property
    def in_order(self) -> bool:
        """Whether rows are sorted by TS. A file of ours is; of another's its times are read to know."""
        if self.footer is not None:
            return True
        last = None
        with corrupt(self.path):
            for batch in self._file.iter_batches(_BATCH, columns=["TS"]):
                times = as_frame(batch)["TS"]
                if times.null_count():
                    raise CorruptFile(self.path, "a row without TS")
                if not times.is_sorted() or (last is not None and times[0] < last):
                    return False
                last = times[-1]
        return True

    def _count(self, group: int, names: Sequence[str]) -> None:
        meta, counts = self._file.metadata.row_group(group), self._counts
        counts.row_groups += 1
        counts.columns += len(names)
        counts.rows += meta.num_rows
        counts.bytes += sum(meta.column(self.schema.names.index(name)).total_compressed_size for name in names)

    def _ranges(self, meta: Any) -> list[tuple[int, int, int]]:
        """First and last TS and rows of each row group: by the statistics, or the rows where a writer left them
        out."""
        column = self.schema.names.index("TS")
        found = []
        for index in range(meta.num_row_groups):
            group = meta.row_group(index)
            stats = group.column(column).statistics
            if stats is not None and stats.has_min_max:
                found.append((stats.min, stats.max, group.num_rows))
            elif group.num_rows:
                times = self._file.read_row_group(index, columns=["TS"])["TS"].drop_null().to_pylist()
                if len(times) < group.num_rows:
                    raise CorruptFile(self.path, "a row without TS")
                found.append((min(times), max(times), group.num_rows))
        return found


def between(frame: pl.DataFrame, lo: int, hi: int) -> pl.DataFrame:
    """The rows of *frame*, sorted by TS, in ``[lo, hi)``."""
    if not frame.height or (frame["TS"][0] >= lo and frame["TS"][-1] < hi):
        return frame
    times = frame["TS"]
    start = int(times.search_sorted(max(lo, MIN_TS), "left"))
    return frame.slice(start, max(int(times.search_sorted(min(hi, MAX_TS), "left")) - start, 0))


@contextmanager
def corrupt(path: Path) -> Iterator[None]:
    """Translate what reading *path* raises into CorruptFile, or StoreError when the system refuses; a file that isn't
    there stays a FileNotFoundError, since readers look again then."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, pl.exceptions.PolarsError, msgspec.MsgspecError, ValueError) as exc:
        raise CorruptFile(path, str(exc)) from exc
    except OSError as exc:
        # Arrow raises OSError, without a number, for bytes that make no sense; the system's own have one.
        kind = CorruptFile if exc.errno is None else StoreError
        raise kind(path, str(exc)) from exc


def as_frame(data: Any) -> pl.DataFrame:
    """Return Arrow's *data*, a table or a batch, as a frame."""
    frame = pl.from_arrow(data)
    assert isinstance(frame, pl.DataFrame)
    return frame
