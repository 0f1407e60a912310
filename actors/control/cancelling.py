"""A run is cancelled by the host that is at it: an order flows in to any host, and on to that one."""

from __future__ import annotations

import msgspec

from actors.links import Links
from actors.mail import CancelBackfill, RunIsAt
from dccd import messages as m
from dccd import subjects
from dccd.errors import BusUnavailable, RequestError
from dccd.runs import Run

__all__ = ["cancel"]

_SECONDS = 28.0
"""Less than a client waits, more than a backfill takes to stop."""


async def cancel(links: Links, request: m.BackfillCancel) -> Run:
    """Cancel the run, here or where it is. Raises RequestError: 404, 409 when it is over, 503 when its host is away."""
    answer: Run | RunIsAt = await links.ask_runner(CancelBackfill(request.run_id))
    if not isinstance(answer, RunIsAt):
        return answer
    host = answer.host
    subject = subjects.host_request(host, "backfill.cancel")
    try:
        reply = await links.bus.request(subject, msgspec.json.encode(request), _SECONDS)
    except BusUnavailable as exc:
        told = f"run {request.run_id} is one of host {host}, which doesn't answer; try again once it is interrupted"
        raise RequestError(503, "not_now", told, "run_id") from exc
    return msgspec.json.decode(reply, type=Run)
