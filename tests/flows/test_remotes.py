"""Copies and retention by a whole daemon, against a real S3 server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from actors.daemon import daemon, make_links
from actors.links import RemoteState
from dccd.client import Client
from dccd.config import BusConfig, Config, RemoteConfig, RetentionConfig, RetentionRule, Settings, StorageConfig
from dccd.errors import RequestError, RunFailed
from dccd.messages import RunLog, RunStatus, StoragePurged, StorageRestore, StorageSync, StorageVerify
from dccd.records import Trade
from dccd.runs import Run
from dccd.store.layout import Layout
from dccd.store.remote.fake import FakeRemote
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset
from tests.flows.support import watching
from tests.s3 import S3Server, serving

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
NOON = 1_700_049_600 * NS  # 2023-11-15T12:00:00Z
DAY = 86_400 * NS


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    with serving(tmp_path / "s3") as server:
        yield server


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A daemon of three old days of trades, without jobs."""
    path = tmp_path / "data"
    writer = SegmentWriter(Layout(path), "before")
    for day in range(3):
        trades = [Trade(NOON + day * DAY + n, 1.0, 2.0, "buy", str(day * 10 + n), None) for n in range(5)]
        writer.write(TRADES, table_from_records(TRADES.data_type, list(trades)))
    return Config(settings=Settings(data_path=str(path), host="alpha"), bus=BusConfig(port=0))


def on_s3(config: Config, s3: S3Server, interval: float = 0, **retention: Any) -> Config:
    """The same with a remote there, and retention."""
    remote = RemoteConfig(
        name="backup",
        url="s3://data/copies",
        interval=interval,
        endpoint=s3.url,
        region="us-east-1",
        access_key_id=s3.key,
        secret_access_key=s3.secret,
    )
    storage = StorageConfig(remotes=[remote], retention=RetentionConfig(interval=1, **retention), fold_interval="1h")
    return msgspec.structs.replace(config, storage=storage)


async def ended(client: Client, message: Any) -> tuple[Run, list[Any]]:
    """Have it done; return the run as it ended, and what it reported."""
    events = [event async for event in client.storage(message)]
    return [event.run for event in events if isinstance(event, RunStatus)][-1], events


async def test_a_daemon_copies_purges_and_reads_through(config: Config, s3: S3Server) -> None:
    """At its interval, by itself: what is old leaves the disk once it is on S3, is told, and is read all the same."""
    config = on_s3(config, s3, interval=1, trades=RetentionRule(age="365d"))
    s3.stop()  # until somebody watches
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client) as expect:
        s3.start()
        gone = {(await expect(lambda event: isinstance(event, StoragePurged))).period for _ in range(3)}
        assert gone == {"2023-11-15", "2023-11-16", "2023-11-17"}
        run = next(run for run in await client.runs() if run.operation == "storage.sync")
        assert (run.trigger, run.dataset, run.options["remotes"]) == ("job", "", ["backup"])
        assert not list((Path(config.settings.data_path) / "binance").rglob("*.parquet"))
        assert (await client.retention()).purge == []
        frame = await client.read(TRADES)
        assert [int(tid) for tid in frame["tid"]] == [day * 10 + n for day in range(3) for n in range(5)]
        coverage = await client.coverage(TRADES.name)
        assert "purged" in coverage.seconds and "unverified" not in coverage.seconds
        assert (await client.remotes())[0].synced is not None
        assert (await client.health()).ok


async def test_a_remote_that_is_away_is_told(config: Config, s3: S3Server) -> None:
    """Runs fail with its name, a reader of what is there gets an error, and the health says no until it is back."""
    async with daemon(on_s3(config, s3), jobs=False) as running, Client(running.bus_url, timeout=60) as client:
        assert (await ended(client, StorageSync()))[0].state == "done"
        for state in running.links.remotes.values():
            from dccd.store.retention import purge

            for period in ("2023-11-15", "2023-11-16"):
                assert purge(running.links.layout, TRADES, period, [state.remote], "alpha") is None
        s3.stop()
        with pytest.raises(RequestError, match="2023-11-15 was purged here, and can't be had") as caught:
            await client.read(TRADES)
        assert (caught.value.code, caught.value.reason) == (503, "remote")
        assert (await client.read(TRADES, start=NOON + 2 * DAY)).height == 5
        running.links.remotes["backup"].error = "as a sync would say"
        (check,) = [check for check in (await client.health()).checks if check.name == "remotes"]
        assert (check.ok, check.detail) == (False, "backup: as a sync would say")
        s3.start()
        assert (await ended(client, StorageSync()))[0].state == "done"
        assert (await client.health()).ok
        assert (await client.read(TRADES)).height == 15


