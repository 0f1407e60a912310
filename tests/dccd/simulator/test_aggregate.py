"""Sums of trades: of parts as of the whole, and the same trades at another price."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dccd.simulator.aggregate import Tick, join, summed

TICKS = st.builds(Tick, st.integers(0, 10**9), st.integers(-500, 500), st.integers(1, 10**6), st.booleans())


@given(st.lists(TICKS, min_size=2, max_size=30), st.data())
def test_the_sum_of_parts_is_the_sum_of_the_whole(ticks: list[Tick], data: st.DataObject) -> None:
    """Wherever it is cut, and at whatever price the parts stand."""
    cut = data.draw(st.integers(1, len(ticks) - 1))
    price = data.draw(st.integers(1000, 10**7))
    whole = summed(tuple(ticks)).lifted(price)
    assert join([summed(tuple(part)).lifted(price) for part in (ticks[:cut], ticks[cut:])]) == whole
    prices = [price + tick.step for tick in ticks]
    assert (whole.open, whole.high, whole.low, whole.close) == (prices[0], max(prices), min(prices), prices[-1])
    assert whole.quote == sum(at * tick.lots for at, tick in zip(prices, ticks, strict=True))
    assert whole.buy_volume == sum(tick.lots for tick in ticks if not tick.sell)
    assert whole.trades == len(ticks)
