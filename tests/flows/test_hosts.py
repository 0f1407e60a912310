"""A host that is killed is gone for all within seconds, and told; what asks for it finds nobody."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import anyio
import msgspec
import pytest
import yaml

from actors.daemon import daemon
from actors.mail import GapFound
from dccd.bus.history import RunHistory
from dccd.client import Client
from dccd.config import BusConfig, Config, Job, Settings
from dccd.errors import RequestError, StoreError
from dccd.messages import ActorChanged, HostChanged, RunProgress, RunStatus
from dccd.runs import new_run_id
from dccd.simulator import Simulator
from dccd.simulator.faults import HttpSlow
from dccd.symbols import NS, Dataset
from tests.flows.support import take, watching

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent.parent


async def test_a_killed_host_disappears_and_is_told_by_another(tmp_path: Path) -> None:
    """Not by its own word: that it never gave."""
    config = Config(settings=Settings(data_path=str(tmp_path / "alpha"), host="alpha"), bus=BusConfig(port=0))
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        file = tmp_path / "beta.yml"
        settings = {"data_path": str(tmp_path / "beta"), "host": "beta"}
        file.write_text(yaml.safe_dump({"settings": settings, "bus": {"url": running.bus_url}}))
        command = [sys.executable, "-m", "dccd", "start", "--config", str(file)]
        async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as beta:
            try:
                up = await expect(lambda event: isinstance(event, HostChanged) and event.id == "beta")
                assert (up.change, up.reason, up.host) == ("up", "started", "beta")
                assert [host.id for host in await client.hosts()] == ["alpha", "beta"]
                assert (await client.request("hosts", host="beta")).host == "beta"
            finally:
                beta.kill()
                killed = time.monotonic()
        down = await expect(lambda event: isinstance(event, HostChanged) and event.id == "beta")
        assert (down.change, down.reason, down.host, down.instance) == ("down", "silent", "alpha", up.instance)
        assert time.monotonic() - killed < 25
        assert [host.id for host in await client.hosts()] == ["alpha"]
        assert (await client.health()).ok


async def test_any_host_cancels_a_run_of_another(config: Config, tmp_path: Path) -> None:
    """The order goes on to the host that is at it; when that is away, the answer says which one it is."""
    there = Settings(data_path=str(tmp_path / "beta"), host="beta")
    async with daemon(config) as alpha, Client(alpha.bus_url) as client:
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        async with daemon(other) as beta:
            ask = {"dataset": "binance.trades.BTC-USDT", "start": "origin"}
            run = (await client.request("backfill.start", ask, host="beta")).run
            ended = await client.request("backfill.cancel", {"run_id": run.run_id}, host="alpha")
            assert (ended.run_id, ended.host, ended.state) == (run.run_id, "beta", "cancelled")
            assert await beta.links.runs.get(f"active.{run.run_id}") is None
            with pytest.raises(RequestError) as over:
                await client.request("backfill.cancel", {"run_id": run.run_id}, host="alpha")
            assert (over.value.code, over.value.reason) == (409, "not_running")
        lost = msgspec.structs.replace(run, run_id=new_run_id(1, 1), host="gamma", state="running")
        await alpha.links.runs.put(f"{lost.run_id}.{lost.job}", msgspec.json.encode(lost))
        with pytest.raises(RequestError, match="host gamma") as away:
            await client.cancel(lost.run_id)
        assert (away.value.code, away.value.reason) == (503, "not_now")


async def test_a_host_that_stood_still_leaves_what_was_cancelled_meanwhile(
    config: Config, sim: Simulator, tmp_path: Path
) -> None:
    """It passes for gone; when it goes on, it stops what it was at, and the record stays as it is."""
    sim.faults.inject(HttpSlow(exchange="binance", seconds=1.0, count=0))  # so that the run is under way all the time
    async with daemon(config) as alpha, Client(alpha.bus_url) as client, watching(client, seconds=120) as expect:
        there = Settings(data_path=str(tmp_path / "beta"), host="beta")
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        file = tmp_path / "beta.yml"
        file.write_bytes(msgspec.yaml.encode(other))
        command = [sys.executable, "-m", "dccd", "start", "--config", str(file)]
        async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as beta:
            try:
                await expect(lambda event: isinstance(event, HostChanged) and event.id == "beta")
                ask = {"dataset": "binance.trades.BTC-USDT", "start": str(time.time_ns() - 8000 * NS)}
                run_id = (await client.request("backfill.start", ask, host="beta")).run_id
                await expect(lambda event: isinstance(event, RunProgress) and event.run_id == run_id)
                beta.send_signal(signal.SIGSTOP)
                await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "interrupted")
                cancelled = await client.request("backfill.cancel", {"run_id": run_id}, host="alpha")
                assert cancelled.state == "cancelled"
                beta.send_signal(signal.SIGCONT)
                await expect(
                    lambda event: (
                        isinstance(event, ActorChanged)
                        and (event.host, event.change) == ("beta", "exited")
                        and event.path.endswith(run_id)
                    )
                )
                found = await RunHistory(alpha.links.runs).get(run_id)
                assert (found.state, found.updated) == ("cancelled", cancelled.updated)
                assert not await RunHistory(alpha.links.runs).marks()
            finally:
                beta.kill()


async def test_a_host_stops_at_once_while_others_go_on(config: Config, tmp_path: Path) -> None:
    """Its archiver stores what is there, and doesn't wait for the ticks of others to end; none is stored twice by a
    daemon more in the same folder, since that is refused."""
    jobs = [Job(exchange="binance", pairs=["BTC/USDT"], data_type=kind) for kind in ("trades", "orderbook")]
    alpha_config = msgspec.structs.replace(config, jobs=jobs)
    async with daemon(alpha_config) as alpha, Client(alpha.bus_url) as client:
        await take(client.ticks("binance", "BTC/USDT"), 20)
        there = Settings(data_path=str(tmp_path / "beta"), host="beta")
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        async with daemon(other) as beta, Client(beta.bus_url):
            await take(client.ticks("binance", "BTC/USDT"), 20)
            begun = time.monotonic()
        assert time.monotonic() - begun < 18  # an archiver that goes on is ended after 20
        same = msgspec.structs.replace(other, settings=Settings(data_path=config.settings.data_path, host="gamma"))
        with pytest.raises(StoreError, match="another dccd stores"):
            async with daemon(same):
                pass
        assert (await client.health()).ok


async def test_a_host_has_what_it_stores_and_nothing_of_another(config: Config, tmp_path: Path) -> None:
    """Datasets and holes of each are its own, also when one starts beside another, or again."""
    there = Settings(data_path=str(tmp_path / "beta"), host="beta")
    hole = [("binance.ohlc.BTC-USDT.1h", "looked for in vain")]
    async with daemon(config) as alpha, Client(alpha.bus_url) as client:
        ask = {"dataset": "binance.ohlc.BTC-USDT.1h", "start": "origin"}
        run = (await client.request("backfill.start", ask, host="alpha")).run
        async for _ in client.follow(run.run_id):
            pass
        dataset = Dataset.parse(ask["dataset"])
        await alpha.links.catalogue.ask(GapFound(dataset=dataset, start=10, end=20, reason=hole[0][1]))
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        for _ in range(2):
            async with daemon(other) as beta:
                assert (await client.request("inventory", host="beta")).datasets == []
                assert not beta.links.active
            found = (await client.request("inventory", host="alpha")).datasets
            assert [(one.dataset, gap.reason) for one in found for gap in one.gaps if gap.start == 10] == hole
            assert found[0].host == "alpha"


async def test_streams_and_jobs_are_listed_of_every_host(config: Config, tmp_path: Path) -> None:
    """Each with whose it is, to a client that asks nobody in particular; to one of a host only that one's."""
    there = Settings(data_path=str(tmp_path / "beta"), host="beta")
    async with daemon(config) as alpha, Client(alpha.bus_url) as client:
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        async with daemon(other), Client(alpha.bus_url, host="beta") as one:
            kept = {"data_type": "ohlc", "span": "1h", "operation": "backfill", "trigger_kind": "manual"}
            for host, pair in (("alpha", "BTC/USDT"), ("beta", "ETH/USDT")):
                ask = {"exchange": "binance", "symbol": pair, "data_type": "trades"}
                await client.request("streams.start", ask, host=host)
                job = {"exchange": "binance", "pairs": [pair], **kept}
                await client.request("jobs.create", job, host=host)
            streams = [(entry.dataset, entry.host) for entry in await client.streams()]
            assert streams == [("binance.trades.BTC-USDT", "alpha"), ("binance.trades.ETH-USDT", "beta")]
            assert {("BTC", "alpha"), ("ETH", "beta")} == {
                (job.dataset.split(".")[2].partition("-")[0], job.host)
                for job in await client.jobs(operation="backfill")
            }
            assert {entry.host for entry in [*await one.streams(), *await one.jobs()]} == {"beta"}


