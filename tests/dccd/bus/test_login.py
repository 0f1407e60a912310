"""As whom a connection logs in, as nats-py is told it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from dccd.bus.login import Login, Tls, options
from dccd.errors import BusRefused


def test_nobody() -> None:
    """Without a login nothing is said; an encrypted URL believes the system's CAs."""
    assert options(Login(), encrypted=False) == {}
    context = options(Login(), encrypted=True)["tls"]
    assert isinstance(context, ssl.SSLContext) and context.check_hostname


def test_a_user_without_a_password() -> None:
    """It is sent all the same: the server's refusal says more than its silence."""
    assert options(Login(user="u"), encrypted=False) == {"user": "u", "password": ""}


@pytest.mark.parametrize(
    "login",
    [Login(nkey="absent"), Login(credentials="absent"), Login(tls=Tls(ca="absent")), Login(tls=Tls(cert="absent"))],
)
def test_files_that_are_not_there(login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be read is named at once."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BusRefused, match="absent"):
        options(login, encrypted=False)


def test_secrets_are_not_shown() -> None:
    """What is logged of a login is who it is, never a secret."""
    for login in (Login(user="u", password="p4ss"), Login(token="p4ss")):
        assert "p4ss" not in repr(login)
