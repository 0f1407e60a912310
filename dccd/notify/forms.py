"""What a webhook is sent, in each of the forms. Pure.

Incidents that turned flow in, one HTTP request with all of them flows out. Slack: https://docs.slack.dev/messaging/
sending-messages-using-incoming-webhooks; ntfy: https://docs.ntfy.sh/publish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import msgspec

from dccd.config_alerts import Webhook
from dccd.messages import Incident
from dccd.symbols import NS, format_time

__all__ = ["MOST", "Post", "post"]

MOST = 20
"""Incidents told in words in one message; of more the number is told."""
_LONGEST = 300
_MOST_BYTES = 3500  # ntfy makes a file of what is longer than 4,096 bytes


class Post(msgspec.Struct, frozen=True):
    """A POST request: the headers beside Content-Length, and the body."""

    headers: dict[str, str]
    body: bytes


def post(webhook: Webhook, host: str, incidents: Sequence[Incident], now: int, test: bool = False) -> Post:
    """Return the message to *webhook* about *incidents*, as they are now; none of them is a *test*."""
    if webhook.format == "json":
        body = msgspec.json.encode(
            {"host": host, "at": now, "test": test, "title": _title(host, incidents), "incidents": list(incidents)}
        )
        return Post({"Content-Type": "application/json", **webhook.headers}, body)
    if webhook.format == "slack":
        text = "\n".join(
            [f"*{_title(host, incidents)}*", *_lines(incidents, now, lambda text: escape(text, quote=False))]
        )
        return Post(
            {"Content-Type": "application/json", **webhook.headers}, msgspec.json.encode({"text": text, "mrkdwn": True})
        )
    worst = any(one.state == "open" for one in incidents)
    headers = {
        "Title": _title(host, incidents),
        "Priority": "high" if worst else "default",
        "Tags": "rotating_light" if worst else "white_check_mark",
        "Content-Type": "text/plain; charset=utf-8",
    }
    text = "\n".join(_lines(incidents, now, str)) or "It works."
    return Post({**headers, **webhook.headers}, text.encode()[:_MOST_BYTES].decode(errors="ignore").encode())


def _title(host: str, incidents: Sequence[Incident]) -> str:
    """In ASCII, as headers want it: hosts, datasets and jobs are."""
    if not incidents:
        return f"dccd {host}: a test message"
    if len(incidents) == 1:
        one = incidents[0]
        return f"dccd {host}: {_what(one)}"
    open_ones = sum(one.state == "open" for one in incidents)
    over = len(incidents) - open_ones
    parts = [f"{open_ones} new incident{'s' if open_ones > 1 else ''}"] if open_ones else []
    parts += [f"{over} over"] if over else []
    return f"dccd {host}: {', '.join(parts)}"


_WORDS = {
    "failures": "fails again and again",
    "stale": "is stale",
    "gave_up": "gave up",
    "archiver": "doesn't keep up",
    "space": "runs out",
    "hole": "has a hole that can't be repaired",
    "health": "is unhealthy",
}


def _what(incident: Incident) -> str:
    if incident.state == "resolved":
        return f"{incident.subject} has recovered"
    return f"{incident.subject} {_WORDS[incident.rule]}"


def _lines(incidents: Sequence[Incident], now: int, shown: Callable[[str], str]) -> list[str]:
    lines = []
    for one in incidents[:MOST]:
        if one.state == "open":
            lines.append(f"🔴 {shown(_what(one))}: {shown(one.detail[:_LONGEST])} (since {format_time(one.since)})")
        else:
            lasted = ((one.resolved or now) - one.since) / NS
            lines.append(f"🟢 {shown(_what(one))} after {_duration(lasted)}; it was: {shown(one.detail[:_LONGEST])}")
    if len(incidents) > MOST:
        lines.append(f"… and {len(incidents) - MOST} more: `dccd alerts` has them all")
    return lines


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
