"""The simulator as a whole: starting, stopping, configured faults, changes to the market."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.simulator.faults import HttpError, SharedMillisecond

pytestmark = pytest.mark.anyio


async def test_urls_are_as_configuration_wants_them(sim: Simulator) -> None:
    """Four ports of their own on loopback."""
    urls = sim.urls()
    assert set(urls) == {"binance", "kraken"}
    assert len({url for one in urls.values() for url in one.values()}) == 4
    assert urls["binance"]["rest_url"].startswith("http://127.0.0.1:")
    assert urls["kraken"]["ws_url"].startswith("ws://127.0.0.1:")


async def test_a_taken_port_is_an_error_and_nothing_stays(sim: Simulator) -> None:
    """OSError, and what was opened before is closed again."""
    taken = int(sim.kraken.ws_url.rsplit(":", 1)[1])
    other = Simulator(SimConfig(ports={"kraken": (0, taken)}))
    with pytest.raises(OSError, match="in use"):
        await other.start()
    port = int(other.binance.ws_url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match=r"refused|[Cc]onnect"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SimConfig(exchanges=("nyse",)), "can't be simulated"),
        (SimConfig(exchanges=()), "can't be simulated"),
        (SimConfig(symbols=("what",)), "'what' is no symbol"),
        (SimConfig(rate=-1), "can be simulated"),
        (SimConfig(speed=0), "speed"),
        (SimConfig(history=-1), "history is -1"),
        (SimConfig(total=0), "total is 0"),
        (SimConfig(replay=Path("x.tsv")), "of one exchange"),
    ],
)
async def test_impossible_options_are_refused(config: SimConfig, words: str) -> None:
    """Before anything listens."""
    with pytest.raises(ValueError, match=words):
        Simulator(config)


async def test_configured_faults_work_from_the_start(clock: ManualClock) -> None:
    """As given in the options."""
    async with Simulator(SimConfig(faults=(HttpError(status=418),)), clock) as sim:
        assert [one.fault for one in sim.faults.active] == [HttpError(status=418)]


async def test_trades_can_share_a_millisecond(sim: Simulator) -> None:
    """By id or by time; the exchange's own answers and the truth agree on it."""
    truth = sim.binance.truth
    first = truth.last_id("BTC/USDT", sim.started) - 500
    injected = sim.faults.inject(SharedMillisecond(exchange="binance", symbol="BTC-USDT", first=first, trades=30))
    assert injected.done
    assert len({trade.ts for trade in truth.numbered("BTC/USDT", first, first + 29)}) == 1
    at = sim.started - 10**9
    sim.faults.inject(SharedMillisecond(exchange="kraken", symbol="BTC/USD", at=at))
    kraken = sim.kraken.truth
    start = kraken.last_id("BTC/USD", at - 1) + 1
    assert len({trade.ts // 10**6 for trade in kraken.numbered("BTC/USD", start, start + 9)}) == 1


@pytest.mark.parametrize(
    "fault",
    [
        SharedMillisecond(first=5),
        SharedMillisecond(exchange="binance", symbol="NO/PE", first=5),
        SharedMillisecond(exchange="binance", symbol="BTC/USDT"),
        SharedMillisecond(exchange="binance", symbol="BTC/USDT", first=5, at=5),
        SharedMillisecond(exchange="binance", symbol="BTC/USDT", first=-5),
    ],
)
async def test_impossible_changes_are_refused(sim: Simulator, fault: SharedMillisecond) -> None:
    """With ValueError, and no fault stays at work."""
    with pytest.raises(ValueError, match=r"sharedmillisecond|no trade"):
        sim.faults.inject(fault)
    assert not sim.faults.active


async def test_both_exchanges_have_markets_of_their_own(sim: Simulator) -> None:
    """The same symbol trades differently here and there."""
    here = sim.binance.truth.numbered("BTC/USDT", 1, 100)
    there = sim.kraken.truth.numbered("BTC/USDT", 1, 100)
    assert [trade.amount for trade in here] != [trade.amount for trade in there]
