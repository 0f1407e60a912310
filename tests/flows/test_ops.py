"""The scripts in ops/, with the real ``nats`` command against a real daemon."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.messages import RunStatus
from dccd.simulator import Simulator
from dccd.simulator.faults import HttpError, HttpSlow, Silence
from dccd.symbols import NS
from tests.commands import PATH, needed
from tests.flows.support import take, watching, with_jobs

pytestmark = pytest.mark.anyio

OPS = Path(__file__).parent.parent.parent / "ops"
SCRIPTS = ["backfill", "backfill-list", "drain", "events", "export-runs", "top-streams", "wait-fresh"]
BTC = "binance.trades.BTC-USDT"


@pytest.fixture(autouse=True)
def _commands_are_there() -> None:
    for command in ("nats", "jq", "column"):
        needed(command)


class Ops:
    """Runs scripts against the bus at *url*."""

    def __init__(self, url: str) -> None:
        self.environ = {**os.environ, "NATS_URL": url, "PATH": PATH}

    async def __call__(
        self, name: str, *words: object, stdin: str = "", code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, which must be *code*."""
        with anyio.fail_after(60):
            done = await anyio.run_process(
                [OPS / name, *map(str, words)], input=stdin.encode(), env=self.environ, check=False
            )
        result = subprocess.CompletedProcess(name, done.returncode, done.stdout.decode(), done.stderr.decode())
        assert result.returncode == code, (result.stdout, result.stderr)
        return result

    async def start(self, name: str, *words: object) -> anyio.abc.Process:
        return await anyio.open_process([OPS / name, *map(str, words)], env=self.environ, start_new_session=True)


@pytest.fixture
async def running(config: Config) -> AsyncIterator[tuple[Ops, Client]]:
    """A daemon with one stream, the scripts that speak to it, and a client."""
    config = with_jobs(config, Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades"))
    async with daemon(config) as there, Client(there.bus_url) as client:
        await take(client.ticks("binance", "BTC/USDT"), 1)
        yield Ops(there.bus_url), client


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_each_says_what_it_is_for(name: str) -> None:
    """--help needs no daemon, shows an example, and a wrong option is a usage error that names it."""
    ops = Ops("nats://127.0.0.1:1")
    helped = (await ops(name, "--help")).stdout
    assert f"ops/{name}" in helped
    assert "set -euo" not in helped
    wrong = await ops(name, "--wrong", code=2)
    assert "--wrong" in wrong.stderr
    text = (OPS / name).read_text()
    assert "set -euo pipefail" in text
    assert os.access(OPS / name, os.X_OK)


async def test_nobody_there_is_told_with_what_to_look_at() -> None:
    """No answer is a failure, which `nats req` itself doesn't make of it."""
    done = await Ops("nats://127.0.0.1:1")("backfill", "binance", "BTC/USDT", "--span", "1m", code=4)
    assert "NATS_URL" in done.stderr


async def test_a_backfill_is_followed_to_its_outcome(running: tuple[Ops, Client], sim: Simulator) -> None:
    """Its record on stdout, its progress on stderr; a failed or refused one fails."""
    ops, _ = running
    start = sim.binance.truth.opened("BTC/USDT") // (60 * NS) * 60 * NS + 300 * NS
    words = ("binance", "BTC/USDT", "--span", "1m", "--start", start)
    run = json.loads((await ops("backfill", *words, "--end", start + 600 * NS)).stdout)
    assert (run["state"], run["rows"]) == ("done", 10)
    refused = await ops("backfill", "kraken", "BTC/USD", "--span", "7m", code=2)
    assert "422 no_capability" in refused.stderr
    sim.faults.inject(HttpError(exchange="binance", path="klines", status=400, count=0))
    failed = await ops("backfill", *words, "--end", start + 1200 * NS, code=1)
    assert json.loads(failed.stdout)["state"] == "failed"
    assert "failed" in failed.stderr


async def test_ctrl_c_ends_the_waiting_and_not_the_run(running: tuple[Ops, Client], sim: Simulator) -> None:
    """It says how the run is stopped, and started again it follows the same one."""
    ops, client = running
    slow = sim.faults.inject(HttpSlow(exchange="binance", path="klines", seconds=30, count=0))
    async with watching(client) as expect:
        process = await ops.start("backfill", "binance", "ETH/USDT", "--span", "1m", "--start", "origin")
        await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "running")
        (run,) = await client.runs(state="running")
        os.killpg(process.pid, signal.SIGINT)
        with anyio.fail_after(30):
            assert await process.wait() == 130
    assert (await client.run(run.run_id)).state == "running"
    left = await anyio.run_process(["pgrep", "-f", f"dccd.events.run.{run.run_id}"], check=False)
    assert left.stdout == b""
    detached = await ops("backfill", "binance", "ETH/USDT", "--span", "1m", "--start", "origin", "--detach")
    assert detached.stdout.strip() == run.run_id
    slow.lift()
    await client.cancel(run.run_id)


async def test_a_list_of_symbols_is_backfilled(running: tuple[Ops, Client], sim: Simulator) -> None:
    """A line each with its outcome; one that is refused makes the whole fail and the others go on."""
    ops, _ = running
    pairs = "binance BTC/USDT  # a comment\n\n# another\nbinance ETH/USDT --span 5m\nkraken NOPE/USD\n"
    done = await ops("backfill-list", "-", "--span", "1m", "--jobs", "2", "--start", "last", stdin=pairs, code=1)
    rows = sorted(line.split("\t")[:3] for line in done.stdout.splitlines())
    assert rows[:2] == [["done", "binance", "BTC/USDT"], ["done", "binance", "ETH/USDT"]]
    assert rows[2][1:] == ["kraken", "NOPE/USD"]
    assert (await ops("backfill-list", "-", "--span", "1m", stdin="binance BTC/USDT", code=0)).stdout.startswith("done")
    assert "no symbol" in (await ops("backfill-list", "-", stdin="# none\n", code=2)).stderr


