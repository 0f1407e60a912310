"""``dccd auth``: names flow in, users, credentials and certificates of the bus come of it, in files of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dccd.cli.app import DONE, App, local_options, note
from dccd.cli.group import Group
from dccd.cli.output import json_document, table

if TYPE_CHECKING:
    from dccd.auth.folder import AuthFolder
    from dccd.auth.permissions import Entry
    from dccd.config import Config

__all__ = ["auth"]

_ROLES = ["viewer", "operator", "collector"]  # that `init` makes

_dir = click.option(
    "--dir",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Instead of bus.auth, or beside the data.",
)
_contexts = click.option("--contexts", is_flag=True, help="Make a `nats` context dccd-NAME of each, too.")
_force = click.option("--force", is_flag=True, help="Write over what is there.")


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  dccd auth init                              # a collector, an operator and a viewer
  dccd auth add alice --role viewer --contexts
  dccd --creds alice.json streams             # the file that `add` has made, wherever it was copied to
  nats --context dccd-alice sub 'dccd.ticks.>'
  dccd auth rotate alice
  dccd auth tls --host bus.example.org        # certificates, for a bus that others reach

The embedded server takes a change at once, without a restart. A server of your own includes auth.conf in its
configuration, and takes it by `nats-server --signal reload`.
""",
)
@local_options
def auth() -> None:
    """Make users of the bus, their credentials, and certificates."""


@auth.command(
    epilog="""\b
Examples:
  dccd auth init
  dccd auth init --passwords
  dccd auth init --url tls://bus.example.org:4222 --contexts
"""
)
@_dir
@click.option("--url", metavar="URL", help="Where clients find the bus; of this machine by default.")
@click.option("--passwords", is_flag=True, help="Passwords (bcrypt) instead of NKEYs.")
@_contexts
@_force
@local_options
@click.pass_obj
def init(app: App, folder: Path | None, url: str | None, passwords: bool, contexts: bool, force: bool) -> int:
    """Make a collector, an operator and a viewer: from then on the bus lets in nobody else.

    A daemon that runs takes it with `dccd auth reload`, which disconnects all who have no credentials yet, or when it
    is next started.
    """
    from dccd.auth.local import own_url

    config, users = _found(app, folder)
    if contexts and not force:
        _check_contexts(_ROLES)
    made = users.init(url or own_url(config), passwords=passwords, force=force)
    _tell(app, users, made, contexts)
    note("a daemon that runs takes them with `dccd auth reload`, or when it is next started")
    return DONE


@auth.command(
    epilog="""\b
Examples:
  dccd auth add alice --role operator
  dccd auth add grafana --role viewer --password
"""
)
@click.argument("name")
@click.option(
    "--role", type=click.Choice([*_ROLES, "reader"]), default="viewer", show_default=True, help="What it may do."
)
@click.option("--password", is_flag=True, help="A password (bcrypt) instead of an NKEY.")
@_dir
@_contexts
@_force
@local_options
@click.pass_obj
def add(app: App, name: str, role: str, password: bool, folder: Path | None, contexts: bool, force: bool) -> int:
    """Add user NAME."""
    config, users = _found(app, folder)
    if contexts and not force:
        _check_contexts([name])
    made = users.add(name, role, password=password)  # type: ignore[arg-type]  # one of the choices
    _apply(app, config, users)
    _tell(app, users, [made], contexts)
    return DONE


@auth.command(
    epilog="""\b
Examples:
  dccd auth rotate alice
  dccd auth rotate --all
"""
)
@click.argument("names", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="All users, the daemon's own included.")
@_dir
@_contexts
@local_options
@click.pass_obj
def rotate(app: App, names: tuple[str, ...], everybody: bool, folder: Path | None, contexts: bool) -> int:
    """Give users NAMES new secrets; the old ones end at once."""
    if bool(names) == everybody:
        raise click.UsageError("whose? Name users, or --all")
    config, users = _found(app, folder)
    made = users.rotate(names)
    _apply(app, config, users)
    _tell(app, users, made, contexts)
    return DONE


@auth.command(
    epilog="""\b
Example:
  dccd auth remove alice
"""
)
@click.argument("name")
@_dir
@local_options
@click.pass_obj
def remove(app: App, name: str, folder: Path | None) -> int:
    """Remove user NAME; its connections end at once."""
    config, users = _found(app, folder)
    users.remove(name)
    _apply(app, config, users)
    return DONE


