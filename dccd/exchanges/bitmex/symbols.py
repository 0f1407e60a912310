"""What BitMEX counts in, and what it calls bars: markets flow in, markets with what one contract is flow out."""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Market
from dccd.symbols import Symbol, span_label

__all__ = ["bin_size", "counted", "is_quanto"]


def bin_size(span: int) -> str:
    """``1m``: what bars of *span* seconds are called, in topics and on REST."""
    return span_label(span)


def is_quanto(symbol: Symbol, market: Market) -> bool:
    """Whether a contract is paid in an asset that is neither its base nor its quote: ETHUSD, in XBT.

    What one is in base asset depends on a third market's price. Nothing is settled in dollars on BitMEX, so what is
    quoted in them and isn't inverse is one of those.
    """
    return symbol.quote == "USD" and not market.inverse


def counted(market: Market) -> Market:
    """*market* with what a contract is: an inverse one is worth 1 of the quote asset, whatever ccxt's contract size.

    (That counts the hundred-millionths of a bitcoin in which BitMEX's multiplier is written.)
    """
    return msgspec.structs.replace(market, contract=1.0) if market.inverse else market
