"""What the bus keeps: ticks and events, delivered or read."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import Operation, Refusal

__all__ = ["TABLE"]

_NO_STREAM = Refusal(404, "no_stream", "the bus has no such stream")

TABLE = (
    Operation(
        name="follow",
        request=m.Follow,
        reply=m.Followed,
        description="Ticks or events from a place in the past on and live, delivered to an inbox",
        role="viewer",
        idempotent=False,
        refusals=(
            Refusal(400, "malformed", "a filter that is no subject of the stream, or an `inbox` that is none of yours"),
            Refusal(404, "gone", "`seq` has fallen off the stream"),
            _NO_STREAM,
            Refusal(503, "busy", "the stream has 1,000 readers, or 500 of this host's making"),
        ),
        example={"stream": "ticks", "filters": ["dccd.ticks.binance.trades.>"]},
    ),
    Operation(
        name="journal",
        request=m.Journal,
        reply=m.JournalPage,
        description="Events of the past, a page; or the next one, as soon as it comes",
        role="viewer",
        refusals=(
            Refusal(400, "malformed", "a filter that no event can pass, or two places to begin"),
            Refusal(404, "gone", "what followed `after` has fallen off the stream, or was in one before it"),
            _NO_STREAM,
            Refusal(503, "busy", "32 requests wait for an event"),
        ),
        example={"kinds": ["run.status", "stream.gap"], "last": 3},
    ),
)
