"""Remotes and retention on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio


async def test_remotes_are_listed(dccd: Command, daemon: FakeDaemon) -> None:
    """With where they are, and when they were last up to date."""
    done = await dccd("remote")
    assert "s3://bucket/data" in done.out.splitlines()[1] and "2001-09-09 01:46:40" in done.out
    assert json.loads((await dccd("remote", "--json")).out)[0]["synced"] == 10**18


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["sync"], m.StorageSync()),
        (
            ["sync", "backup", "--dataset", "binance", "--adopt"],
            m.StorageSync(remotes=["backup"], dataset="binance", adopt=True),
        ),
        (["verify", "backup", "--mend"], m.StorageVerify(remotes=["backup"], mend=True)),
        (
            ["restore", "binance.trades", "--from", "backup", "--start", "2024-01-01", "--host", "beta"],
            m.StorageRestore(remote="backup", dataset="binance.trades", start="2024-01-01", host="beta"),
        ),
    ],
)
async def test_work_is_a_run(dccd: Command, daemon: FakeDaemon, words: list[str], asked: Any) -> None:
    """The request says what was meant; progress goes to stderr in files and bytes, the outcome to stdout."""
    daemon.script = [
        m.RunProgress(
            at=1, host="fake", run_id="", dataset="", position=1 << 20, start=0, end=2 << 20, fraction=0.5, rows=0,
            rate=0.0, files=1234,
        )
    ]  # fmt: skip
    done = await dccd("remote", *words)
    assert (done.code, done.out) == (0, "done\n")
    assert "50.0%, 1.0 MiB of 2.0 MiB, 1,234 files" in done.err
    assert daemon.asked(f"storage.{words[0]}") == [asked]


async def test_what_is_refused_is_told(dccd: Command, daemon: FakeDaemon) -> None:
    """With the exit code of a wrong request."""
    daemon.replies["storage.sync"] = RequestError(422, "no_remotes", "the configuration has no storage.remotes")
    done = await dccd("remote", "sync")
    assert (done.code, "the configuration has no storage.remotes" in done.err) == (2, True)


async def test_what_is_to_go_is_shown(dccd: Command, daemon: FakeDaemon) -> None:
    """And what keeps it."""
    done = await dccd("retention")
    assert done.out.splitlines()[1].split()[:5] == ["binance.trades.BTC-USDT", "2024-01-01", "1.0", "MiB", "age"]
    assert "remote backup doesn't have it yet" in done.out
    assert json.loads((await dccd("retention", "--json")).out)["purge"][0]["reason"] == "age"
