"""The market: a function of its seed, with bars that are exactly what its trades give."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.records import Bar, Trade
from dccd.simulator.instruments import instrument
from dccd.simulator.market import DAY, Market
from dccd.symbols import NS, Symbol

OPENED = 1_700_006_400 * NS  # 2023-11-15
RATES = (0.001, 0.1, 5.0, 50.0, 3000.0)


def market(rate: float = 5.0, seed: str = "1", symbol: str = "BTC/USDT") -> Market:
    return Market(instrument(Symbol.parse(symbol), digits=7), seed=seed, rate=rate, opened=OPENED)


MARKETS = {rate: market(rate) for rate in RATES}


def rounded(value: float) -> float:
    """To the eighth decimal: sums of floats below have their own errors, the market's have none."""
    return round(value, 8)


def folded(trades: list[Trade], at: int) -> Bar:
    """A bar from its trades, the obvious way."""
    prices = [trade.price for trade in trades]
    return Bar(
        at,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        rounded(sum(trade.amount for trade in trades)),
        round(sum(trade.amount * trade.price for trade in trades), 4),
        len(trades),
    )


@given(st.sampled_from(RATES), st.integers(0, 10**9))
def test_a_trade_is_found_by_its_time(rate: float, index: int) -> None:
    """The first trade at or after a trade's time is that trade, and after it the next one."""
    it = MARKETS[rate]
    assert it.index(it.time(index)) == index
    assert it.index(it.time(index) + 1) == index + 1


@pytest.mark.parametrize("rate", RATES)
def test_times_increase_strictly(rate: float) -> None:
    """No two trades have the same nanosecond, across leaves and days too."""
    it = MARKETS[rate]
    edge = it.index(OPENED + DAY)
    first = max(0, edge - 1000)
    times = [it.time(n) for n in range(first, edge + 1000)]
    assert all(a < b for a, b in pairwise(times))
    assert times == [run.start + tick.offset for run in it.runs(first, edge + 1000) for tick in run.ticks]


@pytest.mark.parametrize("rate", RATES)
def test_the_rate_is_kept(rate: float) -> None:
    """A day has as many trades as the rate says."""
    it = MARKETS[rate]
    assert it.index(OPENED + 7 * DAY) - it.index(OPENED + 6 * DAY) == pytest.approx(rate * 86_400, rel=0.12)


@given(
    st.sampled_from((0.001, 0.1, 5.0)),
    st.sampled_from((1, 60, 300, 3600, 14_400)),
    st.integers(0, 400 * 86_400),
)
def test_bars_are_what_their_trades_give(rate: float, span: int, second: int) -> None:
    """Open, high, low, close, sums and count of any bar agree with its trades, one by one."""
    it = MARKETS[rate]
    start = OPENED + second * NS
    (bar,) = it.bars(span, start, start + span * NS) or [None]
    if bar is None:
        return
    trades = it.trades(bar.ts, bar.ts + span * NS)
    if trades:
        assert folded(trades, bar.ts) == Bar(
            bar.ts,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            rounded(bar.volume),
            round(bar.quote_volume or 0, 4),
            bar.trades,
        )
    else:
        before = it.numbered(it.index(bar.ts) - 1, it.index(bar.ts))[0].price
        assert (bar.open, bar.high, bar.low, bar.close) == (before,) * 4
        assert (bar.volume, bar.quote_volume, bar.trades) == (0, 0, 0)


def test_a_day_is_the_sum_of_its_hours() -> None:
    """Bars put together at different levels of the tree agree to the last lot."""
    it = MARKETS[50.0]
    day = it.aggregate(it.index(OPENED + DAY), it.index(OPENED + 2 * DAY))
    hours = [it.bar(OPENED + DAY + n * DAY // 24, OPENED + DAY + (n + 1) * DAY // 24) for n in range(24)]
    assert (day.open, day.close) == (hours[0].open, hours[-1].close)
    assert (day.high, day.low) == (max(hour.high for hour in hours), min(hour.low for hour in hours))
    for name in ("volume", "quote", "trades", "buy_volume", "buy_quote"):
        assert getattr(day, name) == sum(getattr(hour, name) for hour in hours)


def test_the_same_seed_makes_the_same_market() -> None:
    """Two processes agree on every trade; another seed, symbol or rate is another market."""
    first, last = 123_456, 123_556
    trades = market().numbered(first, last)
    assert trades == market().numbered(first, last)
    assert trades != market(seed="2").numbered(first, last)
    assert trades != market(symbol="ETH/USDT").numbered(first, last)


def test_prices_stay_sane_for_years() -> None:
    """Over ten years the price wanders, but stays within a factor of two of its level."""
    it = MARKETS[5.0]
    bars = it.bars(86_400, OPENED, OPENED + 3650 * DAY)
    assert len(bars) == 3650
    assert min(bar.low for bar in bars) > 32_000 and max(bar.high for bar in bars) < 128_000
    assert len({bar.close for bar in bars}) > 1000


@pytest.mark.parametrize("rate", RATES)
def test_prices_move_as_those_of_the_majors(rate: float) -> None:
    """Hours differ from one another by some tenths of a percent, at any rate of trades, and don't jump."""
    bars = MARKETS[rate].bars(3600, OPENED + 30 * DAY, OPENED + 60 * DAY)
    moves = [abs(b.close / a.close - 1) for a, b in pairwise(bars)]
    assert 0.0005 < sum(moves) / len(moves) < 0.005
    assert max(moves) < 0.03


def test_orders_take_several_levels_within_a_microsecond() -> None:
    """Some trades share the microsecond of the one before, as those of one taker's order do."""
    times = [trade.ts for trade in MARKETS[5.0].numbered(0, 1000, resolution=1000)]
    assert 100 < sum(a == b for a, b in pairwise(times)) < 900


def test_pinned_trades_share_a_millisecond() -> None:
    """Trades moved together are found at their new times, keep their numbers, and bars follow them."""
    it = market(rate=0.1)
    first = next(n for n in range(1000, 2000) if it.time(n) // (60 * NS) != it.time(n + 40) // (60 * NS))
    before = it.numbered(first, first + 50)
    pin = it.pin(first, 40)
    after = it.numbered(first, first + 50)
    assert len({trade.ts // 1_000_000 for trade in after[:40]}) == 1
    assert [(trade.tid, trade.price, trade.amount) for trade in after] == [
        (trade.tid, trade.price, trade.amount) for trade in before
    ]
    assert after[40:] == before[40:]
    for n in range(first - 1, first + 45):
        assert it.index(it.time(n)) == n
    assert it.index(pin.at) == first and it.index(pin.at + 40) == first + 40
    minute = pin.at - pin.at % (60 * NS)
    trades = it.trades(minute, minute + 60 * NS)
    assert it.bars(60, minute, minute + 60 * NS)[0].trades == len(trades) >= 40


def test_pins_that_cannot_be_are_refused() -> None:
    """Overlapping pins and absurd counts raise."""
    it = market()
    it.pin(100, 20)
    with pytest.raises(ValueError, match="already"):
        it.pin(110, 20)
    with pytest.raises(ValueError, match="one millisecond"):
        it.pin(500, 1)


@pytest.mark.parametrize("rate", [0.0, 1e-9, 2e6, float("nan")])
def test_impossible_rates_are_refused(rate: float) -> None:
    """A rate that can't be simulated raises, and says what can."""
    with pytest.raises(ValueError, match="can be simulated"):
        market(rate)
