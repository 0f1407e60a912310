"""The seam to DuckDB, which is optional: found when it is needed, its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dccd.errors import BadQuery, Uninstalled

__all__ = ["duckdb_errors", "load", "quoted"]


def load() -> Any:
    """Return the module. Raises Uninstalled."""
    try:
        import duckdb
    except ImportError as exc:
        raise Uninstalled("this needs DuckDB, which isn't installed: pip install 'dccd[sql]'") from exc
    return duckdb


@contextmanager
def duckdb_errors() -> Iterator[None]:
    """Translate DuckDB's errors into BadQuery."""
    duckdb = load()
    try:
        yield
    except duckdb.Error as exc:
        raise BadQuery(str(exc)) from exc


def quoted(name: str) -> str:
    """*name* as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
