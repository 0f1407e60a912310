"""Coinbase's JSON of trades, candles and books: runs of a market flow in, text flows out. Pure.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/advanced-trade-asyncapi.json: numbers are text without
needless zeros, times have as many decimals as they need, and the side of a trade is the maker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.book import Levels
from dccd.simulator.market import Run
from dccd.simulator.venue import Encoder, Listing, fixed
from dccd.symbols import NS

__all__ = ["NUMBER", "US", "Formats", "envelope", "iso"]

US = 1000
"""Nanoseconds in a microsecond."""
NUMBER = "#"
"""Stands in a frame where its connection puts the number; in nothing else of it."""

_known_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def iso(time: int) -> str:
    """``2026-06-14T05:54:18.66623968Z``."""
    seconds, rest = divmod(time, NS)
    # Trades come second by second: one is remembered.
    global _known_second
    if _known_second[0] != seconds:
        _known_second = (seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return f"{_known_second[1]}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def envelope(channel: str, at: int, events: str) -> str:
    """A frame sent *at* (ns), without its number; *events* is JSON."""
    return f'{{"channel":"{channel}","timestamp":"{iso(at)}","sequence_num":{NUMBER},"events":[{events}]}}'


def _short(decimals: int) -> Encoder:
    """Text of a whole number of ``10**-decimals``, without needless zeros."""
    full = fixed(decimals)
    return lambda value: full(value).rstrip("0").rstrip(".") if decimals else full(value)


class Formats:
    """The JSON of one product's data."""

    def __init__(self, listing: Listing, first_id: int) -> None:
        pair = listing.instrument
        self.product = f"{pair.symbol.base}-{pair.symbol.quote}"
        self.first_id = first_id
        self.price = _short(pair.price_decimals)
        self.amount = _short(pair.amount_decimals)

    def __repr__(self) -> str:
        return f"<Formats {self.product}>"

    def trades(self, runs: Iterable[Run], tail: str = "") -> list[tuple[int, str]]:
        """(time in ns, JSON) of each trade; *tail* is what REST has beside."""
        out = []
        product, price_of, amount_of = self.product, self.price, self.amount
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id):
                at = start + offset
                side = "BUY" if sell else "SELL"  # the maker's
                text = (
                    f'{{"product_id":"{product}","trade_id":"{id}","price":"{price_of(price + step)}",'
                    f'"size":"{amount_of(lots)}","time":"{iso(at - at % US)}","side":"{side}"{tail}}}'
                )
                out.append((at, text))
        return out

    def candle(self, start: int, bar: Aggregate, *, named: bool = False) -> str:
        """A candle that begins at *start* (ns); *named*: with its product, as on the WebSocket."""
        price = self.price
        product = f',"product_id":"{self.product}"' if named else ""
        return (
            f'{{"start":"{start // NS}","low":"{price(bar.low)}","high":"{price(bar.high)}",'
            f'"open":"{price(bar.open)}","close":"{price(bar.close)}","volume":"{self.amount(bar.volume)}"{product}}}'
        )

    def updates(self, bids: Levels, asks: Levels, at: int) -> str:
        """The ``updates`` of ``l2_data``, changed *at* (ns)."""
        time = iso(at)
        return ",".join(
            [
                f'{{"side":"{side}","event_time":"{time}","price_level":"{self.price(price)}",'
                f'"new_quantity":"{self.amount(lots)}"}}'
                for side, levels in (("bid", bids), ("offer", asks))
                for price, lots in levels
            ]
        )

    def levels(self, levels: Levels) -> str:
        """One side of ``product_book``."""
        return ",".join([f'{{"price":"{self.price(price)}","size":"{self.amount(lots)}"}}' for price, lots in levels])
