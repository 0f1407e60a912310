"""``dccd streams``: list, start and stop live streams."""

from __future__ import annotations

import time
from typing import Literal

import click

from dccd.cli.app import DONE, App, note, options
from dccd.cli.arguments import dataset_arguments, dataset_of
from dccd.cli.group import Group
from dccd.cli.output import ago, count, json_document, number, of_hosts, table

__all__ = ["streams"]


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  dccd streams
  dccd streams start kraken ETH/USD --type orderbook --depth 100
  dccd streams stop kraken.orderbook.ETH-USD
""",
)
@options
@click.pass_context
def streams(ctx: click.Context) -> int | None:
    """List live streams with rates and last prices, of every host on the bus (--host: of that one); start and stop
    them."""
    if ctx.invoked_subcommand is not None:
        return None
    app = ctx.ensure_object(App)

    async def main() -> int:
        async with app.connect() as session:
            found = await session.client.streams()
        if app.json:
            json_document(found)
            return DONE
        now = time.time_ns()
        several = of_hosts(s.host for s in found)
        table(
            [
                "dataset",
                *(["host"] if several else []),
                "state",
                ">records",
                ">per second",
                ">last price",
                ">last",
                ">up",
                ">lost",
                ">restarts",
                "error",
            ],
            (
                [
                    s.dataset,
                    *([s.host] if several else []),
                    s.state,
                    count(s.records),
                    f"{s.rate:,.1f}",
                    number(s.last_price),
                    ago(s.last_recv_ts, now),
                    ago(s.connected_since, now),
                    f"{s.reconnects}×" if s.reconnects else "",
                    s.restarts or "",
                    s.error or "",
                ]
                for s in found
            ),
            empty="no streams",
        )
        return DONE

    return app.run(main)


@streams.command(
    epilog="""\b
Examples:
  dccd streams start kraken SOL/USDT
  dccd streams start kraken.orderbook.BTC-USD --depth 100
  dccd streams start binance BTC/USDT --type ohlc --span 1m
"""
)
@dataset_arguments("trades")
@click.option("--depth", metavar="N", type=click.IntRange(1, 100_000), help="Order books: levels a side.")
@click.option(
    "--snapshot-interval", metavar="DURATION", default="1m", show_default=True, help="Order books: between snapshots."
)
@click.option(
    "--book", type=click.Choice(["deltas", "snapshots"]), default="deltas", help="Order books: what is stored."
)
@options
@click.pass_obj
def start(
    app: App,
    exchange: str,
    symbol: str | None,
    data_type: str | None,
    span: str | None,
    depth: int | None,
    snapshot_interval: str,
    book: Literal["deltas", "snapshots"],
) -> int:
    """Start a stream, until it is stopped or the daemon ends. For good: `dccd jobs create`."""
    dataset = dataset_of(exchange, symbol, data_type, span, "trades")
    from dccd.config import parse_duration

    try:
        between = parse_duration(snapshot_interval)
    except ValueError as exc:
        raise click.UsageError(f"--snapshot-interval {snapshot_interval}? It is {exc}") from exc

    async def main() -> int:
        async with app.connect_to_one() as session:
            reply = await session.client.start_stream(
                dataset.exchange,
                dataset.symbol.human,
                dataset.data_type,
                dataset.span,
                depth=depth,
                snapshot_interval=between,
                book=book,
            )
        if app.json:
            json_document(reply)
        else:
            click.echo(f"{reply.dataset}: {'was running already' if reply.already_running else 'started'}")
            if reply.warning is not None:
                note(f"warning: {reply.warning}")
        return DONE

    return app.run(main)


@streams.command(
    epilog="""\b
Examples:
  dccd streams stop kraken SOL/USDT
  dccd streams stop kraken.orderbook.BTC-USD
"""
)
@dataset_arguments("trades")
@options
@click.pass_obj
def stop(app: App, exchange: str, symbol: str | None, data_type: str | None, span: str | None) -> int:
    """Stop a stream; a job's starts again with the daemon."""
    dataset = dataset_of(exchange, symbol, data_type, span, "trades")

    async def main() -> int:
        async with app.connect_to_one() as session:
            reply = await session.client.stop_stream(
                dataset.exchange, dataset.symbol.human, dataset.data_type, dataset.span
            )
        if app.json:
            json_document(reply)
        else:
            click.echo(f"{reply.dataset}: stopped")
        return DONE

    return app.run(main)
