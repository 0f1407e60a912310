"""What the protocols' own values compute."""

from __future__ import annotations

from dccd.exchanges.base import Capability


def test_how_far_history_goes_back() -> None:
    """A bound in bars depends on their span."""
    assert Capability(recent_bars=720).reach(60) == 43_200
    assert Capability(recent=5).reach(60) == 5
    assert Capability().reach(None) is None
