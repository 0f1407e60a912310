"""Binance's intervals: fixed spans, weeks from Mondays, months of the calendar."""

from __future__ import annotations

import pytest

from dccd.simulator.intervals import INTERVALS
from dccd.symbols import parse_time


@pytest.mark.parametrize(
    ("name", "start", "after"),
    [
        ("1s", "2024-02-28T13:47:11Z", "2024-02-28T13:47:12Z"),
        ("1m", "2024-02-28T13:47:00Z", "2024-02-28T13:48:00Z"),
        ("8h", "2024-02-28T08:00:00Z", "2024-02-28T16:00:00Z"),
        ("1d", "2024-02-28T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("1w", "2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z"),
        ("1M", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
    ],
)
def test_a_bar_has_its_start_and_its_next(name: str, start: str, after: str) -> None:
    """The bar that a moment is in, and the one after it."""
    interval = INTERVALS[name]
    assert interval.start(parse_time("2024-02-28T13:47:11.5Z")) == parse_time(start)
    assert interval.shift(parse_time(start), 1) == parse_time(after)
    assert interval.shift(parse_time(after), -1) == parse_time(start)


def test_bars_from_one_to_another() -> None:
    """Both ends included, cut at the newer end."""
    minute, month = INTERVALS["1m"], INTERVALS["1M"]
    first = parse_time("2024-02-28T13:47:00Z")
    assert minute.starts(first, first + 3 * 60 * 10**9, 100) == [first + n * 60 * 10**9 for n in range(4)]
    assert minute.starts(first, first + 3 * 60 * 10**9, 2) == [first, first + 60 * 10**9]
    assert minute.starts(first, first - 1, 2) == []
    january = parse_time("2024-01-01")
    assert month.starts(january, parse_time("2024-12-01"), 3) == [
        january,
        month.shift(january, 1),
        parse_time("2024-03-01"),
    ]


def test_months_cross_years() -> None:
    """Thirteen months before January."""
    assert INTERVALS["1M"].shift(parse_time("2024-01-01"), -13) == parse_time("2022-12-01")
