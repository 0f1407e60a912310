"""What Binance offers."""

from __future__ import annotations

import pytest

from dccd.exchanges.binance.capabilities import MOST_DEPTH, snapshot_limit


@pytest.mark.parametrize("depth", [1, 50, 51, 500, 501, 2500, MOST_DEPTH])
def test_snapshot_limits(depth: int) -> None:
    """A limit that Binance has, and deep enough for the levels that come into view."""
    limit = snapshot_limit(depth)
    assert limit in (100, 500, 1000, 5000)
    assert limit >= min(2 * depth, MOST_DEPTH)
