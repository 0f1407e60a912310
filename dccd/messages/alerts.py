"""Incidents, and the webhooks that are told of them."""

from __future__ import annotations

from typing import Literal

from dccd.messages.base import Limit, Name, Reply, Request

__all__ = ["AlertsList", "AlertsListed", "AlertsTest", "AlertsTested", "Incident", "WebhookEntry", "WebhookTried"]


class Incident(Reply, frozen=True, kw_only=True):
    """Something that is wrong, or was: ``subject`` is the dataset, job or health check that it is about, ``detail``
    says what. Times are ns: ``since`` it has been wrong, ``opened`` and ``resolved`` are when that was noticed.

    ``told``: what each webhook was told last. ``key`` is the same as long as it is the same thing.
    """

    key: str
    host: str
    rule: Literal["failures", "stale", "gave_up", "archiver", "space", "hole", "health"]
    subject: str
    state: Literal["open", "resolved"]
    detail: str
    since: int
    opened: int
    resolved: int | None = None
    told: dict[str, str] = {}


class AlertsList(Request, frozen=True, kw_only=True):
    """List incidents that are open, newest first; ``all``: also those that were over in the last week."""

    all: bool = False
    limit: Limit = 1000


class WebhookEntry(Reply, frozen=True, kw_only=True):
    """A webhook: how many messages it has taken since the daemon started, how many wait, and why the last one wasn't
    taken. Its URL is a secret."""

    name: str
    format: str
    sent: int = 0
    waiting: int = 0
    error: str | None = None


class AlertsListed(Reply, frozen=True, kw_only=True):
    """The incidents of a host, and its webhooks."""

    host: str
    incidents: list[Incident]
    webhooks: list[WebhookEntry]


class AlertsTest(Request, frozen=True, kw_only=True):
    """Send a message to all webhooks, or to ``webhook``, to see whether it comes."""

    webhook: Name | None = None


class WebhookTried(Reply, frozen=True, kw_only=True):
    """What came of a message to a webhook: ``error`` is null when it was taken."""

    name: str
    error: str | None = None


class AlertsTested(Reply, frozen=True, kw_only=True):
    """What came of the messages."""

    webhooks: list[WebhookTried]
