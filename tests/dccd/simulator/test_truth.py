"""The truth: what an exact client of the wire has, to the unit of its times."""

from __future__ import annotations

import pytest

from dccd.simulator import SimConfig, Simulator
from dccd.simulator.faults import FaultPlan
from dccd.simulator.truth import Truth
from dccd.symbols import NS
from tests.dccd.simulator.fakes import Futures

pytestmark = pytest.mark.anyio


async def test_ranges_are_of_the_times_on_the_wire(sim: Simulator) -> None:
    """A trade belongs to the range that its cut time is in, so that adjoining ranges share none and miss none."""
    truth = sim.binance.truth
    some = truth.trades("BTC/USDT", sim.started - 10 * NS, sim.started)
    assert len(some) > 100
    assert all(trade.ts % 1_000_000 == 0 for trade in some)
    middle = some[50].ts
    before = truth.trades("BTC/USDT", some[0].ts, middle)
    after = truth.trades("BTC/USDT", middle, sim.started)
    assert before + after == some
    assert all(trade.ts < middle for trade in before) and after[0].ts == middle


async def test_ids_number_the_trades(sim: Simulator) -> None:
    """By id or by time, the same trades; the last id is that of the newest trade."""
    for exchange, symbol in ((sim.binance, "BTC/USDT"), (sim.kraken, "BTC/USD")):
        truth = exchange.truth
        last = truth.last_id(symbol, sim.started)
        (newest,) = truth.numbered(symbol, last, last)
        assert newest.tid == str(last) and newest.ts <= sim.started
        assert truth.last_id(symbol, truth.opened(symbol) - 1) == 0
        assert truth.numbered(symbol, 1, 3) == truth.trades(symbol, 0, truth.opened(symbol) + 3600 * NS)[:3]


async def test_unknown_symbols(sim: Simulator) -> None:
    """KeyError."""
    assert "BTC/USDT" in sim.binance.truth.symbols
    with pytest.raises(KeyError):
        sim.binance.truth.market("NO/PE")


def test_ids_are_those_of_the_wire(start: int) -> None:
    """Where they are no numbers a trade is asked for by its number, and has the exchange's id."""
    truth = Truth(Futures(SimConfig(history=1), FaultPlan(lambda: start), start))
    trades = truth.numbered("BTC/USDT:perp", 10, 12)
    assert [trade.tid for trade in trades] == ["id-a", "id-b", "id-c"]
    assert [trade.tid for trade in truth.trades("BTC/USDT:perp", start - 10 * NS, start)][-1] == (
        f"id-{truth.last_id('BTC/USDT:perp', start):x}"
    )


async def test_spot_has_no_funding(sim: Simulator) -> None:
    """ValueError, and neither has it open interest."""
    with pytest.raises(ValueError, match="spot"):
        sim.binance.truth.funding("BTC/USDT", 0, 1)
    with pytest.raises(ValueError, match="spot"):
        sim.binance.truth.open_interest("BTC/USDT", 0)
