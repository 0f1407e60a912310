"""``bus`` of the configuration: a server to join, or the embedded one; who may use it, and TLS.

Part of :mod:`dccd.config`, which reads and checks the file.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

from dccd.config_units import Duration, Size
from dccd.errors import ConfigError

__all__ = ["BusConfig", "TlsConfig", "check_bus", "exposed"]


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``bus.tls``: PEM files. For the embedded server ``cert`` and ``key`` are its own, and ``ca`` whom its clients
    believe; ``verify`` has it ask clients for a certificate of that CA."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    verify: bool = False


class BusConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``bus``: a server to join, or the embedded one.

    ``ticks_max_age`` and ``ticks_max_bytes`` bound the write-ahead log, ``events_max_age`` and ``events_max_bytes`` the
    events.
    ``window`` is how many messages a host may have unacknowledged, ``buffer`` how many bytes it keeps while the
    bus is away.
    """

    url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 4222
    user: str | None = None
    password: str | None = None
    credentials: str | None = None
    auth: str | None = None
    tls: TlsConfig | None = None
    insecure: bool = False
    ticks_max_age: Duration = "2d"
    ticks_max_bytes: Size = "2GiB"
    events_max_age: Duration = "7d"
    events_max_bytes: Size | None = None
    window: Annotated[int, Meta(ge=1, le=4096)] = 64
    buffer: Size = "64MiB"


def check_bus(bus: BusConfig) -> None:
    """Raise ConfigError for values that don't go together."""
    tls = bus.tls
    if tls is not None:
        if (tls.cert is None) != (tls.key is None):
            missing, other = ("cert", "key") if tls.cert is None else ("key", "cert")
            raise ConfigError(f"bus.tls.{missing}", "nothing", f"a PEM file, with bus.tls.{other}")
        if tls.verify and tls.ca is None:
            raise ConfigError("bus.tls.ca", "nothing", "the CA of clients' certificates, with bus.tls.verify")
    if bus.credentials is not None and bus.user is not None:
        raise ConfigError("bus.credentials", repr(bus.credentials), "given instead of bus.user, not beside it")


def exposed(bus: BusConfig, users: bool) -> ConfigError | None:
    """What keeps an embedded server from being run as *bus* says: no certificate, or others than this machine reach
    it unprotected. *users*: it has some."""
    if bus.url is not None:
        return None
    if bus.tls is not None and bus.tls.cert is None:
        made = "which `dccd auth tls --host NAME` makes"
        return ConfigError("bus.tls.cert", "nothing", f"the certificate of dccd's own server, {made}")
    if bus.insecure or _is_loopback(bus.host):
        return None
    missing = [
        *([] if users else ["users, which `dccd auth init` makes"]),
        *([] if bus.tls else ["TLS (bus.tls), whose certificates `dccd auth tls --host NAME` makes"]),
    ]
    if not missing:
        return None
    return ConfigError(
        "bus.host",
        f"{bus.host!r}, where anybody on the network could read, start and stop everything",
        f"loopback, or with {' and '.join(missing)}; or bus.insecure: true, on a network that you trust",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
