"""Expiries: the last Fridays of the quarters, as the exchanges' contracts had them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.simulator.expiries import expiries, expiry, expiry_day
from dccd.symbols import NS, parse_time


@pytest.mark.parametrize(
    ("at", "current", "following"),
    [
        ("2024-05-01", "2024-06-28T08:00:00Z", "2024-09-27T08:00:00Z"),
        ("2024-06-28T07:59:59.999999999Z", "2024-06-28T08:00:00Z", "2024-09-27T08:00:00Z"),
        ("2024-06-28T08:00:00Z", "2024-09-27T08:00:00Z", "2024-12-27T08:00:00Z"),
        ("2023-12-30", "2024-03-29T08:00:00Z", "2024-06-28T08:00:00Z"),
        ("2021-10-01", "2021-12-31T08:00:00Z", "2022-03-25T08:00:00Z"),
    ],
)
def test_contracts_end_on_the_quarters_last_fridays(at: str, current: str, following: str) -> None:
    """The dates that Binance's BTCUSDT_240628 and its like had; at the very moment the next one takes over."""
    moment = parse_time(at)
    assert expiries(moment) == (parse_time(current), parse_time(following))
    assert (expiry("quarter", moment), expiry("next_quarter", moment)) == expiries(moment)
    assert f"{expiry_day(expiry('quarter', moment)):%y%m%d}" == current[2:10].replace("-", "")


@given(st.integers(1_230_768_000, 4_000_000_000))
def test_they_are_fridays_thirteen_or_fourteen_weeks_apart(second: int) -> None:
    """At any time, at eight o'clock, and never more than a quarter of a year and a week ahead."""
    current, following = expiries(second * NS)
    assert second * NS < current <= (second + 98 * 86_400) * NS
    assert (following - current) // (7 * 86_400 * NS) in (13, 14) and (following - current) % (7 * 86_400 * NS) == 0
    assert expiry_day(current).weekday() == 4 and current % (86_400 * NS) == 8 * 3600 * NS


def test_other_contracts_do_not_expire() -> None:
    """ValueError."""
    with pytest.raises(ValueError, match="perp"):
        expiry("perp", 1_700_000_000 * NS)
