"""``dccd backfill`` and ``dccd cancel``: with a daemon, without one, interrupted, in a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from dccd import messages as m
from dccd.bus.server import EmbeddedServer
from dccd.client.fake import FakeDaemon
from dccd.errors import RequestError
from dccd.runs import Run

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

OHLC = "binance.ohlc.BTC-USDT.1m"
ASK = ("backfill", "binance", "BTC/USDT", "--span", "1m", "--start", "2023-12-31", "--end", "2024-01-01")


def progress(run: Run, fraction: float, rows: int) -> m.RunProgress:
    return m.RunProgress(
        at=run.updated,
        host=run.host,
        run_id=run.run_id,
        dataset=run.dataset,
        position=int(run.start + (run.end - run.start) * fraction),
        start=run.start,
        end=run.end,
        fraction=fraction,
        rows=rows,
        rate=1234.0,
        left=65.0,
    )


def ended(run: Run, state: str, **fields: object) -> m.RunStatus:
    done = msgspec.structs.replace(
        run, state=state, position=run.end, finished=run.created + 3_000_000_000, updated=run.updated + 1, **fields
    )
    return m.RunStatus(at=1, host="fake", run=done)


async def test_the_daemon_does_it_and_the_command_follows(dccd: Command, daemon: FakeDaemon) -> None:
    """Progress comes as lines where there is no terminal, the result on stdout, exit code 0."""
    run = daemon.new_run(OHLC, warning="it starts later")
    log = m.RunLog(at=1, host="fake", run_id=run.run_id, level="warning", message="429, waiting")
    daemon.script = [progress(run, 0.5, 720), log, ended(run, "done", rows=1440)]
    done = await dccd(*ASK)
    assert (done.code, done.out) == (0, f"{OHLC}: 1,440 rows, 2023-12-31 00:00:00 … 2024-01-01 00:00:00, in 3.0s\n")
    assert f"run {run.run_id} goes on" in done.err
    assert "warning: it starts later" in done.err
    assert f"{OHLC}: 50.0%, 2023-12-31 12:00:00, 720 rows, 1,234 rows/s, 1m 05s left" in done.err
    assert "warning: 429, waiting" in done.err
    ask = daemon.asked("backfill.start")[0]
    assert (ask.resolve().name, ask.start, ask.end) == (OHLC, "2023-12-31", "2024-01-01")


async def test_a_backfill_without_rows_is_told_in_rows(dccd: Command, daemon: FakeDaemon) -> None:
    """It has no files to count."""
    run = daemon.new_run(OHLC)
    daemon.script = [progress(run, 1.0, 0), ended(run, "done")]
    done = await dccd(*ASK)
    assert "100.0%, 2024-01-01 00:00:00, 0 rows" in done.err


async def test_json_is_a_line_an_event(dccd: Command, daemon: FakeDaemon) -> None:
    """``--json`` gives the events as they came, the last being how the run ended, and nothing else."""
    run = daemon.new_run(OHLC)
    daemon.script = [progress(run, 0.5, 720), ended(run, "done", rows=1440)]
    done = await dccd(*ASK, "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["kind"] for line in lines] == ["run.status", "run.progress", "run.status"]
    assert lines[-1]["run"]["state"] == "done"
    assert (done.code, done.err) == (0, "")


async def test_a_failed_run_is_1_with_its_reason(dccd: Command, daemon: FakeDaemon) -> None:
    """A run that failed in the daemon fails the command."""
    run = daemon.new_run(OHLC)
    daemon.script = [ended(run, "failed", error="binance: Invalid symbol.")]
    done = await dccd(*ASK)
    assert done.code == 1
    assert "binance: Invalid symbol." in done.err
    assert "Traceback" not in done.err


async def test_a_refused_request_is_2_and_names_the_field(dccd: Command, daemon: FakeDaemon) -> None:
    """What the daemon refuses is told in its words."""
    daemon.replies["backfill.start"] = RequestError(422, "no_capability", "kraken has no 7m bars", "span")
    done = await dccd("backfill", "kraken.ohlc.BTC-USD.7m")
    assert (done.code, done.err) == (2, "error: kraken has no 7m bars (field: span)\n")


async def test_detach_says_what_is_clamped(dccd: Command, daemon: FakeDaemon) -> None:
    """The id alone is on stdout; nobody would see the warning otherwise."""
    run = daemon.new_run(OHLC, warning="kraken serves nothing before 2024-01-01T00:00:00Z: it starts there")
    done = await dccd(*ASK, "--detach")
    assert (done.code, done.out) == (0, f"{run.run_id}\n")
    assert done.err == f"warning: {run.warning}\n"
    done = await dccd(*ASK, "--detach", "--json")
    assert json.loads(done.out)["run"]["warning"] == run.warning and done.err == ""


async def test_detach_prints_the_run_and_leaves(dccd: Command, daemon: FakeDaemon) -> None:
    """``--detach`` gives a script the id, and doesn't wait."""
    done = await dccd(*ASK, "--detach")
    assert done.code == 0
    assert daemon.runs[done.out.strip()].state == "running"


