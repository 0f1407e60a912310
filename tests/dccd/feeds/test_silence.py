"""When a subscription has gone silent, and what proves that it is dead, of each kind of data."""

from __future__ import annotations

import pytest

from dccd.feeds.fake import START
from dccd.feeds.silence import Patience, Probe, Suspicion
from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
T = START // MINUTE * MINUTE


def bar(minute: int, volume: float, closed: bool = True) -> Bar:
    return Bar(T + minute * MINUTE, 1.0, 1.0, 1.0, 1.0, volume, closed=closed)


def suspicion(data_type: str) -> Suspicion:
    symbol = "BTC/USD:perp" if data_type in ("funding", "open_interest") else "BTC/USD"
    return Suspicion(Dataset.make("fake", data_type, symbol, "1m" if data_type == "ohlc" else None))


@pytest.mark.parametrize(("pause", "seconds"), [(0.1, 15.0), (2.0, 40.0), (30.0, 300.0)])
def test_patience_is_twenty_times_the_usual_pause(pause: float, seconds: float) -> None:
    """Within its bounds, and as it was given before there is a pause."""
    patience = Patience((15.0, 300.0), first=30.0)
    assert patience.seconds == 30.0
    patience.batch(pause)
    assert patience.seconds == seconds


def test_a_burst_makes_nobody_impatient() -> None:
    """A few quick batches in a slow market count as little as one slow one in a quick market."""
    patience = Patience((1.0, 1e9), first=30.0)
    patience.batch(10.0)
    for _ in range(5):
        patience.batch(0.0)
    assert 100.0 < patience.seconds < 200.0


def test_patience_grows_with_what_was_told_until_the_stream_speaks() -> None:
    """Twice as long each time, an hour longer at most; any message, and any record, begins anew."""
    patience = Patience((15.0, 300.0), first=1000.0)
    grown = []
    for _ in range(5):
        grown.append(patience.seconds)
        patience.told()
    assert grown == [1000.0, 2000.0, 4000.0, 7600.0, 11200.0]
    patience.heard()
    assert patience.seconds == 1000.0
    patience.told()
    patience.batch(1.0)
    assert patience.seconds == 20.0


@pytest.mark.parametrize(
    ("data_type", "last", "wanted"),
    [
        # Trades: from the last one on, but for the newest seconds.
        ("trades", Trade(T, 1.0, 1.0, None, None), Probe(T + 1, T + 290 * NS, True)),
        # Bars: the open one and those after it, or those after the closed one, as far as they are over.
        ("ohlc", bar(0, 1.0, closed=False), Probe(T, T + 4 * MINUTE, True)),
        ("ohlc", bar(0, 1.0), Probe(T + MINUTE, T + 4 * MINUTE, True)),
        ("ohlc", bar(3, 1.0), None),
        ("ohlc", None, Probe(T, T + 4 * MINUTE, True)),
        # What is announced or repeated: since it went silent.
        ("funding", FundingRate(T, 0.1), Probe(T + MINUTE, T + 290 * NS, True)),
        ("open_interest", None, Probe(T + MINUTE, T + 290 * NS, True)),
        # Books: the present one.
        ("orderbook", None, Probe(T + 300 * NS - 3600 * NS, T + 300 * NS, True)),
    ],
)
def test_what_rest_is_asked(data_type: str, last: Record | None, wanted: Probe | None) -> None:
    """Five minutes after T, all before T known, quiet for four minutes."""
    assert suspicion(data_type).question(last, T, T + MINUTE, T + 300 * NS) == wanted


def test_before_there_is_anything_to_compare_only_an_error_counts() -> None:
    """A symbol that isn't listed shows by that."""
    for data_type in ("trades", "ohlc", "funding", "open_interest"):
        probe = suspicion(data_type).question(None, T, T, T + 9 * NS)
        assert probe == Probe(T + 9 * NS - 3600 * NS, T + 9 * NS, False)
        assert not suspicion(data_type).answer(probe, [Trade(T, 1.0, 1.0, None, None)], None)


@pytest.mark.parametrize(
    ("data_type", "last", "found", "dead"),
    [
        ("trades", None, [], False),
        ("trades", None, [Trade(T, 1.0, 1.0, None, None)], True),
        # A bar without a trade is made for a quiet market, too.
        ("ohlc", bar(0, 1.0, closed=False), [bar(0, 1.0), bar(1, 0.0)], False),
        ("ohlc", bar(0, 1.0, closed=False), [bar(0, 1.5)], True),
        ("ohlc", bar(0, 1.0), [bar(0, 1.5), bar(1, 0.0)], False),
        ("ohlc", bar(0, 1.0), [bar(1, 0.5)], True),
        ("ohlc", None, [bar(1, 0.5)], True),
        ("funding", FundingRate(T - NS, 0.1), [FundingRate(T, 0.1)], False),
        ("funding", FundingRate(T - NS, 0.1), [FundingRate(T + NS, 0.1)], True),
        ("open_interest", OpenInterest(T, 7.0), [OpenInterest(T, 5.0), OpenInterest(T + NS, 5.0)], False),
        ("open_interest", OpenInterest(T, 7.0), [OpenInterest(T, 5.0), OpenInterest(T + NS, 6.0)], True),
        ("orderbook", None, [Trade(T, 1.0, 1.0, None, None)], False),
    ],
)
def test_what_proves_that_a_stream_is_dead(
    data_type: str, last: Record | None, found: list[Record], dead: bool
) -> None:
    """Something that the stream should have said."""
    assert suspicion(data_type).answer(Probe(T, T + 1, True), found, last) is dead


def test_a_book_is_compared_with_what_rest_had_before() -> None:
    """The best levels count, since how deep REST's book is may differ; whatever the stream says begins it anew."""
    asked = Probe(T, T + 1, True)
    books = [BookSnapshot(T, 1, [(5.0, 1.0), (deep, 1.0)], [(9.0, 1.0)]) for deep in (4.0, 3.0)]
    moved = BookSnapshot(T, 1, [(5.0, 2.0)], [(9.0, 1.0)])
    doubt = suspicion("orderbook")
    assert [doubt.answer(asked, [book], None) for book in (*books, moved)] == [False, False, True]
    doubt.heard()
    assert not doubt.answer(asked, books, None)
