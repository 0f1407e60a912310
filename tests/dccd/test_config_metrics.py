"""Where metrics are served, as the configuration says it."""

from __future__ import annotations

import pytest

from dccd.config import Config, parse
from dccd.config_metrics import address
from dccd.errors import ConfigError


@pytest.mark.parametrize(
    ("listen", "meant"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("[::1]:0", ("::1", 0)),
        ("metrics.example.org:65535", ("metrics.example.org", 65535)),
    ],
)
def test_a_host_and_a_port(listen: str, meant: tuple[str, int]) -> None:
    """Names, IPv4, and IPv6 in brackets are understood."""
    assert address(listen) == meant
    assert parse(f"metrics: {{listen: '{listen}'}}").metrics.listen == listen


@pytest.mark.parametrize("listen", ["9464", ":9464", "127.0.0.1", "127.0.0.1:65536", "::1:9464", "http://h:1", ""])
def test_what_is_no_address_is_said_to_be_none(listen: str) -> None:
    """With the field and what it may be."""
    with pytest.raises(ConfigError, match=r"metrics\.listen: .*127\.0\.0\.1:9464"):
        parse(f"metrics: {{listen: '{listen}'}}")


def test_nothing_is_served_by_default() -> None:
    """Several daemons may run on a machine, and none opens a port that nobody asked for."""
    assert Config().metrics.listen is None
