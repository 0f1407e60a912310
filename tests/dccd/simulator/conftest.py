"""What the simulator's tests share: one fixed moment, and a simulator whose clock stands still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.symbols import NS
from tests.market_time import going

START = 1_714_564_800 * NS + 123_456_789
"""2024-05-01T12:00:00.123456789Z"""


@pytest.fixture
def start() -> int:
    """The moment at which the simulators of these tests start (ns)."""
    return START


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still at START."""
    return ManualClock(START)


@pytest.fixture
async def sim(clock: ManualClock) -> AsyncIterator[Simulator]:
    """Both exchanges, 20 trades a second, three days of history, time standing still."""
    async with Simulator(SimConfig(seed=3, rate=20, history=3), clock) as simulator:
        yield simulator


@pytest.fixture
def exchanges() -> tuple[str, ...]:
    """What ``live`` simulates; an exchange's own tests override it."""
    return ("binance", "kraken")


@pytest.fixture
def contracts() -> tuple[str, ...]:
    """Which contracts ``live`` has, where an exchange has any."""
    return SimConfig().contracts


@pytest.fixture
async def live(exchanges: tuple[str, ...], contracts: tuple[str, ...]) -> AsyncIterator[Simulator]:
    """Exchanges sixty times as fast as real time, since a client of the real ones can't be told to advance."""
    config = SimConfig(exchanges=exchanges, contracts=contracts, seed=5, rate=2, history=2)
    clock = ManualClock(time.time_ns())
    async with asyncio.timeout(180), Simulator(config, clock) as simulator, going(clock, speed=60.0, step=0.6):
        yield simulator
