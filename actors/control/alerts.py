"""Requests about incidents and webhooks: they flow in, what the alerter knows, or webhooks answer, flows out."""

from __future__ import annotations

import anyio

from actors.links import Links
from actors.mail import GetIncidents
from actors.runtime.actor import ActorRef
from dccd import messages as m
from dccd.config import Webhook
from dccd.errors import NotTold, RequestError
from dccd.notify.forms import post
from dccd.notify.webhook import Sender

__all__ = ["listed", "tested"]

_ASK = 10.0


async def listed(links: Links, request: m.AlertsList) -> m.AlertsListed:
    """Return the incidents. Raises RequestError 503 while there is no alerter."""
    found: m.AlertsListed = await _alerter(links).ask(GetIncidents(request.all, request.limit), timeout=_ASK)
    return found


async def tested(links: Links, request: m.AlertsTest) -> m.AlertsTested:
    """Send a message to webhooks, to all of them at once. Raises RequestError 404 for one that there isn't, 422 where
    there is none."""
    webhooks, name = links.config.alerts.webhooks, request.webhook
    if not webhooks:
        raise RequestError(422, "no_webhooks", "the configuration has none: alerts.webhooks names them")
    chosen = [one for one in webhooks if name in (None, one.id)]
    if not chosen:
        known = ", ".join(one.id for one in webhooks)
        raise RequestError(404, "no_webhook", f"there is no webhook {name!r}; there are {known}", "webhook")
    tried: dict[str, m.WebhookTried] = {}

    async def try_one(webhook: Webhook) -> None:
        error = None
        try:
            await sender.send(webhook.url, post(webhook, links.host, [], links.clock.wall_ns(), test=True))
        except NotTold as exc:
            error = str(exc)
        tried[webhook.id] = m.WebhookTried(name=webhook.id, error=error)

    async with Sender() as sender, anyio.create_task_group() as group:
        for webhook in chosen:
            group.start_soon(try_one, webhook)
    return m.AlertsTested(webhooks=[tried[webhook.id] for webhook in chosen])


def _alerter(links: Links) -> ActorRef:
    if links.alerter is None:
        raise RequestError(503, "not_now", "incidents are not watched yet; try again in a moment")
    return links.alerter