async def test_copies_are_compared_and_brought_back(config: Config, s3: S3Server, tmp_path: Path) -> None:
    """A damaged copy fails the run and is named, mended and copied anew; a daemon on an empty disk has all again."""
    config = on_s3(config, s3)
    async with daemon(config, jobs=False) as running, Client(running.bus_url) as client:
        run, events = await ended(client, StorageSync())
        assert run.summary is not None and run.summary.startswith("backup: 3 files copied")
        assert run.fraction == 1.0 and run.position == run.end > 0
        run, _ = await ended(client, StorageVerify())
        assert run.summary is not None and run.summary.endswith("all as they should be")
        key = max((s3.root / "data" / "copies").rglob("*.parquet"))
        whole = key.read_bytes()
        key.write_bytes(whole[:-1] + b"?")
        run, events = await ended(client, StorageVerify(mend=True))
        assert (run.state, run.error) == (
            "failed",
            "backup: 1 files differ; the next sync copies them anew where they are here",
        )
        assert any(isinstance(event, RunLog) and key.name in event.message for event in events)
        assert "1 files copied" in str((await ended(client, StorageSync()))[0].summary)
        assert key.read_bytes() == whole
    empty = msgspec.structs.replace(config, settings=Settings(data_path=str(tmp_path / "new"), host="alpha"))
    async with daemon(empty, jobs=False) as running, Client(running.bus_url) as client:
        run, _ = await ended(client, StorageRestore(dataset="binance", start="2023-11-16", end="2023-11-17"))
        assert "1 files of 1 periods restored" in str(run.summary)
        assert (await client.read(TRADES)).height == 15
        with pytest.raises(RequestError, match="there is no remote other; there are backup"):
            await ended(client, StorageSync(remotes=["other"]))
        run, _ = await ended(client, StorageRestore(dataset="kraken"))
        assert (run.state, run.error) == ("failed", "there is nothing of kraken")
        await ended(client, StorageRestore())
        assert [entry.rows for entry in await client.inventory()] == [15]


@pytest.mark.slow  # it is waited for
async def test_one_remote_that_is_away_keeps_no_other_from_being_verified(
    config: Config, s3: S3Server, tmp_path: Path
) -> None:
    """The one that can't be read is named; what is there of the other is told."""
    config, copies = on_s3(config, s3), tmp_path / "copies"
    copies.mkdir()
    folder = RemoteConfig(name="folder", url=f"file://{copies}", interval=0)
    storage = msgspec.structs.replace(config.storage, remotes=[folder, *config.storage.remotes])
    config = msgspec.structs.replace(config, storage=storage)
    async with daemon(config, jobs=False) as running, Client(running.bus_url, timeout=60) as client:
        assert (await ended(client, StorageSync()))[0].state == "done"
        copies.rename(tmp_path / "elsewhere")
        run, _ = await ended(client, StorageVerify())
    assert run.state == "failed"
    assert run.error is not None and run.error.startswith("remote folder: there is no folder")
    assert run.summary is not None and run.summary.startswith("backup: 3 files read")


async def test_without_remotes_it_is_refused(config: Config) -> None:
    """With a reason for scripts."""
    async with daemon(config, jobs=False) as running, Client(running.bus_url) as client:
        with pytest.raises(RequestError) as caught:
            await ended(client, StorageSync())
        assert (caught.value.code, caught.value.reason) == (422, "no_remotes")
        assert await client.remotes() == []
        assert (await client.retention()).periods == 0


async def test_a_sync_is_cancelled_and_one_that_is_stopped_goes_on(config: Config) -> None:
    """While it waits for a remote that is away: cancelled it is over, stopped with the daemon it is resumed."""
    links = make_links(config)
    remote = FakeRemote()
    links.remotes["fake"] = RemoteState(remote, 0)
    asked = threading.Event()
    remote.away, remote.step = 10**9, lambda name: asked.set()
    async with daemon(config, jobs=False, links=links) as running, Client(running.bus_url) as client:
        async for event in client.storage(StorageSync()):
            if isinstance(event, RunStatus) and event.run.state == "running":
                with anyio.fail_after(20):
                    await anyio.to_thread.run_sync(asked.wait)
                assert (await client.cancel(event.run.run_id)).state == "cancelled"
        stopped = await client.request("storage.sync", {})
        with pytest.raises(RequestError) as caught:
            await client.request("storage.sync", {"adopt": True})
        assert caught.value.reason == "busy"
        assert (await client.request("storage.sync", {})).already_running
    assert remote.objects == {}
    links = make_links(config)
    remote.away = 0
    links.remotes["fake"] = RemoteState(remote, 0)
    async with daemon(config, links=links) as running, Client(running.bus_url) as client:
        async for event in client.follow(stopped.run_id):
            if isinstance(event, RunStatus):
                run = event.run
        assert (run.state, run.resumed) == ("done", 1)
        assert len([key for key in remote.objects if key.endswith(".parquet")]) == 3


def test_the_plain_client_waits_for_the_end(config: Config) -> None:
    """Without await, a run that fails is raised."""

    async def main() -> None:
        links = make_links(config)
        remote = FakeRemote()
        links.remotes["fake"] = RemoteState(remote, 0)
        async with daemon(config, jobs=False, links=links) as running:

            def plain() -> None:
                with Client(running.bus_url) as client:
                    assert "3 files copied" in str(client.storage(StorageSync()).summary)
                    assert [one.name for one in client.remotes()] == ["fake"]
                    assert client.retention().periods == 0
                    remote.objects.pop(next(key for key in remote.objects if key.endswith(".parquet")))
                    with pytest.raises(RunFailed, match="fake: 1 files differ"):
                        client.storage(StorageVerify())

            await anyio.to_thread.run_sync(plain)

    anyio.run(main)
