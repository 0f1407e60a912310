"""``dccd tail``: ticks flow in from the bus, lines flow out."""

from __future__ import annotations

import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click
import msgspec

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import dataset_arguments, dataset_of
from dccd.cli.output import clock, number, when
from dccd.errors import DccdError, RequestError
from dccd.printable import printable
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import NS, Dataset, DataType, format_time

if TYPE_CHECKING:
    from dccd.client import Client
    from dccd.client.feeds import TickOptions
    from dccd.client.selection import Selection
    from dccd.client.ticks import Feed

__all__ = ["line", "tail"]


@click.command(
    epilog="""\b
Examples:
  dccd tail binance BTC/USDT
  dccd tail kraken ETH/USD --type orderbook -n 20
  dccd tail binance.ohlc.BTC-USDT.1m --json | jq .close
  dccd tail kraken BTC/USD --since 10m
  dccd tail binance '*'
  dccd tail '*.trades.BTC-USDT' --group workers
"""
)
@dataset_arguments("trades")
@click.option("-n", "--number", "limit", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@click.option("--since", metavar="TIME", help="Begin in the past: a time, ns, or how long ago, as 10m, 2h, 1d.")
@click.option(
    "--group", metavar="NAME", help="Share the records with all others of that group; with --since it is remembered."
)
@options
@click.pass_obj
def tail(
    app: App,
    exchange: str,
    symbol: str | None,
    data_type: str | None,
    span: str | None,
    limit: int | None,
    since: str | None,
    group: str | None,
) -> int:
    """Print the records of EXCHANGE SYMBOL as they arrive. A '*' is any exchange, symbol or span."""
    selection = _selection(exchange, symbol, data_type, span)

    async def main() -> int:
        async with app.connect() as session:
            how: TickOptions = {"since": since, "group": group}
            if selection.dataset is None or group is not None:
                how["store"] = False  # then it begins where the stream does, which is said
            ticks: Feed[Any] = session.client.ticks(pattern=selection.pattern, **how)
            left = limit
            async with ticks, aclosing(ticks.batches()) as batches:
                await _hint(session.client, selection)
                _say_begin(ticks, since)
                async for batch in batches:
                    shown = batch if left is None else batch[:left]
                    _print(shown, app.json, None if selection.dataset else batch.dataset)
                    if left is not None:
                        left -= len(shown)
                        if left == 0:
                            break
            if ticks.lost or ticks.interruptions:
                note(f"{ticks.lost} messages lost, {ticks.interruptions} interruptions of the bus")
        return DONE

    return app.run(main)


def _selection(exchange: str, symbol: str | None, data_type: str | None, span: str | None) -> Selection:
    """What the arguments name; of several datasets with a * in them. Raises IdentityError, UsageError."""
    from dccd.client.selection import ANY, Selection

    if symbol is None and not {ANY, ">"}.isdisjoint(exchange.split(".")):
        if data_type or span:
            raise click.UsageError(f"{exchange} names all: leave out --type and --span")
        return Selection.parse(exchange)
    if symbol is not None and ANY in (exchange, symbol, span):
        if data_type == DataType.OHLC and span is None:
            raise click.UsageError("bars of which span? Give --span 1m, 1h, 1d or seconds, or '*'")
        return Selection.make(exchange, data_type or "trades", symbol, span)
    return Selection.parse(dataset_of(exchange, symbol, data_type, span, "trades").name)


async def _hint(client: Client, selection: Selection) -> None:
    """Say so when nothing will come; another host may still stream it, and some may only subscribe."""
    try:
        streams = await client.streams()
    except DccdError as exc:
        note(f"listening to {selection}; {exc}")
        return
    if selection.dataset is None:
        if not any(selection.matches(Dataset.parse(stream.dataset)) for stream in streams):
            note(f"no stream of {selection} runs; waiting for one")
        return
    state = {s.dataset: s.state for s in streams}.get(selection.pattern)
    if state is None:
        try:
            await client.exchanges(selection.dataset.exchange)
        except RequestError as exc:
            if exc.code == 422:
                raise  # a name that nobody knows is a mistake, and nothing to wait for
        except DccdError:
            pass  # to listen one need not ask anything
        note(f"no stream of {selection} runs; waiting for one. To start it: dccd streams start {selection}")
    elif state != "live":
        note(f"the stream of {selection} is {state}")


def _say_begin(ticks: Feed[Any], since: str | None) -> None:
    """Say so when it doesn't reach as far back as was asked."""
    from dccd.client.since import since_ns

    if since is not None and ticks.begins is not None and ticks.begins > since_ns(since, time.time_ns()) + NS:
        note(f"begins at {format_time(ticks.begins)}: there is nothing older")


def _print(records: list[Any], json: bool, dataset: Dataset | None) -> None:
    """A line each; of several datasets with its own in front, and in JSON as its first field."""
    lines = [msgspec.json.encode(record).decode() if json else line(record) for record in records]
    if dataset is not None:
        lines = [f'{{"dataset":"{dataset}",{text[1:]}' if json else f"{dataset!s:28}  {text}" for text in lines]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def line(record: Record) -> str:
    """One record for people. Prices in quote asset, amounts in base asset, times UTC."""
    match record:
        case Trade():
            what = f"{record.side or '':4}  {number(record.price):>14}  {number(record.amount):>16}"
            return f"{clock(record.ts)}  {what}  {printable(record.tid or '')}"
        case Bar():
            prices = "  ".join(f"{number(p):>12}" for p in (record.open, record.high, record.low, record.close))
            return f"{when(record.ts)}  {prices}  {number(record.volume):>16}  {'closed' if record.closed else 'open'}"
        case BookSnapshot():
            bid, ask = (f"{number(side[0][0]):>12}" if side else f"{'':>12}" for side in (record.bids, record.asks))
            return f"{clock(record.ts)}  snapshot  bid {bid}  ask {ask}  {len(record.bids)}+{len(record.asks)} levels"
        case BookDelta():
            changes = [("bid", level) for level in record.bids] + [("ask", level) for level in record.asks]
            first = "  ".join(f"{side} {number(p)} → {number(a)}" for side, (p, a) in changes[:3])
            more = f"  and {len(changes) - 3} more" if len(changes) > 3 else ""
            return f"{clock(record.ts)}  delta     {first}{more}"
        case FundingRate():
            return f"{when(record.ts)}  rate {record.rate:.6%}  mark {number(record.mark_price)}"
        case OpenInterest():
            return f"{when(record.ts)}  {number(record.open_interest)}  worth {number(record.open_interest_value)}"
