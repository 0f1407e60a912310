"""Rows of an old file as rows of ours. Pure.

A frame in whatever columns flows in, one in those of the schema flows out. What changes is said in words; a value
changes its unit or type, never itself: what can't be converted exactly is refused. Rows that can't be kept (without a
time, or without a price) are counted and left out.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from dccd.errors import OldFileProblem
from dccd.store.schema import REQUIRED, SCHEMAS
from dccd.symbols import NS, DataType

__all__ = ["Converted", "convert", "times"]

_RENAMES: dict[DataType, dict[str, str]] = {
    DataType.OHLC: {"quoteVolume": "quote_volume", "date": "TS", "timestamp": "TS"},
    DataType.TRADES: {"timestamp": "TS", "type": "side"},
    DataType.ORDERBOOK: {"timestamp": "TS"},
    DataType.FUNDING: {"timestamp": "TS"},
    DataType.OPEN_INTEREST: {"timestamp": "TS"},
}
"""What dccd 2 called them, each taken where the file has none by our name."""
_DERIVED = ("Date", "date", "time")
"""The time once more, for people."""
_INDEX = ("", "index", "Unnamed: 0", "__index_level_0__", "TS_duplicated_0")
"""What pandas calls the numbers of the rows."""
_SIDES = {
    DataType.TRADES: {"buy": "buy", "sell": "sell", "b": "buy", "s": "sell"},
    DataType.ORDERBOOK: {"bid": "bid", "ask": "ask", "b": "bid", "a": "ask", "bids": "bid", "asks": "ask"},
}
_CUMULATED = {"cum_amount", "vwab"}
_FIRST, _LAST = 1_230_768_000, 9_183_110_400  # 2009 to 2261, in s: what `parse_time` takes
_UNITS = ((NS, "seconds"), (1_000_000, "milliseconds"), (1000, "microseconds"), (1, "nanoseconds"))
_INTEGERS = {pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64}


class Converted(msgspec.Struct, frozen=True):
    """The rows in the columns of the schema, then unknown ones, in the order of the file; what was ``left`` out, and
    what has changed."""

    rows: pl.DataFrame
    left: int
    changes: tuple[str, ...]


def convert(data_type: DataType, frame: pl.DataFrame, path: Path) -> Converted:
    """Return the rows of *frame*, which came from *path*. Raises OldFileProblem where that would change a value."""
    said: list[str] = []
    if data_type is DataType.ORDERBOOK and set(frame.columns) >= _CUMULATED:
        raise OldFileProblem(
            path,
            "a depth table of dccd 2.x: amounts that were summed up can't be told apart exactly; "
            "move it out of the data_path",
        )
    frame = _renamed(data_type, frame, said)
    frame = _without(frame, said)
    missing = [name for name in REQUIRED[data_type] if name not in frame.columns]
    if missing:
        have = ", ".join(frame.columns) or "none"
        raise OldFileProblem(path, f"no {data_type}: it has no column {', '.join(missing)}, only {have}")
    frame = frame.with_columns(times(frame["TS"], path, said))
    columns = []
    for field in SCHEMAS[data_type]:
        dtype = {"int64": pl.Int64, "double": pl.Float64, "string": pl.String, "bool": pl.Boolean}[str(field.type)]
        if field.name in frame.columns:
            columns.append(_cast(frame[field.name], dtype(), path, said))
        else:
            columns.append(pl.Series(field.name, [None] * frame.height, dtype=dtype))
    rows = pl.DataFrame(columns)
    if (sides := _SIDES.get(data_type)) is not None:
        rows = rows.with_columns(_side(rows["side"], sides, path, said))
    extra = [name for name in frame.columns if name not in rows.columns]
    rows = rows.with_columns(_plain(frame[name], path) for name in extra)
    if extra:
        said.append(f"{', '.join(extra)} kept")
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in REQUIRED[data_type])
    kept = rows.filter(whole)
    return Converted(kept, rows.height - kept.height, tuple(said))


def _renamed(data_type: DataType, frame: pl.DataFrame, said: list[str]) -> pl.DataFrame:
    for old, new in _RENAMES[data_type].items():
        if old in frame.columns and new not in frame.columns:
            frame = frame.rename({old: new})
            said.append(f"{old} is {new}")
    return frame


def _without(frame: pl.DataFrame, said: list[str]) -> pl.DataFrame:
    """*frame* without what says nothing: columns without a value, numbers of rows, the time once more."""
    known = {field.name for schema in SCHEMAS.values() for field in schema}
    gone = []
    for name in frame.columns:
        column = frame[name]
        if name in known:
            continue
        if column.null_count() == frame.height:
            gone.append(f"{name} (empty)")
        elif name in _INDEX and _numbers_rows(column, frame):
            gone.append(f"{name or 'the first column'} (numbers of the rows)")
        elif name in _DERIVED and "TS" in frame.columns:
            gone.append(f"{name} (TS, for people)")
        else:
            continue
        frame = frame.drop(name)
    if gone:
        said.append(f"left out: {', '.join(gone)}")
    return frame


def _numbers_rows(column: pl.Series, frame: pl.DataFrame) -> bool:
    if "TS" in frame.columns and column.equals(frame["TS"], check_names=False):
        return True
    if column.dtype not in _INTEGERS:
        return False
    # Each append began anew: 0, 1, 2, 0, 1.
    steps = column.diff().drop_nulls()
    return column[0] == 0 and bool(((steps == 1) | (column.tail(len(steps)) == 0)).all())


def times(column: pl.Series, path: Path, said: list[str]) -> pl.Series:
    """Return *column*, times in any unit, in ns; each for itself, since a file of seconds that dccd 3 added to has
    both. Null where there is none (dccd 3 never kept times up to 0). Raises OldFileProblem for what is no time."""
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is None:
            column = column.dt.replace_time_zone("UTC")
        scale = {"ns": 1, "us": 1000, "ms": 1_000_000}[column.dtype.time_unit]  # type: ignore[attr-defined]
        said.append("times of day are nanoseconds")
        column = column.to_physical() * scale
    if column.dtype == pl.String:
        try:
            column = column.cast(pl.Int64 if bool(column.str.contains(r"^\d+$").all()) else pl.Float64)
        except pl.exceptions.PolarsError as exc:
            raise OldFileProblem(path, f"TS holds what is no time: {exc}") from exc
    if not column.dtype.is_numeric():
        raise OldFileProblem(path, f"TS holds {column.dtype}, no times")
    name = pl.col("TS")
    frame = pl.DataFrame({"TS": column.alias("TS")}).with_columns(pl.when(name > 0).then(name).alias("TS"))
    if column.dtype.is_float():
        frame = frame.with_columns(pl.col("TS").fill_nan(None))
    told = frame["TS"]
    value, found = pl.lit(None, dtype=pl.Int64), []
    for scale, unit in _UNITS:
        inside = (name >= _FIRST * NS // scale) & (name < _LAST * NS // scale)
        count = frame.filter(inside).height
        if not count:
            continue
        if unit != "nanoseconds":
            found.append((unit, count))
        if column.dtype.is_float():
            # A float of seconds since 1970 holds microseconds and no more: these are what its writer meant.
            step = min(scale, 1000)
            exact = (name * (scale // step)).round().cast(pl.Int64, strict=False) * step
        else:
            exact = name.cast(pl.Int64, strict=False) * scale
        value = pl.when(inside).then(exact).otherwise(value)
    result = frame.with_columns(value.alias("ns"))["ns"]
    if result.null_count() != told.null_count():
        odd = told.filter(result.is_null() & told.is_not_null())[0]
        raise OldFileProblem(path, f"{odd} is no time between 2009 and 2261, in whatever unit")
    whole = len(told) - told.null_count()
    for unit, count in found:
        of_all = "" if count == whole else f" in {count:,} of {whole:,} rows"
        said.append(f"{unit} are nanoseconds{of_all}")
    return result.alias("TS")


def _cast(column: pl.Series, dtype: pl.DataType, path: Path, said: list[str]) -> pl.Series:
    """*column* in the schema's type, each value as it was."""
    if column.dtype == dtype:
        return column
    if column.null_count() == len(column):
        return pl.Series(column.name, [None] * len(column), dtype=dtype)
    try:
        if dtype == pl.String and column.dtype.is_float():
            cast = column.cast(pl.Int64).cast(pl.String)  # pandas makes floats of ids as soon as one is missing
        elif dtype == pl.Boolean and column.dtype == pl.String:
            cast = column.str.to_lowercase().replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean)
        else:
            cast = column.cast(dtype, strict=True)
        same = column.dtype == pl.String or bool((cast.cast(column.dtype) == column).all())
    except pl.exceptions.PolarsError as exc:
        raise OldFileProblem(path, f"{column.name} can't become {dtype}: {exc}") from exc
    if not same:
        raise OldFileProblem(path, f"{column.name} has values of {column.dtype} that {dtype} can't hold exactly")
    if not (column.dtype.is_numeric() and dtype.is_numeric()):
        said.append(f"{column.name} is {_word(dtype)}")
    return cast


def _word(dtype: pl.DataType) -> str:
    return {pl.String: "text", pl.Float64: "a number", pl.Int64: "a whole number"}.get(type(dtype), "true or false")


def _side(column: pl.Series, sides: dict[str, str], path: Path, said: list[str]) -> pl.Series:
    low = column.str.to_lowercase()
    strange = low.filter(low.is_not_null() & ~low.is_in(list(sides)))
    if len(strange):
        raise OldFileProblem(path, f"side {strange[0]!r} is neither {' nor '.join(dict.fromkeys(sides.values()))}")
    named = low.replace(sides)
    if not named.equals(column, null_equal=True):
        said.append("sides in our words")
    return named.alias(column.name)


def _plain(column: pl.Series, path: Path) -> pl.Series:
    """An unknown column, in a type that Parquet has and merges can unify."""
    if column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean):
        return column
    if column.dtype.is_temporal() or column.dtype == pl.Categorical:
        return column.cast(pl.String)
    raise OldFileProblem(path, f"nobody knows what {column.name} ({column.dtype}) is")
