"""Kraken's JSON of trades, candles and books: runs of a market flow in, text flows out. Pure.

Formats: docs.kraken.com, "Spot REST" (market data) and "Spot WebSocket v2". Numbers on WebSocket v2 carry all their
decimals, since the checksum is over their digits. Times are cut to microseconds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.book import Levels
from dccd.simulator.kraken.names import pair_id
from dccd.simulator.market import Run
from dccd.simulator.venue import Listing, fixed
from dccd.symbols import NS

__all__ = ["US", "Formats", "checksum", "iso", "iso_ns"]

US = 1000
"""Nanoseconds in a microsecond."""


def iso(time: int) -> str:
    """``2023-09-25T07:49:37.708706Z``."""
    seconds, rest = divmod(time, NS)
    return f"{_second(seconds)}.{rest // US:06d}Z"


def iso_ns(time: int) -> str:
    """``2023-10-04T16:25:00.000000000Z``."""
    seconds, rest = divmod(time, NS)
    return f"{_second(seconds)}.{rest:09d}Z"


_known_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


def _second(seconds: int) -> str:
    # Trades come second by second: one is remembered.
    global _known_second
    if _known_second[0] != seconds:
        _known_second = (seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return _known_second[1]


def checksum(bids: Levels, asks: Levels) -> int:
    """CRC32 over the ten best levels: asks from low to high, then bids from high to low.

    Each price and amount goes in without its point and leading zeros, which is the number of ticks and of lots.
    https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
    """
    return zlib.crc32("".join([f"{price}{lots}" for side in (asks, bids) for price, lots in side[:10]]).encode())


class Formats:
    """The JSON of one symbol's data."""

    def __init__(self, listing: Listing, first_id: int) -> None:
        pair = listing.instrument
        self.id = pair_id(pair.symbol)
        """As ``XXBTZUSD``."""
        self.symbol = pair.symbol.human
        self.first_id = first_id
        self.decimals = pair.price_decimals
        self.price = fixed(pair.price_decimals)
        self.amount = fixed(pair.amount_decimals)
        self.price_long = fixed(pair.price_decimals, max(5, pair.price_decimals))
        self._lot = 10**pair.amount_decimals

    # ------------------------------------------------------------ WebSocket

    def trade_items(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``data`` of the ``trade`` channel."""
        out: list[str] = []
        symbol, price_of, amount_of, first_id = self.symbol, self.price, self.amount, self.first_id
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + first_id):
                seconds, rest = divmod(start + offset, NS)
                out.append(
                    f'{{"symbol":"{symbol}","side":"{"sell" if sell else "buy"}","price":{price_of(price + step)},'
                    f'"qty":{amount_of(lots)},"ord_type":"{"limit" if lots & 1 else "market"}","trade_id":{id},'
                    f'"timestamp":"{_second(seconds)}.{rest // US:06d}Z"}}'
                )
        return out

    def trade_frame(self, items: list[str], kind: str = "update") -> str:
        """A ``trade`` frame: all trades of one moment."""
        return f'{{"channel":"trade","type":"{kind}","data":[{",".join(items)}]}}'

    def candle_item(self, minutes: int, start: int, bar: Aggregate, now: int) -> str:
        """An element of ``data`` of the ``ohlc`` channel."""
        price = self.price
        return (
            f'{{"symbol":"{self.symbol}","open":{price(bar.open)},"high":{price(bar.high)},"low":{price(bar.low)},'
            f'"close":{price(bar.close)},"trades":{bar.trades},"volume":{self.amount(bar.volume)},'
            f'"vwap":{price(_vwap(bar))},"interval_begin":"{iso_ns(start)}","interval":{minutes},'
            f'"timestamp":"{iso(start + minutes * 60 * NS)}"}}'
        )

    def book_frame(self, kind: str, bids: Levels, asks: Levels, crc: int, at: int) -> str:
        """A ``book`` frame: *kind* is ``snapshot`` or ``update``."""
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{self.symbol}","bids":{self._levels(bids)},'
            f'"asks":{self._levels(asks)},"checksum":{crc},"timestamp":"{iso(at)}"}}]}}'
        )

    def _levels(self, levels: Levels) -> str:
        return (
            "["
            + ",".join([f'{{"price":{self.price(price)},"qty":{self.amount(lots)}}}' for price, lots in levels])
            + "]"
        )

    # ------------------------------------------------------------ REST

    def trade_rows(self, runs: Iterable[Run]) -> list[str]:
        """Rows of ``Trades``: price, volume, time, side, order type, misc, id."""
        out: list[str] = []
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id):
                seconds, rest = divmod(start + offset, NS)
                out.append(
                    f'["{self.price_long(price + step)}","{self.amount(lots)}",{seconds}.{rest // US:06d},'
                    f'"{"s" if sell else "b"}","{"l" if lots & 1 else "m"}","",{id}]'
                )
        return out

    def candle_row(self, start: int, bar: Aggregate) -> str:
        """A row of ``OHLC``."""
        price = self.price
        vwap = price(_vwap(bar)) if bar.volume else "0.0"
        return (
            f'[{start // NS},"{price(bar.open)}","{price(bar.high)}","{price(bar.low)}","{price(bar.close)}",'
            f'"{vwap}","{self.amount(bar.volume)}",{bar.trades}]'
        )

    def depth_rows(self, levels: Levels, at: int) -> str:
        """Rows of one side of ``Depth``; amounts have three decimals there."""
        thousandths = [(price, max(1, lots * 1000 // self._lot)) for price, lots in levels]
        return (
            "["
            + ",".join(
                [
                    f'["{self.price_long(price)}","{amount // 1000}.{amount % 1000:03d}",{at // NS - n % 7}]'
                    for n, (price, amount) in enumerate(thousandths)
                ]
            )
            + "]"
        )


def _vwap(bar: Aggregate) -> int:
    return round(bar.quote / bar.volume) if bar.volume else 0
