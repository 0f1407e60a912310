"""``dccd read``: stored rows flow in over the bus; a table, JSON lines, CSV, Parquet or Arrow flows out."""

from __future__ import annotations

from pathlib import Path

import click

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import time_range
from dccd.cli.frames import Format, format_of, put, show
from dccd.symbols import Dataset

__all__ = ["read"]

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
    form = format_of(wanted, path, app.json)
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
            show(frame)
            if more:
                note("… and more: --limit N for more of them, --newest for the last, -o FILE for all in a file")
        else:
            put(frame, form, path)
        return DONE

    return app.run(main)
