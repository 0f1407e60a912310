"""``dccd jobs create``, ``update`` and ``delete``: options flow in as fields of a job, what that does flows out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

import click

from dccd.cli.app import App, options
from dccd.cli.config import show_applied
from dccd.symbols import DataType

__all__ = ["TRIGGERS", "TriggerKind", "create", "delete", "update"]

F = TypeVar("F", bound=Callable[..., Any])

TriggerKind = Literal["once", "interval", "cron", "supervised", "manual"]
TRIGGERS = get_args(TriggerKind)

_FIELDS = {
    "trigger_kind": click.option("--trigger", "trigger_kind", type=click.Choice(TRIGGERS), help="When it runs."),
    "every": click.option("--every", metavar="DURATION", help="Interval: how often, as 1h."),
    "cron": click.option("--cron", metavar="FIELDS", help="Cron: minute hour day month weekday, as '5 0 * * *'."),
    "timezone": click.option("--timezone", metavar="ZONE", help="Cron: where these are read, as Europe/Paris."),
    "jitter": click.option("--jitter", metavar="DURATION", help="Put off each run by up to so long."),
    "missed": click.option(
        "--missed", type=click.Choice(["once", "skip"]), help="Runs that were missed: one, or none."
    ),
    "start": click.option("--start", metavar="TIME", help="Backfills: last, origin, or a date or time."),
    "depth": click.option("--depth", metavar="N", type=click.IntRange(1, 100_000), help="Order books: levels a side."),
    "snapshot_interval": click.option(
        "--snapshot-interval", metavar="DURATION", help="Order books: between snapshots."
    ),
    "book": click.option("--book", type=click.Choice(["deltas", "snapshots"]), help="Order books: what is stored."),
    "restart": click.option(
        "--restart", type=click.Choice(["permanent", "transient", "temporary"]), help="Streams: after which end."
    ),
}


def _fields(command: F) -> F:
    for option in reversed(_FIELDS.values()):
        command = option(command)
    return command


def _trigger(fields: dict[str, Any]) -> dict[str, Any]:
    """What was given, with the trigger that --every or --cron means."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name, kind in (("every", "interval"), ("cron", "cron")):
        if name in given:
            given.setdefault("trigger_kind", kind)
    return given


def _instead(given: dict[str, Any]) -> dict[str, Any]:
    """The same for a job that may have another trigger by now, whose time goes with it."""
    if "trigger_kind" in given:
        return {**{name: None for name in ("every", "cron")}, **given}
    return given


@click.command(
    epilog="""\b
Examples:
  dccd jobs create kraken ETH/USD BTC/USD
  dccd jobs create kraken BTC/USD --type orderbook --depth 100
  dccd jobs create binance BTC/USDT --type ohlc --span 1m --operation backfill --every 1h --start origin

It stands in the configuration file, if there is one that can be written, else on the bus; `dccd jobs` says where.
"""
)
@click.argument("exchange")
@click.argument("pairs", nargs=-1, required=True)
@click.option("--type", "data_type", type=click.Choice([str(t) for t in DataType]), default="trades", show_default=True)
@click.option("--span", metavar="SPAN", help="Span of ohlc bars: 1m, 1h, 1d or seconds.")
@click.option("--operation", type=click.Choice(["stream", "backfill"]), default="stream", show_default=True)
@_fields
@options
@click.pass_obj
def create(
    app: App, /, exchange: str, pairs: tuple[str, ...], data_type: str, span: str | None, operation: Any, **fields: Any
) -> int:
    """Create a job for each of PAIRS: a stream that starts now, or a backfill by its trigger."""
    given = _trigger(fields)
    if operation == "stream" and (wrong := [name for name in ("every", "cron", "missed", "start") if name in given]):
        raise click.UsageError(f"--{wrong[0]} is for backfills, and this would be a stream: add --operation backfill")

    async def main() -> int:
        async with app.connect_to_one() as session:
            done = await session.client.create_job(exchange, list(pairs), data_type, span, operation=operation, **given)
        return show_applied(app, done)

    return app.run(main)


@click.command(
    epilog="""\b
Examples:
  dccd jobs update backfill.binance.ohlc.BTC-USDT.1m --every 30m
  dccd jobs update backfill.binance.ohlc.BTC-USDT.1m --cron '5 * * * *' --timezone Europe/Paris
  dccd jobs update backfill.binance.ohlc.BTC-USDT.1m --unset start
  dccd jobs update stream.kraken.orderbook.BTC-USD --depth 500

`dccd jobs` lists the names. What isn't named stays as it is.
"""
)
@click.argument("name")
@_fields
@click.option("--unset", multiple=True, type=click.Choice(list(_FIELDS)), help="Have the default of this field again.")
@options
@click.pass_obj
def update(app: App, /, name: str, unset: tuple[str, ...], **fields: Any) -> int:
    """Change the job NAME: its stream restarts, its backfill has its new trigger."""
    given = {**_instead(_trigger(fields)), **dict.fromkeys(unset)}
    if not given:
        raise click.UsageError("nothing to change: give an option, as --every 1h")

    async def main() -> int:
        async with app.connect_to_one() as session:
            done = await session.client.update_job(name, **given)
        return show_applied(app, done)

    return app.run(main)


@click.command(
    epilog="""\b
Example:
  dccd jobs delete stream.kraken.trades.ETH-USD
"""
)
@click.argument("name")
@options
@click.pass_obj
def delete(app: App, name: str) -> int:
    """Delete the job NAME: its stream stops. What it has stored stays, and so do its runs."""

    async def main() -> int:
        async with app.connect_to_one() as session:
            done = await session.client.delete_job(name)
        return show_applied(app, done)

    return app.run(main)
