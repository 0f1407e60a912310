"""What a venue lists, where its subscriptions stand, and numbers as exchanges write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.simulator.binance import Binance
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.venue import Cursor, fixed
from dccd.simulator.venues import VENUES
from dccd.symbols import NS
from tests.dccd.simulator.fakes import Futures

START = 1_714_564_800 * NS + 123_456_789


def venue(kind: type[Binance] = Binance, **options: object) -> Binance:
    return kind(SimConfig(rate=20, history=1, **options), FaultPlan(lambda: START), START)  # type: ignore[arg-type]


def test_a_venue_lists_its_kinds_of_contracts() -> None:
    """Spot where nothing else is said; else what it has of the symbols and contracts asked for."""
    assert list(VENUES["kraken"](SimConfig(), FaultPlan(lambda: START), START).listings) == list(SimConfig().symbols)
    contracts = ["BTC/USDT:perp", "ETH/USDT:perp", "BTC/USD:perp", "BTC/USDT:next_quarter"]
    assert list(venue(Futures).listings) == contracts
    assert list(venue(Futures, symbols=("btc-usdt_perp", "A/B"), contracts=()).listings) == ["BTC/USDT:perp"]
    paid = venue(Futures).listings["BTC/USDT:perp"].derivative.settlements(START - 10 * 3600 * NS, START)
    assert len(paid) == 10


def test_every_venue_goes_by_its_id() -> None:
    """The table's keys are the ids, and each makes listings of what it can."""
    for id, kind in VENUES.items():
        assert kind.id == id
        assert kind(SimConfig(), FaultPlan(lambda: START), START).listings


def test_a_cursor_goes_by_the_clock() -> None:
    """Each trade after the subscription once; none to take."""
    listing = venue().listings["BTC/USDT"]
    it = Cursor(venue(), listing, START)
    first = listing.market.index(START + 1)
    assert it.next == first and not list(it.take(10))
    got = [run for seconds in (1, 0, 5) for run in it.until(START + seconds * NS)]
    assert sum(len(run.ticks) for run in got) == it.next - first == listing.market.index(START + 5 * NS + 1) - first


def test_a_cursor_of_a_benchmark_goes_as_far_as_taken() -> None:
    """So many from the start on, whatever the time."""
    it = Cursor(venue(total=100), venue().listings["BTC/USDT"], START + 99 * NS)
    assert it.next == venue().listings["BTC/USDT"].market.index(START)
    assert not list(it.until(START + 999 * NS))
    assert [sum(len(run.ticks) for run in it.take(60)) for _ in range(3)] == [60, 40, 0]


@pytest.mark.parametrize(
    ("decimals", "shown", "value", "text"),
    [
        (2, 8, 6_423_105, "64231.05000000"),
        (8, 8, 1, "0.00000001"),
        (0, 8, 17, "17.00000000"),
        (0, 0, 17, "17"),
        (1, None, 595_514, "59551.4"),
        (1, 5, 595_514, "59551.40000"),
    ],
)
def test_numbers_have_their_decimals(decimals: int, shown: int | None, value: int, text: str) -> None:
    """Leading and trailing zeros as the exchange shows them; the second time from memory."""
    encode = fixed(decimals, shown)
    assert [encode(value), encode(value)] == [text, text]


@given(st.integers(0, 8), st.integers(0, 10**20))
def test_no_digit_is_lost(decimals: int, value: int) -> None:
    """The text is exactly the number."""
    assert Decimal(fixed(decimals, 8)(value)) == Decimal(value).scaleb(-decimals)
