"""``dccd inventory`` and ``exchanges``: replies flow in, a table or JSON flows out."""

from __future__ import annotations

from collections.abc import Iterator

import click

from dccd.cli.app import DONE, App, options
from dccd.cli.output import count, duration, interval, json_document, of_hosts, percent, size, table, when
from dccd.messages import CapabilityEntry, DatasetEntry
from dccd.symbols import NS, parse_span, span_label

__all__ = ["exchanges", "inventory"]

_MANY = 100_000
"""Bars that nobody counts."""


@click.command(
    epilog="""\b
Examples:
  dccd inventory
  dccd inventory binance.trades --gaps
  dccd inventory --json | jq '.[] | select(.gaps != []) | .dataset'
"""
)
@click.argument("prefix", required=False)
@click.option("--gaps", "show_gaps", is_flag=True, help="List every hole that isn't repaired.")
@options
@click.pass_obj
def inventory(app: App, prefix: str | None, show_gaps: bool) -> int:
    """List stored datasets (whose name begins with PREFIX): rows, sizes, times, how much of what was asked for is
    there, and holes. Of every host on the bus; --host: of that one.

    Rows are as the files have them: what was fetched again counts twice until it is folded."""

    async def main() -> int:
        async with app.connect_to_store() as session:
            found = await session.client.inventory(prefix)
        # Whose each is, where there are several.
        several = of_hosts(entry.host for entry in found)
        columns = ["dataset", "host"] if several else ["dataset"]
        if app.json:
            json_document(found)
        elif show_gaps:
            table(
                [*columns, "hole", ">lasts", "reason", "state"],
                _holes(found, several),
                empty="no holes",
            )
        else:
            table(
                [*columns, ">rows", ">files", ">size", "first", "last", ">age", ">covered", ">missing", ">holes", ""],
                (
                    [
                        *_named(d, several),
                        count(d.rows),
                        d.files,
                        size(d.bytes),
                        when(d.first_ts),
                        when(d.last_ts),
                        duration(d.age),
                        "" if d.coverage is None else percent(d.coverage),
                        duration(d.missing) if d.missing else "",
                        d.gaps_total or "",
                        "live" if d.live else "" if d.looked_at else "not looked at yet",
                    ]
                    for d in found
                ),
                empty="nothing is stored yet" if prefix is None else f"nothing is stored under {prefix}",
            )
        return DONE

    return app.run(main)


def _named(entry: DatasetEntry, several: bool) -> list[str]:
    return [entry.dataset, entry.host] if several else [entry.dataset]


def _holes(found: list[DatasetEntry], several: bool) -> Iterator[list[str]]:
    for entry in found:
        whose = _named(entry, several)
        if more := entry.gaps_total - len(entry.gaps):
            yield [*whose, f"{more:,} earlier", "", f"dccd coverage {entry.dataset} has them all", ""]
        for gap in entry.gaps:
            lasts = duration((gap.end - gap.start) / NS)
            yield [*whose, interval(gap.start, gap.end), lasts, gap.reason, gap.state]


@click.command(
    epilog="""\b
Examples:
  dccd exchanges
  dccd exchanges kraken
  dccd exchanges --all
  dccd exchanges kucoin --json | jq '.kucoin[] | select(.mode == "live") | .data_type'

dccd speaks to the exchanges of the first list by itself, to all others through ccxt and ccxt.pro.
"""
)
@click.argument("exchange", required=False)
@click.option("--all", "every", is_flag=True, help="All that ccxt knows, too.")
@options
@click.pass_obj
def exchanges(app: App, exchange: str | None, every: bool) -> int:
    """List what can be collected (of EXCHANGE): data types, live and historical."""

    async def main() -> int:
        async with app.connect_to_store() as session:
            found = await session.client.exchanges(exchange, all=every)
        if exchange is not None and exchange not in found:
            raise click.UsageError(f"no exchange {exchange!r}; there are {', '.join(sorted(found))}")
        found = found if exchange is None else {exchange: found[exchange]}
        if app.json:
            json_document(found)
            return DONE
        if every:
            table(["exchange", "market", "live", "historical", "note"], _short(found))
            return DONE
        table(
            ["exchange", "market", "data type", "mode", "fields", "spans", "depths", "history", "note"],
            (
                [
                    name,
                    entry.market,
                    entry.data_type,
                    entry.mode,
                    " ".join(entry.fields),
                    " ".join(entry.spans),
                    " ".join(map(str, entry.depths)),
                    _history(entry),
                    _note(entry),
                ]
                for name, entries in found.items()
                for entry in entries
            ),
        )
        return DONE

    return app.run(main)


def _short(found: dict[str, list[CapabilityEntry]]) -> Iterator[list[str]]:
    """A line for each exchange and kind of market: its data types."""
    for name, entries in found.items():
        for market in dict.fromkeys(entry.market for entry in entries):
            types: dict[str, list[str]] = {"live": [], "historical": []}
            closed = ""
            for entry in entries:
                if entry.market == market:
                    types[entry.mode].append(entry.data_type)
                    closed = entry.closed
            yield [name, market, " ".join(types["live"]), " ".join(types["historical"]), closed]


def _note(entry: CapabilityEntry) -> str:
    """That it has closed, and what else there is to say."""
    return "; ".join(filter(None, [entry.closed, entry.note]))


def _history(entry: CapabilityEntry) -> str:
    """How far back it goes."""
    if entry.recent_bars is not None:
        if entry.recent_bars <= _MANY or not entry.spans:
            return f"last {entry.recent_bars} bars"
        # As good as all but of the shortest span, as of OKX's seconds.
        shortest = min(map(parse_span, entry.spans))
        return f"{span_label(shortest)}: last {duration(entry.recent_bars * shortest)}"
    return f"last {duration(entry.recent)}" if entry.recent else ""
