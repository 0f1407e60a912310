"""Who a connection is, and how it is encrypted: names, secrets and paths flow in, nats-py's options flow out."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import msgspec

from dccd.errors import BusRefused

__all__ = ["Login", "Tls", "options"]


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of PEM files: the ``ca`` whose servers are believed (None: those of the system), and the certificate and
    key that a server gets to see which asks for one."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """As whom to connect: by password, ``token``, a ``.creds`` file or an NKEY's seed file (``nkey``); else as nobody.

    ``inbox_prefix`` is what this user's replies may come to; None finds it out of those that dccd's roles have.
    """

    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials: str | None = None
    nkey: str | None = None
    inbox_prefix: str | None = None
    tls: Tls | None = None

    def __repr__(self) -> str:
        who = self.credentials or self.nkey or self.user or ("a token" if self.token else "nobody")
        return f"<Login {who}>"


def options(login: Login, encrypted: bool) -> dict[str, Any]:
    """What ``Client.connect`` is given for *login*; *encrypted*: the URL says so.

    Raises BusRefused for a file that can't be read or isn't what it should be.
    """
    for path in (login.credentials, login.nkey):
        if path is not None:
            _check(path)
    given = {
        "user": login.user,
        # nats-py sends neither without the other.
        "password": "" if login.user is not None and login.password is None else login.password,
        "token": login.token,
        "user_credentials": login.credentials,
        "nkeys_seed": login.nkey,
        "tls": _context(login.tls or Tls()) if login.tls is not None or encrypted else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _check(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as exc:
        raise BusRefused(f"credentials {path} can't be read: {exc.strerror}") from exc


def _context(tls: Tls) -> ssl.SSLContext:
    path = tls.ca
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            path = tls.cert
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as exc:
        raise BusRefused(f"TLS: {path} can't be used: {exc.strerror or exc}") from exc
    return context
