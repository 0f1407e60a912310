"""The users of a bus in a folder: names flow in, secrets, the server's file and the clients' files come of it.

::

    auth/                   0700
        users.json          0600  who there is: roles, hashes of passwords, public keys; the truth
        auth.conf           0600  the same for nats-server, with permissions: made of it, anew at each start
        <name>.json         0600  a user's credentials: a ``nats`` context
        <name>.nk           0600  the secret of its NKEY, unless it has a password
        tls/                      certificates (:mod:`dccd.auth.certificates`)

Only the names that are asked for are ever changed. The server takes a change when it reads its configuration again.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dccd.auth.files import make_folder, write_secret
from dccd.auth.permissions import ROLES, Entry, Role, authorization, inbox_prefix
from dccd.errors import AuthError

__all__ = ["AuthFolder"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_COST = 11
"""Of bcrypt, as ``nats server passwd`` has it: about 0.1 s a login."""
_RESERVED = {"users", "auth"}


class _Users(msgspec.Struct, frozen=True):
    url: str
    users: list[Entry]


class AuthFolder:
    """The users in *path*, which need not be there yet. All methods raise AuthError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<AuthFolder {self.path}>"

    # ---------------------------------------------------------------- what there is

    @property
    def exists(self) -> bool:
        """Whether it has users."""
        return (self.path / "users.json").is_file()

    @property
    def conf(self) -> Path:
        """The file for the server."""
        return self.path / "auth.conf"

    @property
    def users(self) -> list[Entry]:
        """Who there is."""
        return self._read().users

    @property
    def ca(self) -> Path:
        """The certificate of its own CA, where it has made one."""
        return self.path / "tls" / "ca.pem"

    def credentials(self, name: str) -> Path:
        """The file with which user *name* connects."""
        return self.path / f"{name}.json"

    # ---------------------------------------------------------------- changes

    def init(self, url: str, *, passwords: bool = False, force: bool = False) -> list[Entry]:
        """Make a collector, an operator and a viewer of these names, who find the bus at *url*; with *force* anew,
        dropping all others.

        *passwords*: instead of NKEYs.
        """
        if self.exists and not force:
            raise AuthError(f"{self.path} has users already: --force makes them all anew; `dccd auth list` shows them")
        make_folder(self.path)
        if self.exists:
            for user in self.users:
                self._forget(user.name)
        users = [self._make(role, role, url, passwords) for role in ROLES if role != "reader"]
        self._write(_Users(url, users))
        return users

    def add(self, name: str, role: Role, *, password: bool = False) -> Entry:
        """Add user *name*."""
        known = self._read()
        if not _NAME.fullmatch(name) or name in _RESERVED:
            raise AuthError(f"{name!r} is no name for a user: letters, digits, - and _, a letter first")
        if any(user.name == name for user in known.users):
            raise AuthError(f"there is a user {name} already; `dccd auth rotate {name}` gives it a new secret")
        made = self._make(name, role, known.url, password)
        self._write(_Users(known.url, [*known.users, made]))
        return made

    def rotate(self, names: Sequence[str] = ()) -> list[Entry]:
        """Give the users *names* new secrets of the same kind; all of them when none is named."""
        known = self._read()
        for name in names:
            self._find(known, name)
        users, changed = [], []
        for user in known.users:
            if not names or user.name in names:
                user = self._make(user.name, user.role, known.url, user.nkey is None)
                changed.append(user)
            users.append(user)
        self._write(_Users(known.url, users))
        return changed

    def remove(self, name: str) -> None:
        """Remove user *name*; the last collector stays, since daemons couldn't connect without one."""
        known = self._read()
        gone = self._find(known, name)
        left = [user for user in known.users if user is not gone]
        if gone.role == "collector" and all(user.role != "collector" for user in left):
            raise AuthError(f"{name} is the last collector: without one no daemon could connect")
        self._write(_Users(known.url, left))
        self._forget(name)

    def refresh(self, ca: Path | None = None, url: str | None = None) -> None:
        """Write what follows from the users again: permissions of this release, and *ca* and *url* in the credentials.

        A credentials file that is gone, since it was carried elsewhere, isn't made again.
        """
        known = self._read()
        if ca is not None or url is not None:
            known = _Users(url or known.url, known.users)
            for user in known.users:
                path = self.credentials(user.name)
                if path.exists():
                    fields = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
                    fields |= {"url": known.url} | ({"ca": str(ca)} if ca else {})
                    write_secret(path, _pretty(fields))
        self._write(known)

    # ---------------------------------------------------------------- details

    def _read(self) -> _Users:
        try:
            return msgspec.json.decode((self.path / "users.json").read_bytes(), type=_Users)
        except FileNotFoundError as exc:
            raise AuthError(f"{self.path} has no users yet: `dccd auth init` makes them") from exc
        except (OSError, msgspec.DecodeError) as exc:
            raise AuthError(f"{self.path / 'users.json'} can't be read: {exc}{self._hint()}") from exc

    def _hint(self) -> str:
        """Who has a role that there isn't, as of another release."""
        try:
            users = msgspec.json.decode((self.path / "users.json").read_bytes())["users"]
            odd = [f"{user['name']} is a {user['role']}" for user in users if user["role"] not in ROLES]
        except (OSError, ValueError, TypeError, LookupError):
            return ""
        return f": {', '.join(odd)}; the roles are {', '.join(ROLES)}" if odd else ""

    def _write(self, users: _Users) -> None:
        """The users, and what the server is told of them: nothing where that is so already, as on a full disk."""
        for path, text in (
            (self.path / "users.json", _pretty(users)),
            (self.conf, _HEAD + authorization(users.users)),
        ):
            if not path.exists() or path.read_text() != text:
                write_secret(path, text)

    def _make(self, name: str, role: Role, url: str, password: bool) -> Entry:
        """Make a secret and the credentials file that has it."""
        context = {"description": f"dccd, as {role}", "url": url, "inbox_prefix": inbox_prefix(role)}
        if self.ca.exists():
            context["ca"] = str(self.ca.absolute())
        if password:
            import bcrypt  # here, not above: most commands need no secret

            secret = secrets.token_urlsafe(24)
            context |= {"user": name, "password": secret}
            entry = Entry(name=name, role=role, password=bcrypt.hashpw(secret.encode(), bcrypt.gensalt(_COST)).decode())
        else:
            import nkeys

            pair = nkeys.from_seed(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER))
            seed = self.path / f"{name}.nk"
            write_secret(seed, pair.seed.decode() + "\n")
            context["nkey"] = str(seed.absolute())
            entry = Entry(name=name, role=role, nkey=pair.public_key.decode())
        write_secret(self.credentials(name), _pretty(context))
        return entry

    def _find(self, known: _Users, name: str) -> Entry:
        for user in known.users:
            if user.name == name:
                return user
        raise AuthError(f"there is no user {name!r}; there are: {', '.join(user.name for user in known.users)}")

    def _forget(self, name: str) -> None:
        for path in (self.credentials(name), self.path / f"{name}.nk"):
            path.unlink(missing_ok=True)


_HEAD = """\
# Who may do what on the bus of dccd. Made by dccd of users.json and its operations: change it by `dccd auth`.
# A server of your own includes it:  include auth.conf
"""


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
