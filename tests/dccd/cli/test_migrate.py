"""``dccd migrate``: what it asks for, what it says, and files without a daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

OLD = Path(__file__).parents[2] / "frames" / "old"


def file(path: str, action: str, **fields: object) -> m.RunFile:
    return m.RunFile(at=1, host="fake", run_id="", path=path, action=action, **fields)  # type: ignore[arg-type]  # a test


async def test_it_says_what_would_be_done(dccd: Command, daemon: FakeDaemon) -> None:
    """Each file that isn't read as it is, and how to do it."""
    daemon.script = [
        file("a.parquet", "migrate", dataset="okx.trades.BTC-USDT", to=["2024-03-01"], rows=12, new=9, same=1,
             conflicts=2, changes=["tid is text"]),
        file("b.parquet", "keep", dataset="okx.trades.BTC-USDT"),
        file("c.dat", "refuse", problem="a pickle"),
    ]  # fmt: skip
    done = await dccd("migrate", "--symbol", "XY=X/Y", "--dataset", "dump/=okx.trades.BTC-USDT")
    assert done.code == 0
    (ask,) = daemon.asked("storage.migrate")
    assert ask == m.StorageMigrate(symbols={"XY": "X/Y"}, datasets={"dump": "okx.trades.BTC-USDT"})
    _, first, second, last = done.out.splitlines()
    assert " ".join(first.split()) == "migrate a.parquet okx.trades.BTC-USDT 2024-03-01 12 9 1 2 tid is text"
    assert " ".join(second.split()) == "refuse c.dat a pickle"
    assert last == "done; nothing was changed. To do it: --apply"
    assert "both stay in the old file only" in done.err


async def test_what_is_refused_is_a_failure_when_it_was_to_be_done(dccd: Command, daemon: FakeDaemon) -> None:
    """A script notices; and all files are listed when asked for."""
    daemon.script = [file("b.parquet", "keep"), file("c.dat", "refuse", problem="a pickle")]
    done = await dccd("migrate", "--apply", "--remove-originals", "--all")
    assert done.code == 1
    assert daemon.asked("storage.migrate") == [m.StorageMigrate(dry_run=False, remove_originals=True)]
    assert "keep" in done.out and "--apply" not in done.out


async def test_json_is_the_events(dccd: Command, daemon: FakeDaemon) -> None:
    """A line each, the run's last state at the end."""
    daemon.script = [file("c.dat", "refuse", problem="a pickle")]
    done = await dccd("migrate", "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["kind"] for line in lines] == ["run.status", "run.file", "run.status"]
    assert lines[-1]["run"]["state"] == "done"


@pytest.mark.parametrize(
    "words", [["--symbol", "XY"], ["--dataset", "=x"], ["--data-path", ".", "--bus", "nats://x:1"]]
)
async def test_wrong_words(dccd: Command, words: list[str]) -> None:
    """Are refused before anything is asked."""
    assert (await dccd("migrate", *words)).code == 2


async def test_a_configuration_is_as_private_as_it_was(dccd: Command) -> None:
    """The URL of its webhook is a secret."""
    old = dccd.folder / "old.yml"
    old.write_bytes((OLD / "dccd3" / "config.yml").read_bytes())
    old.chmod(0o600)
    assert (await dccd("migrate", "config", "old.yml", "-o", "new.yml")).code == 0
    assert (dccd.folder / "new.yml").stat().st_mode & 0o777 == 0o600


async def test_a_configuration(dccd: Command, tmp_path: Path) -> None:
    """It is written, never over another, and what it lacks is named."""
    old = OLD / "dccd3" / "config.yml"
    done = await dccd("migrate", "config", str(old), "-o", "new.yml")
    assert done.code == 0
    assert "storage.remotes: nas:crypto is left out" in done.err
    assert (await dccd("validate", "new.yml")).code == 0
    assert (await dccd("migrate", "config", str(old), "-o", "new.yml")).code == 2
    assert (await dccd("migrate", "config", str(old))).out == (dccd.folder / "new.yml").read_text()
