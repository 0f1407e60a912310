"""Tests of which source bars are made of, and of which time of it."""

from __future__ import annotations

from typing import Any

import pytest

from dccd.errors import BadRead, NotStored
from dccd.records import Bar, Trade
from dccd.store.coverage import Claims, Coverage, IntervalSet, Notes, coverage_of
from dccd.store.derive import Derivation, holes, source_of
from dccd.store.intervals import Gap
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
START = 1_704_067_200 * NS  # 2024-01-01
SEVEN = Dataset.parse("binance.ohlc.BTC-USDT.7m")
BASE = -(-START // (7 * MINUTE)) * 7 * MINUTE
"""The first start of a bar of seven minutes in 2024."""


def minutes(bench: Any, count: int, first: int = BASE, span: str = "1m", **options: Any) -> None:
    """Store *count* bars, volumes 1, from *first* on."""
    dataset = Dataset.parse(f"binance.ohlc.BTC-USDT.{span}")
    step = dataset.span * NS
    bench.put([Bar(first + n * step, 1.0, 2.0, 0.5, 1.5, 1.0, 2.0, 3) for n in range(count)], dataset, **options)


def trades(bench: Any, seconds: int, first: int = BASE, **options: Any) -> None:
    """Store a trade a second, amounts 1, from *first* on."""
    bench.put([Trade(first + n * NS, 10.0 + n, 1.0, "buy", str(first // NS + n)) for n in range(seconds)], **options)


def derived(bench: Any, start: int | None = None, end: int | None = None) -> Derivation:
    return Derivation(bench.store, SEVEN, source_of(bench.store, SEVEN), start, end)


def starts(made: Derivation, *window: int) -> list[int]:
    """Where its bars start, in sevens of minutes since BASE."""
    return [(ts - BASE) // (7 * MINUTE) for frame in made.frames(*window) for ts in frame["TS"]]


def test_what_is_stored_is_read(bench: Any) -> None:
    """By itself nothing is derived of a dataset that has rows of its own."""
    minutes(bench, 1, span="7m")
    minutes(bench, 30)
    assert source_of(bench.store, SEVEN) == SEVEN
    assert source_of(bench.store, SEVEN, "1m").name == "binance.ohlc.BTC-USDT.1m"


def test_the_longest_bars_come_before_trades(bench: Any) -> None:
    """By itself the source is the one with the fewest rows to read, of those that fit."""
    trades(bench, 3)
    assert source_of(bench.store, SEVEN) == bench.trades
    for span in ("1s", "1m", "5m", "1h"):
        minutes(bench, 3, span=span)
    assert source_of(bench.store, SEVEN).name == "binance.ohlc.BTC-USDT.1m"
    assert source_of(bench.store, SEVEN, "1s").name == "binance.ohlc.BTC-USDT.1s"
    assert source_of(bench.store, SEVEN, "trades") == bench.trades


@pytest.mark.parametrize("source", ["auto", "stored", "trades", "1m"])
def test_nothing_to_make_bars_of(bench: Any, source: str) -> None:
    """A source that isn't there is named, whichever was asked for."""
    minutes(bench, 3, span="5m")
    with pytest.raises(NotStored, match=f"nothing is stored of binance.*{'trades' if source == 'trades' else 'ohlc'}"):
        source_of(bench.store, SEVEN, source)


@pytest.mark.parametrize("source", ["5m", "7m", "14m", "bars", ""])
def test_sources_that_cannot_be(bench: Any, source: str) -> None:
    """Bars that don't lie in those asked for, and words that are no source."""
    minutes(bench, 3, span="5m")
    with pytest.raises(BadRead) as caught:
        source_of(bench.store, SEVEN, source)
    assert caught.value.field == "source"


def test_only_bars_are_made(bench: Any) -> None:
    """Trades aren't made of anything."""
    with pytest.raises(NotStored):
        source_of(bench.store, bench.trades)
    with pytest.raises(BadRead):
        source_of(bench.store, bench.trades, "1m")


def test_bars_at_the_edges_that_are_parts_are_left_out(bench: Any) -> None:
    """Trades that begin and end in the middle of a bar make no bar of their part, and it is told."""
    trades(bench, 30 * 60, BASE + MINUTE)
    made = derived(bench)
    assert starts(made) == [1, 2, 3]
    assert made.incomplete == [(BASE, BASE + 7 * MINUTE), (BASE + 28 * MINUTE, BASE + 35 * MINUTE)]


def test_bars_of_smaller_ones_that_are_all_there(bench: Any) -> None:
    """The last of them makes a bar whole: nothing has to follow."""
    minutes(bench, 21)
    made = derived(bench)
    assert (starts(made), made.incomplete) == ([0, 1, 2], [])
    [bars] = made.frames(BASE + 7 * MINUTE, BASE + 8 * MINUTE)
    assert bars.row(0) == (BASE + 7 * MINUTE, 1.0, 2.0, 0.5, 1.5, 7.0, 14.0, 21, None)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 28, [0, 1, 2, 3]), (1, 28, [1, 2, 3]), (7, 8, [1]), (7, 15, [1, 2]), (-99, 7, [0]), (8, 14, []), (14, 7, [])],
)
def test_a_range_is_of_the_starts_of_bars(bench: Any, start: int, end: int, expected: list[int]) -> None:
    """A bar that starts in it is whole, though its end lies beyond."""
    minutes(bench, 28)
    made = derived(bench, BASE + start * MINUTE, BASE + end * MINUTE)
    assert starts(made) == expected
    assert made.incomplete == []


def test_a_told_hole_leaves_out_the_bars_that_it_touches(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a connection that was lost for a second, whatever was stored around it."""
    trades(bench, 35 * 60)
    at = BASE + 8 * MINUTE
    coverage = coverage_of(
        Claims(IntervalSet([(BASE, at), (at + NS, BASE + 35 * MINUTE)])), Notes(missing=(Gap(at, at + NS, "socket"),))
    )
    monkeypatch.setattr(bench.store, "coverage", lambda dataset: coverage)
    made = derived(bench)
    assert starts(made) == [0, 2, 3, 4]
    assert made.incomplete == [(BASE + 7 * MINUTE, BASE + 14 * MINUTE)]


def test_a_long_hole_is_not_read(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a time in which no bar can be whole cost nothing, however many there are."""
    day = 86_400 * NS
    for n in range(5):
        minutes(bench, 7, BASE + n * day // (7 * MINUTE) * 7 * MINUTE, span="1s")
    whole = IntervalSet([(BASE, BASE + MINUTE), (BASE + 4 * day, BASE + 5 * day)])
    monkeypatch.setattr(bench.store, "coverage", lambda dataset: coverage_of(Claims(whole), Notes()))
    made = derived(bench, BASE, BASE + 4 * day)
    assert starts(made) == []
    assert made.incomplete == [(BASE, made.end)]
    assert bench.store.counts.rows == 0


def test_the_newest_are_made_backwards(bench: Any) -> None:
    """As many as asked for, over a day without any, and no more of the source is read than that takes."""
    minutes(bench, 70)
    minutes(bench, 70, BASE + 7 * 300 * MINUTE)
    made = derived(bench)
    assert made.newest(3)["TS"].to_list() == [BASE + (300 + n) * 7 * MINUTE for n in (7, 8, 9)]
    assert bench.store.counts.rows == 70
    assert [(ts - BASE) // (7 * MINUTE) for ts in made.newest(12)["TS"]] == [8, 9, *range(300, 310)]
    assert made.newest(1000).height == 20


def test_an_empty_source_has_no_newest(bench: Any) -> None:
    """Where no bar is whole there is none."""
    trades(bench, 3)
    assert derived(bench).newest(3) is None


@pytest.mark.parametrize(
    ("claims", "notes", "expected"),
    [
        (Claims(IntervalSet([(0, 100)])), Notes(), []),
        (Claims(IntervalSet([(10, 90)])), Notes(), [(0, 10), (90, 100)]),
        (Claims(IntervalSet([(0, 50)])), Notes(empty=((50, 100),)), []),
        (Claims(IntervalSet([(0, 40), (41, 100)])), Notes(), [(40, 41)]),
        # Two files of which nobody vouches: a short silence between them is one, a long one a hole.
        (Claims(unverified=IntervalSet([(0, 40), (50, 100)])), Notes(), []),
        (Claims(unverified=IntervalSet([(0, 40), (51, 100)])), Notes(), [(40, 51)]),
        (Claims(IntervalSet([(0, 40)]), IntervalSet([(45, 100)])), Notes(), []),
        (Claims(unverified=IntervalSet([(0, 40), (45, 100)])), Notes(missing=(Gap(40, 45, "crash"),)), [(40, 45)]),
        (Claims(IntervalSet([(0, 40), (45, 100)])), Notes(purged=((40, 45),)), [(40, 45)]),
        (Claims(), Notes(), [(0, 100)]),
    ],
)
def test_holes(bench: Any, claims: Claims, notes: Notes, expected: list[tuple[int, int]]) -> None:
    """Where rows may be missing, for bars of 10 ns: what is told, and what nobody vouches for."""
    coverage = coverage_of(claims, notes) if claims != Claims() else Coverage()
    assert list(holes(coverage, bench.trades, 0, 100, 10)) == expected


def test_time_between_bars_is_no_hole(bench: Any) -> None:
    """From the last nanosecond that a bar's row stands for to the next bar there is nothing to miss."""
    coverage = coverage_of(Claims(IntervalSet([(0, MINUTE + 1), (2 * MINUTE, 3 * MINUTE + 1)])), Notes())
    assert list(holes(coverage, bench.bars, 0, 4 * MINUTE, 2 * MINUTE)) == []
