"""Tests of what an entry tells, and of which holes are asked for."""

from __future__ import annotations

import msgspec
import pytest

from actors.known import (
    CANCELLED,
    REMOVED,
    asked_for,
    asked_range,
    check_book,
    entry_of,
    gaps_of,
    left_by,
    listed,
    of_history,
    repaired_by,
    to_repair,
)
from dccd.errors import RequestError
from dccd.messages import DatasetEntry, GapEntry
from dccd.runs import Run
from dccd.store.catalogue import DatasetStats
from dccd.store.coverage import NEVER_ASKED, Coverage, Gap, IntervalSet
from dccd.symbols import NS, Dataset

COVERAGE = Coverage(
    start=0,
    end=100,
    verified=IntervalSet([(0, 40)]),
    empty=IntervalSet([(40, 50)]),
    purged=IntervalSet([(50, 60)]),
    unavailable=(Gap(60, 70, "too old"),),
    missing=(Gap(70, 80, "disconnect"), Gap(80, 90, NEVER_ASKED), Gap(90, 100, "overflow")),
)


def run(start: int, end: int, **fields: object) -> Run:
    """A run that was ordered to repair ``[start, end)``."""
    made = Run(
        run_id="r1",
        dataset="binance.trades.BTC-USDT",
        state="running",
        trigger="gap",
        reason="disconnect",
        host="h",
        created=0,
        updated=0,
        asked=(str(start), str(end)),
        start=start,
        end=end,
        position=start,
    )
    return msgspec.structs.replace(made, **fields)


def test_an_entry_tells_what_is_there_and_what_isnt() -> None:
    """Statistics, the bounds of what was asked for, the part of it that is there, and every hole."""
    entry = DatasetEntry(dataset="d", host="h", rows=0, files=0, bytes=0, first_ts=None, last_ts=None)
    told = entry_of(entry, DatasetStats(7, 2, 900, 5, 39), COVERAGE, [run(70, 80)])
    assert (told.rows, told.files, told.bytes, told.first_ts, told.last_ts) == (7, 2, 900, 5, 39)
    assert (told.start, told.end, told.coverage, told.missing) == (0, 100, round(50 / 90, 6), 30 / NS)
    assert [(g.start, g.state, g.run_id) for g in told.gaps] == [
        (50, "purged", None),
        (60, "unavailable", None),
        (70, "repairing", "r1"),
        (80, "missing", None),
        (90, "missing", None),
    ]


def test_a_list_shows_the_newest_holes_and_how_many_there_are() -> None:
    """Of whatever kind, but for those that are repaired; of what wasn't looked at yet, those that were known."""
    entry = DatasetEntry(dataset="d", host="h", rows=7, files=0, bytes=0, first_ts=None, last_ts=None)
    missing = tuple(Gap(n * 10, n * 10 + 1, "lost") for n in range(500))
    coverage = Coverage(
        start=0, end=5000, missing=missing, purged=IntervalSet([(4981, 4985)]), unavailable=(Gap(5, 6, "too old"),)
    )
    shown = listed(entry, coverage, [run(4990, 4991)])
    assert (shown.rows, shown.gaps_total, len(shown.gaps)) == (7, 502, 100)
    assert [(g.start, g.state) for g in shown.gaps[-3:]] == [(4980, "missing"), (4981, "purged"), (4990, "repairing")]
    assert shown.gaps[0].start == 4010
    assert listed(shown, Coverage(), []).gaps == []
    known = [GapEntry(start=n, end=n + 1, reason="", state="repaired" if n % 2 else "missing") for n in range(300)]
    before = listed(msgspec.structs.replace(entry, gaps=known), None, [])
    assert (before.gaps_total, len(before.gaps)) == (150, 100)
    assert before.gaps == known[100::2]


def test_an_entry_remembers_the_last_repaired_holes() -> None:
    """So many that it stays small however often a stream was mended."""
    many = [GapEntry(start=n, end=n + 1, reason="", state="repaired") for n in range(500)]
    entry = DatasetEntry(dataset="d", host="h", rows=0, files=0, bytes=0, first_ts=None, last_ts=None, gaps=many)
    assert entry_of(entry, DatasetStats(), Coverage(), []).gaps == many[-100:]
    assert entry_of(entry, DatasetStats(), Coverage(), []).coverage is None


