"""Order books as an Arrow IPC stream: frames of books and the stretches without flow in, bytes flow out. In bounded
memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa

from dccd.store.books import Shape, frame_of
from dccd.store.intervals import Gap
from dccd.store.ipc import encoded

__all__ = ["book_chunks"]

_ROWS = 8192


def book_chunks(
    parts: Iterable[tuple[pl.DataFrame, list[Gap]]], shape: Shape, depth: int | None, rows: int = _ROWS
) -> Iterator[bytes]:
    """Yield an Arrow IPC stream of *parts*, about *rows* rows at a time.

    Beside the columns of :func:`~dccd.store.books.frame_of` it has ``unknown``, null where a book is. A stretch
    without one is a row: from ``TS`` to ``as_of``, ``unknown`` says why, and all else is null.
    """
    empty = _with_stretches(frame_of([], shape, depth), [])
    yield from encoded(_arrow(empty).schema, _batches(parts, rows))


def _batches(parts: Iterable[tuple[pl.DataFrame, list[Gap]]], rows: int) -> Iterator[pa.RecordBatch]:
    for frame, told in parts:
        for piece in _with_stretches(frame, told).iter_slices(rows):
            yield from _arrow(piece).combine_chunks().to_batches()


def _with_stretches(frame: pl.DataFrame, told: list[Gap]) -> pl.DataFrame:
    books = frame.with_columns(unknown=pl.lit(None, pl.String))
    stretches = pl.DataFrame(
        {
            "TS": pl.Series([gap.start for gap in told], dtype=pl.Int64),
            "as_of": pl.Series([gap.end for gap in told], dtype=pl.Int64),
            "unknown": pl.Series([gap.reason for gap in told], dtype=pl.String),
        }
    )
    return pl.concat([books, stretches], how="diagonal")


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
