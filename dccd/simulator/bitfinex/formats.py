"""Bitfinex's arrays of trades, candles and levels: runs of a market flow in, text flows out. Pure.

The same rows are on REST and on WebSocket: https://docs.bitfinex.com/reference/rest-public-trades, rest-public-candles,
rest-public-book. Numbers are written as JavaScript prints them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.bitfinex.names import pair_id
from dccd.simulator.book import Levels
from dccd.simulator.derivatives import RATE_DECIMALS, Derivative
from dccd.simulator.market import Run
from dccd.simulator.venue import Encoder, Listing
from dccd.symbols import NS

__all__ = ["MS", "Formats", "numbers"]

MS = 1_000_000
"""Nanoseconds in a millisecond."""
_CHECKED = 25


def numbers(decimals: int) -> Encoder:
    """A function from a whole number of ``10**-decimals`` to its text in JavaScript: ``1.5``, ``2``, ``1e-7``."""
    unit = 10**decimals
    known: dict[int, str] = {}

    def encode(value: int) -> str:
        text = known.get(value)
        if text is None:
            if len(known) > 100_000:
                known.clear()
            text = known[value] = _plain(value, decimals) if value * 10**6 >= unit or not value else _tiny(value, unit)
        return text

    return encode


def _plain(value: int, decimals: int) -> str:
    whole, rest = divmod(value, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}".rstrip("0") if rest else str(whole)


def _tiny(value: int, unit: int) -> str:
    digits = str(value)
    exponent = len(digits) - len(str(unit))
    head, tail = digits[0], digits[1:].rstrip("0")
    return f"{head}.{tail}e{exponent}" if tail else f"{head}e{exponent}"


class Formats:
    """The text of one symbol's data. *id_of*: a trade's number → its id."""

    def __init__(self, listing: Listing, id_of: Callable[[int], str], first_id: int) -> None:
        pair = listing.instrument
        self.pair = pair_id(pair.symbol)
        self.id = f"t{self.pair}"
        self.price = numbers(pair.price_decimals)
        self.amount = numbers(pair.amount_decimals)
        self._id_of = id_of
        self._first_id = first_id

    def __repr__(self) -> str:
        return f"<Formats {self.id}>"

    def trade_rows(self, runs: Iterable[Run]) -> list[tuple[int, str]]:
        """Each trade's time (ms) and ``[ID,MTS,AMOUNT,PRICE]``; a sale has a negative amount."""
        out: list[tuple[int, str]] = []
        price_of, amount_of, id_of = self.price, self.amount, self._id_of
        for first, start, price, ticks in runs:
            for number, (offset, step, lots, sell) in enumerate(ticks, first + self._first_id):
                ms = (start + offset) // MS
                sign = "-" if sell else ""
                out.append((ms, f"[{id_of(number)},{ms},{sign}{amount_of(lots)},{price_of(price + step)}]"))
        return out

    def candle_row(self, start: int, bar: Aggregate) -> str:
        """``[MTS,OPEN,CLOSE,HIGH,LOW,VOLUME]``; *start* in ns."""
        price = self.price
        return (
            f"[{start // MS},{price(bar.open)},{price(bar.close)},{price(bar.high)},{price(bar.low)},"
            f"{self.amount(bar.volume)}]"
        )

    def level_rows(self, bids: Levels, asks: Levels) -> list[str]:
        """``[PRICE,COUNT,AMOUNT]`` of each level: bids, then asks, whose amounts are negative; 0 lots: it goes."""
        rows: list[str] = []
        for sign, levels in (("", bids), ("-", asks)):
            for price, lots in levels:
                orders, amount = (1 + lots % 4, self.amount(lots)) if lots else (0, "1")
                rows.append(f"[{self.price(price)},{orders},{sign}{amount}]")
        return rows

    def order_rows(self, bids: Levels, asks: Levels) -> list[str]:
        """``[ORDER_ID,PRICE,AMOUNT]`` of a raw book, one order a level."""
        return [
            f"[{10**10 + price},{self.price(price)},{sign}{self.amount(lots)}]"
            for sign, levels in (("", bids), ("-", asks))
            for price, lots in levels
        ]

    def state_row(self, contract: Derivative, at: int) -> str:
        """``[MTS,null,DERIV_PRICE,SPOT_PRICE,…]`` of a perpetual at *at* (ns): prices, funding, the open interest.

        https://docs.bitfinex.com/reference/rest-public-derivatives-status
        """
        price, predicted = self.price, contract.predicted(at)
        current = contract.predicted(predicted.due - 1).rate
        step = (at % contract.interval) // (60 * NS)
        return (
            f"[{at // MS},null,{price(contract.mark(at))},{price(contract.index(at))},null,36950860.76010306,null,"
            f"{predicted.due // MS},{_rate(predicted.rate)},{step},null,{_rate(current)},null,null,"
            f"{price(contract.mark(at))},null,null,{self.amount(contract.open_lots(at))},null,null,null,0.0005,0.0025]"
        )

    def checksum(self, bids: Levels, asks: Levels) -> int:
        """CRC32, signed, of the best 25 levels of both sides in turn.

        https://docs.bitfinex.com/docs/ws-websocket-checksum
        """
        texts: list[str] = []
        for n in range(_CHECKED):
            for sign, levels in (("", bids), ("-", asks)):
                texts += [f"{self.price(price)}:{sign}{self.amount(lots)}" for price, lots in levels[n : n + 1]]
        value = zlib.crc32(":".join(texts).encode())
        return value - 2**32 if value >= 2**31 else value


_RATE = numbers(RATE_DECIMALS)


def _rate(rate: float) -> str:
    value = round(abs(rate) * 10**RATE_DECIMALS)
    return ("-" if rate < 0 and value else "") + _RATE(value)
