"""``dccd runs`` and ``dccd logs``: what people see, what scripts get, and how they end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.auth.folder import AuthFolder
from dccd.auth.logins import read_credentials
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from dccd.client.fake import FakeDaemon
from dccd.runs import LogLine, Run

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

DAY = 1_704_067_200_000_000_000
HOUR = 3_600_000_000_000


def as_json(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


async def test_runs_are_a_table_newest_first(dccd: Command, daemon: FakeDaemon) -> None:
    """A run's line has its state, range, rows and what went wrong."""
    old = daemon.new_run("binance.ohlc.BTC-USDT.1m", state="failed", rows=12_345, error="down", finished=DAY + HOUR)
    new = daemon.new_run("kraken.ohlc.ETH-USD.1h", state="done", position=DAY, finished=DAY + 2_000_000_000)
    done = await dccd("runs", "--limit", "5", "--dataset", "kraken.ohlc.ETH-USD.1h", "--state", "done")
    lines = [text.split() for text in done.out.splitlines()[1:]]
    assert [text[0] for text in lines] == [new.run_id, old.run_id]
    first = "done kraken.ohlc.ETH-USD.1h 2024-01-01 00:00:00 2023-12-31 00:00:00 … 2024-01-01 00:00:00 100% 0 2.0s"
    assert " ".join(lines[0][1:]) == first
    assert lines[1][-4:] == ["12,345", "1h", "00m", "down"]
    assert daemon.asked("runs.list") == [m.RunsList(limit=5, dataset="kraken.ohlc.ETH-USD.1h", state=["done"])]
    done = await dccd("runs", "--json")
    assert json.loads(done.out) == as_json([new, old])


async def test_one_run_is_shown_whole(dccd: Command, daemon: FakeDaemon) -> None:
    """``dccd runs ID`` tells all that is known; an unknown id is exit code 3."""
    lines = [LogLine(DAY + number, "warning", f"line {number}") for number in range(9)]
    run = daemon.new_run(
        "binance.ohlc.BTC-USDT.1m", state="done", trigger="gap", reason="socket closed", resumed=2, log=lines
    )
    done = await dccd("runs", run.run_id)
    assert done.code == 0
    assert "asked by    gap (socket closed)" in done.out
    assert "resumed     2 times" in done.out
    assert done.out.splitlines()[-1] == "2024-01-01T00:00:00.000Z  warning: line 8"
    assert "line 4" in done.out and "line 3" not in done.out
    assert json.loads((await dccd("runs", run.run_id, "--json")).out) == as_json(run)
    assert (await dccd("runs", "nope")).code == 3


async def test_all_filters_travel(dccd: Command, daemon: FakeDaemon) -> None:
    """Several states, and times in words, which become those of now."""
    words = "--state failed --state cancelled --job storage.sync --operation storage.sync --host alpha --trigger job"
    assert (await dccd("runs", *words.split(), "--since", "2024-01-01", "--until", "1h", "--before", "77")).code == 0
    (asked,) = daemon.asked("runs.list")
    assert asked.until > 1.7e18
    assert msgspec.structs.replace(asked, until=None) == m.RunsList(
        limit=20, state=["failed", "cancelled"], job="storage.sync", operation="storage.sync", host="alpha",
        trigger="job", since=DAY, before="77",
    )  # fmt: skip
    assert (await dccd("runs", "--since", "soon")).code == 2


@pytest.fixture
async def left(server: EmbeddedServer) -> list[Run]:
    """What a daemon that was killed has left on a bus of its own: one that is done, one that was running."""
    async with await Bus.open(server.url, "test") as bus:
        await ensure_streams(bus)
        bucket = Bucket(bus, subjects.BUCKET_RUNS)
        runs = [
            Run(
                run_id=f"018cc251-f400-7000-8000-00000000000{number}",
                dataset="kraken.trades.BTC-USD",
                state=state,
                host="alpha",
                created=DAY,
                updated=DAY,
                start=DAY,
                end=DAY + HOUR,
                position=DAY + HOUR // 2,
            )
            for number, state in enumerate(("done", "running"))
        ]
        for run in runs:
            await bucket.put(subjects.run_key(run.run_id, run.job), msgspec.json.encode(run))
        return runs


