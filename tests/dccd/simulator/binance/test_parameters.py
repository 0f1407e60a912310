"""Binance's query parameters: numbers, or refusals with code and words."""

from __future__ import annotations

import pytest

from dccd.simulator.binance.parameters import Refused, limited, mandatory, number


def test_numbers_and_defaults() -> None:
    """What was sent, what stands in for it, and what is cut."""
    assert number({"fromId": "17"}, "fromId") == 17 and number({}, "fromId") is None
    assert [limited(query, 500, 1000) for query in ({}, {"limit": "7"}, {"limit": "5000"})] == [500, 7, 1000]
    assert mandatory({"symbol": "BTCUSDT"}, "symbol") == "BTCUSDT"


@pytest.mark.parametrize(
    ("text", "code"), [("", -1105), ("-1", -1100), ("1e3", -1100), ("１", -1100), (str(1 << 63), -1108)]
)
def test_what_is_no_number_is_refused(text: str, code: int) -> None:
    """Empty, of other characters, or too large."""
    with pytest.raises(Refused) as caught:
        number({"startTime": text}, "startTime")
    assert caught.value.code == code and "startTime" in caught.value.msg
