"""Where the client looks for the bus."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd.bus.login import Login, Tls
from dccd.client import Target, find_target
from dccd.errors import AuthError, ConfigError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's configuration is seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DCCD_BUS_URL", "DCCD_CONFIG", "XDG_CONFIG_HOME", "NATS_CONTEXT", "NATS_CREDS", "NATS_USER"):
        monkeypatch.delenv(name, raising=False)


def test_without_anything_it_is_where_the_daemon_would_run_its_own() -> None:
    """The default is the embedded server's, and known to be nobody's choice."""
    assert find_target() == Target(url="nats://127.0.0.1:4222", default=True)


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DCCD_BUS_URL wins over a configuration, even over a broken one."""
    Path("config.yml").write_text("bus: {prot: 1}")
    monkeypatch.setenv("DCCD_BUS_URL", "nats://elsewhere:4222")
    assert find_target() == Target(url="nats://elsewhere:4222")


@pytest.mark.parametrize(
    ("bus", "target"),
    [
        (
            "{url: 'nats://a:4222,nats://b:4222', user: u, password: p}",
            Target(url="nats://a:4222,nats://b:4222", login=Login(user="u", password="p")),
        ),
        ("{port: 4333}", Target(url="nats://127.0.0.1:4333", default=True)),
        ("{host: 0.0.0.0}", Target(url="nats://127.0.0.1:4222", default=True)),
        ("{host: '::', credentials: a.nk}", Target(url="nats://[::1]:4222", login=Login(nkey="a.nk"), default=True)),
    ],
)
def test_the_configuration_says_where(bus: str, target: Target) -> None:
    """A URL is a choice; host and port are the daemon's own server, reached from this machine."""
    Path("a.nk").write_text("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY")
    Path("config.yml").write_text(f"bus: {bus}")
    assert find_target() == target


def test_a_free_port_is_the_one_that_the_server_noted(tmp_path: Path) -> None:
    """With port 0 the server took one, and wrote it down."""
    Path("config.yml").write_text("bus: {port: 0}\nsettings: {data_path: here}")
    (tmp_path / "here" / ".dccd" / "nats").mkdir(parents=True)
    (tmp_path / "here" / ".dccd" / "nats" / "port").write_text("40123\n")
    assert find_target().url == "nats://127.0.0.1:40123"


def test_an_error_elsewhere_in_the_configuration_is_told_beside_where_the_bus_is() -> None:
    """A daemon whose file was spoilt by an edit goes on, and is found."""
    Path("config.yml").write_text("bus: {port: 4333}\njobs: [")
    found = find_target()
    assert (found.url, found.default) == ("nats://127.0.0.1:4333", True)
    assert found.error is not None and found.error.startswith("config.yml:2:8: ")
    Path("config.yml").write_text("bus: {prot: 4333}")
    with pytest.raises(ConfigError, match=r"bus\.prot"):
        find_target()


def test_a_file_that_was_named_must_be_there() -> None:
    """A misspelt path is an error, not the default bus."""
    with pytest.raises(ConfigError, match=r"absent\.yml"):
        find_target("absent.yml")


@pytest.fixture
def context(tmp_path: Path) -> None:
    """A context that is selected, of another bus."""
    folder = tmp_path / ".config" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "far.json").write_text(
        '{"url": "nats://far:4222", "user": "u", "password": "p", "inbox_prefix": "_INBOX.x"}'
    )
    (folder.parent / "context.txt").write_text("far")


FAR = Login(user="u", password="p", inbox_prefix="_INBOX.x")


@pytest.mark.usefixtures("context")
def test_the_selected_context_counts_when_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wins over the default bus, and over neither a configuration nor a URL."""
    assert find_target() == Target(url="nats://far:4222", login=FAR)
    assert find_target(url="nats://near:4222") == Target(url="nats://near:4222")
    Path("config.yml").write_text("bus: {port: 4333}")
    assert find_target().url == "nats://127.0.0.1:4333"


@pytest.mark.usefixtures("context")
def test_a_context_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an argument or NATS_CONTEXT it wins over the configuration; a URL that is named beside it is used as it is."""
    Path("config.yml").write_text("bus: {port: 4333}")
    assert find_target(context="far") == Target(url="nats://far:4222", login=FAR)
    monkeypatch.setenv("NATS_CONTEXT", "far")
    assert find_target() == Target(url="nats://far:4222", login=FAR)
    monkeypatch.setenv("DCCD_BUS_URL", "nats://near:4222")
    assert find_target() == Target(url="nats://near:4222", login=FAR)
    with pytest.raises(AuthError, match="there are: far"):
        find_target(context="near")


def test_credentials_that_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file says who, and where if it is a context; --user goes by the rest of what is known."""
    Path("me.json").write_text('{"url": "tls://bus:4222", "user": "me", "password": "x", "ca": "/ca.pem"}')
    me = Login(user="me", password="x", tls=Tls(ca="/ca.pem"))
    assert find_target(credentials="me.json") == Target(url="tls://bus:4222", login=me)
    assert find_target(credentials="me.json", url="tls://other:1") == Target(url="tls://other:1", login=me)
    alice = Login(user="alice", password="y")
    assert find_target(user="alice", password="y", url="nats://a:1") == Target(url="nats://a:1", login=alice)
    assert find_target(user="alice", password="y") == Target(url="nats://127.0.0.1:4222", login=alice, default=True)
    monkeypatch.setenv("NATS_USER", "env")
    monkeypatch.setenv("NATS_PASSWORD", "z")
    assert find_target(url="nats://a:1").login == Login(user="env", password="z")
