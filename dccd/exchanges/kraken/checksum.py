"""Kraken's book checksum: levels as they are written flow in, whether the book is Kraken's flows out.

It is the CRC32 of the digits of the best ten asks and bids: price, then amount, each without its point and without
leading zeros, but with all the decimals that the market has. Whether these are on the wire is not settled: Kraken's
guide shows ``0.10000000``, its example of an update ``1098.3947558``. So each number is filled up to the most decimals
seen, and should those be too few still, a snapshot's own checksum tells how many there are.

As the decimals are known by then, the digits of most numbers follow from their value; a text is looked at only where it
has more digits than a float can tell.
https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import repeat
from zlib import crc32

import msgspec

from dccd.exchanges.book import Book
from dccd.records import Level

__all__ = ["Checksum", "TextLevel", "number"]

TextLevel = tuple[float, float, bytes, bytes]
"""Price, amount, and both as they are written."""

_LEVELS = 10
_MOST_DECIMALS = 12
_EXACT = 2.0**51
"""Up to this, a value times a power of ten comes out of floats as the whole number that it is, when rounded."""
_LEAST = 1e-15
"""What is smaller has more decimals than a market of Kraken's: its text is read."""
_MANY = 2000
"""Digits that are kept at most, some of them of levels that have gone unheard."""
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
    """The checksum of one book, which it follows: call :meth:`take` or :meth:`forget` after each change of it."""

    __slots__ = (
        "_amount_decimals",
        "_amount_unit",
        "_book",
        "_digits",
        "_most_amount",
        "_most_price",
        "_price_decimals",
        "_price_unit",
        "_texts",
    )

    def __init__(self, book: Book) -> None:
        self._book = book
        # By key of a side of the book (bids' are negative): as written, and the digits of price and amount.
        self._texts: dict[float, tuple[bytes, bytes]] = {}
        self._digits: dict[float, bytes] = {}
        self._set(0, 0)

    def __repr__(self) -> str:
        return f"<Checksum decimals={self._price_decimals},{self._amount_decimals} levels={len(self._digits)}>"

    def reset(self) -> None:
        """Forget the levels; the decimals stay, being the market's."""
        self._texts, self._digits = {}, {}

    def tells(self, levels: Iterable[Level]) -> bool:
        """Whether the values of these levels tell their digits, so that :meth:`forget` will do."""
        most_price, most_amount = self._most_price, self._most_amount
        for price, amount in levels:
            if not _LEAST < price < most_price or (amount and not _LEAST < amount < most_amount):
                return False
        return True

    def forget(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """The book has just taken these levels, whose values tell their digits."""
        texts, digits = self._texts, self._digits
        for price, _ in bids:
            digits.pop(-price, None)
            texts.pop(-price, None)
        for price, _ in asks:
            digits.pop(price, None)
            texts.pop(price, None)

    def take(self, bids: Iterable[TextLevel], asks: Iterable[TextLevel]) -> None:
        """The book has just taken these levels; they show how many decimals there are."""
        prices, amounts = self._price_decimals, self._amount_decimals
        for sign, levels in ((-1, bids), (1, asks)):
            for price, amount, price_text, amount_text in levels:
                key = sign * price
                self._digits.pop(key, None)
                if not amount:
                    self._texts.pop(key, None)
                    continue
                self._texts[key] = price_text, amount_text
                prices = max(prices, _decimals(price_text))
                amounts = max(amounts, _decimals(amount_text))
        if (prices, amounts) != (self._price_decimals, self._amount_decimals):
            self._set(prices, amounts)
        self._drop()

    def matches(self, expected: int) -> bool:
        """Whether the book is the one that *expected* was made from."""
        asks, bids = self._book.asks, self._book.bids
        keys = asks.keys[:_LEVELS] + bids.keys[:_LEVELS]
        found = list(map(self._digits.get, keys, repeat(b"")))
        at = 0
        # As many calls as levels have changed. One that shows more decimals has all of them written anew.
        while b"" in found:
            at = found.index(b"", at)
            key = keys[at]
            digits = self._write(key, (bids if key < 0 else asks).amounts[key])
            if digits is None:
                return self.matches(expected)
            if len(self._digits) > _MANY:
                self._digits.clear()
            found[at] = self._digits[key] = digits
        return crc32(b"".join(found)) == expected

    def settle(self, expected: int) -> bool:
        """The same of a book that was filled just now, trying more decimals than have been seen."""
        if self.matches(expected):
            return True
        prices, amounts = self._price_decimals, self._amount_decimals
        for more_prices in range(prices, _MOST_DECIMALS + 1):
            for more_amounts in range(amounts, _MOST_DECIMALS + 1):
                self._set(more_prices, more_amounts)
                if self.matches(expected):
                    return True
        self._set(prices, amounts)
        return False

    def _set(self, prices: int, amounts: int) -> None:
        """There are so many decimals."""
        self._digits.clear()
        self._price_decimals, self._amount_decimals = prices, amounts
        self._price_unit, self._amount_unit = 10.0**prices, 10.0**amounts
        self._most_price, self._most_amount = _EXACT / self._price_unit, _EXACT / self._amount_unit

    def _write(self, key: float, amount: float) -> bytes | None:
        """A level's digits; None when it had more decimals than were known."""
        written = self._texts.get(key)
        if written is None:
            price, price_unit, amount_unit = abs(key), self._price_unit, self._amount_unit
            ticks, lots = round(price * price_unit), round(amount * amount_unit)
            # The quotient of the whole numbers is the float that is nearest, as the value read from the text was.
            if ticks / price_unit == price and lots / amount_unit == amount and max(ticks, lots) < _EXACT:
                return b"%d%d" % (ticks, lots)
            written = _plain(price), _plain(amount)
            prices, amounts = max(self._price_decimals, _decimals(written[0])), _decimals(written[1])
            if prices > self._price_decimals or amounts > self._amount_decimals:
                self._set(prices, max(amounts, self._amount_decimals))
                return None
        return _scaled(written[0], self._price_decimals) + _scaled(written[1], self._amount_decimals)

    def _drop(self) -> None:
        """Drop what the book no longer holds because it was cut to its depth."""
        bids, asks = self._book.bids.amounts, self._book.asks.amounts
        if len(self._texts) > 2 * (len(bids) + len(asks)):
            self._texts = {key: text for key, text in self._texts.items() if key in (bids if key < 0 else asks)}


def _decimals(text: bytes) -> int:
    return len(text.partition(b".")[2])


def _plain(value: float) -> bytes:
    """*value* without an exponent, and without decimals that are 0."""
    return format(Decimal(repr(value)), "f").removesuffix(".0").encode()


def _scaled(text: bytes, decimals: int) -> bytes:
    whole, _, fraction = text.partition(b".")
    return (whole + fraction.ljust(decimals, b"0")).lstrip(b"0")
