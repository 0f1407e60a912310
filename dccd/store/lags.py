"""How old rows were when they were on disk: a table and the time flow in, counts by bucket flow out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from dccd.symbols import NS

__all__ = ["lags"]


def lags(table: pa.Table, now: int, bounds: Sequence[float], shift: int = 0) -> tuple[list[int], float, int]:
    """Return how many rows of *table* have, at *now* (ns), an age of up to each of *bounds* (seconds, ascending) and
    above the last, the ages' sum in seconds, and how many rows are of later than *now*: those are in no bucket.

    A row's age counts from *shift* ns after its ``TS``. It costs some 20 ns a row, and makes no object for it.
    """
    ages = now - shift - pl.Series(table.column("TS"), dtype=pl.Int64)
    known = ages.filter(ages >= 0)
    edges = pl.Series([round(bound * NS) for bound in bounds], dtype=pl.Int64)
    counts = [0] * (len(bounds) + 1)
    for bucket, count in edges.search_sorted(known, side="left").value_counts().iter_rows():
        counts[bucket] = count
    return counts, int(known.sum()) / NS, len(ages) - len(known)
