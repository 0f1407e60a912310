"""``dccd read``: stored rows flow in over the bus, or SQL over the files; a table, JSON lines, CSV, Parquet or Arrow
flows out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from dccd.cli.app import DONE, INTERRUPTED, TERMINATED, App, note, options
from dccd.cli.arguments import time_range
from dccd.cli.frames import Format, format_of, show
from dccd.cli.output import count
from dccd.cli.rows import Terms, columns_of, data_path, frame, incoming, pipe, pour, source, tell, tell_purged
from dccd.symbols import Dataset

__all__ = ["read"]

_TABLE_ROWS = 20
_MORE = "… and more: --limit N for more of them, --newest for the last, -o FILE for all in a file"


@click.command(
    epilog="""\b
Examples:
  dccd read binance.ohlc.BTC-USDT.1m --newest --limit 5
  dccd read binance.ohlc.BTC-USDT.7m --from 1m --start 2024-01-01
  dccd read binance.trades.BTC-USDT --start 2024-01-01 --end 2024-01-02 -o day.parquet
  dccd read kraken.trades.ETH-USD --columns TS,price --format csv > prices.csv
  dccd read --sql 'SELECT side, sum(amount) FROM "binance.trades.BTC-USDT" GROUP BY side'

Times are nanoseconds UTC in every format but the table. `dccd export` writes more kinds of files. The files under
data_path are plain Parquet, too: Polars, DuckDB and Spark read them without dccd.

In SQL (DuckDB's; needs `pip install 'dccd[sql]'`) a dataset is a table by its name in double quotes, ns('2024-01-01')
is a time as TS has it, and make_timestamp_ns(TS) is TS as a time. It is run here, over the files.
"""
)
@click.argument("dataset", required=False)
@time_range(None)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="N rows at most; a table has 20 by default.")
@click.option("--newest", is_flag=True, help="The last rows instead of the first.")
@click.option("--columns", metavar="A,B,…", help="Only these columns.")
@source
@click.option("--sql", metavar="QUERY", help="What this gives, over all datasets, instead of the rows of one.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "json", "csv", "parquet", "arrow"]),
    help="How to print; table by default, or what the file's suffix says. json is a line a row.",
)
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@data_path
@options
@click.pass_obj
def read(
    app: App,
    dataset: str | None,
    start: str | None,
    end: str | None,
    limit: int | None,
    newest: bool,
    columns: str | None,
    source: str | None,
    sql: str | None,
    wanted: Format | None,
    path: Path | None,
    data_path: Path | None,
) -> int:
    """Print or export the stored rows of DATASET, as `dccd inventory` names it, in time order."""
    form = format_of(wanted, path, app.json)
    terms = Terms(start=start, end=end, columns=columns_of(columns), limit=limit, newest=newest, source=source)
    if sql is not None:
        if dataset is not None or any(terms.values()):
            raise click.UsageError("--sql says itself what to read: give no DATASET, range, limit, columns or --from")
        return _query(app, sql, form, path, data_path)
    if dataset is None:
        raise click.UsageError("which DATASET? `dccd inventory` lists them; or a query with --sql")
    name = Dataset.parse(dataset).name
    unbounded = form == "table" and limit is None
    if unbounded:
        terms["limit"] = _TABLE_ROWS + 1

    async def main() -> int:
        async with incoming(app, name, terms, data_path) as rows:
            if form == "table":
                found = await frame(rows)
                more = unbounded and found.height > _TABLE_ROWS
                if more:
                    found = found.tail(_TABLE_ROWS) if newest else found.head(_TABLE_ROWS)
                show(found)
                if more:
                    note(_MORE)
                return DONE
            with _target(form, path, rows.schema) as sink:
                await pour(rows, sink)
        if path is not None:
            note(f"{count(rows.count)} rows in {path}")
        return DONE

    return app.run(main)


@contextmanager
def _target(form: Any, path: Path | None, schema: Any) -> Iterator[Any]:
    """A sink for stdout or the file *path*, closed at the end of the block."""
    from dccd.store.sinks import exported

    if path is not None:
        with exported(path, form, schema, force=True) as sink:
            yield sink
        return
    sink = pipe(form, schema)
    try:
        yield sink
        sink.close()
    finally:
        sink.abandon()


def _query(app: App, sql: str, form: Format, path: Path | None, folder: Path | None) -> int:
    """Run *sql* over the files here. Not in an event loop: DuckDB is to see Ctrl-C itself."""
    from dccd.store.reader import Store
    from dccd.store.sinks import frame_of
    from dccd.store.sql import named, query

    rows = 0
    store = Store(folder or app.config().data_path)
    with _stoppable(), ExitStack() as stack:
        result = stack.enter_context(query(store, sql))
        for about in result.derived:
            tell(about)
        for dataset in named(sql):
            tell_purged(store, dataset)
        if form == "table":
            taken: list[Any] = []
            for batch in result.batches:
                taken.append(batch)
                if sum(one.num_rows for one in taken) > _TABLE_ROWS:
                    break
            found = frame_of(result.schema, taken)
            show(found.head(_TABLE_ROWS), "no rows")
            if found.height > _TABLE_ROWS:
                note("… and more: -o FILE for all in a file, --format csv for all here")
            return DONE
        sink = stack.enter_context(_target(form, path, result.schema))
        for batch in result.batches:
            sink.write(batch)
            rows += batch.num_rows
    if path is not None:
        note(f"{count(rows)} rows in {path}")
    return DONE


@contextmanager
def _stoppable() -> Iterator[None]:
    """End the command in order on Ctrl-C and SIGTERM, whatever is made of it on the way."""
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except BaseException:
        if came:  # DuckDB makes an error of its own of it
            raise click.exceptions.Exit(TERMINATED if came[0] == signal.SIGTERM else INTERRUPTED) from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
