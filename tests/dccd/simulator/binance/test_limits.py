"""How much an address may ask of Binance."""

from __future__ import annotations

import pytest

from dccd.simulator.binance.limits import FUNDING, FUTURES, SPOT, STATISTICS, Limits, Pool
from dccd.symbols import NS

NOW = 1_700_000_100 * NS


@pytest.mark.parametrize("pool", [SPOT, FUTURES, FUNDING, STATISTICS])
def test_one_too_many(pool: Pool) -> None:
    """429 until the period is over, 418 for who goes on as much again; another address is free."""
    limits = Limits()
    limits.count(pool, pool.most, NOW, "a")
    assert limits.refusal(pool, NOW, "a") is None
    limits.count(pool, 1, NOW, "a")
    assert limits.refusal(pool, NOW, "a") == (429, pool.period - NOW // NS % pool.period)
    limits.count(pool, pool.most, NOW, "a")
    assert limits.refusal(pool, NOW, "a") == (418, 120)
    assert limits.refusal(pool, NOW + 100 * NS, "a") == (418, 21)
    later = NOW + (pool.period + 120) * NS
    limits.count(pool, 1, later, "a")
    limits.count(pool, 1, NOW, "b")
    assert limits.refusal(pool, later, "a") is limits.refusal(pool, NOW, "b") is None


def test_pools_count_apart() -> None:
    """What is asked of one leaves the others alone; only those by the minute tell what was used."""
    limits = Limits()
    assert limits.count(SPOT, 20, NOW, "a") == {"x-mbx-used-weight": "20", "x-mbx-used-weight-1m": "20"}
    assert limits.count(FUTURES, 5, NOW, "a") == {"x-mbx-used-weight": "5", "x-mbx-used-weight-1m": "5"}
    assert limits.count(FUNDING, 1, NOW, "a") == limits.count(STATISTICS, 1, NOW, "a") == {}
    assert limits.count(SPOT, 20, NOW, "a")["x-mbx-used-weight"] == "40"
