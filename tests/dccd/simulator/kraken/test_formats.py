"""Kraken's formats."""

from __future__ import annotations

import zlib

from dccd.simulator.kraken.formats import checksum, iso, iso_ns
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789


def test_the_checksum_of_kraken_s_own_example() -> None:
    """The book of the checksum guide: ten asks and ten bids, price and quantity digits, asks first."""
    asks = [(452852 + n, 100000 + n) for n in range(12)]
    bids = [(452835 - n, 10000000 + n) for n in range(12)]
    digits = "".join(f"{p}{q}" for p, q in asks[:10]) + "".join(f"{p}{q}" for p, q in bids[:10])
    assert checksum(bids, asks) == zlib.crc32(digits.encode())


def test_times() -> None:
    """Microseconds for events, nanoseconds for candles."""
    assert iso(1_695_628_177_708_706_999) == "2023-09-25T07:49:37.708706Z"
    assert iso_ns(1_696_436_700 * 10**9) == "2023-10-04T16:25:00.000000000Z"
