"""``dccd read``: stored rows flow in over the bus; a table, JSON lines, CSV, Parquet or Arrow flows out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import click

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import time_range
from dccd.cli.output import count, number, table
from dccd.symbols import Dataset, format_time

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read"]

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
_TABLE_ROWS = 20


@click.command(
    epilog="""\b
Examples:
  dccd read binance.ohlc.BTC-USDT.1m --newest --limit 5
  dccd read binance.trades.BTC-USDT --start 2024-01-01 --end 2024-01-02 -o day.parquet
  dccd read kraken.trades.ETH-USD --columns TS,price --format csv > prices.csv

Times are nanoseconds UTC in every format but the table. The files under data_path are plain Parquet, too: Polars,
DuckDB and Spark read them without dccd.
"""
)
@click.argument("dataset")
@time_range(None)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="N rows at most; a table has 20 by default.")
@click.option("--newest", is_flag=True, help="The last rows instead of the first.")
@click.option("--columns", metavar="A,B,…", help="Only these columns.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "json", "csv", "parquet", "arrow"]),
    help="How to print; table by default, or what the file's suffix says. json is a line a row.",
)
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@options
@click.pass_obj
def read(
    app: App,
    dataset: str,
    start: str | None,
    end: str | None,
    limit: int | None,
    newest: bool,
    columns: str | None,
    wanted: Format | None,
    path: Path | None,
) -> int:
    """Print or export the stored rows of DATASET, as `dccd inventory` names it, in time order."""
    Dataset.parse(dataset)
    form = _format(wanted, path, app.json)
    if form in ("parquet", "arrow") and path is None and sys.stdout.isatty():
        raise click.UsageError(f"{form} is binary: name a file with -o, or redirect the output")
    unbounded = form == "table" and limit is None

    async def main() -> int:
        async with app.connect_to_store() as session:
            frame = await session.client.read(
                dataset,
                start,
                end,
                columns=None if columns is None else [name.strip() for name in columns.split(",")],
                limit=_TABLE_ROWS + 1 if unbounded else limit,
                newest=newest,
            )
        if form == "table":
            more = unbounded and frame.height > _TABLE_ROWS
            if more:
                frame = frame.tail(_TABLE_ROWS) if newest else frame.head(_TABLE_ROWS)
            _show(frame)
            if more:
                note("… and more: --limit N for more of them, --newest for the last, -o FILE for all in a file")
        elif path is None:
            _write(frame, form, sys.stdout.buffer)
            sys.stdout.flush()
        else:
            # Beside its place first: a half-written file never has the name of a whole one.
            part = path.with_name(f".{path.name}.part")
            try:
                with part.open("wb") as file:
                    _write(frame, form, file)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            note(f"{count(frame.height)} rows in {path}")
        return DONE

    return app.run(main)


def _format(wanted: Format | None, path: Path | None, json: bool) -> Format:
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


def _show(frame: pl.DataFrame) -> None:
    def cell(name: str, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, int) and name.lower() in ("ts", "recv_ts"):
            return format_time(value).replace("T", " ").rstrip("Z")
        return number(value) if isinstance(value, float) else str(value)

    table(
        [name if name == "TS" else f">{name}" for name in frame.columns],
        ([cell(name, value) for name, value in zip(frame.columns, row, strict=True)] for row in frame.iter_rows()),
        empty="no rows in this range",
    )
