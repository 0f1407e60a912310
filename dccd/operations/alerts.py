"""Incidents, and the webhooks that are told of them."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import Operation, Refusal

__all__ = ["TABLE"]

TABLE = (
    Operation(
        name="alerts.list",
        request=m.AlertsList,
        reply=m.AlertsListed,
        description="What is wrong, since when, and which webhooks were told",
        role="viewer",
        example={"all": True},
    ),
    Operation(
        name="alerts.test",
        request=m.AlertsTest,
        reply=m.AlertsTested,
        description="Send a message to the webhooks, to see whether it comes",
        role="operator",
        idempotent=False,
        refusals=(
            Refusal(422, "no_webhooks", "the configuration has none"),
            Refusal(404, "no_webhook", "none has this name; the message says which there are"),
        ),
    ),
)
