"""``dccd export``: stored rows flow in, over the bus or out of the files; one file for other programs flows out."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import time_range
from dccd.cli.output import count, json_line, size, when
from dccd.cli.rows import LocalRows, Terms, columns_of, data_path, incoming, pipe, pour, source
from dccd.symbols import Dataset

if TYPE_CHECKING:
    from dccd.client import Rows
    from dccd.store.sinks import Form

__all__ = ["export", "form_of"]

_SUFFIXES: dict[str, Form] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".feather": "arrow",
    ".duckdb": "duckdb",
    ".db": "duckdb",
}


@click.command(
    epilog="""\b
Examples:
  dccd export binance.trades.BTC-USDT --start 2024-01-01 --end 2024-01-02 -o day.parquet
  dccd export binance.ohlc.BTC-USDT.7m --from 1m -o bars.csv --iso
  dccd export kraken.trades.ETH-USD --columns price,amount -o trades.duckdb
  dccd export binance.ohlc.BTC-USDT.1h --format csv -o - | head

Any number of rows, in little memory. The file has its name when all of it is there. Times are nanoseconds UTC unless
--iso is given. Parquet is zstd; CSV is RFC 4180; in a DuckDB file (needs `pip install 'dccd[sql]'`) the table has the
dataset's name; json is a line a row.
"""
)
@click.argument("dataset")
@time_range(None)
@click.option("--columns", metavar="A,B,…", help="Only these columns.")
@source
@click.option("-o", "--output", "target", required=True, metavar="FILE", help="The file to make; - is stdout.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["parquet", "csv", "json", "arrow", "duckdb"]),
    help="What the file is to be; by default what its suffix says.",
)
@click.option("--iso", is_flag=True, help="CSV: times as 2024-01-01T00:00:00.000000000Z instead of ns.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@data_path
@options
@click.pass_obj
def export(
    app: App,
    dataset: str,
    start: str | None,
    end: str | None,
    columns: str | None,
    source: str | None,
    target: str,
    wanted: Form | None,
    iso: bool,
    force: bool,
    data_path: Path | None,
) -> int:
    """Write the rows of DATASET, as `dccd inventory` names it, into a file for other programs."""
    Dataset.parse(dataset)
    path = None if target == "-" else Path(target)
    form = form_of(wanted, path)
    if iso and form != "csv":
        raise click.UsageError(f"--iso is for CSV; {form} has times as nanoseconds")
    if path is not None and path.exists() and not force:
        raise click.UsageError(f"{path} is there already; --force overwrites it")
    terms = Terms(start=start, end=end, columns=columns_of(columns), source=source)

    async def main() -> int:
        async with incoming(app, dataset, terms, data_path) as rows:
            with ExitStack() as stack:
                if path is None:
                    sink = pipe(form, rows.schema, iso=iso, crlf=True)
                    stack.callback(sink.abandon)
                else:
                    from dccd.store.sinks import exported

                    sink = stack.enter_context(exported(path, form, rows.schema, dataset, force=force, iso=iso))
                await pour(rows, sink, stack.enter_context(_Progress(dataset, rows)).advance)
                if path is None:
                    sink.close()
        if path is not None:
            if app.json:
                json_line({"file": str(path), "format": form, "rows": rows.count, "bytes": path.stat().st_size})
            else:
                note(f"{count(rows.count)} rows in {path}, {size(path.stat().st_size)}")
        return DONE

    return app.run(main)


def form_of(wanted: Form | None, path: Path | None) -> Form:
    """What --format or the file's suffix ask for. Raises UsageError; for bytes where they can't go, too."""
    if wanted is None:
        suffix = "" if path is None else path.suffix.lower()
        if suffix not in _SUFFIXES:
            name = "stdout" if path is None else path.name
            raise click.UsageError(f"what is {name} to be? Give it one of {' '.join(_SUFFIXES)}, or name a --format")
        wanted = _SUFFIXES[suffix]
    if path is None and wanted == "duckdb":
        raise click.UsageError("a DuckDB database is a file: name one with -o")
    if path is None and wanted in ("parquet", "arrow") and sys.stdout.isatty():
        raise click.UsageError(f"{wanted} is binary: name a file with -o, or redirect the output")
    return wanted


class _Progress:
    """A bar on a terminal's stderr by the time of the rows, with their number and rate; nothing elsewhere."""

    def __init__(self, dataset: str, rows: Rows | LocalRows) -> None:
        self._rows, self._began = rows, time.monotonic()
        self._progress: Any = None
        about = rows.about
        if about is None or about.first_ts is None or about.last_ts is None or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._first, self._length = about.first_ts, max(about.last_ts - about.first_ts, 1)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[at]}"),
            TextColumn("{task.fields[rows]}"),
            console=Console(stderr=True),
            expand=True,
        )
        self._task = self._progress.add_task(dataset, total=1.0, at="", rows="")

    def __enter__(self) -> _Progress:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def advance(self, batch: Any) -> None:
        """Show that *batch* is written."""
        if self._progress is None or not batch.num_rows:
            return
        last = batch["TS"][-1].as_py()
        rate = self._rows.count / max(time.monotonic() - self._began, 0.001)
        self._progress.update(
            self._task,
            completed=min(1.0, (last - self._first) / self._length),
            at=when(last),
            rows=f"{count(self._rows.count)} rows, {rate:,.0f}/s",
        )
