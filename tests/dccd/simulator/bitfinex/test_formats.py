"""Bitfinex's formats."""

from __future__ import annotations

import zlib

import pytest

from dccd.simulator.bitfinex import Bitfinex
from dccd.simulator.bitfinex.formats import numbers


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (150, 2, "1.5"), (200, 2, "2"), (5, 0, "5"), (123456789, 8, "1.23456789"), (100, 8, "0.000001"),
        (15, 8, "1.5e-7"), (10, 8, "1e-7"), (99, 8, "9.9e-7"), (1, 8, "1e-8"), (0, 8, "0"), (1010, 8, "0.0000101"),
    ],
)  # fmt: skip
def test_numbers_as_javascript_prints_them(value: int, decimals: int, text: str) -> None:
    """Without trailing zeros, small ones with an exponent."""
    assert numbers(decimals)(value) == text
    assert float(text) == value / 10**decimals


def test_the_checksum_of_the_documentation_s_recipe(venue: Bitfinex) -> None:
    """25 bids and asks in turn, price and amount, an ask's negative; as a signed integer."""
    formats = venue.formats["tBTCUSD"]
    bids = [(60_000 - n, 150_000_000 + n) for n in range(30)]
    asks = [(60_001 + n, 25_000_000) for n in range(3)]
    texts = []
    for n in range(25):
        texts.append(f"{60_000 - n}:{(150_000_000 + n) / 10**8!r}")
        texts += [f"{60_001 + n}:-0.25"] if n < 3 else []
    expected = zlib.crc32(":".join(texts).encode())
    assert formats.checksum(bids, asks) == (expected - 2**32 if expected >= 2**31 else expected)


def test_levels(venue: Bitfinex) -> None:
    """An ask's amount is negative; what goes has no orders, and its side's sign."""
    rows = venue.formats["tBTCUSD"].level_rows([(60_000, 150_000_001), (59_999, 0)], [(60_001, 0), (60_002, 3)])
    assert rows == ["[60000,2,1.50000001]", "[59999,0,1]", "[60001,0,-1]", "[60002,4,-3e-8]"]
