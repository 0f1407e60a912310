"""What counts as unhealthy."""

from __future__ import annotations

import pytest

from actors.monitor import check_bus, check_store
from dccd.config import Alerts

ALERTS = Alerts(archiver_lag="1m")


@pytest.mark.parametrize(
    ("connected", "waiting", "overflowing", "says"),
    [
        (True, 59.0, False, ""),
        (False, 0.0, False, "is away"),
        (True, 61.0, False, "stores nothing since 61 s"),
        (True, 1.0, True, "dropped"),
        (False, 99.0, True, "is away: ticks are kept here, but there is no room for more"),
    ],
)
def test_a_bus_that_answers_and_stores_nothing_is_no_healthy_one(
    connected: bool, waiting: float, overflowing: bool, says: str
) -> None:
    """As one whose disk was full, or whose stream somebody has deleted."""
    check = check_bus("nats://b", connected, waiting, overflowing, ALERTS)
    assert check.ok == (not says)
    assert says in check.detail


def test_every_unreadable_dataset_is_named() -> None:
    """With the reason."""
    assert check_store({}).ok
    check = check_store({"b.trades.X-Y": "b.parquet: cut off", "a.trades.X-Y": "a.parquet: no Parquet"})
    assert not check.ok
    assert check.detail == "a.trades.X-Y: a.parquet: no Parquet; b.trades.X-Y: b.parquet: cut off"
