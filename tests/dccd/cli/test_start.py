"""``dccd start``: how the daemon is found and what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


async def test_the_daemon_gets_the_configuration(alone: Command) -> None:
    """The file's jobs arrive; the daemon's exit code is the command's."""
    (alone.folder / "config.yml").write_text("jobs: [{exchange: binance, pairs: [BTC/USDT], data_type: trades}]\n")
    alone.environ["STAND_IN_CODE"] = "7"
    done = await alone("start")
    assert (done.code, done.err) == (7, "")
    assert json.loads(done.out) == {"mode": "start", "screen": True, "jobs": 1}
    assert json.loads((await alone("start", "--plain")).out)["screen"] is False


async def test_the_demo_needs_no_configuration(alone: Command) -> None:
    """``--demo`` is told to the daemon, and nothing is said about a missing file."""
    (alone.folder / "config.yml").unlink()
    done = await alone("start", "--demo")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["mode"] == "demo"


async def test_a_start_without_configuration_says_so(alone: Command) -> None:
    """A daemon without jobs is allowed, but not silently."""
    (alone.folder / "config.yml").unlink()
    done = await alone("start")
    assert done.code == 0
    assert "no configuration found" in done.err


async def test_a_wrong_configuration_is_2(alone: Command) -> None:
    """The field at fault is named, and no daemon started."""
    (alone.folder / "config.yml").write_text("bus: {prot: 1}\n")
    done = await alone("start")
    assert (done.code, done.out) == (2, "")
    assert "bus.prot" in done.err


async def test_simulate_has_the_simulators_own_options(alone: Command) -> None:
    """``dccd simulate`` passes its arguments on, and its exit code back."""
    done = await alone("simulate", "--help")
    assert done.code == 0
    assert done.out.startswith("usage: dccd simulate")
    assert (await alone("simulate", "--exchange", "nonsense")).code == 2
    process = await alone.start("simulate", "--exchange", "binance")
    try:
        async with asyncio.timeout(30):
            assert process.stdout is not None
            assert list(json.loads(await process.stdout.readline())["exchanges"]) == ["binance"]
    finally:
        process.terminate()
        done = await alone.finish(process)
    assert (done.code, done.err) == (0, "")
