"""When the bus's certificate ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.certificate import Certificate, check_certificate
from dccd.auth.certificates import expiry, make_ca, make_certificate
from dccd.config import BusConfig, TlsConfig
from dccd.symbols import NS

DAY = 86_400 * NS


@pytest.mark.parametrize(
    ("days", "ok", "told"),
    [(30, True, "holds for 30 days"), (13, False, "expires in 13.0"), (-2, False, "expired 2.0")],
)
def test_it_is_told_two_weeks_before(days: int, ok: bool, told: str) -> None:
    """A certificate that ends soon, or has ended, is no good."""
    check = check_certificate(100 * DAY + days * DAY, 100 * DAY)
    assert (check.ok, told in check.detail) == (ok, True)


def test_a_renewed_one_is_seen(tmp_path: Path) -> None:
    """The file is looked at again after a while; without one there is nothing to tell, and a broken one is told."""
    make_ca(tmp_path)
    path = make_certificate(tmp_path, "server", ["a"], days=20)
    bus = BusConfig(tls=TlsConfig(cert=str(path), key="k"))
    now = int(expiry(path).timestamp()) * NS - 5 * DAY
    watch = Certificate()
    assert [check.ok for check in watch.checks(bus, now)] == [False]
    make_certificate(tmp_path, "server", ["a"], days=400)
    assert [check.ok for check in watch.checks(bus, now + NS)] == [False]
    assert [check.ok for check in watch.checks(bus, now + 61 * NS)] == [True]
    path.write_text("x")
    assert "can't be read" in watch.checks(bus, now + 200 * NS)[0].detail
    assert Certificate().checks(BusConfig(), now) == []
