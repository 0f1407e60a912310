"""Requests about incidents and webhooks: they flow in, what the alerter knows flows out."""

from __future__ import annotations

from actors.links import Links
from actors.mail import GetIncidents, TryWebhooks
from actors.runtime.actor import ActorRef
from dccd import messages as m
from dccd.errors import RequestError

__all__ = ["listed", "tested"]

_ASK = 10.0
_TRY = 60.0


async def listed(links: Links, request: m.AlertsList) -> m.AlertsListed:
    """Return the incidents. Raises RequestError 503 while there is no alerter."""
    found: m.AlertsListed = await _alerter(links).ask(GetIncidents(request.all, request.limit), timeout=_ASK)
    return found


async def tested(links: Links, request: m.AlertsTest) -> m.AlertsTested:
    """Send a message to webhooks. Raises RequestError 404 for one that there isn't, 422 where there is none."""
    answer = await _alerter(links).ask(TryWebhooks(request.webhook), timeout=_TRY)
    if isinstance(answer, RequestError):
        raise answer
    assert isinstance(answer, m.AlertsTested)
    return answer


def _alerter(links: Links) -> ActorRef:
    if links.alerter is None:
        raise RequestError(503, "not_now", "incidents are not watched yet; try again in a moment")
    return links.alerter
