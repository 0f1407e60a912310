"""What the protocols' own values compute."""

from __future__ import annotations

import math

import pytest

from dccd.exchanges.base import Capability, Market


def test_how_far_history_goes_back() -> None:
    """A bound in bars depends on their span."""
    assert Capability(recent_bars=720).reach(60) == 43_200
    assert Capability(recent=5).reach(60) == 5
    assert Capability().reach(None) is None


def test_contracts_in_base_asset() -> None:
    """As many digits as the exchange means; of inverse ones the price tells."""
    assert [Market("X", 0.1).base(n, 5.0) for n in (3, 6, 7)] == [0.3, 0.6, 0.7]
    assert [Market("X", 0.01).base(n, 5.0) for n in (7, 29, 58)] == [0.07, 0.29, 0.58]
    assert (Market("X").base(0.3, 5.0), Market("X", 1000.0).base(3, 5.0)) == (0.3, 3000.0)
    assert Market("X", 100.0, inverse=True).base(3, 60_000.0) == 0.005
    assert Market("X", 0.00001).base(3, 5.0) == 0.00003


@pytest.mark.parametrize(
    ("market", "contracts", "price"),
    [
        (Market("X", inverse=True), 100.0, 1e-307),
        (Market("X", inverse=True), 1.0, 1e-31),
        (Market("X", 1e20), 1e20, 1.0),
        (Market("X", 1e-20), 1e-310, 1.0),
        (Market("X", inverse=True), 5e-324, 9e29),
        (Market("X", math.nan), 1.0, 1.0),
        (Market("X", 0.0), 1.0, 1.0),
    ],
)
def test_contracts_that_are_no_amount(market: Market, contracts: float, price: float) -> None:
    """More than any amount is, or nothing where there is something, is an error."""
    with pytest.raises(ValueError, match="no amount"):
        market.base(contracts, price)


def test_what_is_in_base_asset_already() -> None:
    """Nothing is to be called for it; of what isn't, none is none."""
    assert Market("X").to_base is None
    for market in (Market("X", 10.0), Market("X", inverse=True)):
        base = market.to_base
        assert base is not None
        assert (base(3.0, 2.0), base(0.0, 1e-307)) == (market.base(3.0, 2.0), 0.0)
