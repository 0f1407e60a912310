"""The rows of an old file as they are: bytes flow in, a frame in the file's own columns and types flows out.

Parquet, CSV, SQLite and, with openpyxl, Excel. A pickle can run whatever it likes when it is opened, so none is.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from dccd.errors import OldFileProblem, StoreError

__all__ = ["read_old"]

_PICKLE = (
    "a pickle of dccd 2.x, which may run code when it is opened: not opened here. In an environment with that release, "
    "dccd.tools.io.get_df(folder, name, '.dat') gives its frame; write that as Parquet (write_parquet) and migrate this"
)
_TABLE = "main_table"


def read_old(path: Path) -> pl.DataFrame:
    """Return all rows of the file at *path*, by how its name ends.

    All of them at once: older releases rewrote each file whole in memory, too. Raises OldFileProblem that says why it
    can't be read, StoreError when the system refuses.
    """
    readers = {".parquet": _parquet, ".csv": _csv, ".xlsx": _xlsx, ".db": _sqlite, ".sqlite": _sqlite}
    if path.suffix not in readers:
        raise OldFileProblem(path, _PICKLE if path.suffix == ".dat" else f"no format that can be read: {path.suffix}")
    try:
        return readers[path.suffix](path)
    except (pl.exceptions.PolarsError, sqlite3.Error, ValueError, KeyError) as exc:
        raise OldFileProblem(path, f"can't be read: {exc}") from exc
    except OSError as exc:
        if exc.errno is None:  # Polars' and zip's own, of bytes that make no sense
            raise OldFileProblem(path, f"can't be read: {exc}") from exc
        raise StoreError(path, exc.strerror or str(exc)) from exc


def _parquet(path: Path) -> pl.DataFrame:
    # No hive partitions out of the path, and no memory map of a file that is going to be moved.
    return pl.read_parquet(path, hive_partitioning=False, memory_map=False)


def _csv(path: Path) -> pl.DataFrame:
    # All rows are looked at before a type is chosen: a price may be whole for a thousand rows.
    return pl.read_csv(path, infer_schema_length=None)


def _sqlite(path: Path) -> pl.DataFrame:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = _TABLE if _TABLE in tables else tables[0] if len(tables) == 1 else None
        if table is None:
            raise OldFileProblem(path, f"none of its tables is {_TABLE}: {', '.join(sorted(tables)) or 'it has none'}")
        cursor = connection.execute('SELECT * FROM "{}"'.format(table.replace('"', '""')))
        names = [column[0] for column in cursor.description]
        return _frame(names, cursor.fetchall())


def _xlsx(path: Path) -> pl.DataFrame:
    try:
        openpyxl: Any = import_module("openpyxl")
    except ImportError as exc:
        raise OldFileProblem(path, "an Excel file, which takes openpyxl: pip install 'dccd[xlsx]'") from exc
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as exc:  # zipfile's, XML's and its own errors have nothing in common
        raise OldFileProblem(path, f"can't be read: {exc}") from exc
    with closing(book):
        names: list[str] | None = None
        rows: list[tuple[Any, ...]] = []
        # dccd 2.0 began a sheet each time it appended.
        for sheet in book.worksheets:
            found = sheet.iter_rows(values_only=True)
            header = [str(name) for name in next(found, ()) if name is not None]
            if not header:
                continue
            if names is not None and header != names:
                raise OldFileProblem(path, f"its sheets differ in columns: {', '.join(names)}; {', '.join(header)}")
            names = header
            rows += [row[: len(header)] for row in found]
    if names is None:
        raise OldFileProblem(path, "no sheet of it has columns")
    return _frame(names, rows)


def _frame(names: list[str], rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """*rows* as a frame, each column of one type."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    return pl.DataFrame([_series(name, list(values)) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} and all(value == int(float(value)) for value in values if type(value) is int):
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if len(kinds) > 1:
        # A float keeps 53 bits of an integer: beyond these, and of other mixtures, the text tells.
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
    return pl.Series(name, values)
