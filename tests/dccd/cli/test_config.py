"""`dccd config` and the changes of `dccd jobs`: what goes to the daemon, and what people see of what it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dccd import messages as m
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

NEW = "jobs: [{exchange: kraken, pairs: [BTC/USD], data_type: trades}]\n"
DONE = m.ConfigApplied(
    host="fake", revision="r2", saved="file",
    started=["kraken.trades.BTC-USD"], stopped=["binance.trades.BTC-USDT"], failed={"kraken.ohlc.X-USD.1m": "no such"},
    jobs_added=["stream.kraken.trades.BTC-USD", "backfill.kraken.ohlc.BTC-USD.1h"],
    jobs_removed=["stream.binance.trades.BTC-USDT"],
    applied=["alerts.free_space"], restart_required=["bus.port"], warnings=["mind that"],
)  # fmt: skip


@pytest.fixture
def new(dccd: Command) -> Path:
    path = dccd.folder / "new.yml"
    path.write_text(NEW)
    return path


async def test_get_prints_the_text_that_can_be_put_again(dccd: Command) -> None:
    """YAML on standard output, all else on standard error; everything with --json."""
    done = await dccd("config", "get")
    assert (done.code, done.out) == (0, "jobs: []  # none yet\n")
    assert "revision r1, in /etc/dccd.yml" in done.err
    assert json.loads((await dccd("config", "get", "--json")).out)["config"] == {"jobs": []}


async def test_put_tells_what_it_did(dccd: Command, daemon: FakeDaemon, new: Path) -> None:
    """A line for each stream, job and setting, once; exit code 1 when a stream could not be started."""
    daemon.replies["config.put"] = DONE
    done = await dccd("config", "put", str(new))
    assert daemon.asked("config.put") == [m.ConfigPut(revision="r1", yaml=NEW)]
    assert done.out.splitlines() == [
        "stream.kraken.trades.BTC-USD: started",
        "stream.binance.trades.BTC-USDT: stopped",
        "backfill.kraken.ohlc.BTC-USD.1h: added",
        "alerts.free_space: taken over",
        "bus.port: in force after a restart of the daemon",
        "stream.kraken.ohlc.X-USD.1m: not started: no such",
    ]
    assert "warning: mind that" in done.err
    assert "saved in the file, revision r2" in done.err
    assert done.code == 1


async def test_what_get_has_printed_as_json_is_put_with_its_revision(dccd: Command, daemon: FakeDaemon) -> None:
    """So that `dccd config get --json | jq … | dccd config put` loses nobody's change; --revision wins over it."""
    reply = dccd.folder / "reply.json"
    reply.write_text(json.dumps({"revision": "r7", "config": {"jobs": []}, "host": "fake"}))
    assert (await dccd("config", "put", "reply.json", "--dry-run")).code == 0
    assert (await dccd("config", "put", "reply.json", "--revision", "r9", "--json")).code == 0
    assert daemon.asked("config.put") == [
        m.ConfigPut(revision="r7", config={"jobs": []}, dry_run=True),
        m.ConfigPut(revision="r9", config={"jobs": []}),
    ]


async def test_a_refusal_says_where_and_what_is_allowed(dccd: Command, daemon: FakeDaemon, new: Path) -> None:
    """Exit code 2 for what is wrong with it, 1 for a lost update."""
    daemon.replies["config.put"] = RequestError(
        422, "bad_config", "jobs[0].span: found nothing; allowed: …", "jobs[0].span"
    )
    done = await dccd("config", "put", str(new))
    assert (done.code, "jobs[0].span: found nothing" in done.err) == (2, True)
    daemon.replies["config.put"] = RequestError(409, "conflict", "changed meanwhile", "revision")
    assert (await dccd("config", "put", str(new))).code == 1


