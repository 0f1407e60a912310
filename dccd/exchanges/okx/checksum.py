"""OKX's book checksum: levels as they are written flow in, whether the book is OKX's flows out.

It is the CRC32, as a signed 32-bit number, of the best 25 bids and asks in turn, price and size as they are written
with colons between all; where one side has fewer, the other goes on alone. Since June 2026 it is 0 always, and not to
be used: sequence numbers tell what is missing. Recordings of before have both, or the checksum only.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import msgspec

from dccd.exchanges.book import Book

__all__ = ["Checksum", "TextLevel"]

_LEVELS = 25


class TextLevel(msgspec.Struct, array_like=True, gc=False):
    """A level as it is written."""

    price: str
    size: str


class Checksum:
    """The checksum of one book, which it follows: call :meth:`take` after each change of it."""

    __slots__ = ("_book", "_texts")

    def __init__(self, book: Book) -> None:
        self._book = book
        # By key of a side of the book (bids' are negative).
        self._texts: dict[float, str] = {}

    def __repr__(self) -> str:
        return f"<Checksum levels={len(self._texts)}>"

    def reset(self) -> None:
        """Forget the levels."""
        self._texts = {}

    def take(self, sign: int, prices: Iterable[float], levels: Iterable[TextLevel]) -> None:
        """Take the levels that the side of *sign* (bids -1, asks 1) of the book has just taken."""
        texts = self._texts
        for price, level in zip(prices, levels, strict=True):
            texts[sign * price] = f"{level.price}:{level.size}"
        amounts = self._book.bids.amounts if sign < 0 else self._book.asks.amounts
        if len(texts) > 4 * len(amounts) + 1000:
            # What is gone from the book isn't asked for any more.
            kept = self._book.bids.amounts.keys() | self._book.asks.amounts.keys()
            self._texts = {key: text for key, text in texts.items() if key in kept}

    def matches(self, expected: int) -> bool:
        """Whether the book is the one that *expected* was made from."""
        texts = self._texts
        bids = [texts[key] for key in self._book.bids.keys[:_LEVELS]]
        asks = [texts[key] for key in self._book.asks.keys[:_LEVELS]]
        both = min(len(bids), len(asks))
        turns = [text for pair in zip(bids[:both], asks[:both], strict=True) for text in pair]
        text = ":".join([*turns, *bids[both:], *asks[both:]])
        return crc32(text.encode()) == expected & 0xFFFFFFFF
