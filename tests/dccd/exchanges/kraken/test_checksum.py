"""Kraken's book checksum."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import msgspec
import pytest

from dccd.exchanges.book import Book
from dccd.exchanges.kraken.checksum import Checksum, number


def filled(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Checksum:
    book = Book()
    book.reset([(float(p), float(a)) for p, a in bids], [(float(p), float(a)) for p, a in asks])
    checksum = Checksum(book)
    checksum.take(
        [(float(p), float(a), p.encode(), a.encode()) for p, a in bids],
        [(float(p), float(a), p.encode(), a.encode()) for p, a in asks],
    )
    return checksum


def test_the_guides_example(frames: Callable[[str], list[bytes]]) -> None:
    """The snapshot of Kraken's guide has the checksum that the guide says."""
    data = msgspec.json.decode(frames("kraken/book")[1])["data"][0]
    sides = [[(f"{level['price']:.1f}", f"{level['qty']:.8f}") for level in data[side]] for side in ("bids", "asks")]
    assert filled(*sides).matches(3310070434)
    assert not filled(*sides).matches(3310070435)


def test_trailing_zeros_that_are_not_sent() -> None:
    """Each number counts with the most decimals of any: 0.5 is 0.50 where 0.25 was seen."""
    checksum = filled([("10", "0.5")], [("10.1", "0.25")])
    assert checksum.matches(crc32(b"101" + b"25" + b"100" + b"50"))


def test_a_snapshot_tells_decimals_that_were_not_seen() -> None:
    """When no number of the snapshot has the market's decimals, its checksum tells how many there are."""
    checksum = filled([("10", "0.5")], [("11", "0.5")])
    expected = crc32(b"1100" + b"50000000" + b"1000" + b"50000000")
    assert not checksum.matches(expected)
    assert checksum.settle(expected)
    assert checksum.matches(expected)
    assert not checksum.settle(12345)
    assert checksum.matches(expected)


def test_ten_levels_count() -> None:
    """Deeper ones don't."""
    asks = [(f"{10 + n}.0", "1.0") for n in range(12)]
    assert filled([], asks).matches(crc32(b"".join(f"{10 + n}010".encode() for n in range(10))))


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"1.50", b"1.50"), (b"0", b"0"), (b'"1.50"', b"1.50"), (b"1e-5", b"0.00001"), (b"2.5E3", b"2500")],
)
def test_numbers(raw: bytes, text: bytes) -> None:
    """As written, in quotes or not, an exponent written out."""
    assert number(msgspec.Raw(raw)) == text


@pytest.mark.parametrize("raw", [b"-1", b'"x"', b"null", b"true", b"[1]", b'"1_0"', b'" 1"', b"1e400", b'"nan"', b'""'])
def test_what_is_no_number(raw: bytes) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="price or amount"):
        number(msgspec.Raw(raw))