async def test_without_a_daemon_the_bus_tells(left: list[Run], server: EmbeddedServer, tmp_path: Path) -> None:
    """What it was at is interrupted: that is said, and that nobody but the bus says so."""
    from tests.dccd.cli.conftest import Command

    dccd = Command(tmp_path, server.url)
    done = await dccd("runs", "--json")
    assert [(run["run_id"], run["state"]) for run in json.loads(done.out)] == [
        (left[1].run_id, "interrupted"), (left[0].run_id, "done"),
    ]  # fmt: skip
    assert done.err == "no daemon answers: this is what the bus has on record\n"
    one = await dccd("runs", left[1].run_id)
    assert one.code == 0 and "interrupted" in one.out and "50.0%" in one.out
    assert (await dccd("runs", "018cc251-f400-7000-8000-000000000009")).code == 3


async def test_who_may_not_read_the_record_is_told(tmp_path: Path) -> None:
    """An operator asks daemons; the bus itself is asked by collectors and readers."""
    from tests.dccd.cli.conftest import Command

    users = AuthFolder(tmp_path / "auth")
    users.init("nats://127.0.0.1:4222")
    users.add("reader", "reader")
    async with EmbeddedServer(tmp_path / "nats", port=0, auth=users.conf, on_log=lambda level, text: None) as server:
        who = read_credentials(str(users.credentials("collector"))).login
        async with await Bus.open(server.url, "test", login=who) as bus:
            await ensure_streams(bus)
        dccd = Command(tmp_path, server.url)
        done = await dccd("runs", "--creds", str(users.credentials("operator")))
        assert done.code == 4 and "for collectors and readers" in done.err
        for name in ("reader", "collector"):
            done = await dccd("runs", "--creds", str(users.credentials(name)))
            assert done.code == 0 and done.err.startswith("no daemon answers: this is what the bus has on record\n")


async def test_the_log_of_a_run(dccd: Command, daemon: FakeDaemon, server: EmbeddedServer) -> None:
    """A line each, with its time and level; JSON has the events."""
    async with await Bus.open(server.url, "test") as bus:
        await ensure_streams(bus)
    run = daemon.new_run("kraken.trades.BTC-USD", state="running")
    await daemon.emit(m.RunLog(at=DAY, host="fake", run_id=run.run_id, level="warning", message="slow\x1b[2J\nso"))
    await daemon.change(run, state="failed", rows=1234, error="refused")
    done = await dccd("logs", run.run_id)
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "2024-01-01T00:00:00.000Z  warning: slow [2J so\n2024-01-01T00:00:00.000Z  failed, 1,234 rows, at 0%: refused\n"
    )
    done = await dccd("logs", run.run_id, "--json", "-n", "1")
    assert [json.loads(line)["kind"] for line in done.out.splitlines()] == ["run.status"]
    done = await dccd("logs", "-n", "2")
    assert [line.split()[1:3] for line in done.out.splitlines()] == [["fake", "run.log"], ["fake", "run.status"]]
    assert run.run_id in done.out
    assert (await dccd("logs", "nope")).code == 3


@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1), ("cancelled", 1)])
async def test_following_a_run_ends_with_its_outcome(
    state: str, code: int, dccd: Command, daemon: FakeDaemon, server: EmbeddedServer
) -> None:
    """Of one that is over at once, of another when it is."""
    async with await Bus.open(server.url, "test") as bus:
        await ensure_streams(bus)
    run = daemon.new_run("kraken.trades.BTC-USD", state=state)
    assert (await dccd("logs", run.run_id, "--follow")).code == code
    run = daemon.new_run("kraken.trades.BTC-USD")
    process = await dccd.start("logs", run.run_id, "--follow")
    assert process.stdout is not None
    assert b"running" in await process.stdout.readline()
    await daemon.emit(m.RunLog(at=DAY, host="fake", run_id=run.run_id, level="info", message="nearly"))
    assert b"info: nearly" in await process.stdout.readline()
    await daemon.change(run, state=state)
    done = await dccd.finish(process)
    assert (done.code, done.err) == (code, "")
