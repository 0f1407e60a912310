"""What Kraken Futures counts in, and what it calls bars: a market flows in, what makes base asset of contracts out.

``PF_`` and ``FF_`` are linear, one contract being 1 of the base asset; ``PI_`` and ``FI_`` inverse, one being 1 USD.
"""

from __future__ import annotations

from collections.abc import Callable

from dccd.exchanges.base import Market
from dccd.symbols import parse_span

__all__ = ["RESOLUTIONS", "in_base"]

RESOLUTIONS = {parse_span(name): name for name in ("1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w")}
"""Names of bars, by span in seconds."""


def in_base(market: Market) -> Callable[[float, float], float] | None:
    """What makes base asset of contracts at a price, raising ValueError when that is no amount.

    ``None``: contracts are base asset.
    """
    if market.contract == 1.0 and not market.inverse:
        return None
    base = market.base

    def convert(contracts: float, price: float) -> float:
        amount = base(contracts, price)
        if not 0.0 <= amount < 1e30 or (contracts and not amount):
            raise ValueError(f"{contracts:g} contracts at {price:g} are no amount")
        return amount

    return convert
