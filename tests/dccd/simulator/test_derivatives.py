"""What contracts have: funding that is paid as it was announced last, prices near the last trade, open interest."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.simulator.derivatives import Derivative
from dccd.simulator.instruments import instrument
from dccd.simulator.market import DAY, Market
from dccd.symbols import NS, Symbol

OPENED = 1_700_006_400 * NS
HOUR = 3600 * NS


def derivative(symbol: str = "BTC/USDT:perp", seed: str = "1", hours: int = 8, **size: int) -> Derivative:
    inverse = bool(size.pop("inverse", False))
    of = instrument(Symbol.parse(symbol), 6, size.get("decimals", 3), contract=size.get("contract", 1), inverse=inverse)
    return Derivative(Market(of, seed=seed, rate=5, opened=OPENED), seed=seed, interval=hours * HOUR)


IT = derivative()
TIMES = st.integers(OPENED, OPENED + 1000 * DAY)


@pytest.mark.parametrize("hours", [1, 8])
def test_funding_is_paid_at_the_end_of_each_interval(hours: int) -> None:
    """At multiples of the interval, from the opening on, by rates of some basis points with eight decimals."""
    it = derivative(hours=hours)
    paid = it.settlements(OPENED - DAY, OPENED + 30 * DAY)
    assert [one.ts for one in paid] == list(range(OPENED, OPENED + 30 * DAY, hours * HOUR))
    assert it.settlements(paid[3].ts, paid[5].ts) == paid[3:5]
    assert it.settlements(paid[3].ts + 1, paid[4].ts) == []
    assert all(abs(one.rate) <= 0.0005 and float(f"{one.rate:.8f}") == one.rate for one in paid)
    assert len({one.rate for one in paid}) > 20 and any(one.rate < 0 for one in paid)
    assert [one.mark_price for one in paid] == [it.mark_price(one.ts) for one in paid]


@given(TIMES)
def test_the_rate_announced_last_is_what_is_paid(at: int) -> None:
    """A prediction names the next payment, stays for a minute, and has become the rate paid when that is due."""
    rate, due = IT.predicted(at)
    assert at < due <= at + IT.interval and due % IT.interval == 0
    assert float(f"{rate:.8f}") == rate and abs(rate) < 0.001
    assert IT.predicted(at - at % (60 * NS)) == (rate, due)
    (paid,) = IT.settlements(due, due + 1)
    assert IT.predicted(due - 1) == (paid.rate, due) and IT.predicted(due).due == due + IT.interval


@given(TIMES)
def test_a_rate_that_accrues_is_known_when_its_interval_begins(at: int) -> None:
    """It is the settlement's at that time, and stays to the end."""
    it = Derivative(IT.market, seed="1", interval=HOUR, accrues=True)
    begin = at - at % HOUR
    (known,) = it.settlements(begin, begin + 1)
    assert it.predicted(at) == (known.rate, begin + HOUR)


@given(TIMES)
def test_prices_are_near_the_last_trade(at: int) -> None:
    """Mark price within a basis point, index price within three, both whole ticks that stay for a second."""
    second = at - at % NS
    last = IT.market.price(IT.market.index(second + 1) - 1)
    assert abs(IT.mark(at) - last) <= last * 1e-4 + 1 and abs(IT.index(at) - last) <= last * 3e-4 + 1
    assert (IT.mark(at), IT.index(at)) == (IT.mark(second), IT.index(second))
    assert round(IT.mark_price(at) * 10) == IT.mark(at) and round(IT.index_price(at) * 10) == IT.index(at)


@given(TIMES, st.sampled_from([1, 10]))
def test_open_interest_is_whole_contracts(at: int, contract: int) -> None:
    """In base asset to the last lot, with its value at the mark price; it stays for a second."""
    it = derivative(contract=contract)
    found, lots = it.open_interest(at), it.open_lots(at)
    assert lots % contract == 0 and lots > 0 and found.ts == at - at % NS
    assert found.open_interest == lots / 1000
    assert found.open_interest_value == float(Fraction(it.open_value(at), 10**4))
    assert it.open_interest(found.ts) == found


def test_open_interest_changes_by_the_second_and_within_bounds() -> None:
    """Most seconds have another one; over months it stays of one size."""
    seconds = [IT.open_lots(OPENED + DAY + n * NS) for n in range(300)]
    assert len(set(seconds)) > 250 and max(seconds) < 1.05 * min(seconds)
    days = [IT.open_lots(OPENED + n * DAY) for n in range(100)]
    assert 1.2 < max(days) / min(days) < 2


def test_its_history_is_itself_at_those_times() -> None:
    """At each multiple of a period, from the opening on."""
    rows = IT.open_interests(OPENED - DAY, OPENED + 3600 * NS, 300 * NS)
    assert rows == [IT.open_interest(OPENED + n * 300 * NS) for n in range(12)]


def test_inverse_contracts_are_of_the_quote_asset() -> None:
    """Lots are USD: their value is their number, and in base asset they are that by the mark price."""
    it = derivative("BTC/USD:perp", decimals=0, contract=100, inverse=1)
    found, lots = it.open_interest(OPENED + DAY), it.open_lots(OPENED + DAY)
    assert lots % 100 == 0 and it.open_value(OPENED + DAY) == found.open_interest_value == lots
    assert found.open_interest == pytest.approx(lots / it.mark_price(OPENED + DAY), rel=1e-12)


def test_the_same_seed_makes_the_same_contract() -> None:
    """Two processes agree; another seed or symbol has other rates."""

    def rates(symbol: str = "BTC/USDT:perp", seed: str = "1") -> list[float]:
        return [one.rate for one in derivative(symbol, seed).settlements(OPENED, OPENED + 10 * DAY)]

    assert rates() == rates()
    assert len({tuple(rates()), tuple(rates(seed="2")), tuple(rates(symbol="ETH/USDT:perp"))}) == 3


def test_dated_contracts_pay_no_funding() -> None:
    """But have open interest."""
    it = derivative("BTC/USDT:quarter")
    assert it.settlements(OPENED, OPENED + 10 * DAY) == [] and it.open_interest(OPENED).open_interest > 0
    with pytest.raises(ValueError, match="no funding"):
        it.predicted(OPENED)


def test_spot_has_none_of_it() -> None:
    """ValueError."""
    with pytest.raises(ValueError, match="spot"):
        derivative("BTC/USDT")
