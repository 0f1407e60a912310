"""Kraken's book checksum: levels as they are written flow in, whether the book is Kraken's flows out.

It is the CRC32 of the digits of the best ten asks and bids: price, then amount, each without its point and without
leading zeros, but with all the decimals that the market has. Whether these are on the wire is not settled: Kraken's
guide shows ``0.10000000``, its example of an update ``1098.3947558``. So each number is filled up to the most decimals
seen, and should those be too few still, a snapshot's own checksum tells how many there are.
https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from zlib import crc32

import msgspec

from dccd.exchanges.book import Book

__all__ = ["Checksum", "TextLevel", "number"]

TextLevel = tuple[float, float, bytes, bytes]
"""Price, amount, and both as they are written."""

_LEVELS = 10
_MOST_DECIMALS = 12
_NUMBER = re.compile(rb"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_WITH_EXPONENT = re.compile(_NUMBER.pattern + rb"[eE][+-]?[0-9]{1,2}")


def number(raw: msgspec.Raw) -> bytes:
    """The digits of a JSON number, or of one in quotes, without an exponent. Raises ValueError."""
    text = bytes(raw)
    if text[:1] == b'"':
        text = text[1:-1]
    if _NUMBER.fullmatch(text):
        return text
    plain = format(Decimal(text.decode()), "f").encode() if _WITH_EXPONENT.fullmatch(text) else b""
    if not _NUMBER.fullmatch(plain):
        raise ValueError(f"{text[:40]!r} is no price or amount")
    return plain


class Checksum:
    """The checksum of one book, which it follows: call :meth:`take` after each change of it."""

    __slots__ = ("_amount_decimals", "_book", "_digits", "_price_decimals", "_texts")

    def __init__(self, book: Book) -> None:
        self._book = book
        self._price_decimals = self._amount_decimals = 0
        # By key of a side of the book (bids' are negative): as written, and the digits of that.
        self._texts: dict[float, tuple[bytes, bytes]] = {}
        self._digits: dict[float, bytes] = {}

    def __repr__(self) -> str:
        return f"<Checksum decimals={self._price_decimals},{self._amount_decimals} levels={len(self._texts)}>"

    def reset(self) -> None:
        """Forget the levels; the decimals stay, being the market's."""
        self._texts, self._digits = {}, {}

    def take(self, bids: Iterable[TextLevel], asks: Iterable[TextLevel]) -> None:
        """Take the levels of a frame that the book has just taken."""
        decimals = self._price_decimals, self._amount_decimals
        texts, fresh = self._texts, self._digits
        for sign, levels in ((-1, bids), (1, asks)):
            for price, amount, price_text, amount_text in levels:
                key = sign * price
                if not amount:
                    texts.pop(key, None)
                    fresh.pop(key, None)
                    continue
                texts[key] = price_text, amount_text
                self._price_decimals = max(self._price_decimals, _decimals(price_text))
                self._amount_decimals = max(self._amount_decimals, _decimals(amount_text))
                fresh[key] = self._written(price_text, amount_text)
        if decimals != (self._price_decimals, self._amount_decimals):
            self._rewrite()
        self._forget()

    def matches(self, expected: int) -> bool:
        """Whether the book is the one that *expected* was made from."""
        digits = self._digits
        asks = [digits[key] for key in self._book.asks.keys[:_LEVELS]]
        bids = [digits[key] for key in self._book.bids.keys[:_LEVELS]]
        return crc32(b"".join(asks + bids)) == expected

    def settle(self, expected: int) -> bool:
        """The same of a book that was filled just now, trying more decimals than have been seen."""
        if self.matches(expected):
            return True
        seen = self._price_decimals, self._amount_decimals
        for self._price_decimals in range(seen[0], _MOST_DECIMALS + 1):
            for self._amount_decimals in range(seen[1], _MOST_DECIMALS + 1):
                self._rewrite()
                if self.matches(expected):
                    return True
        self._price_decimals, self._amount_decimals = seen
        self._rewrite()
        return False

    def _written(self, price: bytes, amount: bytes) -> bytes:
        return _scaled(price, self._price_decimals) + _scaled(amount, self._amount_decimals)

    def _rewrite(self) -> None:
        self._digits = {key: self._written(*text) for key, text in self._texts.items()}

    def _forget(self) -> None:
        """Drop what the book no longer holds because it was cut to its depth."""
        bids, asks = self._book.bids.amounts, self._book.asks.amounts
        if len(self._texts) > 2 * (len(bids) + len(asks)):
            self._texts = {key: text for key, text in self._texts.items() if key in (bids if key < 0 else asks)}
            self._rewrite()


def _decimals(text: bytes) -> int:
    return len(text.partition(b".")[2])


def _scaled(text: bytes, decimals: int) -> bytes:
    whole, _, fraction = text.partition(b".")
    return (whole + fraction.ljust(decimals, b"0")).lstrip(b"0")
