"""What the protocols' own values compute."""

from __future__ import annotations

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
