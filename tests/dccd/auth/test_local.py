"""Who this machine is on its bus."""

from __future__ import annotations

from pathlib import Path

import pytest

from dccd.auth.local import apply, auth_folder, client_login, daemon_login, own_url, server_tls
from dccd.bus.login import Login, Tls
from dccd.config import BusConfig, Config, Settings, TlsConfig
from dccd.errors import AuthError


def config(tmp_path: Path, **bus: object) -> Config:
    """A configuration of this folder."""
    return Config(settings=Settings(data_path=str(tmp_path)), bus=BusConfig(**bus))  # type: ignore[arg-type]


def test_nobody_without_users(tmp_path: Path) -> None:
    """An embedded server without users needs no login."""
    assert daemon_login(config(tmp_path)) == client_login(config(tmp_path)) == Login()


def test_the_embedded_server_s_users(tmp_path: Path) -> None:
    """The daemon is the collector, commands are the operator, else what there is; nobody of them on another server."""
    folder = auth_folder(config(tmp_path))
    folder.init("nats://x")
    assert daemon_login(config(tmp_path)).nkey == str(folder.path / "collector.nk")
    assert client_login(config(tmp_path)).nkey == str(folder.path / "operator.nk")
    folder.remove("operator")
    assert client_login(config(tmp_path)).nkey == str(folder.path / "viewer.nk")
    assert client_login(config(tmp_path, url="nats://other:4222")) == Login()
    assert client_login(config(tmp_path, url="nats://other:4222", auth=str(folder.path))).nkey is not None


def test_what_the_configuration_says(tmp_path: Path) -> None:
    """A user or a credentials file comes first, and TLS goes with it."""
    auth_folder(config(tmp_path)).init("nats://x")
    given = config(tmp_path, user="u", password="p", tls=TlsConfig(ca="ca"))
    assert daemon_login(given) == Login(user="u", password="p", tls=Tls(ca="ca"))
    (tmp_path / "me.json").write_text('{"user": "me", "password": "x"}')
    assert daemon_login(config(tmp_path, credentials=str(tmp_path / "me.json"))) == Login(user="me", password="x")
    with pytest.raises(AuthError):
        daemon_login(config(tmp_path, credentials=str(tmp_path / "absent")))


def test_where_clients_find_it(tmp_path: Path) -> None:
    """By the port that it has, or took; with TLS the scheme says so."""
    assert own_url(config(tmp_path)) == "nats://127.0.0.1:4222"
    assert own_url(config(tmp_path, host="0.0.0.0", port=5), "bus") == "tls://bus:5"
    assert own_url(config(tmp_path, url="nats://a:1")) == "nats://a:1"
    (tmp_path / ".dccd" / "nats").mkdir(parents=True)
    (tmp_path / ".dccd" / "nats" / "port").write_text("40123\n")
    assert own_url(config(tmp_path, port=0)) == "nats://127.0.0.1:40123"


def test_a_certificate_of_its_own(tmp_path: Path) -> None:
    """Only with a certificate and its key the server is encrypted."""
    assert server_tls(config(tmp_path)) is None
    assert server_tls(config(tmp_path, tls=TlsConfig(ca="ca"))) is None
    found = server_tls(config(tmp_path, tls=TlsConfig(cert="c", key="k")))
    assert found is not None and (found.cert, found.key, found.verify) == ("c", "k", False)


def test_nothing_runs(tmp_path: Path) -> None:
    """Without a server on the folder nobody takes a change."""
    assert not apply(config(tmp_path))
    (tmp_path / ".dccd" / "nats").mkdir(parents=True)
    assert not apply(config(tmp_path))
    assert not apply(config(tmp_path, url="nats://a:1"))
