"""Each route and page of an HTTP daemon, done over the bus by the ``nats`` command: the rows of ``docs/http.md``, run
as they stand there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import yaml

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, ExchangeConfig, RemoteConfig, Settings, StorageConfig, load
from dccd.config_edit import sparse
from dccd.operations import OPERATIONS, schema
from dccd.runs import ACTIVE, Run
from dccd.simulator import SimConfig, Simulator

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parent.parent.parent / "docs" / "http.md"
BARS = "binance.ohlc.BTC-USDT.1m"
JOBS = """\
# What we collect
jobs:
  - exchange: kraken
    pairs: [BTC/USD]
    data_type: trades
  - exchange: binance
    pairs: [BTC/USDT]
    data_type: ohlc
    span: 1m
    operation: backfill
    trigger_kind: manual
    start: origin
"""
ROW = re.compile(r"^\| (.+?) \| `(nats .+?)` \|", re.MULTILINE)
ROWS = {route.replace("`", ""): command for route, command in ROW.findall(PAGE.read_text())}
"""The command of each row."""


class Place:
    """A running daemon, and a shell that has its URL: ``job``, ``run`` and the like are variables of it."""

    def __init__(self, url: str, client: Client, nats: str, folder: Path) -> None:
        self.client, self.folder = client, folder
        path = os.pathsep.join([str(Path(nats).parent), os.environ["PATH"]])
        # What is known of this machine's own buses is no part of it.
        self.environment = {"PATH": path, "HOME": str(folder), "NATS_URL": url}
        self.variables = {"job": f"backfill.{BARS}"}

    async def shell(self, command: str) -> str:
        """What *command* prints."""
        with anyio.fail_after(30):
            environment = {**self.environment, **self.variables}
            done = await anyio.run_process(["bash", "-c", command], env=environment, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    async def answer(self, command: str) -> Any:
        """Its reply, which is no error."""
        reply = json.loads(await self.shell(command))
        assert "error" not in reply or not isinstance(reply["error"], dict), reply
        return reply

    async def heard(self, command: str, meanwhile: Callable[[], Awaitable[Any]]) -> Any:
        """The message that it hears when *meanwhile* happens, again and again until it has."""
        found = []
        async with anyio.create_task_group() as tasks:

            async def listen() -> None:
                found.append(json.loads(await self.shell(command)))
                tasks.cancel_scope.cancel()

            tasks.start_soon(listen)
            while True:
                await meanwhile()
                await self.client.health()
        return found[0]

    async def ended(self, run_id: str) -> Run:
        """The run, once it is over."""
        async for _ in self.client.follow(run_id):
            pass
        return await self.client.run(run_id)

    async def fetched(self) -> None:
        """Bars are stored: a backfill of them has ended."""
        await self.client.backfill("binance", "BTC/USDT", "ohlc", "1m", start="origin")

    async def long_run(self) -> str:
        """A backfill that takes longer than any test."""
        run = await self.client.backfill("kraken", "BTC/USD", "trades", start="origin", wait=False)
        self.variables["run"] = run.run_id
        return run.run_id

    async def config(self) -> dict[str, Any]:
        """The configuration, which is in the shell's variables."""
        got = await self.client.config()
        self.variables |= {"revision": got.revision, "config": json.dumps(got.config)}
        return got.config

    def file(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.folder / "config.yml").read_text())
        return found


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Of the module, since its one daemon is."""
    return "asyncio"


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, nats_binary: str) -> AsyncIterator[Place]:
    """A daemon with a file of two jobs and a remote, a stream that is live, and a slow exchange's history."""
    folder = tmp_path_factory.mktemp("http")
    (folder / "backup").mkdir()
    async with Simulator(SimConfig(seed=11, rate=20, history=0.2)) as sim:
        config = Config(
            settings=Settings(data_path=str(folder / "data"), host="alpha"),
            bus=BusConfig(port=0),
            exchanges={
                # Kraken's history is limited, so that a backfill of it takes its time.
                name: ExchangeConfig(**urls, rate_limit=name == "kraken")  # type: ignore[arg-type]  # two URLs
                for name, urls in sim.urls().items()
            },
            storage=StorageConfig(
                flush_interval=0.1, remotes=[RemoteConfig(name="backup", url=(folder / "backup").as_uri(), interval=0)]
            ),
        )
        file = folder / "config.yml"
        file.write_text(yaml.safe_dump(sparse(config), sort_keys=False) + JOBS)
        async with daemon(load(file), path=file) as running, Client(running.bus_url) as client:
            yield Place(running.bus_url, client, nats_binary, folder)


