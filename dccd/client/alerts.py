"""Incidents, and the webhooks that are told of them."""

from __future__ import annotations

from dccd import messages as m
from dccd.client.base import Requests

__all__ = ["AlertRequests"]


class AlertRequests(Requests):
    """Incidents and webhooks."""

    async def alerts(self, *, all: bool = False, limit: int = 1000) -> m.AlertsListed:
        """What is wrong, the open incidents first; *all*: also what was over in the last week. And the webhooks."""
        return await self._ask("alerts.list", m.AlertsListed, m.AlertsList(all=all, limit=limit))

    async def test_webhooks(self, webhook: str | None = None) -> list[m.WebhookTried]:
        """Send a message to all webhooks, or to one. Raises RequestError where there is none."""
        return (await self._ask("alerts.test", m.AlertsTested, m.AlertsTest(webhook=webhook), timeout=60)).webhooks