async def test_diff_says_what_differs_and_what_it_would_do(dccd: Command, daemon: FakeDaemon, new: Path) -> None:
    """Exit code 1 when something does, 0 for the same text, as diff's own."""
    done = await dccd("config", "diff", str(new))
    assert done.code == 1
    assert "-jobs: []  # none yet" in done.out
    assert f"+{NEW.strip()}" in done.out
    assert all(ask.dry_run for ask in daemon.asked("config.put"))
    same = dccd.folder / "same.yml"
    same.write_text("jobs: []  # none yet\n")
    done = await dccd("config", "diff", "same.yml")
    assert (done.code, done.out) == (0, "nothing to do\n")


@pytest.fixture
def editor(dccd: Command) -> Path:
    """An editor that writes NEW."""
    path = dccd.folder / "editor"
    path.write_text(f"#!/bin/sh\nprintf '%s' '{NEW}' > \"$1\"\n")
    path.chmod(0o755)
    dccd.environ["EDITOR"] = str(path)
    return path


def taken(path: Path) -> str:
    """The text in *path*, which is gone then."""
    text = path.read_text()
    path.unlink()
    return text


async def test_edit_puts_what_the_editor_has_written(dccd: Command, daemon: FakeDaemon, editor: Path) -> None:
    """With the revision of what was edited: what somebody else has put meanwhile is refused, and nothing is lost."""
    done = await dccd("config", "edit")
    assert done.code == 0, done.err
    assert daemon.asked("config.put") == [m.ConfigPut(revision="r1", yaml=NEW.strip() + "\n")]
    daemon.replies["config.put"] = RequestError(409, "conflict", "changed meanwhile", "revision")
    done = await dccd("config", "edit")
    assert done.code == 1
    assert taken(Path(done.err.partition("what you have written is in ")[2].split()[0])) == NEW


async def test_an_editor_that_changes_nothing_or_fails_puts_nothing(dccd: Command, daemon: FakeDaemon) -> None:
    """Neither is a change."""
    dccd.environ["EDITOR"] = "true"
    assert "nothing changed" in (await dccd("config", "edit")).err
    dccd.environ["EDITOR"] = "false"
    done = await dccd("config", "edit")
    assert (done.code, "exit code 1" in done.err) == (1, True)
    del dccd.environ["EDITOR"]
    assert daemon.asked("config.put") == []


async def test_jobs_are_created_by_options(dccd: Command, daemon: FakeDaemon) -> None:
    """--every and --cron say the trigger, too."""
    done = await dccd("jobs", "create", "kraken", "BTC/USD", "ETH/USD", "--type", "ohlc", "--span", "1h",
                      "--operation", "backfill", "--every", "1h", "--start", "origin")  # fmt: skip
    assert done.out.splitlines() == [
        "backfill.kraken.ohlc.BTC-USD.1h: added",
        "backfill.kraken.ohlc.ETH-USD.1h: added",
    ]
    assert daemon.asked("jobs.create") == [
        m.JobCreate(
            exchange="kraken", pairs=["BTC/USD", "ETH/USD"], data_type="ohlc", span="1h", operation="backfill",
            trigger_kind="interval", every="1h", start="origin",
        )
    ]  # fmt: skip


async def test_jobs_are_changed_and_deleted_by_name(dccd: Command, daemon: FakeDaemon) -> None:
    """Another trigger takes the place of the one before; what isn't named isn't sent."""
    name = "backfill.kraken.ohlc.BTC-USD.1h"
    await dccd("jobs", "update", name, "--cron", "5 * * * *")
    await dccd("jobs", "update", name, "--unset", "start", "--jitter", "5m")
    await dccd("jobs", "delete", name)
    assert daemon.asked("jobs.update") == [
        m.JobUpdate(name=name, trigger_kind="cron", cron="5 * * * *", every=None),
        m.JobUpdate(name=name, start=None, jitter="5m"),
    ]
    assert daemon.asked("jobs.delete") == [m.JobDelete(name=name)]
    assert (await dccd("jobs", "update", name)).code == 2
    daemon.replies["jobs.delete"] = RequestError(404, "no_job", f"there is no job {name}", "name")
    assert (await dccd("jobs", "delete", name)).code == 3
