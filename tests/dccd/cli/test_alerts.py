"""``dccd alerts``: what people see, what scripts get, and the exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dccd import messages as m
from dccd.client.fake import HOST, FakeDaemon

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


async def test_what_is_wrong_is_listed_and_makes_it_fail(dccd: Command) -> None:
    """For monitoring; which webhook was told stands beside it."""
    done = await dccd("alerts")
    assert done.code == 1
    assert "binance.trades.BTC-USDT" in done.out
    assert "webhook ops (slack): 1 messages taken" in done.out
    found = json.loads((await dccd("alerts", "--all", "--json")).out)
    assert [one["key"] for one in found["incidents"]] == ["stale:binance.trades.BTC-USDT"]


async def test_nothing_wrong_is_well(dccd: Command, daemon: FakeDaemon) -> None:
    """And it says how to be told."""
    daemon.replies["alerts.list"] = m.AlertsListed(host=HOST, incidents=[], webhooks=[])
    done = await dccd("alerts")
    assert done.code == 0
    assert "nothing is wrong on fake" in done.out
    assert "alerts.webhooks" in done.out


async def test_webhooks_are_tried(dccd: Command, daemon: FakeDaemon) -> None:
    """One that doesn't take the message makes it fail."""
    done = await dccd("alerts", "test", "pager")
    assert (done.code, done.out) == (0, "pager: taken\n")
    daemon.replies["alerts.test"] = m.AlertsTested(webhooks=[m.WebhookTried(name="ops", error="HTTP 403: no")])
    done = await dccd("alerts", "test")
    assert (done.code, done.out) == (1, "ops: NOT TAKEN: HTTP 403: no\n")
