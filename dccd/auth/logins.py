"""Credentials as they lie about: a ``nats`` context, a credentials file or the environment flows in, a URL and a
:class:`~dccd.bus.login.Login` flow out.

A context is what ``nats context`` keeps, and what ``dccd auth`` writes for each user
(https://github.com/nats-io/jsm.go/blob/main/natscontext/context.go has its fields).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from dccd.bus.login import Login, Tls
from dccd.errors import AuthError

__all__ = ["Access", "context_folder", "from_environment", "read_context", "read_credentials", "selected_context"]

_UNKNOWN = (
    "user_jwt", "user_seed", "nsc", "socks_proxy", "jetstream_domain", "jetstream_api_prefix", "tls_first",
    "windows_cert_store",
)  # fmt: skip
"""Fields of a context that change how to connect, and that we can't follow."""


class Access(msgspec.Struct, frozen=True):
    """Where the bus is, if that is said, and as whom to connect."""

    url: str | None
    login: Login


class _Context(msgspec.Struct, kw_only=True):
    url: str = ""
    token: str = ""
    user: str = ""
    password: str = ""
    creds: str = ""
    nkey: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""
    inbox_prefix: str = ""


def context_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where ``nats`` keeps its contexts: ``~/.config/nats/context``."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config")
    return home / "nats" / "context"


def selected_context(environ: Mapping[str, str] = os.environ) -> str | None:
    """The context that ``nats context select`` has chosen, if any."""
    try:
        return (context_folder(environ).parent / "context.txt").read_text().strip() or None
    except OSError:
        return None


def read_context(name: str, environ: Mapping[str, str] = os.environ) -> Access:
    """Return what the context *name*, or the file of that path, says. Raises AuthError."""
    path = Path(name) if "/" in name else context_folder(environ) / f"{name}.json"
    if "/" not in name and not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or "none"
        raise AuthError(f"there is no context {name!r}; there are: {known}")
    return _parsed(_text(path), path)


def read_credentials(name: str) -> Access:
    """Return what the file *name* says: a context, the seed of an NKEY, or a ``.creds`` file. Raises AuthError."""
    path = Path(name).expanduser()
    text = _text(path).lstrip()
    if text.startswith("{"):
        return _parsed(text, path)
    if "BEGIN NATS USER JWT" in text:
        return Access(None, Login(credentials=str(path)))
    if text.startswith("SU") and len(text.split()) == 1:
        return Access(None, Login(nkey=str(path)))
    raise AuthError(f"{path} is neither a context, nor the seed of a user's NKEY, nor a .creds file")


def from_environment(environ: Mapping[str, str] = os.environ) -> Login | None:
    """As whom the variables of the ``nats`` command say to connect; None when they say nothing."""
    names = ("NATS_USER", "NATS_PASSWORD", "NATS_CREDS", "NATS_NKEY", "NATS_CA", "NATS_CERT", "NATS_KEY")
    user, password, credentials, nkey, ca, cert, key = (environ.get(name) or None for name in names)
    tls = Tls(ca=ca, cert=cert, key=key) if ca or cert else None
    login = Login(user=user, password=password, credentials=credentials, nkey=nkey, tls=tls)
    return None if login == Login() else login


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise AuthError(f"{path} can't be read: {getattr(exc, 'strerror', None) or exc}") from exc


def _parsed(text: str, path: Path) -> Access:
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
        context = msgspec.convert(fields, _Context)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise AuthError(f"{path} is no context: {exc}") from exc
    if beyond := [name for name in _UNKNOWN if fields.get(name)]:
        raise AuthError(f"{path} has {', '.join(beyond)}, which dccd can't follow; `nats` can")
    tls = None
    if context.ca or context.cert:
        tls = Tls(ca=_path(context.ca, path), cert=_path(context.cert, path), key=_path(context.key, path))
    login = Login(
        user=context.user or None,
        password=context.password or None,
        token=context.token or None,
        credentials=_path(context.creds, path),
        nkey=_path(context.nkey, path),
        inbox_prefix=context.inbox_prefix or None,
        tls=tls,
    )
    return Access(context.url or None, login)


def _path(text: str, context: Path) -> str | None:
    """A path that a context has; None for an empty one."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "file":
        raise AuthError(f"{context}: dccd can't fetch a secret from {scheme}://; `nats` can")
    if not text:
        return None
    path = Path(rest if separator else text).expanduser()
    beside = context.parent / path.name  # where both files were carried to another machine
    return str(beside if not path.exists() and beside.exists() else path)
