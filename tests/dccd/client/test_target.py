"""Where the client looks for the bus."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd.bus.login import Login
from dccd.client import Target, find_target
from dccd.errors import ConfigError


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


def test_a_file_that_was_named_must_be_there() -> None:
    """A misspelt path is an error, not the default bus."""
    with pytest.raises(ConfigError, match=r"absent\.yml"):
        find_target("absent.yml")
