"""What BitMEX counts in: markets flow in, what one contract comes to in base asset flows out."""

from __future__ import annotations

from dccd.exchanges.base import Market
from dccd.symbols import Symbol, span_label

__all__ = ["Contracts", "bin_size", "is_quanto"]


def bin_size(span: int) -> str:
    """``1m``: what bars of *span* seconds are called, in topics and on REST."""
    return span_label(span)


def is_quanto(symbol: Symbol, market: Market) -> bool:
    """Whether a contract is paid in an asset that is neither its base nor its quote: ETHUSD, in XBT.

    What one is in base asset depends on a third market's price. Nothing is settled in dollars on BitMEX, so what is
    quoted in them and isn't inverse is one of those.
    """
    return symbol.quote == "USD" and not market.inverse


class Contracts:
    """Amounts in base asset from numbers of contracts."""

    __slots__ = ("_contract", "_per", "inverse")

    def __init__(self, market: Market) -> None:
        self.inverse = market.inverse
        self._contract = market.contract
        # Of a millionth of a bitcoin (XBTUSDT) there are a million to one: divided by that, no digit is made up.
        per = round(1 / market.contract)
        self._per = per if abs(per * market.contract - 1) < 1e-9 else 0

    def __repr__(self) -> str:
        return f"<Contracts {'inverse' if self.inverse else self._contract}>"

    def base(self, contracts: int, price: float) -> float:
        """So many at *price*. An inverse one is always worth 1 of the quote asset, whatever ccxt's contract size.

        (That counts the hundred-millionths of a bitcoin in which BitMEX's multiplier is written.)
        """
        if self.inverse:
            return contracts / price
        return contracts / self._per if self._per else contracts * self._contract
