"""Tests of rows a page at a time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dccd.errors import BadRead
from dccd.records import Bar, Trade
from dccd.store.fold import fold
from dccd.store.page import Cursor, page
from dccd.symbols import NS, Dataset


def walk(bench: Any, limit: int, newest: bool = False, **options: Any) -> list[list[str]]:
    """The ids of all pages; the cursor goes the way of a reply."""
    pages, after = [], None
    while True:
        _, rows, cursor = page(bench.store, bench.trades, limit=limit, newest=newest, after=after, **options)
        pages.append(rows["tid"].to_list())
        assert len(pages) < 200
        if cursor is None:
            return pages
        after = Cursor.parse(str(cursor))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """40 trades in crowds of 1 to 13 that share a time, in two files of two days."""
    from tests.dccd.store.conftest import DAY, Bench

    bench = Bench(tmp_path_factory.mktemp("crowd"))
    times = [n for n, size in enumerate((1, 13, 2, 1, 9, 3, 11)) for _ in range(size)]
    for half in (0, 1):
        bench.put(
            [Trade(bench.noon + ts + (DAY if ts > 3 else 0), 1.0, 1.0, "buy", f"{n:02}") for n, ts in enumerate(times)][
                half::2
            ]
        )
    return bench


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 45), newest=st.booleans())
def test_pages_have_each_row_once(crowd: Any, limit: int, newest: bool) -> None:
    """Whatever shares a time at their edges, and however small they are, forwards and backwards."""
    pages = walk(crowd, limit, newest)
    assert all(len(one) == limit for one in pages[:-1])
    assert 0 < len(pages[-1]) <= limit
    expected = crowd.tids()
    assert len(expected) == 40
    assert [tid for one in (pages[::-1] if newest else pages) for tid in one] == expected


def test_pages_go_on_over_a_fold_and_new_rows(bench: Any) -> None:
    """Files that are merged between two pages, and rows that come meanwhile, neither hide nor repeat any."""
    bench.put([bench.trade(n, bench.noon) for n in range(5)])
    bench.put([bench.trade(n, bench.noon) for n in range(5, 10)])
    _, first, cursor = page(bench.store, bench.trades, limit=3)
    fold(bench.layout, bench.trades, bench.day, force=True)
    bench.put([bench.trade(n, bench.noon) for n in range(10, 12)])
    _, second, cursor = page(bench.store, bench.trades, limit=4, after=cursor)
    _, third, cursor = page(bench.store, bench.trades, limit=100, after=cursor)
    assert [*first["tid"], *second["tid"], *third["tid"]] == [str(n) for n in range(12)]
    assert cursor is None


def test_a_page_opens_each_file_once(bench: Any) -> None:
    """Whether there are rows, which columns, and the rows themselves are found with one opening of a period."""
    for n in range(3):
        bench.put([bench.trade(n)])
    before = bench.store.statistics()["opened"]
    page(bench.store, bench.trades, limit=2, newest=True)
    assert bench.store.statistics()["opened"] - before == 3


def test_pages_stay_in_their_range(bench: Any) -> None:
    """A cursor narrows what was asked for and never widens it."""
    bench.put([bench.trade(n) for n in range(10)])
    bounds = {"start": bench.noon + 2_000_000, "end": bench.noon + 8_000_000}
    for newest in (False, True):
        pages = walk(bench, 4, newest, **bounds)
        assert sorted(tid for one in pages for tid in one) == [str(n) for n in range(2, 8)]


def test_a_cursor_of_somebodys_own_reads_no_more_than_there_is(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that no page ever gave doesn't make the daemon hold a whole dataset."""
    bench.put([bench.trade(n) for n in range(50)])
    limits: list[int | None] = []
    read = bench.store.read
    monkeypatch.setattr(bench.store, "read", lambda *a, **k: (limits.append(k["limit"]), read(*a, **k))[1])
    _, rows, _ = page(bench.store, bench.trades, limit=5, after=Cursor(bench.noon, 999_999_999))
    assert rows["tid"].to_list() == ["1", "2", "3", "4", "5"]
    assert limits == [7]


def test_derived_bars_have_pages(bench: Any) -> None:
    """Made for each page anew."""
    bench.put([Bar(bench.noon + n * 60 * NS, 1.0, 2.0, 0.5, 1.5, 1.0) for n in range(20)], bench.bars)
    two = Dataset.parse("binance.ohlc.BTC-USDT.2m")
    times, after = [], None
    for _ in range(4):
        scan, rows, after = page(bench.store, two, limit=3, after=after)
        assert scan.derived_from == bench.bars
        times += rows["TS"].to_list()
    assert (times, after) == ([bench.noon + n * 120 * NS for n in range(10)], None)


@pytest.mark.parametrize("text", ["", "1", "1.", "a.1", "1.-1", "9223372036854775808.0", "1.1 ", "١.1"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Only what a page gave is taken."""
    with pytest.raises(BadRead) as caught:
        Cursor.parse(text)
    assert caught.value.field == "after"
