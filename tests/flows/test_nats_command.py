"""Every operation with the real ``nats`` command: what ops people have in their scripts."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.exchanges.registry import EXCHANGES
from dccd.operations import OPERATIONS
from dccd.simulator import Simulator
from dccd.symbols import NS
from tests.commands import needed
from tests.flows.support import take, with_jobs

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _nats_is_there() -> None:
    needed("nats")


async def nats(url: str, *arguments: str, both: bool = False) -> str:
    """What the command prints: to standard output, or *both* (headers go to standard error)."""
    with anyio.fail_after(30):
        result = await anyio.run_process([needed("nats"), "-s", url, *arguments], check=False)
    assert result.returncode == 0, result.stderr.decode()
    return (result.stderr.decode() if both else "") + result.stdout.decode()


async def ask(url: str, operation: str, body: dict[str, Any] | None = None) -> Any:
    payload = "" if body is None else json.dumps(body)
    return json.loads(await nats(url, "req", "--raw", f"dccd.{operation}", payload))


async def test_every_operation_with_nats_req(sim: Simulator, config: Config) -> None:
    """Each answers one line of JSON; together they start, watch, cancel and read as a script would."""
    config = with_jobs(config, Job(exchange="kraken", pairs=["BTC/USD"], data_type="trades", trigger_kind="manual"))
    start = sim.binance.truth.opened("BTC/USDT") // (60 * NS) * 60 * NS + 300 * NS
    bars = {"exchange": "binance", "symbol": "BTC/USDT", "data_type": "ohlc", "span": "1m"}
    stream = {"dataset": "kraken.trades.BTC-USD"}
    async with daemon(config) as running, Client(running.bus_url) as client:
        url = running.bus_url
        assert {op["name"] for op in (await ask(url, "operations"))["operations"]} == set(OPERATIONS)
        assert (await ask(url, "health"))["ok"]
        assert (await ask(url, "tree"))["root"]["id"] == "dccd"
        assert set((await ask(url, "exchanges"))["exchanges"]) == set(EXCHANGES)
        (counted,) = (await ask(url, "metrics", {"prefix": "dccd_bus_connected"}))["families"]
        assert counted["samples"] == [{"name": "dccd_bus_connected", "labels": {}, "value": 1.0}]
        assert (await ask(url, "metrics", {"prefix": "node_"}))["error"]["reason"] == "no_metric"
        assert (await ask(url, "jobs.list"))["jobs"][0]["trigger_kind"] == "manual"
        assert (await ask(url, "jobs.list", {"operation": "backfill"}))["jobs"] == []
        assert (await ask(url, "jobs.run", {"name": "stream.kraken.trades.ETH-USD"}))["error"]["reason"] == "no_job"
        (outcome,) = (await ask(url, "jobs.run_all", {"operation": "stream"}))["jobs"]
        assert (outcome["name"], outcome["error"]) == ("stream.kraken.trades.BTC-USD", None)
        assert (await ask(url, "jobs.run", {"name": outcome["name"]}))["already_running"]
        assert (await ask(url, "streams.stop", stream))["dataset"] == stream["dataset"]

        run_id = (await ask(url, "backfill.start", {**bars, "start": start, "end": start + 600 * NS}))["run_id"]
        async for _ in client.follow(run_id):
            pass
        assert (await ask(url, "backfill.status", {"run_id": run_id}))["state"] == "done"
        assert (await ask(url, "runs.get", {"run_id": run_id}))["rows"] == 10
        assert [run["run_id"] for run in (await ask(url, "runs.list", {"limit": 1}))["runs"]] == [run_id]
        assert (await ask(url, "backfill.cancel", {"run_id": run_id}))["error"]["code"] == 409
        read = await ask(url, "read", {**bars, "limit": 3})
        assert (read["columns"][0], len(read["rows"])) == ("TS", 3)
        rest = await ask(url, "read", {**bars, "after": read["next"]})
        assert (len(rest["rows"]), rest["next"]) == (7, None)
        there = await ask(url, "coverage", bars)
        assert [(one["start"], one["end"], one["state"]) for one in there["intervals"]] == [
            (start, start + 600 * NS, "verified")
        ]
        assert (await ask(url, "repair"))["repairs"] == []
        assert (await ask(url, "book", {"dataset": "kraken.orderbook.BTC-USD"}))["error"]["code"] == 404
        assert (await ask(url, "storage.sync"))["error"]["code"] in (409, 422)
        assert (await ask(url, "storage.remotes"))["remotes"] == []
        assert "run_id" in await ask(url, "storage.migrate")

        assert not (await ask(url, "streams.start", stream))["already_running"]
        assert (await ask(url, "streams.start", stream))["already_running"]
        await take(client.ticks("kraken", "BTC/USD"), 5)
        assert (await ask(url, "streams.list"))["streams"][0]["state"] == "live"
        assert json.loads(await nats(url, "sub", "--raw", "--count", "1", "dccd.ticks.>"))[0]["price"] > 0
        assert (await ask(url, "streams.stop", stream))["dataset"] == stream["dataset"]
        assert (await ask(url, "streams.stop", stream))["error"]["code"] == 404
        assert "binance.ohlc.BTC-USDT.1m" in {one["dataset"] for one in (await ask(url, "inventory"))["datasets"]}

        key = f"{run_id}.backfill.binance.ohlc.BTC-USDT.1m"
        assert json.loads(await nats(url, "kv", "get", "--raw", "dccd_runs", key))["state"] == "done"
        assert "dccd.backfill.start" in await nats(url, "micro", "info", "dccd")
        assert "dccd" in await nats(url, "micro", "ls")
        assert "backfill-start" in await nats(url, "micro", "stats", "dccd")
        health = json.loads(await nats(url, "req", "--raw", "dccd.host.alpha.health", ""))
        assert health["host"] == "alpha"


async def test_a_refusal_is_in_the_body_and_in_the_headers(config: Config) -> None:
    """``nats req`` exits 0 all the same: scripts look at the body, people at the headers."""
    async with daemon(config) as running:
        body = await ask(running.bus_url, "backfill.start", {"exchange": "binance", "symbol": "BTC/USDT", "spam": 1})
        told = await nats(running.bus_url, "req", "dccd.read", '{"dataset": 7}', both=True)
    assert body["error"]["code"] == 400
    assert body["error"]["field"] == "spam"
    assert "Nats-Service-Error-Code: 400" in told
