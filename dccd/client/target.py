"""Where the bus is, and as whom to speak to it: what was asked for, the environment, ``nats`` contexts and the
configuration flow in, a :class:`Target` flows out."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from dccd.bus.folder import ServerFolder
from dccd.bus.login import Login

__all__ = ["Target", "find_target", "noted_port"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Which bus, as whom. ``default``: nobody asked for it, it is where ``dccd start`` would run its own. ``error`` is
    what is wrong with the configuration that said so, elsewhere in it."""

    url: str
    login: Login = Login()
    default: bool = False
    error: str | None = None


def find_target(
    config_file: str | os.PathLike[str] | None = None,
    *,
    url: str | None = None,
    context: str | None = None,
    credentials: str | None = None,
    user: str | None = None,
    password: str | None = None,
) -> Target:
    """Return the bus to use.

    Where: *url*, ``DCCD_BUS_URL``, that of the ``nats`` context *context* (or ``NATS_CONTEXT``), of the file
    *credentials*, what the configuration says, found as ``dccd start`` finds it, and without one the selected context.
    As whom: *credentials*, *user*, the context, and ``NATS_CREDS NATS_NKEY NATS_USER NATS_PASSWORD NATS_CA NATS_CERT
    NATS_KEY``; where the configuration says where, as it says, too, whatever else is wrong with it. Raises ConfigError,
    AuthError.
    """
    from dccd.auth import logins

    env = logins.from_environment()
    told: Target | None = None
    context = context or os.environ.get("NATS_CONTEXT")
    if context:
        access = logins.read_context(context)
        told = Target(url=access.url or "nats://127.0.0.1:4222", login=_merged(access.login, env))
    if credentials:
        access = logins.read_credentials(credentials)
        there = access.url or (told.url if told else "")
        told = Target(url=there, login=_with_tls(access.login, env, told.login if told else None))
    if user:
        base = told or Target(url="")
        given = Login(user=user, password=password, inbox_prefix=base.login.inbox_prefix)
        told = Target(url=base.url, login=_with_tls(given, env, base.login))
    login = told.login if told else env
    if url := url or os.environ.get("DCCD_BUS_URL") or (told.url if told else None):
        return Target(url=url, login=login or Login())
    found = _configured(config_file)
    if found is None:
        if selected := logins.selected_context():
            access = logins.read_context(selected)
            return Target(url=access.url or "nats://127.0.0.1:4222", login=login or access.login)
        found = _of_config(None)
    return found if login is None else msgspec.structs.replace(found, login=_with_tls(login, None, found.login))


def _configured(config_file: str | os.PathLike[str] | None) -> Target | None:
    from dccd import config as configuration  # reads YAML, knows the exchanges: only who needs it pays for that

    path = configuration.find(config_file)
    return None if path is None else _of_config(path)


def _of_config(path: Path | None) -> Target:
    from dccd.auth.local import client_login, own_url
    from dccd.config_broken import load_for_bus

    config, error = load_for_bus(path)
    told = None if error is None else str(error) if error.path.startswith(str(path)) else f"{path}: {error}"
    return Target(
        url=own_url(config),
        login=client_login(config),
        default=config.bus.url is None,
        error=told,
    )


def _merged(base: Login, over: Login | None) -> Login:
    """*base* with what *over* says instead: who somebody is comes from one of them as a whole."""
    if over is None:
        return base
    if over.credentials or over.nkey or over.user or over.password:
        over = msgspec.structs.replace(over, inbox_prefix=base.inbox_prefix)
        return _with_tls(over, None, base)
    return msgspec.structs.replace(base, tls=over.tls or base.tls)


def _with_tls(login: Login, *others: Login | None) -> Login:
    """*login*, with the first TLS that there is."""
    return msgspec.structs.replace(
        login, tls=next((one.tls for one in (login, *others) if one is not None and one.tls is not None), None)
    )


def noted_port(data_path: Path) -> int | None:
    """The free port that the embedded server of *data_path* last took, as it noted for its next start."""
    return ServerFolder(data_path / ".dccd" / "nats").port