async def test_a_dataset_is_read_of_the_host_that_has_it(config: Config, tmp_path: Path) -> None:
    """However often it is asked, by the command, which says whose rows they are, and by a client."""
    there = Settings(data_path=str(tmp_path / "beta"), host="beta")
    async with daemon(config) as alpha, Client(alpha.bus_url) as client:
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        async with daemon(other):
            ask = {"dataset": "binance.ohlc.BTC-USDT.1h", "start": "origin"}
            run = (await client.request("backfill.start", ask, host="beta")).run
            async for _ in client.follow(run.run_id):
                pass
            command = [sys.executable, "-m", "dccd", "read", ask["dataset"], "--limit", "1", "--bus", alpha.bus_url]
            for _ in range(3):
                done = await anyio.run_process(command, cwd=tmp_path)
                assert len(done.stdout.decode().splitlines()) == 2
                assert "of host beta; --host asks another: alpha" in done.stderr.decode()
                assert (await client.read(ask["dataset"], limit=1)).height == 1
                assert (await client.coverage(ask["dataset"])).host == "beta"
            assert await client.holder("binance.trades.ETH-USDT") is None


async def test_the_inventory_is_of_every_host(config: Config, tmp_path: Path) -> None:
    """What each stores is listed beside the others', by a client that asks nobody in particular."""
    there = Settings(data_path=str(tmp_path / "beta"), host="beta")
    async with daemon(config) as alpha, Client(alpha.bus_url) as client:
        other = msgspec.structs.replace(config, settings=there, bus=BusConfig(url=alpha.bus_url))
        async with daemon(other), Client(alpha.bus_url, host="beta") as one:
            for host in ("alpha", "beta"):
                ask = {"dataset": "binance.ohlc.BTC-USDT.1h", "start": "origin"}
                run = (await client.request("backfill.start", ask, host=host)).run
                async for _ in client.follow(run.run_id):
                    pass
            found = [(entry.dataset, entry.host) for entry in await client.inventory()]
            assert found == [(ask["dataset"], "alpha"), (ask["dataset"], "beta")]
            assert [entry.host for entry in await one.inventory()] == ["beta"]
