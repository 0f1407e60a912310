"""What stands in ops/ and can't run here: shell scripts, systemd units and container files pass their linters."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from dccd import config
from tests.commands import needed

ROOT = Path(__file__).parent.parent
OPS = ROOT / "ops"
UNITS = sorted((OPS / "systemd").glob("*.service"))
SCRIPTS = sorted(
    path
    for path in [*OPS.iterdir(), ROOT / ".ci" / "run", OPS / "bench" / "run", *(OPS / "old").iterdir()]
    if path.is_file() and path.read_bytes().startswith(b"#!/usr/bin/env bash")
)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    """What shellcheck knows of is in none, and all of them end at the first failure."""
    done = run(needed("shellcheck"), "-x", "-P", OPS, "-P", ROOT, script)
    assert done.returncode == 0, done.stdout
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_read_by_systemd_and_locked_up(unit: Path, tmp_path: Path) -> None:
    """Every directive is one, and what they may touch is rated as little."""
    analyze = needed("systemd-analyze")
    there = tmp_path / unit.name
    # The programs aren't installed here, and that is all that may be wrong.
    there.write_text(re.sub(r"/opt/dccd/bin/\S+", "/bin/true", unit.read_text()))
    done = run(analyze, "verify", there)
    assert (done.returncode, done.stderr) == (0, "")
    rated = run(analyze, "security", "--offline=true", there).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated)
    assert level is not None
    assert float(level[1]) < 2.0


def test_a_unit_gives_the_daemon_its_time_to_end() -> None:
    """It is told by SIGTERM, alone, and isn't killed while it writes what it holds."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names are case-sensitive
    unit.read(OPS / "systemd" / "dccd.service")
    service = unit["Service"]
    assert (service["KillMode"], service.get("KillSignal", "SIGTERM")) == ("mixed", "SIGTERM")
    assert int(service["TimeoutStopSec"]) >= 60
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_image_is_built_as_it_should_be() -> None:
    """What hadolint knows of isn't in it, it runs as a user without rights, and what it copies is there."""
    dockerfile = OPS / "docker" / "Dockerfile"
    done = run(needed("hadolint"), dockerfile)
    assert done.returncode == 0, done.stdout
    text = dockerfile.read_text()
    assert re.search(r"^USER \d+$", text, re.MULTILINE)
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert copied
    assert all((ROOT / word).exists() for word in copied)
    ignored = (OPS / "docker" / "Dockerfile.dockerignore").read_text()
    assert all(f"!{word}" in ignored for word in copied)


def test_the_compose_file_is_one_and_its_configuration_starts() -> None:
    """By the schema of compose; the example configuration is valid, and keeps its data in the volume."""
    compose = OPS / "docker" / "compose.yml"
    done = run(needed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", compose)
    assert done.returncode == 0, done.stdout
    service = yaml.safe_load(compose.read_text())["services"]["dccd"]
    assert (compose.parent / service["build"]["context"] / service["build"]["dockerfile"]).exists()
    mounted = [volume.split(":")[1] for volume in service["volumes"]]
    assert mounted == ["/data", "/etc/dccd/config.yml"]
    example = config.load(OPS / "docker" / "config.yml")
    assert str(example.data_path).startswith("/data/")
    assert example.metrics.listen == "0.0.0.0:9464"
