"""Bitfinex's book checksum: levels of a book flow in, whether it is Bitfinex's flows out.

It is the CRC32 of the best 25 levels: bid, ask, bid, ask, of each the price and the amount (an ask's is negative), all
joined by colons, and all numbers as JavaScript prints them.
https://docs.bitfinex.com/docs/ws-websocket-checksum
"""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
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
        texts: list[str] = []
        for pair in zip_longest(self._side(self._book.bids, 1), self._side(self._book.asks, -1)):
            texts += [text for text in pair if text is not None]
        return crc32(":".join(texts).encode()) == expected & 0xFFFFFFFF

    def _side(self, side: BookSide, sign: int) -> list[str]:
        texts, amounts, found = self._texts, side.amounts, []
        for key in side.keys[:_LEVELS]:
            text = texts.get(key)
            if text is None:
                text = texts[key] = f"{javascript(abs(key))}:{javascript(sign * amounts[key])}"
            found.append(text)
        return found
