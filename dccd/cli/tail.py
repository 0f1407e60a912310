"""``dccd tail``: ticks flow in from the bus, lines flow out."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click
import msgspec

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import dataset_arguments, dataset_of
from dccd.cli.output import clock, number, when
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade

if TYPE_CHECKING:
    from dccd.client import Client
    from dccd.symbols import Dataset

__all__ = ["line", "tail"]


@click.command(
    epilog="""\b
Examples:
  dccd tail binance BTC/USDT
  dccd tail kraken ETH/USD --type orderbook -n 20
  dccd tail binance.ohlc.BTC-USDT.1m --json | jq .close
"""
)
@dataset_arguments("trades")
@click.option("-n", "--number", "limit", type=click.IntRange(min=1), metavar="N", help="End after N records.")
@options
@click.pass_obj
def tail(
    app: App, exchange: str, symbol: str | None, data_type: str | None, span: str | None, limit: int | None
) -> int:
    """Print the records of EXCHANGE SYMBOL as they arrive."""
    dataset = dataset_of(exchange, symbol, data_type, span, "trades")

    async def main() -> int:
        async with app.connect() as session:
            ticks = session.client.ticks(dataset.exchange, dataset.symbol.token, dataset.data_type, dataset.span)
            left = limit
            async with ticks, aclosing(ticks.batches()) as batches:
                await _hint(session.client, dataset)
                async for batch in batches:
                    shown = batch if left is None else batch[:left]
                    _print(shown, app.json)
                    if left is not None:
                        left -= len(shown)
                        if left == 0:
                            break
            if ticks.lost or ticks.interruptions:
                note(f"{ticks.lost} messages lost, {ticks.interruptions} interruptions of the bus")
        return DONE

    return app.run(main)


async def _hint(client: Client, dataset: Dataset) -> None:
    """Say so when nothing will come; another host may still stream it, and some may only subscribe."""
    from dccd.errors import DccdError

    try:
        streams = await client.streams()
    except DccdError as exc:
        note(f"listening to {dataset}; {exc}")
        return
    state = {s.dataset: s.state for s in streams}.get(dataset.name)
    if state is None:
        note(f"no stream of {dataset} runs; waiting for one. To start it: dccd streams start {dataset}")
    elif state != "live":
        note(f"the stream of {dataset} is {state}")


def _print(records: list[Any], json: bool) -> None:
    lines = [msgspec.json.encode(r).decode() if json else line(r) for r in records]
    click.echo("\n".join(lines))
    sys.stdout.flush()


def line(record: Record) -> str:
    """One record for people. Prices in quote asset, amounts in base asset, times UTC."""
    match record:
        case Trade():
            what = f"{record.side or '':4}  {number(record.price):>14}  {number(record.amount):>16}"
            return f"{clock(record.ts)}  {what}  {record.tid or ''}"
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
