"""Whether an exchange can do what is asked: capabilities and a dataset flow in, nothing or NoCapability flows out."""

from __future__ import annotations

from dccd.errors import NoCapability
from dccd.exchanges.base import Capabilities, StreamOptions
from dccd.symbols import Dataset, DataType, span_label

__all__ = ["book_depth", "check"]


def check(exchange: str, capabilities: Capabilities, dataset: Dataset, live: bool) -> None:
    """Raise NoCapability, saying what is possible, when *dataset* can't be had. Spot only."""
    table = capabilities.live if live else capabilities.historical
    how = "live" if live else "in its history"
    if dataset.exchange != exchange:
        raise NoCapability(exchange, f"{dataset} is not a dataset of {exchange}", "exchange")
    if dataset.symbol.contract:
        raise NoCapability(exchange, f"{exchange} here is the spot market: {dataset.symbol} is a contract", "symbol")
    capability = table.get(dataset.data_type)
    if capability is None:
        offered = ", ".join(table)
        raise NoCapability(exchange, f"{exchange} has no {dataset.data_type} {how}; it has {offered}", "data_type")
    if dataset.data_type is DataType.OHLC and dataset.span not in capability.spans:
        offered = ", ".join(map(span_label, capability.spans))
        asked = span_label(dataset.span) if dataset.span else "no span"
        raise NoCapability(exchange, f"{exchange} has no bars of {asked} {how}; it has {offered}", "span")


def book_depth(exchange: str, options: StreamOptions, default: int, most: int) -> int:
    """How many levels a side to give: what the options say, or *default*. Raises NoCapability beyond *most*."""
    depth = default if options.depth is None else options.depth
    if not 1 <= depth <= most:
        raise NoCapability(
            exchange, f"{exchange} has no order book of {depth} levels a side; it has 1 to {most}", "depth"
        )
    return depth
