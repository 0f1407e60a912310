"""A fold by a whole daemon: a run as any other, that can be watched and cancelled."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
import polars as pl
import pytest

from actors import folder
from actors.daemon import daemon
from dccd.client import Client
from dccd.config import BusConfig, Config, Settings, StorageConfig
from dccd.errors import RequestError, RunFailed
from dccd.messages import RunLog, RunProgress, RunStatus, StorageFold
from dccd.records import Trade
from dccd.runs import Run, require_done
from dccd.store.layout import Layout
from dccd.store.schema import table_from_records
from dccd.store.writer import SegmentWriter
from dccd.symbols import NS, Dataset

pytestmark = pytest.mark.anyio

NOON = 1_700_049_600 * NS  # 2023-11-15T12:00:00Z
DAYS = ("2023-11-15", "2023-11-16")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A daemon without jobs, that folds nothing by itself, of two days of trades in segments on two exchanges."""
    path = tmp_path / "data"
    for exchange in ("binance", "kraken"):
        dataset = Dataset.parse(f"{exchange}.trades.BTC-USDT")
        for day in range(2):
            trade = Trade(NOON + day * 86_400 * NS, 1.0, 2.0, "buy", str(day), None)
            SegmentWriter(Layout(path), "before").write(dataset, table_from_records(dataset.data_type, [trade]))
    storage = StorageConfig(fold_interval="1h")
    return Config(settings=Settings(data_path=str(path), host="alpha"), bus=BusConfig(port=0), storage=storage)


def bases(config: Config, exchange: str) -> list[str]:
    return sorted(path.stem for path in (config.data_path / exchange).rglob("*.parquet"))


async def ended(client: Client, message: StorageFold) -> tuple[Run, list[Any]]:
    """Have it done; return the run as it ended, and what it reported."""
    events = [event async for event in client.storage(message)]
    return [event.run for event in events if isinstance(event, RunStatus)][-1], events


async def test_what_is_asked_for_is_folded(config: Config) -> None:
    """A prefix first, then all; the run says what has been done, also that there was nothing to do."""
    async with daemon(config) as running, Client(running.bus_url) as client:
        run, events = await ended(client, StorageFold(dataset="binance"))
        assert (run.state, run.rows, run.job) == ("done", 2, "storage.fold")
        assert run.summary is not None and run.summary.startswith("2 periods folded (2 rows, ")
        assert run.position == run.end > 0
        assert [event.files for event in events if isinstance(event, RunProgress)][-1] == 2
        assert (bases(config, "binance"), bases(config, "kraken")) == ([*DAYS], [])
        frame = pl.read_parquet(config.data_path / "binance/trades/BTC-USDT/2023-11-16.parquet")
        assert frame["tid"].to_list() == ["1"]
        assert (await ended(client, StorageFold()))[0].rows == 2
        assert bases(config, "kraken") == [*DAYS]
        run, _ = await ended(client, StorageFold())
        assert (run.state, run.summary) == ("done", None)


async def test_of_what_is_not_stored_there_is_no_run(config: Config) -> None:
    """It is refused at once: a misspelt name is no success."""
    async with daemon(config) as running, Client(running.bus_url) as client:
        for name in ("okx", "binance.trade", "binance.trades.ETH-USDT"):
            with pytest.raises(RequestError) as refused:
                await client.request("storage.fold", StorageFold(dataset=name))
            assert (refused.value.code, refused.value.reason) == (404, "no_dataset")
        assert await client.runs() == []


async def test_what_could_not_be_folded_fails_the_run(config: Config) -> None:
    """With the file's name, in the record and in the run's log; the rest is folded."""
    (damaged,) = (config.data_path / ".dccd/segments/binance.trades.BTC-USDT/2023-11-15").glob("*.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-20])
    async with daemon(config) as running, Client(running.bus_url) as client:
        run, events = await ended(client, StorageFold())
        with pytest.raises(RunFailed):
            require_done(run)
    assert run.error is not None and run.error.startswith("1 periods could not be folded: binance.trades.BTC-USDT")
    assert any("2023-11-15" in event.message for event in events if isinstance(event, RunLog))
    assert run.rows == 3
    assert bases(config, "kraken") == [*DAYS]


async def test_a_cancelled_fold_stops(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a file; then another may be asked for, with other options."""
    begun = threading.Event()

    def endless(*_: Any, tell: Any, wait: Any, **__: Any) -> Any:
        begun.set()
        while True:
            wait(0.01)

    with monkeypatch.context() as patched:
        patched.setattr(folder, "fold_all", endless)
        async with daemon(config) as running, Client(running.bus_url) as client:
            started = await client.request("storage.fold")
            await anyio.to_thread.run_sync(begun.wait, 10)
            with pytest.raises(RequestError) as refused:
                await client.request("storage.fold", StorageFold(dataset="kraken"))
            assert (refused.value.code, refused.value.reason) == (409, "busy")
            assert (await client.cancel(started.run_id)).state == "cancelled"
            patched.undo()
            assert (await ended(client, StorageFold(dataset="kraken")))[0].state == "done"
