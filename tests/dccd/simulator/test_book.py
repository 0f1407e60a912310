"""The book: deltas lead from any state to any later one, it is never crossed, and its ids have no gap."""

from __future__ import annotations

import pytest

from dccd.simulator.book import Book, difference
from dccd.simulator.instruments import instrument
from dccd.simulator.market import DAY, Market
from dccd.symbols import NS, Symbol

OPENED = 1_700_006_400 * NS


def book(symbol: str, rate: float, depth: int = 200) -> Book:
    market = Market(instrument(Symbol.parse(symbol), digits=7), seed="1", rate=rate, opened=OPENED)
    return Book(market, seed="1", depth=depth)


@pytest.mark.parametrize(("symbol", "rate"), [("BTC/USDT", 5), ("DOGE/USD", 0.05), ("ETH/USDT", 900), ("DOGE/BTC", 1)])
def test_changes_lead_from_one_state_to_the_next(symbol: str, rate: float) -> None:
    """A book kept by the changes of each step equals the book computed afresh, all along."""
    it = book(symbol, rate)
    step = it.step(OPENED + 3 * DAY)
    bids, asks = (dict(side) for side in it.levels(step, 10**9))
    for n in range(step + 1, step + 1500):
        changed = it.changes(n)
        assert changed[0] or changed[1]
        assert all(price > 0 for side in changed for price, _ in side)
        for side, changes in zip((bids, asks), changed, strict=True):
            for price, lots in changes:
                if lots:
                    assert side.get(price) != lots
                    side[price] = lots
                else:
                    del side[price]
        if n % 30 == 0:
            fresh = it.levels(n, 10**9)
            assert (bids, asks) == (dict(fresh[0]), dict(fresh[1]))


def test_it_is_sorted_and_never_crossed() -> None:
    """Best first on both sides, all bids below the last price and all asks above it."""
    it = book("BTC/USDT", 50)
    for step in range(it.step(OPENED + DAY), it.step(OPENED + DAY) + 200):
        bids, asks = it.levels(step, 50)
        assert bids == sorted(bids, reverse=True) and asks == sorted(asks)
        last = it.market.price(it.market.index(it.time(step) + 1) - 1)
        assert bids[0][0] <= last <= asks[0][0] and bids[0][0] < asks[0][0]
        assert all(lots > 0 for side in (bids, asks) for _, lots in side)


def test_ids_follow_one_another() -> None:
    """The first id of a step is the last one of the step before plus one."""
    assert [Book.last_id(step) - Book.last_id(step - 1) for step in range(5)] == [Book.last_id(0)] * 5


def test_a_snapshot_tells_the_state_in_asset_units() -> None:
    """The ground truth has floats, as a parser makes them, and the time and id of the step it shows."""
    it = book("BTC/USDT", 5)
    at = OPENED + DAY + 1234 * NS + 56_789
    shown = it.snapshot(at, 5)
    assert shown.ts <= at < shown.ts + it.step_ns
    assert shown.seq == it.last_id(it.step(at))
    assert len(shown.bids) == len(shown.asks) == 5
    price, lots = it.levels(it.step(at), 5)[0][0]
    assert shown.bids[0] == (float(f"{price / 100:.2f}"), float(f"{lots / 1e5:.5f}"))


@pytest.mark.parametrize("cuts", [True, False])
def test_differences_lead_from_one_view_to_the_next(cuts: bool) -> None:
    """Of a view of some levels a client keeps exactly those, be it that it cuts its book or that all is told."""
    it = book("BTC/USDT", 50)
    step, depth = it.step(OPENED + DAY), 25
    before = it.levels(step, depth)
    kept = [dict(side) for side in before]
    told = 0
    for n in range(step + 1, step + 400):
        after = it.levels(n, depth)
        for side, old, new, bids in zip(kept, before, after, (True, False), strict=True):
            changes = difference(old, new, bids=bids, depth=depth if cuts else None)
            told += len(changes)
            for price, lots in changes:
                if lots:
                    assert side.get(price) != lots
                    side[price] = lots
                else:
                    del side[price]
            if cuts:
                for price in sorted(side, reverse=bids)[depth:]:
                    del side[price]
            assert sorted(side.items(), reverse=bids) == new
        before = after
    assert 400 < told < 400 * 2 * depth / 2
