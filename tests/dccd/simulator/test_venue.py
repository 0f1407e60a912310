"""Numbers as exchanges write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.simulator.venue import fixed


@pytest.mark.parametrize(
    ("decimals", "shown", "value", "text"),
    [
        (2, 8, 6_423_105, "64231.05000000"),
        (8, 8, 1, "0.00000001"),
        (0, 8, 17, "17.00000000"),
        (0, 0, 17, "17"),
        (1, None, 595_514, "59551.4"),
        (1, 5, 595_514, "59551.40000"),
    ],
)
def test_numbers_have_their_decimals(decimals: int, shown: int | None, value: int, text: str) -> None:
    """Leading and trailing zeros as the exchange shows them; the second time from memory."""
    encode = fixed(decimals, shown)
    assert [encode(value), encode(value)] == [text, text]


@given(st.integers(0, 8), st.integers(0, 10**20))
def test_no_digit_is_lost(decimals: int, value: int) -> None:
    """The text is exactly the number."""
    assert Decimal(fixed(decimals, 8)(value)) == Decimal(value).scaleb(-decimals)
