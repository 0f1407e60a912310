"""Which rows of an old file are new: its rows and those that are stored flow in, those to be stored flow out. Pure.

The rules are those of ``merge``: bars, funding and open interest are the same by ``TS``, trades by ``tid``, else by
all that they say, of which a file may have several; rows of a book are each a row. What is stored stays: a row that
says something else of the same thing is a conflict, and remains in the old file.
"""

from __future__ import annotations

import msgspec
import polars as pl

from dccd.store.merge import SLACK
from dccd.store.schema import KEYS
from dccd.symbols import NS, DataType

__all__ = ["Sifted", "missing", "sift"]

_PRINT = ["TS", "price", "amount", "side"]
_NTH, _DAY = "__nth", "__day"
_NS_A_DAY = 86_400 * NS
_WRITTEN = ("recv_ts", "due_ts")
"""Columns that tell of the writing, not of the market."""


class Sifted(msgspec.Struct, frozen=True):
    """The rows to store, how many are stored already, and how many contradict what is.

    ``again``: trades without an id that are stored already, and of which there are more among the new ones: of several
    files the store counts the one with the most of a print, so that they must be written with those.
    """

    new: pl.DataFrame
    same: int
    conflicts: int
    again: pl.DataFrame


def sift(data_type: DataType, rows: pl.DataFrame, stored: pl.DataFrame) -> Sifted:
    """Sort *rows* (in our columns) against the *stored* ones: of their times, for trades of their days."""
    if KEYS[data_type] is None:
        return Sifted(rows, 0, 0, rows.clear())
    key, nameless = ["TS"], None
    if KEYS[data_type] == "tid":
        # An id is one of a day, since a day is one file; who began to count anew isn't taken for a twin.
        key, day = ["tid", _DAY], (pl.col("TS") // _NS_A_DAY).alias(_DAY)
        rows, stored = rows.with_columns(day), stored.with_columns(day)
        nameless = rows.filter(pl.col("tid").is_null())
        rows = rows.filter(pl.col("tid").is_not_null())
        stored, prints = stored.filter(pl.col("tid").is_not_null()), stored.filter(pl.col("tid").is_null())
    # Within one file the later row is the later word; as everywhere, the earlier one is looked at against it.
    last = rows.unique(key, keep="last", maintain_order=True)
    earlier = rows.with_row_index("__row").filter(pl.col("__row") != pl.col("__row").max().over(key)).drop("__row")
    same, conflicts = _compare(key, earlier, last)
    seen_same, seen_conflicts = _compare(key, last, stored)
    new = last.join(stored.select(key), on=key, how="anti", maintain_order="left")
    again = new.clear()
    if nameless is not None and nameless.height:
        fresh = _unseen(nameless, prints)
        more = nameless.join(fresh.unique(_PRINT), on=_PRINT, how="semi", nulls_equal=True, maintain_order="left")
        again = _first(more, fresh)
        seen_same += nameless.height - fresh.height
        new = pl.concat([new, fresh])
    new, again = new.drop(_DAY, strict=False), again.drop(_DAY, strict=False)
    return Sifted(new, same + seen_same, conflicts + seen_conflicts, again)


def missing(data_type: DataType, rows: pl.DataFrame, stored: pl.DataFrame) -> int:
    """Return how many of *rows* aren't among the *stored* ones."""
    if KEYS[data_type] is not None:
        sifted = sift(data_type, rows, stored)
        return sifted.new.height + sifted.conflicts
    names = [name for name in rows.columns if name in stored.columns]
    have = stored.group_by(names).len("have")
    lacking = rows.group_by(names).len("want").join(have, on=names, how="left", nulls_equal=True)
    return int(lacking.select((pl.col("want").cast(pl.Int64) - pl.col("have").fill_null(0)).clip(0).sum()).item())


def _compare(key: list[str], rows: pl.DataFrame, stored: pl.DataFrame) -> tuple[int, int]:
    """How many of *rows* are told by *stored* with all that they say, and how many otherwise."""
    if not rows.height or not stored.height:
        return 0, 0
    other = stored.unique(key, keep="last").rename({name: f"{name}__" for name in stored.columns if name not in key})
    both = rows.join(other, on=key, how="inner")
    agree = pl.lit(value=True)
    for name in rows.columns:
        if name in key or name in _WRITTEN:
            continue
        twin = f"{name}__"
        if name == "TS":
            agree &= (pl.col(name) - pl.col(twin)).abs() < SLACK
        elif twin in both.columns:
            agree &= pl.col(name).is_null() | pl.col(name).eq_missing(pl.col(twin))
        else:
            agree &= pl.col(name).is_null()
    told = both.filter(agree).height
    return told, both.height - told


def _first(prints: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Of *prints* those beyond the *fresh* ones, which are the last of each."""
    late = fresh.group_by(_PRINT).len("late")
    nth = pl.int_range(pl.len(), dtype=pl.Int64).over(_PRINT)
    counted = prints.with_columns(nth.alias(_NTH), pl.len().cast(pl.Int64).over(_PRINT).alias("all"))
    found = counted.join(late, on=_PRINT, how="left", nulls_equal=True, maintain_order="left")
    return found.filter(pl.col(_NTH) < pl.col("all") - pl.col("late").cast(pl.Int64)).drop(_NTH, "all", "late")


def _unseen(rows: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Of trades without an id, those beyond as many equal ones as are stored."""
    nth = pl.int_range(pl.len(), dtype=pl.UInt32).over(_PRINT).alias(_NTH)
    numbered = stored.select(nth, *(pl.col(name) for name in _PRINT))
    found = rows.with_columns(nth).join(
        numbered, on=[*_PRINT, _NTH], how="anti", nulls_equal=True, maintain_order="left"
    )
    return found.drop(_NTH)