async def test_ctrl_c_leaves_the_run_to_the_daemon(dccd: Command, daemon: FakeDaemon) -> None:
    """Following is interrupted, the run isn't, and the command says how to stop it."""
    done = await dccd.interrupt(await dccd.start(*ASK), ": running")
    (run,) = daemon.runs.values()
    assert done.code == 130
    assert f"dccd cancel {run.run_id}" in done.err
    assert run.state == "running"
    assert "Traceback" not in done.err


async def test_ctrl_c_cancels_where_asked_to(dccd: Command, daemon: FakeDaemon) -> None:
    """``--cancel-on-interrupt`` stops the run in the daemon, too."""
    done = await dccd.interrupt(await dccd.start(*ASK, "--cancel-on-interrupt"), ": running")
    (run,) = daemon.runs.values()
    assert (done.code, run.state) == (130, "cancelled")
    assert "dccd backfill binance.ohlc.BTC-USDT.1m --start last --end 2024-01-01" in done.err


async def test_cancel_stops_a_run(dccd: Command, daemon: FakeDaemon) -> None:
    """``dccd cancel`` says what is kept; a run that is over is exit code 1, one that never was 3."""
    run = daemon.new_run(OHLC, rows=1234)
    done = await dccd("cancel", run.run_id)
    assert (done.code, done.out) == (0, f"{OHLC}: cancelled after 1,234 rows, which are kept\n")
    assert (await dccd("cancel", run.run_id)).code == 1
    assert (await dccd("cancel", "nope")).code == 3


async def test_without_a_daemon_it_is_done_here(alone: Command) -> None:
    """With no bus named and nobody at the default one, a daemon runs inside the command, and is stopped."""
    done = await alone.interrupt(await alone.start(*ASK), ": running")
    assert "no daemon runs, so it is done here" in done.err
    assert done.code == 130
    assert "stopping; what is stored is kept. To go on: the same command" in done.err
    assert "stand-in down" in done.err


async def test_sigterm_stops_in_order_too(alone: Command) -> None:
    """A service manager's SIGTERM ends it as Ctrl-C does, with the exit code of a terminated process."""
    done = await alone.interrupt(await alone.start(*ASK), ": running", signal.SIGTERM)
    assert done.code == 143
    assert "stand-in down" in done.err
    assert "Traceback" not in done.err


async def test_a_bus_that_was_named_is_never_replaced(alone: Command) -> None:
    """Who names a bus means that one: with nobody there it is exit code 4, and nothing is started."""
    done = await alone(*ASK, "--bus", "nats://127.0.0.1:1")
    assert done.code == 4
    assert "stand-in" not in done.err


async def test_a_terminal_gets_a_bar(dccd: Command, daemon: FakeDaemon) -> None:
    """In a terminal: one bar with the time reached, rows, rate and time left."""
    run = daemon.new_run(OHLC)
    daemon.script = [progress(run, 0.5, 720), ended(run, "done", rows=1440)]
    ours, theirs = pty.openpty()
    process = await dccd.start(*ASK, err=theirs)
    os.close(theirs)

    def drain() -> bytes:
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                return shown

    async with asyncio.timeout(60):
        shown, done = await asyncio.gather(asyncio.to_thread(drain), dccd.finish(process))
    os.close(ours)
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    assert done.code == 0
    assert "100%" in text
    assert "1,440 rows" in text
    assert "━" in text


async def test_a_second_command_finds_the_daemon_of_the_first(alone: Command) -> None:
    """While one command runs a daemon of its own, others on the same data speak to that one."""
    process = await alone.start(*ASK)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while b": running" not in await process.stderr.readline():
                pass
            done = await alone("runs", "--json")
            (run,) = json.loads(done.out)
            assert (done.code, done.err, run["state"]) == (0, "", "running")
            assert (await alone("cancel", run["run_id"])).code == 0
            done = await alone.finish(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert done.code == 1
    assert "cancelled after 0 rows, which are kept" in done.err


async def test_another_server_at_the_default_address_is_no_daemon(alone: Command, server: EmbeddedServer) -> None:
    """Where some other NATS server has the default port, the work is done here all the same."""
    (alone.folder / "config.yml").write_text(f"bus: {{port: {server.port}}}\n")
    done = await alone.interrupt(await alone.start(*ASK), ": running")
    assert "no daemon runs, so it is done here" in done.err
