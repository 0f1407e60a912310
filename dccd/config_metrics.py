"""The ``metrics`` section: where Prometheus may fetch them. Pure."""

from __future__ import annotations

import re

import msgspec

from dccd.errors import ConfigError

__all__ = ["MetricsConfig", "address", "check_metrics"]

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})")


class MetricsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``metrics``: ``listen`` is the host and port of the Prometheus endpoint; without, there is none."""

    listen: str | None = None


def address(listen: str) -> tuple[str, int]:
    """The host and port of ``127.0.0.1:9464`` or ``[::1]:9464``; port 0 is any that is free. Raises ValueError."""
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{listen!r} is no host and port")
    return match[1] or match[2], int(match[3])


def check_metrics(section: MetricsConfig) -> None:
    """Raise ConfigError for what has the right type and is impossible all the same."""
    if section.listen is None:
        return
    try:
        address(section.listen)
    except ValueError as exc:
        raise ConfigError(
            "metrics.listen", repr(section.listen), "host and port (0 to 65535), as 127.0.0.1:9464 or [::1]:9464"
        ) from exc
