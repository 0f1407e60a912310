"""Whether an exchange can do what is asked: capabilities and a dataset flow in, nothing or NoCapability flows out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dccd.errors import NoCapability
from dccd.symbols import Dataset, DataType, Symbol, span_label

if TYPE_CHECKING:
    from dccd.exchanges.base import Capabilities, StreamOptions

__all__ = ["check", "check_any", "check_options", "depth_warning", "snap_depth"]


def check(exchange: str, capabilities: Capabilities, dataset: Dataset, live: bool) -> None:
    """Raise NoCapability, saying what is possible, when *dataset* can't be had."""
    how = "live" if live else "in its history"
    if dataset.exchange != exchange:
        raise NoCapability(exchange, f"{dataset} is not a dataset of {exchange}", "exchange")
    offer = capabilities.of(dataset.symbol)
    table = offer.live if live else offer.historical
    kind = _kind(dataset.symbol)
    why = (offer.not_live if live else offer.not_historical).get(dataset.data_type)
    if not offer.live and not offer.historical and why is None:
        kinds = " and ".join(
            name
            for name, there in (
                ("spot markets", capabilities.spot),
                ("perpetuals, as BTC/USDT:perp", capabilities.perp),
                ("dated contracts, as BTC/USDT:quarter", capabilities.dated),
            )
            if there is not None
        )
        raise NoCapability(exchange, f"{exchange} here has no {kind}, as {dataset.symbol} is; it has {kinds}", "symbol")
    capability = table.get(dataset.data_type)
    if capability is None:
        offered = f"it has {', '.join(table) or 'nothing'}"
        told = offered if why is None else f"{why}; {offered}"
        raise NoCapability(exchange, f"{exchange} has no {dataset.data_type} of {kind} {how}; {told}", "data_type")
    if dataset.data_type is DataType.OHLC and dataset.span not in capability.spans:
        offered = ", ".join(map(span_label, capability.spans))
        asked = span_label(dataset.span) if dataset.span else "no span"
        raise NoCapability(exchange, f"{exchange} has no bars of {asked} {how}; it has {offered}", "span")


def check_any(exchange: str, capabilities: Capabilities) -> None:
    """Raise NoCapability, saying why, when *exchange* has nothing at all to collect."""
    offers = [one for one in (capabilities.spot, capabilities.perp, capabilities.dated) if one is not None]
    if any(one.live or one.historical for one in offers):
        return
    reasons = [f"{kind}: {why}" for one in offers for kind, why in {**one.not_live, **one.not_historical}.items()]
    told = "; ".join(dict.fromkeys(reasons)) or "ccxt has no method for any of it"
    raise NoCapability(exchange, f"{exchange} has nothing that can be collected ({told})", "exchange")


def _kind(symbol: Symbol) -> str:
    return {"": "spot markets", "perp": "perpetuals"}.get(symbol.contract, "dated contracts")


def snap_depth(depths: tuple[int, ...], asked: int | None, default: int) -> tuple[int, int]:
    """Levels a side to subscribe with, and to give, where *depths* (ascending) are offered and *asked* is wanted.

    A depth between two is cut from the larger one. Beyond the largest there is only that.
    """
    depth = min(default if asked is None else asked, depths[-1])
    return next(offered for offered in depths if offered >= depth), depth


def check_options(dataset: Dataset, options: StreamOptions) -> None:
    """Raise NoCapability for an option that *dataset* has no use for, where it differs from the default.

    Who gives one wants something; that it would be ignored must be told.
    """
    if dataset.data_type is DataType.ORDERBOOK:
        return
    for field, default in zip(options.__struct_fields__, options.__struct_defaults__, strict=True):
        value = getattr(options, field)
        if value != default:
            told = f"{field} is for order books, and {dataset} is none: {value} would change nothing"
            raise NoCapability(dataset.exchange, told, field)


def depth_warning(capabilities: Capabilities, dataset: Dataset, options: StreamOptions) -> str | None:
    """What to tell whoever asks for a deeper book than the exchange has; None when it has it."""
    capability = capabilities.of(dataset.symbol).live.get(dataset.data_type)
    if capability is None or not capability.depths or options.depth is None:
        return None
    most = capability.depths[-1]
    if options.depth <= most:
        return None
    return f"{dataset.exchange} has at most {most} levels a side: {most} are collected, not {options.depth}"
