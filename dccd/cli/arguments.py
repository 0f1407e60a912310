"""Arguments and options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dccd.symbols import Dataset, DataType

__all__ = ["dataset_arguments", "dataset_of", "time_range"]

F = TypeVar("F", bound=Callable[..., Any])


def dataset_arguments(default_type: str) -> Callable[[F], F]:
    """EXCHANGE SYMBOL --type --span, or one argument with the dataset's name."""

    def decorate(command: F) -> F:
        for option in (
            click.option("--span", metavar="SPAN", help="Span of ohlc bars: 1m, 1h, 1d or seconds."),
            click.option(
                "--type",
                "data_type",
                type=click.Choice([str(t) for t in DataType]),
                help=f"Kind of data; {default_type} by default.",
            ),
            click.argument("symbol", required=False),
            click.argument("exchange"),
        ):
            command = option(command)
        return command

    return decorate


def dataset_of(exchange: str, symbol: str | None, data_type: str | None, span: str | None, default: str) -> Dataset:
    """The dataset that the arguments name: ``binance BTC/USDT --type ohlc --span 1m`` or ``binance.ohlc.BTC-USDT.1m``.

    Raises IdentityError, or UsageError for arguments that don't go together.
    """
    if symbol is None:
        if "." not in exchange:
            raise click.UsageError(f"which symbol of {exchange}? As `{exchange} BTC/USDT`")
        if data_type or span:
            raise click.UsageError(f"{exchange} names the whole dataset: leave out --type and --span")
        return Dataset.parse(exchange)
    data_type = data_type or default
    if data_type == DataType.OHLC and span is None:
        raise click.UsageError("bars of which span? Give --span 1m, 1h, 1d or seconds")
    return Dataset.make(exchange, data_type, symbol, span)


def time_range(default_start: str | None) -> Callable[[F], F]:
    """--start and --end."""
    first = f" Default: {default_start}." if default_start else ""

    def decorate(command: F) -> F:
        command = click.option("--end", metavar="TIME", help="Where to end (not included); now by default.")(command)
        return click.option(
            "--start", metavar="TIME", help=f"Where to start: a date, an ISO time (UTC), or ns.{first}"
        )(command)

    return decorate
