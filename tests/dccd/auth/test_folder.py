"""Users and their files."""

from __future__ import annotations

import stat
from pathlib import Path

import bcrypt
import nkeys
import pytest

from dccd.auth.folder import AuthFolder
from dccd.auth.logins import read_credentials
from dccd.errors import AuthError


@pytest.fixture
def folder(tmp_path: Path) -> AuthFolder:
    """A folder with the three users."""
    folder = AuthFolder(tmp_path / "auth")
    folder.init("nats://127.0.0.1:4222")
    return folder


def test_secrets_are_for_their_owner_only(folder: AuthFolder) -> None:
    """No file of the folder can be read by others, nor the folder be looked into."""
    folder.add("alice", "viewer", password=True)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}


def test_the_server_learns_no_secret(folder: AuthFolder) -> None:
    """Its file has hashes and public keys; they are of the secrets in the credentials."""
    folder.add("alice", "operator", password=True)
    alice = read_credentials(str(folder.credentials("alice"))).login
    told = folder.conf.read_text()
    entries = {user.name: user for user in folder.users}
    assert alice.password is not None and alice.password not in told
    assert bcrypt.checkpw(alice.password.encode(), (entries["alice"].password or "").encode())
    seed = (folder.path / "viewer.nk").read_bytes().strip()
    assert seed.decode() not in told
    assert nkeys.from_seed(bytearray(seed)).public_key.decode() == entries["viewer"].nkey


def test_nothing_is_written_over(folder: AuthFolder) -> None:
    """A second init is refused; with force, the users are new ones and others are gone."""
    folder.add("alice", "viewer")
    before = folder.users
    with pytest.raises(AuthError, match="--force"):
        folder.init("nats://x")
    assert folder.users == before
    folder.init("nats://x", force=True)
    assert [user.name for user in folder.users] == ["collector", "operator", "viewer"]
    assert not {user.nkey for user in folder.users} & {user.nkey for user in before}
    assert not folder.credentials("alice").exists()


def test_rotating(folder: AuthFolder) -> None:
    """Who is named has a new secret of the same kind, the others the old one."""
    folder.add("alice", "viewer", password=True)
    before = {user.name: user for user in folder.users}
    assert [user.name for user in folder.rotate(["alice"])] == ["alice"]
    after = {user.name: user for user in folder.users}
    assert after["alice"].password not in (None, before["alice"].password)
    assert {name: user for name, user in after.items() if name != "alice"} == {
        name: user for name, user in before.items() if name != "alice"
    }
    assert len(folder.rotate()) == 4
    with pytest.raises(AuthError, match="no user 'bob'"):
        folder.rotate(["bob"])


def test_removing(folder: AuthFolder) -> None:
    """Who is removed has no credentials any more; the last collector stays."""
    folder.remove("viewer")
    assert [user.name for user in folder.users] == ["collector", "operator"]
    assert not folder.credentials("viewer").exists()
    assert "viewer" not in folder.conf.read_text()
    with pytest.raises(AuthError, match="last collector"):
        folder.remove("collector")


@pytest.mark.parametrize("name", ["", "a b", "../x", "users", "1a", "x" * 33, 'a"', "ü"])
def test_names_that_are_none(folder: AuthFolder, name: str) -> None:
    """A name is part of file names and of the server's configuration, so it is plain."""
    with pytest.raises(AuthError, match="no name"):
        folder.add(name, "viewer")


def test_nobody_twice(folder: AuthFolder) -> None:
    """A name is one user's."""
    with pytest.raises(AuthError, match="already"):
        folder.add("viewer", "operator")


def test_a_role_of_another_release(tmp_path: Path) -> None:
    """A user of a role that there isn't is named, and so are the roles that there are."""
    folder = AuthFolder(tmp_path)
    (tmp_path / "users.json").write_text('{"url": "x", "users": [{"name": "bob", "role": "listener", "nkey": "U"}]}')
    with pytest.raises(AuthError, match="bob is a listener; the roles are collector, operator, viewer, reader"):
        _ = folder.users


def test_without_users(tmp_path: Path) -> None:
    """Whoever asks of none is told how to make some."""
    with pytest.raises(AuthError, match="dccd auth init"):
        _ = AuthFolder(tmp_path).users


def test_refreshing(folder: AuthFolder, tmp_path: Path) -> None:
    """Credentials learn of another URL and CA; what is as it should be isn't written again."""
    folder.refresh(tmp_path / "ca.pem", "tls://bus:4222")
    access = read_credentials(str(folder.credentials("viewer")))
    assert access.url == "tls://bus:4222"
    assert access.login.tls is not None and access.login.tls.ca == str(tmp_path / "ca.pem")
    before = folder.conf.stat().st_mtime_ns, folder.conf.stat().st_ino
    folder.refresh()
    assert (folder.conf.stat().st_mtime_ns, folder.conf.stat().st_ino) == before
    folder.conf.write_text("authorization {}")
    folder.refresh()
    assert "dccd.health" in folder.conf.read_text()
