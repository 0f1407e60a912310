"""What the flows share: simulated exchanges, a configuration that points at them, and waiting with a bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dccd.config import BusConfig, Config, ExchangeConfig, Settings, StorageConfig
from dccd.simulator import SimConfig, Simulator
from tests.commands import needed


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Binance and Kraken, brisk markets with a little history."""
    async with Simulator(SimConfig(seed=11, rate=40, history=0.05)) as simulator:
        yield simulator


@pytest.fixture
def config(sim: Simulator, tmp_path: Path) -> Config:
    """A daemon's configuration: its folder, a free port, the simulated exchanges, quick flushes."""
    return Config(
        settings=Settings(data_path=str(tmp_path / "data"), host="alpha"),
        bus=BusConfig(port=0),
        exchanges={
            name: ExchangeConfig(**urls, rate_limit=False)  # type: ignore[arg-type]  # two URLs
            for name, urls in sim.urls().items()
        },
        storage=StorageConfig(flush_interval=0.1),
    )


@pytest.fixture(scope="session")
def nats_binary() -> str:
    """The real `nats` command; a skip where there is none, but not in CI."""
    return needed("nats")
