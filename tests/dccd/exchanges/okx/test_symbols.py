"""What OKX calls symbols and spans."""

from __future__ import annotations

import pytest

from dccd.exchanges.okx.symbols import BARS, spot_id
from dccd.symbols import Symbol


def test_spot() -> None:
    """Base, hyphen, quote."""
    assert spot_id(Symbol.parse("XBT/USDT")) == "BTC-USDT"


@pytest.mark.parametrize(
    ("seconds", "name"), [(1, "1s"), (60, "1m"), (3600, "1H"), (14_400, "4H"), (21_600, "6Hutc"), (604_800, "1Wutc")]
)
def test_bars(seconds: int, name: str) -> None:
    """Hours and longer in upper case; from six hours on by UTC."""
    assert BARS[seconds] == name
    assert list(BARS) == sorted(BARS)
