"""In which order rows are stored and read: rows flow in, the same rows flow out. Pure.

By ``TS``; books by ``seq`` within a time. Trades of one time by ``tid``, where ids are whole numbers, as most exchanges
count them: the pages of a history come in any order, and one time's trades may lie in two of them. What that doesn't
decide stays as it was written.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from dccd.symbols import DataType

__all__ = ["KEYS_OF_ORDER", "in_order", "is_in_order"]

KEYS_OF_ORDER: dict[DataType, tuple[str, ...]] = {
    **dict.fromkeys(DataType, ("TS",)),
    DataType.TRADES: ("TS", "tid"),
    DataType.ORDERBOOK: ("TS", "seq"),
}
"""The columns on which it depends."""

_NO_NUMBER = -(2**63)
_NUMBER = pl.col("tid").cast(pl.Int64, strict=False).fill_null(_NO_NUMBER)


def in_order(data_type: DataType, rows: pl.DataFrame, *then: str) -> pl.DataFrame:
    """Return *rows* in order; what that leaves open is decided by the columns *then*, and then by where they were."""
    keys = [_NUMBER if key == "tid" else pl.col(key) for key in KEYS_OF_ORDER[data_type]]
    return rows.sort(*keys, *then, maintain_order=True)


def is_in_order(data_type: DataType, rows: pl.DataFrame) -> bool:
    """Whether :func:`in_order` would change nothing; of books it may be False although it wouldn't."""
    if data_type is not DataType.TRADES:
        return all(rows[key].is_sorted() for key in KEYS_OF_ORDER[data_type])
    # By Arrow: a thousand rows are often looked at, and a tenth of a millisecond of Polars' costs more than they do.
    times = rows["TS"]
    if not times.is_sorted():
        return False
    shared = _pairs(pc.equal, times)
    if not pc.any(shared).as_py():
        return True
    falling = _pairs(pc.greater, rows["tid"].cast(pl.Int64, strict=False), _NO_NUMBER)
    return not pc.any(pc.and_(shared, falling)).as_py()


def _pairs(compare: Callable[[pa.Array, pa.Array], pa.Array], series: pl.Series, null: int = 0) -> pa.Array:
    """Compare each number with the next; *null* for those that are missing."""
    numbers = pc.fill_null(series.to_arrow(), null)
    return compare(numbers[:-1], numbers[1:])