Check = Callable[[Place, str], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def row(route: str) -> Callable[[Check], Check]:
    """The check of the row of *route*: what its command does in the place, beyond that it is answered."""

    def keep(check: Check) -> Check:
        CHECKS[route] = check
        return check

    return keep


@row("GET /api/operations")
async def _(place: Place, command: str) -> None:
    listed = (await place.answer(command))["operations"]
    assert [op["name"] for op in listed] == list(OPERATIONS)
    assert all(op["request"] and op["reply"] for op in listed)


@row("GET /api/inventory")
@row("/storage what there is on disk")
async def _(place: Place, command: str) -> None:
    await place.fetched()
    (bars,) = [one for one in (await place.answer(command))["datasets"] if one["dataset"] == BARS]
    assert bars["rows"] > 0 and bars["bytes"] > 0 and bars["files"] > 0


@row("POST /api/backfill")
async def _(place: Place, command: str) -> None:
    started = await place.answer(command)
    assert started["run"]["dataset"] == BARS
    assert (await place.ended(started["run_id"])).state == "done"


@row("GET /api/backfill/{run_id}")
async def _(place: Place, command: str) -> None:
    run_id = await place.long_run()
    found = await place.answer(command)
    assert (found["run_id"], found["dataset"]) == (run_id, "kraken.trades.BTC-USD")
    assert found["state"] in ACTIVE
    await place.client.cancel(run_id)


@row("DELETE /api/backfill/{run_id}")
async def _(place: Place, command: str) -> None:
    run_id = await place.long_run()
    assert (await place.answer(command))["state"] == "cancelled"
    assert (await place.client.run(run_id)).state == "cancelled"


@row("GET /api/runs")
async def _(place: Place, command: str) -> None:
    await place.fetched()
    runs = (await place.answer(command))["runs"]
    assert runs[0]["dataset"] == BARS
    assert sorted((run["run_id"] for run in runs), reverse=True) == [run["run_id"] for run in runs]


@row("GET /api/streams")
@row("/live whether a stream lives")
async def _(place: Place, command: str) -> None:
    found = {one["dataset"]: one for one in (await place.answer(command))["streams"]}
    assert found["kraken.trades.BTC-USD"]["job"] == "stream.kraken.trades.BTC-USD"
    assert found["kraken.trades.BTC-USD"]["state"] in ("starting", "connecting", "live")


async def _is_running(place: Place, dataset: str) -> bool:
    return dataset in {stream.dataset for stream in await place.client.streams()}


@row("POST /api/streams/start")
async def _(place: Place, command: str) -> None:
    assert not (await place.answer(command))["already_running"]
    assert (await place.answer(command))["already_running"]
    assert await _is_running(place, "kraken.trades.ETH-USD")
    await place.client.stop_stream("kraken", "ETH/USD")


@row("POST /api/streams/stop")
async def _(place: Place, command: str) -> None:
    await place.client.start_stream("kraken", "ETH/USD")
    assert (await place.answer(command))["dataset"] == "kraken.trades.ETH-USD"
    assert not await _is_running(place, "kraken.trades.ETH-USD")


@row("GET /api/jobs")
async def _(place: Place, command: str) -> None:
    found = {one["name"]: one["trigger_kind"] for one in (await place.answer(command))["jobs"]}
    assert found == {"stream.kraken.trades.BTC-USD": "supervised", f"backfill.{BARS}": "manual"}


@row("POST /api/jobs/run")
@row("/ recent runs, run again")
async def _(place: Place, command: str) -> None:
    started = await place.answer(command)
    run = await place.ended(started["run_id"])
    assert (run.state, run.job, run.trigger) == ("done", f"backfill.{BARS}", "request")


@row("POST /api/jobs/run-all")
async def _(place: Place, command: str) -> None:
    (outcome,) = (await place.answer(command))["jobs"]
    assert (outcome["name"], outcome["error"]) == (f"backfill.{BARS}", None)
    await place.ended(outcome["run_id"])


@row("POST /api/jobs/create")
async def _(place: Place, command: str) -> None:
    name = "backfill.kraken.ohlc.ETH-USD.5m"
    assert (await place.answer(command))["jobs_added"] == [name]
    assert place.file()["jobs"][-1]["pairs"] == ["ETH/USD"]
    await place.client.delete_job(name)


async def _job(place: Place) -> dict[str, Any]:
    (entry,) = [job for job in await place.client.jobs() if job.name == f"backfill.{BARS}"]
    return msgspec.structs.asdict(entry)


@contextlib.asynccontextmanager
async def _restored(place: Place) -> AsyncIterator[None]:
    """The job is as it was again."""
    try:
        yield
    finally:
        await place.client.update_job(f"backfill.{BARS}", trigger_kind="manual", every=None, start="origin")


@row("POST /api/jobs/update")
async def _(place: Place, command: str) -> None:
    await place.client.update_job(f"backfill.{BARS}", trigger_kind="interval", every="1h")
    async with _restored(place):
        assert (await place.answer(command))["jobs_changed"] == [f"backfill.{BARS}"]
        job = await _job(place)
        assert (job["every"], job["start"]) == (1800, "2024-01-01")
        assert "# What we collect" in (place.folder / "config.yml").read_text()


@row("/historical schedule of a job")
async def _(place: Place, command: str) -> None:
    async with _restored(place):
        await place.answer(command)
        job = await _job(place)
        assert (job["trigger_kind"], job["every"]) == ("interval", 7200)


@row("/historical first date of a job")
async def _(place: Place, command: str) -> None:
    await place.client.update_job(f"backfill.{BARS}", start="last")
    await place.answer(command)
    assert (await _job(place))["start"] == "origin"


@row("POST /api/jobs/delete")
async def _(place: Place, command: str) -> None:
    job = place.variables["job"]
    place.variables["job"] = "backfill.kraken.ohlc.BTC-USD.1h"
    try:
        await place.client.create_job("kraken", "BTC/USD", "ohlc", "1h", operation="backfill", trigger_kind="manual")
        assert (await place.answer(command))["jobs_removed"] == [place.variables["job"]]
    finally:
        place.variables["job"] = job
    assert len(await place.client.jobs()) == 2


@row("GET /api/config")
async def _(place: Place, command: str) -> None:
    got = await place.answer(command)
    assert got["revision"] and got["file"] == str(place.folder / "config.yml")
    assert got["config"]["settings"]["host"] == "alpha"


@row("PUT /api/config")
async def _(place: Place, command: str) -> None:
    config = await place.config()
    config["alerts"]["free_space"] = "1MiB"
    place.variables["config"] = json.dumps(config)
    assert (await place.answer(command))["saved"] == "file"
    assert place.file()["alerts"]["free_space"] == "1MiB"
    refused = json.loads(await place.shell(command))["error"]
    assert refused["code"] == 409, "the revision is an old one by now"


@row("/config check before saving")
async def _(place: Place, command: str) -> None:
    config, before = await place.config(), (place.folder / "config.yml").read_text()
    config["jobs"].append({"exchange": "kraken", "pairs": ["ETH/USD"], "data_type": "trades"})
    place.variables["config"] = json.dumps(config)
    would = await place.answer(command)
    assert (would["started"], would["dry_run"]) == (["kraken.trades.ETH-USD"], True)
    config["jobs"][-1]["exchange"] = "krakn"
    place.variables["config"] = json.dumps(config)
    assert json.loads(await place.shell(command))["error"]["code"] == 422
    assert (place.folder / "config.yml").read_text() == before


@row("POST /api/read")
async def _(place: Place, command: str) -> None:
    await place.fetched()
    read = await place.answer(command)
    assert read["columns"][0] == "TS" and 0 < len(read["rows"]) <= 1000


@row("GET /api/events")
@row("/logs what runs have to say")
async def _(place: Place, command: str) -> None:
    event = await place.heard(command, place.fetched)
    assert event["kind"].startswith("run.") and event["host"] == "alpha" and event["at"] > 0


@row("GET /api/storage/sync")
async def _(place: Place, command: str) -> None:
    await place.client.request("storage.remotes")
    (remote,) = (await place.answer(command))["remotes"]
    assert (remote["name"], remote["error"]) == ("backup", None)


@row("POST /api/storage/sync")
async def _(place: Place, command: str) -> None:
    await place.fetched()
    started = await place.answer(command)
    assert (await place.ended(started["run_id"])).state == "done"
    assert (await place.client.remotes())[0].synced is not None


@row("GET /health")
async def _(place: Place, command: str) -> None:
    found = await place.answer(command)
    assert found["host"] == "alpha" and {"bus", "archiver", "streams"} <= {one["name"] for one in found["checks"]}


@row("/ what is active")
async def _(place: Place, command: str) -> None:
    run_id = await place.long_run()
    assert run_id in [run["run_id"] for run in (await place.answer(command))["runs"]]
    await place.client.cancel(run_id)
    assert run_id not in [run["run_id"] for run in (await place.answer(command))["runs"]]


@row("/ what needs attention")
async def _(place: Place, command: str) -> None:
    assert (await place.answer(command))["incidents"] == []


@row("/data coverage of a dataset")
async def _(place: Place, command: str) -> None:
    await place.fetched()
    there = await place.answer(command)
    assert there["dataset"] == BARS and "verified" in {one["state"] for one in there["intervals"]}


@row("/live prices as they come")
async def _(place: Place, command: str) -> None:
    assert json.loads(await place.shell(command))[0]["price"] > 0


@row("files of older releases")
async def _(place: Place, command: str) -> None:
    started = await place.answer(command)
    run = await place.ended(started["run_id"])
    assert (run.state, run.options["dry_run"]) == ("done", True)


def test_each_row_has_its_check() -> None:
    """A row that is added to the page is tested; and there is one for each route of dccd 3.x."""
    assert set(ROWS) == set(CHECKS)
    routes = [route for route in ROWS if "/api/" in route or route == "GET /health"]
    assert len(routes) == 22
    text = PAGE.read_text()
    assert text.count("| `nats ") == len(ROWS)


def test_each_row_names_what_there_is() -> None:
    """An operation of the table, or a subject that is subscribed to."""
    for route, command in ROWS.items():
        asked = re.search(r"nats req --raw dccd\.([\w.]+) ", command)
        heard = re.search(r"nats sub --raw --count 1 'dccd\.(events|ticks)\.", command)
        assert heard or (asked and asked[1] in OPERATIONS), route


async def test_the_micro_service_tells_the_same_table(place: Place) -> None:
    """An endpoint an operation, with the schemas and the words of the table, as ``nats micro info`` shows them."""
    endpoints = json.loads(await place.shell("nats micro info --json dccd"))["info"]["endpoints"]
    told = {one["subject"]: one["metadata"] for one in endpoints if one["name"] != "host"}
    assert set(told) == {f"dccd.{name}" for name in OPERATIONS}
    for name, operation in OPERATIONS.items():
        metadata = told[f"dccd.{name}"]
        assert metadata["description"] == operation.description
        for side, kind in (("request", operation.request), ("reply", operation.reply)):
            assert json.loads(metadata[side]) == json.loads(msgspec.json.encode(schema(kind)))


@pytest.mark.parametrize("route", ROWS)
async def test_a_row_does_what_the_route_did(place: Place, route: str) -> None:
    """With the command as it stands on the page."""
    await CHECKS[route](place, ROWS[route])