async def test_a_fresh_stream_is_waited_for(running: tuple[Ops, Client], sim: Simulator) -> None:
    """It ends when the stream is fresh, and says how it stands when it never is."""
    ops, _ = running
    entry = json.loads((await ops("wait-fresh", BTC, "--within", "5")).stdout)
    assert (entry["dataset"], entry["state"]) == (BTC, "live")
    assert "no stream" in (await ops("wait-fresh", "kraken.trades.BTC-USD", "--timeout", "1", code=1)).stderr
    sim.faults.inject(Silence(exchange="binance"))
    stale = await ops("wait-fresh", BTC, "--within", "0", "--timeout", "2", code=1)
    assert "newest record" in stale.stderr


async def test_events_of_the_past_are_shown_and_those_that_come(running: tuple[Ops, Client]) -> None:
    """A line each for people, as they are for programs."""
    ops, client = running
    past = await ops("events", "stream.>", "--since", "5m", "--once")
    assert re.search(rf"^\d{{4}}-\S+Z alpha stream.status {BTC} live$", past.stdout, re.MULTILINE)
    assert {event["kind"] for event in lines((await ops("events", "--since", "5m", "--once", "--json")).stdout)} >= {
        "stream.status", "actor",
    }  # fmt: skip
    # `nats` by itself would wait for the first.
    assert (await ops("events", "storage.>", "--since", "5m", "--once")).stdout == ""
    process = await ops.start("events", "stream.kraken.>", "--json")
    assert process.stdout is not None
    with anyio.fail_after(30):
        text = b""
        while not text:
            # Nobody tells when another process has subscribed: so there is news until it has seen some.
            await client.start_stream("kraken", "BTC/USD")
            with anyio.move_on_after(1):
                text = await process.stdout.receive()
            await client.stop_stream("kraken", "BTC/USD")
        os.killpg(process.pid, signal.SIGINT)
        await process.wait()
    assert json.loads(text.splitlines()[0])["dataset"] == "kraken.trades.BTC-USD"


async def test_what_is_gone_is_told_and_gone_on_without(running: tuple[Ops, Client]) -> None:
    """A bus that has lost its store numbers events anew: who follows them neither waits for old numbers nor ends."""
    ops, _ = running
    script = f"set -euo pipefail; . {OPS / '_nats'}; journal '{{\"after\": 1000000}}' 0"
    with anyio.fail_after(30):
        done = await anyio.run_process(["bash", "-c", script], env=ops.environ)
    assert json.loads(done.stdout)["events"][0]["seq"] == 1
    assert "there is no event 1000000" in done.stderr.decode()


async def test_the_top_of_streams_is_a_table(running: tuple[Ops, Client]) -> None:
    """Of all hosts; as JSON a line each, in the order asked for."""
    ops, client = running
    await client.start_stream("kraken", "BTC/USD")
    await take(client.ticks("kraken", "BTC/USD"), 1)
    table = (await ops("top-streams")).stdout.splitlines()
    assert table[0].split()[:4] == ["HOST", "STREAM", "STATE", "RATE/S"]
    assert {line.split()[1] for line in table[1:]} == {BTC, "kraken.trades.BTC-USD"}
    by_age = lines((await ops("top-streams", "--by", "age", "-n", "1", "--json")).stdout)
    assert (len(by_age), by_age[0]["host"]) == (1, "alpha")


async def test_the_run_history_is_exported_page_by_page(running: tuple[Ops, Client], sim: Simulator) -> None:
    """Each run once, as JSON or CSV; filters are those of the operation."""
    ops, client = running
    for symbol in ("BTC/USDT", "ETH/USDT"):
        await client.backfill("binance", symbol, span="1m")
    exported = lines((await ops("export-runs")).stdout)
    assert [run["run_id"] for run in exported] == [run.run_id for run in await client.runs()]
    rows = list(csv.DictReader(io.StringIO((await ops("export-runs", "--csv", "--state", "done")).stdout)))
    assert {row["dataset"] for row in rows} == {"binance.ohlc.BTC-USDT.1m", "binance.ohlc.ETH-USDT.1m"}
    assert (await ops("export-runs", "--state", "failed")).stdout == ""
    assert "400 malformed" in (await ops("export-runs", "--state", "odd", code=2)).stderr


async def test_a_host_is_drained(running: tuple[Ops, Client], sim: Simulator) -> None:
    """Its streams stop, its runs end or are cancelled, and all that it had is on disk."""
    ops, client = running
    sim.faults.inject(HttpSlow(exchange="binance", path="klines", seconds=30, count=0))
    run = await client.backfill("binance", "ETH/USDT", span="1m", start="origin", wait=False)
    assert "--yes" in (await ops("drain", "alpha", code=2)).stderr
    waited = await ops("drain", "alpha", "--yes", "--timeout", "1", code=1)
    assert "1 runs go on" in waited.stderr
    drained = await ops("drain", "alpha", "--yes", "--cancel")
    assert "drained" in drained.stderr
    assert await client.streams() == []
    assert (await client.run(run.run_id)).state == "cancelled"
    assert (await client.health()).archiver_lag == 0
    assert "nobody answers" in (await ops("drain", "beta", "--yes", code=4)).stderr
