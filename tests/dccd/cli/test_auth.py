"""Users and certificates on the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


async def test_users_from_the_first_to_the_last(dccd: Command, tmp_path: Path) -> None:
    """Made, listed, added, given new secrets and removed; never over what is there, never on standard output."""
    done = await dccd("auth", "init", "--dir", "auth")
    assert (done.code, [line.split()[0] for line in done.out.splitlines()]) == (
        0, ["user", "collector", "operator", "viewer"],
    )  # fmt: skip
    again = await dccd("auth", "init", "--dir", "auth")
    assert (again.code, "--force" in again.err) == (2, True)
    added = await dccd("auth", "add", "alice", "--password", "--role", "operator", "--dir", "auth", "--json")
    entry = json.loads(added.out)[0]
    assert (entry["name"], entry["role"], entry["secret"]) == ("alice", "operator", "password")
    secret = _password(entry)
    assert secret not in done.out + done.err + added.out + added.err
    assert (await dccd("auth", "rotate", "alice", "--dir", "auth")).code == 0
    assert _password(entry) != secret
    assert (await dccd("auth", "rotate", "--dir", "auth")).code == 2
    assert (await dccd("auth", "remove", "alice", "--dir", "auth")).code == 0
    listed = json.loads((await dccd("auth", "list", "--dir", "auth", "--json")).out)
    assert [user["name"] for user in listed] == ["collector", "operator", "viewer"]
    assert (await dccd("auth", "remove", "collector", "--dir", "auth")).code == 2


def _password(entry: dict[str, str]) -> str:
    found: str = json.loads(Path(entry["credentials"]).read_text())["password"]
    return found


async def test_contexts_are_never_written_over(dccd: Command, tmp_path: Path) -> None:
    """A context of that name that is there already is left alone, and nothing else is made, but by force."""
    dccd.environ["XDG_CONFIG_HOME"] = str(tmp_path / "home")
    folder = tmp_path / "home" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "dccd-viewer.json").write_text("{}")
    done = await dccd("auth", "init", "--contexts", "--dir", "auth")
    assert (done.code, "dccd-viewer.json" in done.err) == (2, True)
    assert list(folder.iterdir()) == [folder / "dccd-viewer.json"]
    assert (await dccd("auth", "init", "--contexts", "--force", "--url", "nats://bus:4", "--dir", "auth")).code == 0
    made = json.loads((folder / "dccd-viewer.json").read_text())
    assert (made["url"], made["inbox_prefix"]) == ("nats://bus:4", "_INBOX.viewer")
    assert stat.S_IMODE((folder / "dccd-collector.json").stat().st_mode) == 0o600


async def test_certificates_in_one_command(dccd: Command) -> None:
    """A CA and a server's certificate, the lines for the configuration; the second time the CA stays."""
    done = await dccd("auth", "tls", "--host", "bus.example.org", "--client", "alice", "--dir", "auth")
    assert done.code == 0
    assert [Path(line.split()[0]).name for line in done.out.splitlines()[1:]] == ["ca.pem", "server.pem", "alice.pem"]
    assert "cert: " in done.err and "server-key.pem" in done.err
    told = json.loads((await dccd("auth", "tls", "--host", "a", "--dir", "auth", "--days", "30", "--json")).out)
    assert len(told["certificates"]) == 1
    assert (await dccd("auth", "tls", "--dir", "auth")).code == 2


async def test_a_user_without_a_password(dccd: Command) -> None:
    """A password is never taken from the command line: it is asked for, or in the environment."""
    done = await dccd("--user", "alice", "--bus", "nats://127.0.0.1:1", "health")
    assert (done.code, "NATS_PASSWORD" in done.err) == (2, True)
