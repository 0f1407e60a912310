"""Files of older releases under a whole daemon: a request, its events, the run history, and what is read afterwards."""

from __future__ import annotations

import shutil
from contextlib import aclosing
from pathlib import Path

import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, Settings
from dccd.errors import RequestError
from dccd.messages import RunFile, RunStatus, StorageMigrate
from dccd.runs import Run

pytestmark = pytest.mark.anyio

OLD = Path(__file__).parent.parent / "frames" / "old"


def of(root: Path, name: str) -> Config:
    """A configuration on a copy of what release *name* wrote."""
    shutil.copytree(OLD / name, root)
    return Config(settings=Settings(data_path=str(root), host="alpha"), bus=BusConfig(port=0))


async def migrated(client: Client, **options: object) -> tuple[Run, dict[str, RunFile]]:
    """The run as it ended, and what it told of each file."""
    run, files = None, {}
    async for event in client.migrate(**options):  # type: ignore[arg-type]  # a test
        if isinstance(event, RunFile):
            assert event.path not in files
            files[event.path] = event
        elif isinstance(event, RunStatus):
            run = event.run
    assert run is not None
    return run, files


async def test_dccd_3_under_a_daemon(tmp_path: Path) -> None:
    """A dry run tells all and changes nothing; then it is done; its runs are in the list, once."""
    config = of(tmp_path / "data", "dccd3")
    async with daemon(config) as running, Client(running.bus_url) as client:
        dry, planned = await migrated(client)
        assert (dry.state, dry.operation, dry.dataset) == ("done", "storage.migrate", "")
        assert dry.summary == "4 files to be migrated (38 rows), 7 read as they are, 1 refused"
        assert (tmp_path / "data/kraken/ohlc/ETH-USD/600s/2024.parquet").exists()
        assert len(await client.runs()) == 1

        run, files = await migrated(client, dry_run=False)
        assert run.summary == "4 files migrated (38 rows), 7 read as they are, 1 refused"
        assert run.fraction == 1.0 and run.rows == 38 and run.warning is not None
        assert {p: (f.action, f.new) for p, f in files.items()} == {p: (f.action, f.new) for p, f in planned.items()}
        bars = await client.read("kraken.ohlc.ETH-USD.10m")
        assert bars.height == 12
        assert {entry.dataset for entry in await client.inventory("kraken")} == {"kraken.ohlc.ETH-USD.10m"}

        again, _ = await migrated(client, dry_run=False)
        assert again.summary == "8 read as they are, 1 refused"
        jobs = [found.job for found in await client.runs()]
        assert sorted(set(jobs)) == [
            "backfill.binance.ohlc.BTC-USDT.1h",
            "storage.migrate",
            "stream.kraken.trades.BTC-USD",
        ]
        assert len(jobs) == 3 + 5
        old = await client.runs(dataset="kraken.trades.BTC-USD")
        assert [(found.state, found.error) for found in old] == [("failed", "gave up")]


async def test_dccd_2_under_a_daemon(tmp_path: Path) -> None:
    """Its files can't be read before, harm nobody, and can be read afterwards without a restart."""
    config = of(tmp_path / "data", "dccd2")
    async with daemon(config) as running, Client(running.bus_url) as client:
        with pytest.raises(RequestError, match="dccd migrate"):
            await client.read("binance.ohlc.BTC-USDT.1h")
        run, files = await migrated(client, dry_run=False, datasets={"dump/trades.csv": "okx.trades.BTC-USDT"})
        assert run.state == "done"
        assert files["dump/trades.csv"].to == ["2024-03-01"]
        assert (await client.read("binance.ohlc.BTC-USDT.1h")).height == 12
        assert (await client.read("okx.trades.BTC-USDT")).height == 10


async def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    """By the request where the words tell, by the run where the files do."""
    config = of(tmp_path / "data", "dccd2")
    async with daemon(config) as running, Client(running.bus_url) as client:
        for message in (StorageMigrate(symbols={"a": "b"}), StorageMigrate(datasets={"a": "b"})):
            with pytest.raises(RequestError) as refused:
                await client.request("storage.migrate", message)
            assert refused.value.code == 400
        run, _ = await migrated(client, datasets={"nowhere.csv": "okx.trades.BTC-USDT"})
        assert run.state == "failed" and "nowhere.csv" in (run.error or "")


async def test_a_stop_in_the_middle_is_gone_on_from(tmp_path: Path) -> None:
    """The daemon ends while it migrates; the next one goes on with the same run, and all rows are there."""
    root = tmp_path / "data"
    config = of(root, "dccd3")
    source = root / "kraken/ohlc/ETH-USD/600s"
    for number in range(60):
        shutil.copytree(source, root / f"kraken/ohlc/E{number}-USD/600s")
    async with (
        daemon(config) as running,
        Client(running.bus_url) as client,
        aclosing(client.migrate(dry_run=False)) as events,
    ):
        begun = await anext(event async for event in events if isinstance(event, RunFile) and event.new == 12)
    assert list(root.glob("kraken/ohlc/E*/600s/*.parquet"))
    async with daemon(config) as running, Client(running.bus_url) as client:
        *_, ended = [event async for event in client.follow(begun.run_id)]
        assert isinstance(ended, RunStatus) and ended.run.state == "done"
        assert ended.run.resumed == 1
        assert not list(root.glob("kraken/ohlc/E*/600s/*.parquet"))
        for number in range(60):
            assert (await client.read(f"kraken.ohlc.E{number}-USD.10m")).height == 12
