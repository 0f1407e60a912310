"""Which bars an unreadable frame leaves doubtful."""

from __future__ import annotations

from dccd.exchanges.open_bars import OpenBars
from dccd.feeds.doubts import BarDoubts
from dccd.records import Bar, Record
from dccd.symbols import NS

MINUTE = 60 * NS
T0 = 28_333_334 * MINUTE


def state(minute: int, second: float, volume: float = 1.0, closed: bool = False) -> Bar:
    """Of the bar *minute*, received at *second* from T0."""
    at = T0 + round(second * NS)
    return Bar(T0 + minute * MINUTE, 1.0, 1.0, 1.0, 1.0, volume, recv_ts=at, closed=closed)


class Stream:
    """States of a stream of OpenBars, in minutes and seconds from T0."""

    def __init__(self) -> None:
        self.bars, self.doubts = OpenBars(60), BarDoubts(MINUTE)
        self.complete_to: int | None = None

    def take(self, minute: int, second: float, volume: float = 1.0) -> tuple[tuple[int, int] | None, list[Record]]:
        out: list[Record] = []
        self.bars.take(state(minute, second, volume), out)
        return self.done(out)

    def tick(self, second: float) -> tuple[tuple[int, int] | None, list[Record]]:
        out: list[Record] = []
        self.bars.tick(T0 + round(second * NS), out)
        return self.done(out)

    def spoilt(self, second: float) -> None:
        self.doubts.spoilt(T0 + round(second * NS), self.complete_to, T0, 0)

    def done(self, out: list[Record]) -> tuple[tuple[int, int] | None, list[Record]]:
        hole, kept = self.doubts.take(out)
        for bar in kept:
            if isinstance(bar, Bar) and bar.closed:
                self.complete_to = bar.ts + MINUTE
        if hole is None:
            return None, kept
        return ((hole[0] - T0) // NS, (hole[1] - T0) // NS), kept


def test_a_bar_whose_last_word_may_be_missing_is_not_closed() -> None:
    """The next bar begins, or time goes by: a hole over it, and nothing that passes for the closed bar."""
    by_next, by_time = Stream(), Stream()
    for stream in (by_next, by_time):
        stream.take(0, 10)
        stream.spoilt(50)
    assert by_next.take(1, 61) == ((0, 60), [state(1, 61)])
    assert by_time.tick(64) == ((0, 60), [])
    assert by_next.take(2, 121) == (None, [state(1, 61, closed=True), state(2, 121)])


def test_a_later_state_tells_the_bar_whole() -> None:
    """States add up: then nothing is doubtful."""
    stream = Stream()
    stream.take(0, 10)
    stream.spoilt(20)
    assert stream.take(0, 30, 2.0) == (None, [state(0, 30, 2.0)])
    assert stream.take(1, 61) == (None, [state(0, 30, 2.0, closed=True), state(1, 61)])
    assert stream.doubts.start is None


def test_a_bar_of_which_nothing_could_be_read() -> None:
    """It lies between the bar before and the next that can."""
    stream = Stream()
    stream.take(0, 10)
    stream.tick(64)
    stream.spoilt(100)
    assert stream.take(2, 130) == ((60, 120), [state(2, 130)])
    first = Stream()
    first.spoilt(30)
    assert first.take(1, 70) == ((0, 60), [state(1, 70)])


def test_a_quiet_market_after_it_is_no_hole() -> None:
    """Bars that begin later have nothing to do with it."""
    stream = Stream()
    stream.take(0, 10)
    stream.spoilt(30)
    assert stream.tick(64) == ((0, 60), [])
    assert stream.take(9, 545) == (None, [state(9, 545)])


def test_a_late_word_about_the_bar_before() -> None:
    """A trade may come a moment after the next bar began: both are doubtful then."""
    stream = Stream()
    stream.take(0, 10)
    stream.take(1, 61)
    stream.spoilt(62)
    assert stream.take(1, 70) == ((0, 60), [state(1, 70)])


def test_what_the_exchange_itself_says_to_be_closed_is_whole() -> None:
    """It came after the frame."""
    doubts = BarDoubts(MINUTE)
    doubts.take([state(0, 10)])
    doubts.spoilt(T0 + 50 * NS, T0, T0, 0)
    assert doubts.take([state(0, 60, closed=True)]) == (None, [state(0, 60, closed=True)])