@auth.command(
    "list",
    epilog="""\b
Examples:
  dccd auth list
  dccd auth list --json | jq -r '.[] | select(.role == "operator") | .name'
""",
)
@_dir
@local_options
@click.pass_obj
def list_(app: App, folder: Path | None) -> int:
    """List the users."""
    _, users = _found(app, folder)
    _tell(app, users, users.users, False)
    return DONE


@auth.command(
    epilog="""\b
Example:
  dccd auth reload
"""
)
@_dir
@local_options
@click.pass_obj
def reload(app: App, folder: Path | None) -> int:
    """Write auth.conf anew, for the operations of this release, and have the embedded server take it."""
    config, users = _found(app, folder)
    users.refresh()
    _apply(app, config, users)
    return DONE


@auth.command(
    epilog="""\b
Examples:
  dccd auth tls --host bus.example.org
  dccd auth tls --host bus.example.org --host 10.0.0.7 --client collector-2
"""
)
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="How clients reach the server: names, addresses.")
@click.option(
    "--client", "clients", metavar="NAME", multiple=True, help="A certificate of a client, for bus.tls.verify."
)
@click.option(
    "--days", metavar="N", type=click.IntRange(1, 3650), default=825, show_default=True, help="How long they hold."
)
@click.option("--new-ca", is_flag=True, help="Make another CA; clients need its ca.pem before they believe it.")
@_dir
@local_options
@click.pass_obj
def tls(
    app: App, hosts: tuple[str, ...], clients: tuple[str, ...], days: int, new_ca: bool, folder: Path | None
) -> int:
    """Make a CA, and certificates of it: of the server, and of clients.

    Run it again to renew them: the CA stays.
    """
    from dccd.auth.certificates import expiry, make_ca, make_certificate
    from dccd.auth.local import own_url

    if not hosts and not clients:
        raise click.UsageError("a certificate of what? --host NAME is how clients reach the server")
    config, users = _found(app, folder)
    place = users.path / "tls"
    ca = make_ca(place, force=new_ca)
    made = [make_certificate(place, "server", hosts, days=days)] if hosts else []
    made += [make_certificate(place, client, [], days=days) for client in clients]
    if users.exists and hosts:
        users.refresh(ca.absolute(), own_url(config, hosts[0]))
    _apply(app, config, users)
    if app.json:
        json_document({"ca": str(ca), "certificates": [{"path": str(p), "expires": expiry(p)} for p in made]})
        return DONE
    table(["certificate", "expires"], ([path, f"{expiry(path):%Y-%m-%d}"] for path in [ca, *made]))
    if hosts and config.bus.tls is None:
        note(
            "for the configuration:\n"
            f"bus:\n  tls:\n    cert: {place / 'server.pem'}\n    key: {place / 'server-key.pem'}\n    ca: {ca}"
        )
    return DONE


# ---------------------------------------------------------------- what they share


def _found(app: App, folder: Path | None) -> tuple[Config, AuthFolder]:
    from dccd.auth.folder import AuthFolder
    from dccd.auth.local import auth_folder

    config = app.config()
    return config, AuthFolder(folder.absolute()) if folder else auth_folder(config)


def _apply(app: App, config: Config, users: AuthFolder) -> None:
    """Have the embedded server take a change, where these are its users."""
    from dccd.auth.local import apply, auth_folder

    if users.path != auth_folder(config).path:
        note(f"a server that includes {users.conf} takes it with `nats-server --signal reload`")
    elif apply(config):
        note("the bus has taken it")


def _check_contexts(names: list[str]) -> None:
    from dccd.auth.logins import context_folder
    from dccd.errors import AuthError

    for name in names:
        if (path := context_folder() / f"dccd-{name}.json").exists():
            raise AuthError(f"{path} is there already: --force writes over it")


def _tell(app: App, users: AuthFolder, entries: list[Entry], contexts: bool) -> None:
    """Say who has which credentials, and copy these to where `nats` looks for contexts."""
    if contexts:
        from dccd.auth.files import make_folder, write_secret
        from dccd.auth.logins import context_folder

        make_folder(context_folder())
        for user in entries:
            write_secret(context_folder() / f"dccd-{user.name}.json", users.credentials(user.name).read_text())
    rows = [(u.name, u.role, "NKEY" if u.nkey else "password", str(users.credentials(u.name))) for u in entries]
    if app.json:
        json_document([dict(zip(("name", "role", "secret", "credentials"), row, strict=True)) for row in rows])
        return
    table(["user", "role", "by", "credentials"], rows)
