"""OKX's book checksum."""

from __future__ import annotations

from zlib import crc32

import pytest

from dccd.exchanges.book import Book
from dccd.exchanges.okx.checksum import Checksum, TextLevel

Levels = list[tuple[str, str]]


def checksum(bids: Levels, asks: Levels) -> Checksum:
    book = Book()
    book.reset([(float(p), float(s)) for p, s in bids], [(float(p), float(s)) for p, s in asks])
    made = Checksum(book)
    for sign, levels in ((-1, bids), (1, asks)):
        made.take(sign, [float(price) for price, _ in levels], [TextLevel(*level) for level in levels])
    return made


@pytest.mark.parametrize(
    ("bids", "asks", "text"),
    [
        (
            [("3366.1", "7"), ("3366", "6")],
            [("3366.8", "9"), ("3368", "8")],
            b"3366.1:7:3366.8:9:3366:6:3368:8",
        ),
        (
            [("3366.1", "7")],
            [("3366.8", "9"), ("3368", "8"), ("3372", "8")],
            b"3366.1:7:3366.8:9:3368:8:3372:8",
        ),
        ([("3366.1", "7"), ("3366", "6")], [], b"3366.1:7:3366:6"),
    ],
)
def test_documented_examples(bids: Levels, asks: Levels, text: bytes) -> None:
    """Bids and asks in turn, then what is left of the longer side; signed or not."""
    made, expected = checksum(bids, asks), crc32(text)
    assert made.matches(expected)
    assert made.matches(expected - 2**32)
    assert not made.matches(expected + 1)


def test_what_is_gone_is_forgotten() -> None:
    """Memory is bounded by the book, not by what ever was in it."""
    book = Book()
    made = Checksum(book)
    for n in range(1, 5000):
        book.apply([(float(n), 1.0), (float(n - 1), 0.0)], [])
        made.take(-1, [float(n), float(n - 1)], [TextLevel(str(n), "1"), TextLevel(str(n - 1), "0")])
    assert int(repr(made).rpartition("=")[2][:-1]) < 1100
    assert made.matches(crc32(b"4999:1"))
