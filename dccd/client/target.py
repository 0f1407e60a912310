"""Where the bus is: the environment and the configuration flow in, a :class:`Target` flows out."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

__all__ = ["Target", "find_target", "noted_port"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Which bus, as whom. ``default``: nobody asked for it, it is where ``dccd start`` would run its own."""

    url: str
    user: str | None = None
    password: str | None = None
    credentials: str | None = None
    default: bool = False


def find_target(config_file: str | os.PathLike[str] | None = None) -> Target:
    """Return the bus to use: ``DCCD_BUS_URL``, else what the configuration says, found as ``dccd start`` finds it.

    Raises ConfigError.
    """
    if url := os.environ.get("DCCD_BUS_URL"):
        return Target(url=url)
    from dccd import config as configuration  # reads YAML, knows the exchanges: only who needs it pays for that

    config = configuration.load(configuration.find(config_file))
    bus = config.bus
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bus.host, bus.host)
    port = bus.port or noted_port(config.data_path) or 4222
    return Target(
        url=bus.url or f"nats://{host}:{port}",
        user=bus.user,
        password=bus.password,
        credentials=bus.credentials,
        default=bus.url is None,
    )


def noted_port(data_path: Path) -> int | None:
    """The free port that the embedded server of *data_path* last took, as it noted for its next start."""
    try:
        return int((data_path / ".dccd" / "nats" / "port").read_text())
    except (OSError, ValueError):
        return None
