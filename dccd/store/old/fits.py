"""Whether a file is read as it is: its footer flows in, a word flows out. No rows are read where the footer tells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.parquet as pq

from dccd.errors import CorruptFile
from dccd.store.layout import period_bounds
from dccd.store.parquet import MAX_TS, MIN_TS, OpenFile
from dccd.store.schema import REQUIRED, SCHEMAS
from dccd.symbols import DataType

__all__ = ["fits"]

_LEGACY = {"quoteVolume", "weightedAverage", "timestamp", "date", "type"}


def fits(path: Path, data_type: DataType) -> Literal["ours", "fits", "old"]:
    """Return what the base file at *path* is: ``ours``, written by this release; ``fits``: of dccd 3, read as it is;
    ``old``: it has to be converted, or can't be read at all."""
    try:
        file = OpenFile(path)
    except CorruptFile:
        return "old"
    try:
        if file.footer is not None:
            return "ours"
        return "fits" if _fits(file, data_type) else "old"
    except CorruptFile:
        return "old"
    finally:
        file.close()


def _fits(file: OpenFile, data_type: DataType) -> bool:
    first, end = period_bounds(file.name)
    if file.first_ts is None or file.last_ts is None:
        return True  # no rows
    if file.first_ts < first or file.last_ts >= end or _LEGACY & set(file.schema.names):
        return False
    ours = _dtypes(SCHEMAS[data_type].empty_table())
    theirs = _dtypes(file.schema.empty_table())
    if any(dtype not in (ours[name], pl.Null) for name, dtype in theirs.items() if name in ours):
        return False
    needed = REQUIRED[data_type]
    if any(name not in theirs for name in needed):
        return False
    return not _has_nulls(file, needed)


def _has_nulls(file: OpenFile, names: Sequence[str]) -> bool:
    """By the statistics, or the rows where a writer left them out."""
    meta = pq.read_metadata(file.path)
    for group in map(meta.row_group, range(meta.num_row_groups)):
        for index in map(file.schema.names.index, names):
            stats = group.column(index).statistics
            if stats is None or not stats.has_null_count:
                rows = (rows for rows, _ in file.frames(MIN_TS, MAX_TS, names))
                return any(frame.select(pl.any_horizontal(pl.col(names).has_nulls())).item() for frame in rows)
            if stats.null_count:
                return True
    return False


def _dtypes(table: object) -> dict[str, pl.DataType]:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return dict(frame.schema)
