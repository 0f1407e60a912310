"""Past bars, past trades and the present book of Bitfinex."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.bitfinex import Bitfinex
from dccd.records import Bar, BookSnapshot, Trade
from dccd.symbols import NS, Dataset

MS = 1_000_000
MINUTE = 60 * NS
T0 = 1_600_000_020 * NS
LATER = T0 + 10**6 * NS


def pager(name: str, start: int, end: int) -> HistoryPager:
    return Bitfinex().history(Dataset.parse(f"bitfinex.{name}"), start, end, Market("tBTCUSD"))


class Rest:
    """Bitfinex's ``hist`` endpoints over rows: ``start`` and ``end`` both belong to the answer."""

    def __init__(self, rows: list[list[Any]], time: int, endpoint: str) -> None:
        self.rows = rows
        self.time = time  # which column is the time (ms)
        self.endpoint = endpoint

    def __call__(self, request: PageRequest) -> bytes:
        params = request.params
        assert (request.endpoint, params["symbol"], params["sort"]) == (self.endpoint, "tBTCUSD", 1)
        assert params["limit"] == 10_000
        start, end = int(params["start"]), int(params["end"])
        found = [row for row in self.rows if start <= row[self.time] <= end][:10_000]
        return msgspec.json.encode(found)


class Candles:
    """The same for candles: *minutes* after T0 in which there was a trade; days are told, too."""

    def __init__(self, minutes: list[int]) -> None:
        self.times = [(T0 + n * MINUTE) // MS for n in minutes]

    def __call__(self, request: PageRequest) -> bytes:
        size = {"1m": 60_000, "1D": 86_400_000}[str(request.params["timeframe"])]
        rows = [[t, 2, 3, 4, 1, 10] for t in sorted({t - t % size for t in self.times})]
        return Rest(rows, 0, "publicGetCandlesTradeTimeframeSymbolHist")(request)


def minutes(run: Any) -> list[int]:
    return [(bar.ts - T0) // MINUTE for bar in run.records]


def test_closed_bars_of_the_range(backfill: Callable[..., Any]) -> None:
    """The range's bars and no others, open, close, high and low each in its place."""
    run = backfill(pager("ohlc.BTC-USD.1m", T0 + 3 * MINUTE, T0 + 6 * MINUTE)).run(Candles(list(range(20))), LATER)
    assert minutes(run) == [3, 4, 5]
    assert run.records[0] == Bar(T0 + 3 * MINUTE, 2.0, 4.0, 1.0, 3.0, 10.0)
    assert run.covered == [(T0 + 3 * MINUTE, T0 + 6 * MINUTE)]


def test_minutes_without_a_trade_have_no_bar(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """They are covered all the same."""
    run = backfill(pager("ohlc.BTC-USD.1m", T0, T0 + 10 * MINUTE)).run(Candles([1, 7]), LATER)
    assert minutes(run) == [1, 7]
    assert merged(run.covered) == [(T0, T0 + 10 * MINUTE)]


def test_the_open_bar_is_left_out(backfill: Callable[..., Any]) -> None:
    """What is covered ends where it begins."""
    now = T0 + 10 * MINUTE + 15 * NS
    run = backfill(pager("ohlc.BTC-USD.1m", T0, T0 + 100 * MINUTE)).run(Candles(list(range(11))), now)
    assert minutes(run) == list(range(10))
    assert run.pager.position == T0 + 10 * MINUTE


def test_the_beginning_of_a_market_is_found(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """By bars of a day, not by thousands of windows of minutes."""
    run = backfill(pager("ohlc.BTC-USD.1m", 0, T0 + 100 * MINUTE)).run(Candles(list(range(100))), LATER, 4)
    assert minutes(run) == list(range(100))
    assert merged(run.covered) == [(0, T0 + 100 * MINUTE)]
    assert run.requests <= 4


def test_windows_side_by_side(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """More than a page, whatever answer comes first."""
    count = 25_000
    run = backfill(pager("ohlc.BTC-USD.1m", T0, T0 + count * MINUTE))
    run.run(Candles(list(range(count))), LATER * 2, 3, lambda under_way: under_way - 1)
    assert sorted(minutes(run)) == list(range(count))
    assert merged(run.covered) == [(T0, T0 + count * MINUTE)]


def trades(found: list[tuple[int, int]]) -> Rest:
    """Trades (id, ms); odd ids are sales."""
    rows = [[tid, ms, -0.5 if tid % 2 else 0.5, 27955.4] for tid, ms in found]
    return Rest(rows, 1, "publicGetTradesSymbolHist")


def ids(run: Any) -> list[int]:
    return [int(trade.tid) for trade in run.records]


def test_one_page_of_trades(backfill: Callable[..., Any]) -> None:
    """The taker's side by the amount's sign, ids as text; the end doesn't belong to it."""
    t0 = T0 // MS
    answer = trades([(7, t0 - 1), (8, t0), (9, t0 + 999), (10, t0 + 1000)])
    run = backfill(pager("trades.BTC-USD", T0, T0 + NS)).run(answer, LATER)
    assert run.records == [
        Trade(T0, 27955.4, 0.5, "buy", "8"),
        Trade(T0 + 999 * MS, 27955.4, 0.5, "sell", "9"),
    ]
    assert run.covered == [(T0, T0 + NS)]


@pytest.mark.parametrize("count", [9_000, 10_000, 10_001, 25_000])
@pytest.mark.parametrize("density", [0, 1, 2])
def test_nothing_is_lost_or_doubled(
    backfill: Callable[..., Any], merged: Callable[..., Any], count: int, density: int
) -> None:
    """Up to a hundred trades a millisecond: each trade of the range comes once, whatever the pages share."""
    chance, now, found = random.Random(count), T0 // MS, list[tuple[int, int]]()
    for tid in range(count):
        now += chance.random() < 10.0**-density
        found.append((tid, now))
    start, end = T0 + 3 * MS, now * MS
    run = backfill(pager("trades.BTC-USD", start, end)).run(trades(found), LATER)
    assert ids(run) == [tid for tid, ms in found if start <= ms * MS < end]
    assert merged(run.covered) == [(start, end)]


def test_the_book(backfill: Callable[..., Any]) -> None:
    """One snapshot of both sides, best first, at the time when it came."""
    made = pager("orderbook.BTC-USD", 0, 1)
    (request,) = made.requests(1)
    assert request == PageRequest("publicGetBookSymbolPrecision", {"symbol": "tBTCUSD", "precision": "P0", "len": 100})
    page = made.receive(request, b"[[9,2,1.5],[9.5,1,2],[10.5,1,-3],[10,4,-0.25]]", 77)
    assert page.records == [BookSnapshot(77, 77, [(9.5, 2.0), (9.0, 1.5)], [(10.0, 0.25), (10.5, 3.0)], 77)]
    assert made.done


@pytest.mark.parametrize("name", ["ohlc.BTC-USD.1m", "trades.BTC-USD", "orderbook.BTC-USD"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"null", b"[5]", b"[[]]", b"[[1600000020000,null,1,1,1,1]]", b"[[1600000020000,1,0,1]]",
        b"[[9,0,1]]", b"[[1600000020000,1,1,1,1", b'["error",10020,"symbol: invalid"]', b"[[1,0,1,1,1,1]]",
        b"[[1600000020000,2,3,2.5,1,10],[9,1,0]]", b"[[9,1,1],[9,1,0]]",
    ],
)  # fmt: skip
def test_broken_bodies(name: str, body: bytes) -> None:
    """A body that isn't what was asked for is a ParseError, and the page can be asked for again."""
    made = pager(name, T0, T0 + MINUTE)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, LATER)
    assert not made.done
    made.receive(request, b"[]", LATER)
    assert made.done


def test_errors_are_in_bitfinexs_words() -> None:
    """Should one come with status 200."""
    made = pager("trades.BTC-USD", T0, T0 + MINUTE)
    with pytest.raises(ParseError, match="symbol: invalid"):
        made.receive(made.requests(1)[0], b'["error",10020,"symbol: invalid"]', LATER)
