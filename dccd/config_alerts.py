"""The ``alerts`` section: what is an incident, and where it is told. Pure.

The section as it was written flows in; a :class:`~dccd.errors.ConfigError` for the first thing that is wrong with it
flows out.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from dccd.config_units import Duration, Size, parse_duration, parse_size
from dccd.errors import ConfigError

__all__ = ["RULES", "AlertRule", "Alerts", "Webhook", "check_alerts"]

AlertRule = Literal["failures", "stale", "gave_up", "archiver", "space", "hole", "health"]
RULES: tuple[AlertRule, ...] = ("failures", "stale", "gave_up", "archiver", "space", "hole", "health")

_SPACE = re.compile(r"\s")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Webhook(_Section, frozen=True, kw_only=True):
    """One of ``alerts.webhooks``: where incidents are told, in which form, and which of them."""

    url: str
    format: Literal["json", "slack", "ntfy"] = "json"
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$(?!\n)")] | None = None
    rules: list[AlertRule] = []
    headers: dict[str, str] = {}

    def __repr__(self) -> str:
        """Without what is secret: often that is the whole path."""
        return f"Webhook({self.id}, {self.format})"

    @property
    def id(self) -> str:
        """``name``, or the host that it goes to."""
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "-", urlsplit(self.url).hostname or "webhook")[:40]


class Alerts(_Section, frozen=True, kw_only=True):
    """``alerts``: what makes ``dccd.health`` say no and is an incident, and the webhooks that are told.

    ``archiver_lag``: the oldest record that isn't on disk; ``stream_silence``: no record for so long (0: off),
    ``silence`` the same by dataset; ``free_space``: what must be left under ``data_path``; ``failures``: so many runs
    of a job in a row; ``hole``: so long, and the exchange doesn't serve it any more (0: off). ``settle``: so long it
    must hold, or be over, to count.
    """

    archiver_lag: Duration = "1m"
    stream_silence: Duration = 0
    silence: dict[str, Duration] = {}
    free_space: Size = "1GiB"
    failures: Annotated[int, Meta(ge=0, le=1000)] = 3
    hole: Duration = "1m"
    settle: Duration = "10s"
    webhooks: list[Webhook] = []

    def silence_of(self, dataset: str) -> float:
        """Seconds after which *dataset* is stale: of the first pattern in ``silence`` that fits, else
        ``stream_silence``; 0 for never."""
        for pattern, duration in self.silence.items():
            if fnmatchcase(dataset, pattern):
                return parse_duration(duration)
        return parse_duration(self.stream_silence)


def check_alerts(alerts: Alerts) -> None:
    """Raise ConfigError for values that have the right type and are impossible all the same."""
    for field in ("archiver_lag", "stream_silence", "hole", "settle"):
        _read(f"alerts.{field}", getattr(alerts, field))
    for pattern, duration in alerts.silence.items():
        _read(f"alerts.silence.{pattern}", duration)
    try:
        parse_size(alerts.free_space)
    except ValueError as exc:
        raise ConfigError("alerts.free_space", repr(alerts.free_space), str(exc)) from exc
    seen: dict[str, int] = {}
    for index, webhook in enumerate(alerts.webhooks):
        path = f"alerts.webhooks[{index}]"
        _check_webhook(webhook, path)
        if webhook.id in seen:
            other = f"alerts.webhooks[{seen[webhook.id]}]"
            raise ConfigError(f"{path}.name", f"{webhook.id}, as {other} is called", "a name of its own")
        seen[webhook.id] = index


def _check_webhook(webhook: Webhook, path: str) -> None:
    # What is found isn't told: the path of a webhook's URL is its password.
    try:
        url = urlsplit(webhook.url)
        named = url.scheme in ("http", "https") and bool(url.hostname)
        good = named and url.port != 0 and not _SPACE.search(webhook.url)
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"{path}.url", "no such URL", "http or https with a host, as https://ntfy.sh/my-topic")
    if webhook.format == "ntfy" and not url.path.strip("/"):
        raise ConfigError(f"{path}.url", "a URL without a topic", "the topic's URL, as https://ntfy.sh/my-topic")
    for name, value in webhook.headers.items():
        if not _HEADER.fullmatch(name) or not value.isascii() or re.search(r"[\r\n\0]", value):
            raise ConfigError(f"{path}.headers", f"header {name!r}", "a name, and a value of one line in ASCII")


def _read(path: str, value: Duration) -> None:
    try:
        parse_duration(value)
    except ValueError as exc:
        raise ConfigError(path, repr(value), str(exc)) from exc
