"""The truth: what an exact client of the wire has, to the unit of its times."""

from __future__ import annotations

import pytest

from dccd.simulator import Simulator
from dccd.symbols import NS

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
