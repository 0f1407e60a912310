"""A frame as people and programs want it: a frame and a format flow in; a table, JSON lines, CSV, Parquet or Arrow
flows out, to stdout or into a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import click

from dccd.cli.app import note
from dccd.cli.output import count, number, table
from dccd.symbols import format_time

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Format", "format_of", "put", "show"]

Format = Literal["table", "json", "csv", "parquet", "arrow"]
_SUFFIXES: dict[str, Format] = {
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
}
_TIMES = ("ts", "recv_ts", "as_of")


def format_of(wanted: Format | None, path: Path | None, json: bool) -> Format:
    """What --format, the file's suffix or --json ask for. Raises UsageError; for bytes on a terminal, too."""
    form = _asked(wanted, path, json)
    if form in ("parquet", "arrow") and path is None and sys.stdout.isatty():
        raise click.UsageError(f"{form} is binary: name a file with -o, or redirect the output")
    return form


def _asked(wanted: Format | None, path: Path | None, json: bool) -> Format:
    if wanted is None and json:
        return "json"
    if wanted is not None or path is None:
        return wanted or "table"
    try:
        return _SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise click.UsageError(
            f"what is {path.name} to be? Give it one of the suffixes {' '.join(_SUFFIXES)}, or name a --format"
        ) from None


def put(frame: pl.DataFrame, form: Format, path: Path | None) -> None:
    """Write *frame* to stdout, or to the file *path* as a whole or not at all. Not for tables."""
    if path is None:
        _write(frame, form, sys.stdout.buffer)
        sys.stdout.flush()
        return
    # Beside its place first: a half-written file never has the name of a whole one.
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            _write(frame, form, file)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    note(f"{count(frame.height)} rows in {path}")


def _write(frame: pl.DataFrame, form: Format, file: IO[bytes]) -> None:
    match form:
        case "json":
            frame.write_ndjson(file)
        case "csv":
            frame.write_csv(file)
        case "parquet":
            frame.write_parquet(file)
        case "arrow":
            frame.write_ipc(file)


def show(frame: pl.DataFrame, empty: str = "no rows in this range") -> None:
    """Print *frame* as a table, its times as people read them."""

    def cell(name: str, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, int) and name.lower() in _TIMES:
            return format_time(value).replace("T", " ").rstrip("Z")
        return number(value) if isinstance(value, float) else str(value)

    table(
        [name if name == "TS" else f">{name}" for name in frame.columns],
        ([cell(name, value) for name, value in zip(frame.columns, row, strict=True)] for row in frame.iter_rows()),
        empty=empty,
    )
