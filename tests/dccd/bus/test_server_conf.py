"""The file that an embedded server is started with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dccd.bus.server import CONF, find_binary
from dccd.bus.server_conf import ServerTls, reload, server_conf, write_server_conf
from dccd.errors import BusError


def test_the_server_understands_it(tmp_path: Path) -> None:
    """Whatever is in a path: what is included is found, and the server takes the example of users, too."""
    folder = tmp_path / 'a "b" ü'
    folder.mkdir()
    path = write_server_conf(folder, [CONF, CONF.with_name("auth.conf")])
    env = {
        "DCCD_NATS_HOST": '"127.0.0.1"', "DCCD_NATS_PORT": "-1", "DCCD_NATS_NAME": '"a"', "DCCD_NATS_CLUSTER": "{}",
        "DCCD_NATS_STORE": '"/tmp/x"',
    }  # fmt: skip
    told = subprocess.run([find_binary(), "-t", "-c", path], env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_tls(tmp_path: Path) -> None:
    """Paths are absolute, since the server starts elsewhere."""
    text = server_conf(tmp_path, [], ServerTls(cert="c.pem", key="k.pem", ca="ca.pem", verify=True))
    for line in (f'cert_file: "{Path("c.pem").absolute()}"', f'ca_file: "{Path("ca.pem").absolute()}"', "verify: true"):
        assert line in text


def test_it_is_written_when_it_changes(tmp_path: Path) -> None:
    """On a full disk a server can start as it did before; where nothing can be written that is told."""
    path = write_server_conf(tmp_path, [CONF])
    before = path.stat().st_mtime_ns
    assert write_server_conf(tmp_path, [CONF]) == path
    assert path.stat().st_mtime_ns == before
    with pytest.raises(BusError, match="can't be written"):
        write_server_conf(tmp_path / "absent", [CONF])


def test_nobody_to_tell(tmp_path: Path) -> None:
    """Where no server runs, or another process has its pid, nobody gets a signal."""
    assert not reload(tmp_path)
    (tmp_path / "nats-server.pid").write_text("1")
    assert not reload(tmp_path)
