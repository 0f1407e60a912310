"""Rows into files of other programs: record batches flow in, bytes of Parquet, CSV, JSON lines, Arrow or a DuckDB
database flow out.

Each holds a row group of them at most. A file appears under its name when all of it is on disk, and not at all when
something goes wrong. Sync.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dccd.errors import BadQuery, StoreError
from dccd.store.duck import duckdb_errors, load, quoted
from dccd.store.files import os_errors, sync_folder
from dccd.store.parquet import ROW_GROUP, as_frame

__all__ = ["Form", "Sink", "exported", "frame_of", "sink"]

Form = Literal["parquet", "csv", "json", "arrow", "duckdb"]


class Sink(Protocol):
    """Takes record batches of one schema; what it makes of them is whole after ``close``."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Take *batch*."""
        ...

    def close(self) -> None:
        """Write what is left to write, when all has come."""
        ...

    def abandon(self) -> None:
        """Let go of the file, which is worth nothing. Also after ``close``."""
        ...


@contextmanager
def exported(
    path: Path, form: Form, schema: pa.Schema, table: str = "rows", *, force: bool = False, iso: bool = False
) -> Iterator[Sink]:
    """Give a sink whose file is *path* after the block; *table* names the table in a DuckDB database.

    Raises StoreError when it is there already, unless *force* is given, and when the system refuses; Uninstalled.
    """
    if path.exists() and not force:
        raise StoreError(path, "is there already; --force overwrites it")
    temp = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os_errors(path):
            if form == "duckdb":
                yield from _filled(_Duckdb(temp, schema, table))
            else:
                with temp.open("wb") as file:
                    yield from _filled(sink(file, form, schema, iso=iso, crlf=True))
                    file.flush()
                    os.fsync(file.fileno())
            if path.exists() and not force:
                raise StoreError(path, "somebody made it meanwhile; --force overwrites it")
            os.replace(temp, path)
            sync_folder(path.parent)
    finally:
        for left in (temp, temp.with_name(temp.name + ".wal")):
            left.unlink(missing_ok=True)


def _filled(made: Sink) -> Iterator[Sink]:
    try:
        yield made
        made.close()
    finally:
        made.abandon()


def frame_of(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pl.DataFrame:
    """Return *batches* as one frame."""
    return as_frame(pa.Table.from_batches(list(batches), schema))


def sink(file: BinaryIO, form: Form, schema: pa.Schema, *, iso: bool = False, crlf: bool = False) -> Sink:
    """Return a sink that writes to *file*, which may be a pipe. With *iso* a CSV's times are ISO 8601, else ns; with
    *crlf* its lines end as RFC 4180 has it."""
    match form:
        case "parquet":
            return _Parquet(file, schema)
        case "csv":
            return _Csv(file, schema, iso, crlf)
        case "json":
            return _Json(file)
        case "arrow":
            return _Arrow(file, schema)
    raise ValueError(f"{form} can't be written to a stream")


class _Forward:
    """A pipe as a file that can tell where it is; closing it is its owner's business."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0
        self.dropped = False
        """What is written from now on goes nowhere: no writer makes half of the rows a file that looks whole."""

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if not self.dropped:
            self._file.write(data)
        self._at += size
        return size

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        if not self.dropped:
            self._file.flush()

    def close(self) -> None:
        self.flush()

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class _Grouped:
    """Collects batches to row groups."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._held, self._schema)
        self._held, self._rows = [], 0
        if table.num_rows:
            self._put(table)

    def _put(self, table: pa.Table) -> None:
        raise NotImplementedError


class _Parquet(_Grouped):
    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        super().__init__(schema)
        self._out = _Forward(file)
        self._writer = pq.ParquetWriter(self._out, schema, compression="zstd", write_page_checksum=True)

    def _put(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=table.num_rows)

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        self._out.dropped = True
        self._writer.close()


class _Arrow:
    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_file(_Forward(file), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        pass


class _Csv:
    def __init__(self, file: BinaryIO, schema: pa.Schema, iso: bool, crlf: bool) -> None:
        self._file, self._end = file, "\r\n" if crlf else "\n"
        times = [f.name for f in schema if pa.types.is_int64(f.type) and (f.name == "TS" or f.name.endswith("_ts"))]
        self._as_text = [
            pl.from_epoch(pl.col(name), time_unit="ns").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ") for name in times if iso
        ]
        self._put(as_frame(schema.empty_table()), header=True)

    def write(self, batch: pa.RecordBatch) -> None:
        self._put(as_frame(batch).with_columns(self._as_text), header=False)

    def _put(self, rows: pl.DataFrame, header: bool) -> None:
        # Not by Polars itself: its error for a full disk or a closed pipe has no number.
        self._file.write(rows.write_csv(include_header=header, line_terminator=self._end).encode())

    def close(self) -> None:
        self._file.flush()

    def abandon(self) -> None:
        pass


class _Json:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write(as_frame(batch).write_ndjson().encode())

    def close(self) -> None:
        self._file.flush()

    def abandon(self) -> None:
        pass


class _Duckdb(_Grouped):
    """A database with one table."""

    def __init__(self, path: Path, schema: pa.Schema, table: str) -> None:
        super().__init__(schema)
        self._path, self._table = path, quoted(table)
        with self._errors():
            self._open: Any = load().connect(str(path), config={"memory_limit": "512MB", "threads": "2"})
            self._run("CREATE TABLE {} AS SELECT * FROM incoming", schema.empty_table())

    def _put(self, table: pa.Table) -> None:
        with self._errors():
            self._run("INSERT INTO {} SELECT * FROM incoming", table)

    def _run(self, statement: str, table: pa.Table) -> None:
        self._open.register("incoming", table)
        self._open.execute(statement.format(self._table))
        self._open.unregister("incoming")

    def close(self) -> None:
        self._flush()
        with self._errors():
            self._open.execute("CHECKPOINT")
        self.abandon()

    def abandon(self) -> None:
        self._open.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with duckdb_errors():
                yield
        except BadQuery as exc:  # what we ask for is right: it is the file
            raise StoreError(self._path, str(exc)) from exc
