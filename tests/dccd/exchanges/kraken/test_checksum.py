"""Kraken's book checksum."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


WHOLE = st.one_of(st.integers(1, 10**6), st.integers(1, 10**19))
SIDE = st.lists(
    st.tuples(st.integers(1, 40), st.one_of(st.just(0), WHOLE)), max_size=15, unique_by=lambda level: level[0]
)


@given(st.integers(0, 6), st.integers(0, 12), st.integers(0, 10**16), st.lists(st.tuples(SIDE, SIDE), max_size=6))
def test_values_tell_the_digits(
    price_decimals: int, amount_decimals: int, high: int, updates: list[tuple[list[tuple[int, int]], ...]]
) -> None:
    """The checksum is that of the digits on the wire, whether levels are taken by their values or by their texts."""

    def text(whole: int, decimals: int) -> str:
        digits = str(whole).rjust(decimals + 1, "0")
        return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits

    def written(side: list[tuple[int, int]]) -> list[tuple[float, float, bytes, bytes]]:
        texts = [(text(high + price, price_decimals), text(amount, amount_decimals)) for price, amount in side]
        return [(float(price), float(amount), price.encode(), amount.encode()) for price, amount in texts]

    book = Book()
    checksum = Checksum(book)
    held: tuple[dict[float, bytes], dict[float, bytes]] = ({}, {})
    known = False  # how many decimals there are; frames with levels show it
    for update in updates:
        texts = [written(side) for side in update]
        if any(len({price for price, *_ in side}) < len(side) for side in texts):
            return  # different prices, but not as floats: no book can hold them
        levels = [[(price, amount) for price, amount, _, _ in side] for side in texts]
        book.apply(*levels)
        if known and all(map(checksum.tells, levels)):
            checksum.forget(*levels)
        else:
            checksum.take(*texts)
        for side, wire in zip(held, texts, strict=True):
            for price, amount, *words in wire:
                digits = b"".join(word.replace(b".", b"").lstrip(b"0") for word in words)
                side.update({price: digits}) if amount else side.pop(price, None)
        best = [held[1][price] for price in sorted(held[1])[:10]]
        best += [held[0][price] for price in sorted(held[0], reverse=True)[:10]]
        known = known or any(amount for side in levels for _, amount in side)
        assert checksum.matches(crc32(b"".join(best)))
