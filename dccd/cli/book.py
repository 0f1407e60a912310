"""``dccd book``: order books of the past flow in over the bus; a ladder, a table, JSON or a file flows out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import time_range
from dccd.cli.frames import Format, format_of, put, show
from dccd.cli.output import duration, interval, json_document, number, table
from dccd.symbols import NS, Dataset, format_time

if TYPE_CHECKING:
    from dccd import messages as m

__all__ = ["book"]

_BAR = 24
_TABLE_ROWS = 40
_TOLD = 10


@click.command(
    epilog="""\b
Examples:
  dccd book kraken.orderbook.BTC-USD
  dccd book kraken.orderbook.BTC-USD --at 2024-01-01T12:00:00 --depth 5 --json
  dccd book kraken.orderbook.BTC-USD --every 1s --start 2024-01-01 --end 2024-01-02 -o day.parquet
  dccd book kraken.orderbook.BTC-USD --every 100ms --depth 1 --wide --format csv > top.csv

A book holds all that had come up to its time, inclusive. Where changes may be missing it isn't known: --at says so and
fails, --every leaves it out and says when. Columns of a series: TS (the time asked for, ns), as_of (of the last change
in the book), side, level (1 is the best), price, amount; with --wide TS, as_of, bid_price_1, bid_amount_1, ask_price_1,
ask_amount_1, bid_price_2 and so on.
"""
)
@click.argument("dataset")
@click.option("--at", metavar="TIME", help="At this time: a date, an ISO time (UTC), or ns. Default: the newest row's.")
@click.option("--depth", type=click.IntRange(1, 100_000), default=10, metavar="N", help="Levels a side; 10 by default.")
@click.option("--every", metavar="INTERVAL", help="A series of books instead: 1s, 100ms, 5m.")
@time_range(None)
@click.option("--wide", is_flag=True, help="A row a book, a column for each level's price and amount.")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["table", "json", "csv", "parquet", "arrow"]),
    help="How to print a series; table by default, or what the file's suffix says. json is a line a row.",
)
@click.option("-o", "--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="A series to this file.")
@options
@click.pass_obj
def book(
    app: App,
    dataset: str,
    at: str | None,
    depth: int,
    every: str | None,
    start: str | None,
    end: str | None,
    wide: bool,
    wanted: Format | None,
    path: Path | None,
) -> int:
    """Show the order book of DATASET as it was at a time, or a series of books."""
    Dataset.parse(dataset)
    if every is None and (start or end or wide or wanted or path):
        raise click.UsageError("--start, --end, --wide, --format and --output are for a series: give --every")
    if every is not None and at is not None:
        raise click.UsageError("--at is for one book, --every for a series: give one of them")
    form = format_of(wanted, path, app.json)

    async def main() -> int:
        async with app.connect_to_store() as session:
            await app.settle(session, dataset)
            if every is None:
                found = await session.client.book(dataset, at, depth=depth)
            else:
                books = await session.client.books(dataset, every, start, end, depth=depth, wide=wide)
        if every is None:
            json_document(found) if app.json else _ladder(found)
            return DONE
        frame = books.frame
        if form == "table":
            show(frame.head(_TABLE_ROWS), empty="no book is known in this range")
            if frame.height > _TABLE_ROWS:
                note("… and more: -o FILE for all in a file, --format csv or json for all on stdout")
        else:
            put(frame, form, path)
        _tell(books.unknown)
        return DONE

    return app.run(main)


def _ladder(found: m.BookReply) -> None:
    """The asks from the worst down to the best, then the bids: prices fall from top to bottom."""
    most = max((amount for _, amount in (*found.bids, *found.asks)), default=1.0)
    asks = [_level("ask", level, most, total) for level, total in _summed(found.asks)]
    bids = [_level("bid", level, most, total) for level, total in _summed(found.bids)]
    between = []
    if found.bids and found.asks:
        (bid, _), (ask, _) = found.bids[0], found.asks[0]
        share = (ask - bid) / ((ask + bid) / 2) * 10_000
        between = [["", number(round(ask - bid, 10)), f"{share:.2f} bp", "", "spread"]]
    table(["", ">price", ">amount", ">sum", ""], [*reversed(asks), *between, *bids], empty="the book is empty")
    age = "" if found.stale <= 0 else f", {duration(found.stale / NS)} before {format_time(found.at)}"
    note(f"{found.dataset}: last change {format_time(found.ts)}{age}")


def _summed(levels: Sequence[tuple[float, float]]) -> list[tuple[tuple[float, float], float]]:
    total, found = 0.0, []
    for level in levels:
        total += level[1]
        found.append((level, total))
    return found


def _level(side: str, level: tuple[float, float], most: float, total: float) -> list[str]:
    price, amount = level
    bar = "█" * max(1, round(_BAR * amount / most))
    return [side, number(price), number(amount), number(round(total, 8)), bar]


def _tell(unknown: Sequence[m.Unknown]) -> None:
    for one in unknown[:_TOLD]:
        note(f"unknown {interval(one.start, one.end)}: {one.reason}")
    if len(unknown) > _TOLD:
        note(f"… and {len(unknown) - _TOLD} more such stretches")
