"""What trades come to: trades or sums of them flow in, one sum flows out, in integers and hence exact. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Aggregate", "Tick", "join", "summed"]


class Tick(NamedTuple):
    """One trade of a template: ``offset`` ns after the leaf's start, ``step`` ticks from its price, ``lots``."""

    offset: int
    step: int
    lots: int
    sell: bool
    """Whether the taker sold (the buyer was the maker)."""


class Aggregate(NamedTuple):
    """What consecutive trades come to, in ticks and lots; ``quote`` is the sum of ticks × lots. Exact."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int
    buy_volume: int
    buy_quote: int

    def lifted(self, price: int) -> Aggregate:
        """The same trades, all *price* ticks higher."""
        opened, high, low, close, volume, quote, trades, buys, buy_quote = self
        return Aggregate(
            opened + price,
            high + price,
            low + price,
            close + price,
            volume,
            quote + price * volume,
            trades,
            buys,
            buy_quote + price * buys,
        )


def join(parts: list[Aggregate]) -> Aggregate:
    """What consecutive parts come to together; there must be one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    _, highs, lows, _, volumes, quotes, counts, buys, buy_quotes = zip(*parts, strict=True)
    return Aggregate(
        first.open,
        max(highs),
        min(lows),
        parts[-1].close,
        sum(volumes),
        sum(quotes),
        sum(counts),
        sum(buys),
        sum(buy_quotes),
    )


def summed(ticks: tuple[Tick, ...]) -> Aggregate:
    """What trades come to, relative to their leaf's price."""
    steps = [tick.step for tick in ticks]
    volume = quote = buy_volume = buy_quote = 0
    for _, step, lots, sell in ticks:
        volume += lots
        quote += step * lots
        if not sell:
            buy_volume += lots
            buy_quote += step * lots
    return Aggregate(steps[0], max(steps), min(steps), steps[-1], volume, quote, len(ticks), buy_volume, buy_quote)
