"""How old rows were when they were on disk: a table and the time flow in, counts by bucket flow out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl
import pyarrow as pa

from dccd.symbols import NS

__all__ = ["lags"]


def lags(table: pa.Table, now: int, bounds: Sequence[float], shift: int = 0) -> tuple[list[int], float, int]:
    """Return how many rows of *table* have, at *now* (ns), an age of up to each of *bounds* (seconds, ascending) and
    above the last, the ages' sum in seconds, and how many rows are of later than *now*: those are in no bucket.

    A row's age counts from *shift* ns after its ``TS``. It costs some nanoseconds a row, and makes no object for it.
    """
    ages = now - shift - pl.Series(table.column("TS"), dtype=pl.Int64)
    # A comparison of the whole column a bound: a tenth of what sorting each row into its bucket takes.
    up_to = [int((ages <= edge).sum()) for edge in (-1, *(round(bound * NS) for bound in bounds))]
    up_to.append(len(ages))
    counts = [more - fewer for fewer, more in pairwise(up_to)]
    known = ages if not up_to[0] else ages.filter(ages >= 0)
    return counts, int(known.sum()) / NS, up_to[0]