def test_an_entry_fits_a_message_however_many_holes_there_are() -> None:
    """The nearest become one; all that is missing still lies inside one of them."""
    missing = tuple(Gap(n * 1000 + n % 7, n * 1000 + n % 7 + 10, f"lost {n}") for n in range(1500))
    gaps = gaps_of(Coverage(start=0, end=2_000_000, missing=missing), [])
    assert len(gaps) == 1000
    assert all(any(g.start <= one.start and one.end <= g.end for g in gaps) for one in missing)


def test_what_is_asked_for_by_itself() -> None:
    """The newest first, without what is fetched already, what nobody asked for, or somebody took away."""
    wanted, waiting = to_repair(COVERAGE, [run(95, 98)])
    assert wanted == [Gap(98, 100, "overflow"), Gap(90, 95, "overflow"), Gap(70, 80, "disconnect")]
    assert waiting == 0
    unwanted = Coverage(start=0, end=9, missing=(Gap(0, 3, CANCELLED), Gap(3, 6, REMOVED), Gap(6, 9, NEVER_ASKED)))
    assert to_repair(unwanted, []) == ([], 0)


def test_so_many_at_once() -> None:
    """The others wait, and their number is told."""
    many = Coverage(start=0, end=1000, missing=tuple(Gap(n * 10, n * 10 + 5, "x") for n in range(20)))
    wanted, waiting = to_repair(many, [run(0, 5)])
    assert (len(wanted), waiting) == (7, 12)
    assert wanted[0].start == 190


@pytest.mark.parametrize(
    ("start", "end", "unavailable", "expected"),
    [
        (None, None, False, [(70, 80), (80, 90), (90, 100)]),
        (75, 95, False, [(75, 80), (80, 90), (90, 95)]),
        (None, 75, True, [(60, 70), (70, 75)]),
        (0, 50, True, []),
    ],
)
def test_what_a_request_is_about(
    start: int | None, end: int | None, unavailable: bool, expected: list[tuple[int, int]]
) -> None:
    """All that is missing in the range, and what was unavailable if that is wanted."""
    assert [(gap.start, gap.end) for gap in asked_for(COVERAGE, start, end, unavailable)] == expected


def test_what_a_run_leaves() -> None:
    """A failed or cancelled one leaves what it didn't get to, with the reason; one that got nothing leaves nothing."""
    failed = run(0, 100, state="failed", error="page refused", position=85, rows=3)
    assert left_by(failed, COVERAGE) == [Gap(85, 90, "its backfill failed: page refused")]
    assert left_by(run(0, 100, state="cancelled", position=85), COVERAGE) == [Gap(85, 90, CANCELLED)]
    assert left_by(run(0, 100, state="failed"), COVERAGE) == []


@pytest.mark.parametrize(
    ("reason", "history"),
    [
        ("its backfill failed: page refused", True),
        ("its repair was asked for (its backfill was cancelled)", True),
        ("its repair was asked for (never asked)", True),
        ("its repair was asked for (disconnect)", False),
        ("the collector was not running", False),
        ("several", False),
        ("", False),
    ],
)
def test_whose_hole_it_is(reason: str, history: bool) -> None:
    """What a backfill was to fetch is told from what a stream missed; where it can't be told, a stream did."""
    assert of_history(reason) is history


def test_whose_book_it_is() -> None:
    """A stream's order book takes no other; everything else is nobody's alone."""
    book, trades = Dataset.parse("kraken.orderbook.BTC-USD"), Dataset.parse("kraken.trades.BTC-USD")
    check_book(book, [trades.name])
    check_book(trades, [trades.name])
    with pytest.raises(RequestError, match=r"a stream of kraken\.orderbook\.BTC-USD runs here"):
        check_book(book, [book.name])


def test_what_a_run_repaired() -> None:
    """What is there by now of what it was asked for."""
    assert [(g.start, g.end, g.run_id) for g in repaired_by(run(30, 75), COVERAGE)] == [(30, 50, "r1")]


def test_the_asked_range_is_what_was_asked_for() -> None:
    """Also when the exchange serves less of it; words are what they were resolved to."""
    assert asked_range(msgspec.structs.replace(run(10, 50), start=20)) == (10, 50)
    assert asked_range(run(10, 50, asked=("last", None))) == (10, 50)
