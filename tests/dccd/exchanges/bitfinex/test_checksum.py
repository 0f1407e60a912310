"""Bitfinex's book checksum."""

from __future__ import annotations

from zlib import crc32

import pytest

from dccd.exchanges.bitfinex.checksum import Checksum, javascript
from dccd.exchanges.book import Book


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (60400.0, "60400"), (0.1 + 0.2, "0.30000000000000004"), (-0.5, "-0.5"), (1e-6, "0.000001"),
        (0.0000097, "0.0000097"), (1.5e-7, "1.5e-7"), (1e-7, "1e-7"), (-1e-8, "-1e-8"),
        (1.23456789e-10, "1.23456789e-10"),
        (1e16, "10000000000000000"), (123456789012345680000.0, "123456789012345680000"), (1e21, "1e+21"),
        (1.5e22, "1.5e+22"), (19203.444049780002, "19203.444049780002"), (0.00001234, "0.00001234"),
    ],
)  # fmt: skip
def test_numbers_as_javascript_prints_them(number: float, text: str) -> None:
    """Without a point where there is nothing behind it, and with an exponent below 0.000001 and from 1e21 on."""
    assert javascript(number) == text


def test_bid_and_ask_in_turn() -> None:
    """Price and amount of each, an ask's negative; the side that has fewer levels ends earlier."""
    book = Book()
    book.reset([(9.0, 1.0), (8.5, 2.25)], [(10.0, 1e-7)])
    checksum = Checksum(book)
    assert checksum.matches(_signed(crc32(b"9:1:10:-1e-7:8.5:2.25")))
    assert not checksum.matches(5)
    book.reset([], [])
    checksum.reset()
    assert checksum.matches(0)


def test_the_best_25_a_side() -> None:
    """Deeper levels don't matter."""
    book = Book()
    book.reset([(float(n), 1.0) for n in range(1, 31)], [(float(n), 2.0) for n in range(31, 71)])
    text = ":".join(f"{30 - n}:1:{31 + n}:-2" for n in range(25))
    assert Checksum(book).matches(_signed(crc32(text.encode())))


def test_levels_that_change() -> None:
    """Their text is made anew once they are forgotten."""
    book = Book()
    book.reset([(9.0, 1.0)], [(10.0, 1.0)])
    checksum = Checksum(book)
    assert checksum.matches(_signed(crc32(b"9:1:10:-1")))
    book.apply([(9.0, 3.0)], [(10.0, 0.0), (11.0, 4.0)])
    checksum.forget([(9.0, 3.0)], [(10.0, 0.0), (11.0, 4.0)])
    assert checksum.matches(_signed(crc32(b"9:3:11:-4")))


def _signed(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value
