"""Who this machine is on its bus: a configuration flows in, the folder of users and a login flow out."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dccd.auth.folder import AuthFolder
from dccd.auth.logins import read_credentials
from dccd.bus.folder import ServerFolder
from dccd.bus.login import Login, Tls
from dccd.bus.server import CONF
from dccd.bus.server_conf import ServerTls, reload, write_server_conf
from dccd.config import Config
from dccd.errors import AuthError

__all__ = ["apply", "auth_folder", "client_login", "daemon_login", "own_url", "server_tls"]


def auth_folder(config: Config) -> AuthFolder:
    """Where the users of the embedded server are: ``bus.auth``, else beside the data."""
    given = config.bus.auth
    return AuthFolder(Path(given).expanduser().absolute() if given else config.data_path / ".dccd" / "auth")


def server_tls(config: Config) -> ServerTls | None:
    """The certificate of the embedded server, if it has one."""
    tls = config.bus.tls
    if tls is None or tls.cert is None or tls.key is None:
        return None
    return ServerTls(cert=tls.cert, key=tls.key, ca=tls.ca, verify=tls.verify)


def daemon_login(config: Config) -> Login:
    """As whom a daemon connects: as the configuration says, else as the collector of the embedded server's users.

    Raises AuthError.
    """
    return _login(config, ("collector",))


def client_login(config: Config) -> Login:
    """The same of a command: as operator where this account may, else as viewer. Raises AuthError."""
    return _login(config, ("operator", "viewer", "collector"))


def _login(config: Config, roles: tuple[str, ...]) -> Login:
    bus = config.bus
    tls = None if bus.tls is None else Tls(ca=bus.tls.ca, cert=bus.tls.cert, key=bus.tls.key)
    login = Login(user=bus.user, password=bus.password)
    if bus.credentials is not None:
        login = read_credentials(bus.credentials).login
    elif bus.user is None and (bus.url is None or bus.auth is not None):
        login = _of_folder(auth_folder(config), roles)
    return msgspec.structs.replace(login, tls=tls or login.tls)


def _of_folder(folder: AuthFolder, roles: tuple[str, ...]) -> Login:
    """The first of *roles* that has a user there whose credentials can be read; nobody where there are no users."""
    try:
        if not folder.exists:
            return Login()
        users = folder.users
    except (OSError, AuthError):
        return Login()  # not this account's: the bus will say that it wants to know who asks
    for role in roles:
        for user in users:
            if user.role == role and folder.credentials(user.name).exists():
                return read_credentials(str(folder.credentials(user.name))).login
    return Login()


def own_url(config: Config, host: str | None = None) -> str:
    """Where clients find the bus of *config*, whose machine they know as *host*."""
    bus = config.bus
    if bus.url is not None:
        return bus.url
    listens = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bus.host, bus.host)
    port = bus.port or ServerFolder(config.data_path / ".dccd" / "nats").port or 4222
    return f"{'nats' if bus.tls is None and host is None else 'tls'}://{host or listens}:{port}"


def apply(config: Config) -> bool:
    """Have the embedded server of *config* take its users and certificates as they are now; returns whether one runs.

    Who is no user any more is disconnected, and the others notice nothing. Raises BusError.
    """
    folder, users = config.data_path / ".dccd" / "nats", auth_folder(config)
    if config.bus.url is not None or not folder.is_dir():
        return False
    includes = [CONF] + ([users.conf] if users.conf.exists() else [])
    write_server_conf(folder, includes, server_tls(config))
    return reload(folder)
