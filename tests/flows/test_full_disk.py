"""The disk of the data is full, for real: a small file system of its own. The bus has another, and holds what comes."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from actors.daemon import daemon
from dccd import config_file
from dccd.bus.server import EmbeddedServer
from dccd.client import Client
from dccd.config import Alerts, BusConfig, Config, ExchangeConfig, Job, Settings
from dccd.errors import ConfigError
from dccd.simulator import SimConfig, Simulator
from dccd.store.reader import Store
from dccd.symbols import Dataset
from tests.flows.support import small_disk, take, with_jobs

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, 16 << 20) as disk:
        yield disk


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
        with pytest.raises(OSError, match="No space left") as caught:
            file.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    return filler


async def test_a_full_disk_is_told_and_nothing_that_the_bus_holds_is_lost(small: Path, tmp_path: Path) -> None:
    """Nothing is written, health says why, ticks go on; with room again all are stored, once, without a hole."""
    data = small / "data"
    async with (
        Simulator(SimConfig(exchanges=("binance",), seed=5, rate=100, history=0.01)) as sim,
        EmbeddedServer(tmp_path / "nats", port=0, on_log=lambda level, text: None) as server,
    ):
        config = with_jobs(
            msgspec.structs.replace(
                Config(),
                settings=Settings(data_path=str(data), host="alpha"),
                bus=BusConfig(url=server.url),
                exchanges={name: ExchangeConfig(**urls, rate_limit=False) for name, urls in sim.urls().items()},  # type: ignore[arg-type]  # two URLs
                alerts=Alerts(archiver_lag="1s", free_space="64kB"),
            ),
            Job(exchange="binance", pairs=["BTC/USDT"], data_type="trades"),
        )
        config = msgspec.structs.replace(config, storage=msgspec.structs.replace(config.storage, flush_interval=0.1))
        async with daemon(config) as running, Client(running.bus_url) as client:

            async def until(good: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
                with anyio.fail_after(60):
                    async for _ in client.ticks("binance", "BTC/USDT"):
                        checks = {check.name: check for check in (await client.health()).checks}
                        if good(checks):
                            return checks
                raise AssertionError("the ticks have ended")

            async def stored() -> list[int]:
                return sorted(int(tid) for tid in (await client.read(TRADES))["tid"])

            first = int((await take(client.ticks("binance", "BTC/USDT"), 50))[0].tid)
            await until(
                lambda checks: all(check.ok for check in checks.values()) and (data / ".dccd/segments").is_dir()
            )
            filler = fill(small)
            checks = await until(lambda checks: not checks["archiver"].ok and not checks["space"].ok)
            assert "No space left" in checks["archiver"].detail
            before = await stored()
            await take(client.ticks("binance", "BTC/USDT"), 200)
            assert await stored() == before
            filler.unlink()
            await until(lambda checks: all(check.ok for check in checks.values()))
            last = int((await take(client.ticks("binance", "BTC/USDT"), 5))[-1].tid)
            (entry,) = await client.inventory(TRADES.name)
            assert entry.gaps == []
        rows = Store(data).read(TRADES).select("TS", "price", "amount", "tid").rows()
        assert len(rows) == len({row[3] for row in rows})
        truth = sim.binance.truth.numbered("BTC/USDT", first, last)
        got = sorted((row for row in rows if first <= int(row[3]) <= last), key=lambda row: int(row[3]))
        assert got == [(trade.ts, trade.price, trade.amount, trade.tid) for trade in truth]
        assert before[-1] < last


def test_a_full_disk_leaves_the_configuration_as_it_was(small: Path) -> None:
    """A change that finds no room is refused with that reason, and nothing lies beside the file."""
    path = small / "config.yml"
    path.write_text("jobs: []  # none yet\n")
    changed = "jobs: []  # none yet\n" + "# more\n" * 10_000
    filler = fill(small)
    before = sorted(small.iterdir())
    with pytest.raises(ConfigError, match="No space left"):
        config_file.write(path, changed)
    assert path.read_text() == "jobs: []  # none yet\n"
    assert sorted(small.iterdir()) == before
    filler.unlink()
    config_file.write(path, changed)
    assert path.read_text() == changed
