"""``bus`` of the configuration."""

from __future__ import annotations

import pytest

from dccd.config import parse
from dccd.config_bus import BusConfig, TlsConfig, exposed
from dccd.errors import ConfigError

TLS = TlsConfig(cert="c", key="k")


@pytest.mark.parametrize(
    ("bus", "users", "told"),
    [
        (BusConfig(), False, ""),
        (BusConfig(host="localhost"), False, ""),
        (BusConfig(host="127.1.2.3"), False, ""),
        (BusConfig(host="::1"), False, ""),
        (BusConfig(host="0.0.0.0"), False, "dccd auth init.*dccd auth tls"),
        (BusConfig(host="::"), True, "dccd auth tls"),
        (BusConfig(host="bus.example.org", tls=TLS), False, "dccd auth init"),
        (BusConfig(host="10.0.0.1", tls=TLS), True, ""),
        (BusConfig(host="10.0.0.1", insecure=True), False, ""),
        (BusConfig(host="10.0.0.1", url="nats://a:1"), False, ""),
        (BusConfig(tls=TlsConfig(ca="ca")), True, "dccd auth tls"),
        (BusConfig(tls=TlsConfig(ca="ca"), url="tls://a:1"), False, ""),
    ],
)
def test_what_others_reach_has_users_and_tls(bus: BusConfig, users: bool, told: str) -> None:
    """Its own server on another address than loopback needs both, unless it is said that it doesn't."""
    found = exposed(bus, users)
    if not told:
        assert found is None
        return
    with pytest.raises(ConfigError, match=told):
        raise found or AssertionError("nothing was told")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tls: {cert: a}", "bus.tls.key"),
        ("tls: {key: a}", "bus.tls.cert"),
        ("tls: {cert: a, key: b, verify: true}", "bus.tls.ca"),
        ("tls: {certs: a}", "bus.tls.certs"),
        ("{credentials: a, user: b}", "bus.credentials"),
    ],
)
def test_what_does_not_go_together(text: str, path: str) -> None:
    """What can't be is told by its path."""
    with pytest.raises(ConfigError) as caught:
        parse(f"bus: {text}" if text.startswith("{") else f"bus: {{{text}}}")
    assert caught.value.path == path
