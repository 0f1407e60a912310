"""A file of the store is damaged while the daemon is down."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from actors.daemon import daemon
from dccd.client import Client
from dccd.config import Config, Job
from dccd.errors import RequestError
from dccd.messages import RunStatus
from dccd.simulator import Simulator
from dccd.store.reader import Store
from dccd.symbols import Dataset
from tests.flows.support import take, watching, with_jobs

pytestmark = pytest.mark.anyio

DAMAGED = Dataset.parse("binance.trades.BTC-USDT")
OTHER = Dataset.parse("kraken.trades.BTC-USD")


async def test_a_corrupt_file_is_told_and_holds_up_nothing(sim: Simulator, config: Config) -> None:
    """Who reads it is told which one it is, and so is who asks for the health; all streams go on and are stored."""
    config = with_jobs(
        config,
        Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades"),
        Job(exchange="kraken", pairs=["BTC/USD"], data_type="trades"),
    )
    async with daemon(config) as running, Client(running.bus_url) as client:
        await take(client.ticks("binance", "BTC/USDT"), 20)
        await take(client.ticks("kraken", "BTC/USD"), 5)
    store = Store(Path(config.settings.data_path))
    path = max(store.layout.dataset_segments(DAMAGED).rglob("*.parquet"), default=None) or next(
        store.layout.folder(DAMAGED).glob("*.parquet")
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    async with daemon(config) as running, Client(running.bus_url) as client:
        before = (await client.read(OTHER)).height
        await take(client.ticks("binance", "BTC/USDT"), 20)
        with anyio.fail_after(30):
            async for _ in client.ticks("kraken", "BTC/USD"):
                if (await client.read(OTHER)).height > before:
                    break
        with pytest.raises(RequestError, match=path.name) as caught:
            await client.read(DAMAGED)
        assert caught.value.reason == "corrupt_file"
        assert [check.name for check in (await client.health()).checks if not check.ok] == ["store"]
        # Looking names it and changes nothing; set aside, the rest can be read, and its interval is missing.
        (found,) = [line async for line in client.doctor() if line.kind == "finding"]
        assert (found.what, Path(found.path).name, found.wrong) == ("damaged", path.name, True)
        assert path.exists()
        (found,) = [line async for line in client.doctor(DAMAGED.name, set_aside=True) if line.kind == "finding"]
        assert found.moved is not None
        assert not path.exists()
        await client.read(DAMAGED)
        assert any(gap.start <= found.start < gap.end for gap in store.coverage(DAMAGED).missing)
        assert {line.kind async for line in client.doctor()} == {"progress"}
        # Put back where it was, whole again, its rows are there.
        (store.layout.root / found.moved).rename(path)
        path.write_bytes(whole)
        ids = sorted(int(tid) for tid in (await client.read(DAMAGED))["tid"])
        assert len(ids) == len(set(ids)) > 20


async def test_what_a_damaged_file_held_is_fetched_again(sim: Simulator, config: Config) -> None:
    """Set aside, its interval is a hole like any other: asked for, and the rows are what they were."""
    async with daemon(config) as running, Client(running.bus_url) as client:
        await client.backfill("binance", "BTC/USDT", "trades", start="origin")
        before = (await client.read(DAMAGED)).select("TS", "price", "amount", "side", "tid")
    store = Store(Path(config.settings.data_path))
    path = max(store.layout.folder(DAMAGED).glob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    async with daemon(config) as running, Client(running.bus_url) as client, watching(client, seconds=180) as expect:
        (found,) = [line async for line in client.doctor(set_aside=True) if line.kind == "finding"]
        assert found.moved is not None
        asked = await client.repair(DAMAGED.name)
        runs = {repair.run_id for repair in asked.repairs if repair.run_id}
        assert runs
        while runs:
            done = await expect(lambda event: isinstance(event, RunStatus) and event.run.state == "done")
            runs.discard(done.run.run_id)
        after = (await client.read(DAMAGED)).select("TS", "price", "amount", "side", "tid")
    first, last = before["TS"][0], before["TS"][-1]
    again = after.filter((after["TS"] >= first) & (after["TS"] <= last))
    assert again.equals(before)
