"""Rows as an Arrow IPC stream, piece by piece: what ``dccd.read`` sends, in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import polars as pl
import pyarrow as pa

from dccd.store.reader import Store
from dccd.store.schema import SCHEMAS
from dccd.symbols import Dataset

__all__ = ["chunks"]


def chunks(
    store: Store,
    dataset: Dataset,
    start: int | None,
    end: int | None,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    newest: bool = False,
    rows: int = 8192,
) -> Iterator[bytes]:
    """Yield an Arrow IPC stream of what :meth:`Store.read` returns, about *rows* rows at a time.

    No more than a few batches are held at once, but for the *newest* rows up to a *limit*: these are read backwards,
    and held until the first is found. Raises CorruptFile.
    """
    if not (newest and limit is not None):
        empty = pa.schema([f for f in SCHEMAS[dataset.data_type] if columns is None or f.name in ("TS", *columns)])
        yield from _encode(store.batches(dataset, start, end, rows, columns, limit), None, empty)
        return
    frame = store.read(dataset, start, end, columns, limit, newest)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    yield from _encode(table.to_batches(max_chunksize=rows), table.schema)


def _encode(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema | None, empty: pa.Schema | None = None
) -> Iterator[bytes]:
    """*schema* is that of the first batch unless given; *empty* where there is none."""
    sink = io.BytesIO()
    writer = None if schema is None else pa.ipc.new_stream(sink, schema)
    for batch in batches:
        if writer is None:
            writer = pa.ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
        yield sink.getvalue()
        sink.seek(0)
        sink.truncate()
    if writer is None:
        writer = pa.ipc.new_stream(sink, empty)
    writer.close()
    yield sink.getvalue()
