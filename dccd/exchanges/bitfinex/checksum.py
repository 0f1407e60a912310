"""Bitfinex's book checksum: levels of a book flow in, whether it is Bitfinex's flows out.

It is the CRC32 of the best 25 levels: bid, ask, bid, ask, of each the price and the amount (an ask's is negative), all
joined by colons, and all numbers as JavaScript prints them.
https://docs.bitfinex.com/docs/ws-websocket-checksum
"""

from __future__ import annotations

from decimal import Decimal
from itertools import repeat
from zlib import crc32

from dccd.exchanges.book import Book, BookSide
from dccd.records import Level

__all__ = ["Checksum", "javascript"]

_LEVELS = 25
_EXPONENT_FROM, _EXPONENT_BELOW = 1e21, 1e-6


def javascript(number: float) -> str:
    """*number* as JavaScript prints it: the same digits as in Python, but 60400, 0.000001 and 1e-7."""
    text = repr(number)
    if "e" not in text:
        return text.removesuffix(".0")
    if _EXPONENT_BELOW <= abs(number) < _EXPONENT_FROM:
        return format(Decimal(text), "f")
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


class Checksum:
    """The checksum of one book. A level's text is kept until :meth:`forget` is told that it has changed."""

    __slots__ = ("_book", "_texts")

    def __init__(self, book: Book) -> None:
        self._book = book
        self._texts: dict[float, str] = {}  # by key of a side of the book: bids' are negative

    def __repr__(self) -> str:
        return f"<Checksum texts={len(self._texts)}>"

    def reset(self) -> None:
        """Forget all levels."""
        self._texts.clear()

    def forget(self, bids: list[Level], asks: list[Level]) -> None:
        """Forget these levels."""
        pop = self._texts.pop
        for price, _ in bids:
            pop(-price, None)
        for price, _ in asks:
            pop(price, None)

    def matches(self, expected: int) -> bool:
        """Whether the book is the one that *expected* (32 bits, signed) was made from."""
        bids, asks = self._side(self._book.bids, 1), self._side(self._book.asks, -1)
        both = min(len(bids), len(asks))
        texts = [""] * (2 * both)
        texts[::2], texts[1::2] = bids[:both], asks[:both]
        texts += bids[both:] + asks[both:]
        return crc32(":".join(texts).encode()) == expected & 0xFFFFFFFF

    def _side(self, side: BookSide, sign: int) -> list[str]:
        keys, texts = side.keys[:_LEVELS], self._texts
        # As many calls as levels have changed: this is done several times a second for each book.
        found = list(map(texts.get, keys, repeat("")))
        at = 0
        while "" in found:
            at = found.index("", at)
            key = keys[at]
            found[at] = texts[key] = f"{javascript(abs(key))}:{javascript(sign * side.amounts[key])}"
        return found
