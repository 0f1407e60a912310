"""Past bars and the present book of Binance."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.binance import Binance
from dccd.records import Bar, BookSnapshot
from dccd.symbols import NS, Dataset

MS = 1_000_000
MINUTE = 60 * NS
T0 = 1_600_000_020 * NS
"""The beginning of a minute."""
NOW = T0 + 10**7 * NS


def pager(start: int, end: int, span: str = "1m") -> HistoryPager:
    return Binance().history(Dataset.parse(f"binance.ohlc.BTC-USDT.{span}"), start, end, Market("BTCUSDT"))


class Klines:
    """``GET /api/v3/klines`` of a market with bars at these times (ns)."""

    def __init__(self, times: list[int]) -> None:
        self.times = times

    def __call__(self, request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "publicGetKlines"
        assert params["symbol"] == "BTCUSDT"
        assert params["interval"] == "1m"
        low, high = int(params["startTime"]) * MS, int(params["endTime"]) * MS
        found = [ts for ts in self.times if low <= ts <= high][: int(params["limit"])]
        return msgspec.json.encode(
            [[ts // MS, "1", "3", "0.5", "2", "10", (ts + MINUTE) // MS - 1, "20", 5, "1", "2", "0"] for ts in found]
        )


def times(bars: list[Any]) -> list[int]:
    return [bar.ts for bar in bars]


def test_one_page(backfill: Callable[..., Any]) -> None:
    """Quote volume and trade count are kept."""
    run = backfill(pager(T0, T0 + MINUTE)).run(Klines([T0]), NOW)
    assert run.records == [Bar(T0, 1.0, 3.0, 0.5, 2.0, 10.0, 20.0, 5)]
    assert run.covered == [(T0, T0 + MINUTE)]
    assert run.requests == 1


@given(
    st.integers(0, 3500),
    st.sets(st.integers(0, 3499), max_size=60),
    st.integers(-2000, 3000),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_or_doubled(
    backfill: Callable[..., Any],
    merged: Callable[..., Any],
    count: int,
    gaps: set[int],
    offset: int,
    concurrency: int,
    chance: random.Random,
) -> None:
    """Whatever bars there are, in whatever order pages come, all of the range come once and all of it is covered."""
    there = [T0 + n * MINUTE for n in range(count) if n not in gaps]
    start, end = T0 + offset * MINUTE + 17, T0 + 3400 * MINUTE
    run = backfill(pager(start, end))
    run.truth = [ts for ts in there if start <= ts < end]
    run.run(Klines(there), NOW, concurrency, chance.randrange)
    assert sorted(times(run.records)) == run.truth
    assert merged(run.covered) == [(start, end)]
    assert run.pager.position == end


def test_windows_are_asked_for_at_once(backfill: Callable[..., Any]) -> None:
    """After the first page all windows are known, and no more is asked for than there are."""
    made = pager(T0, T0 + 5000 * MINUTE)
    answer = Klines([T0 + n * MINUTE for n in range(5000)])
    (first,) = made.requests(10)
    assert made.requests(10) == []
    made.receive(first, answer(first), NOW)
    rest = made.requests(10)
    assert len(rest) == 4
    for request in reversed(rest):
        assert not made.done
        made.receive(request, answer(request), NOW)
    assert made.done


def test_a_symbol_that_did_not_exist_yet(backfill: Callable[..., Any]) -> None:
    """Years before the first bar cost one request."""
    there = [T0 + n * MINUTE for n in range(500)]
    run = backfill(pager(0, T0 + 500 * MINUTE)).run(Klines(there), NOW)
    assert times(run.records) == there
    assert run.requests == 1
    assert run.covered == [(0, T0 + 500 * MINUTE)]


def test_nothing_there(backfill: Callable[..., Any]) -> None:
    """An empty range is covered by one request."""
    run = backfill(pager(T0, T0 + 10**6 * MINUTE))
    run.run(Klines([]), T0 + 10**6 * MINUTE + NS * 3600)
    assert (run.records, run.requests, run.pager.position) == ([], 1, T0 + 10**6 * MINUTE)


@pytest.mark.parametrize("seconds", [0, 1, 30, 59, 65, 69])
def test_the_open_bar_is_left_out(backfill: Callable[..., Any], seconds: int) -> None:
    """A bar is closed ten seconds after its end; what is covered ends where the first other one begins."""
    now = T0 + 10 * MINUTE + seconds * NS
    run = backfill(pager(T0, T0 + 100 * MINUTE)).run(Klines([T0 + n * MINUTE for n in range(12)]), now)
    closed = 9 if seconds < 10 else 10
    assert times(run.records) == [T0 + n * MINUTE for n in range(closed)]
    assert run.covered == [(T0, T0 + closed * MINUTE)]
    assert run.pager.position == T0 + closed * MINUTE


def test_the_future_is_not_asked_for(backfill: Callable[..., Any]) -> None:
    """Windows that begin after the first answer came hold nothing yet."""
    run = backfill(pager(T0, T0 + 10**6 * MINUTE))
    run.run(Klines([T0 + n * MINUTE for n in range(2500)]), T0 + 2500 * MINUTE, concurrency=4)
    assert run.requests == 3
    assert len(run.records) == 2499


def test_klines_of_another_time_are_no_empty_window() -> None:
    """A page that comes again is refused, and nothing counts as covered by it."""
    made = pager(T0, T0 + 2000 * MINUTE)
    (first,) = made.requests(1)
    body = Klines([T0 + n * MINUTE for n in range(1000)])(first)
    made.receive(first, body, NOW)
    (second,) = made.requests(1)
    with pytest.raises(ParseError, match="another time"):
        made.receive(second, body, NOW)
    assert made.position == T0 + 1000 * MINUTE and not made.done


def test_an_empty_range_needs_no_request() -> None:
    """It is done before it begins."""
    made = pager(T0, T0)
    assert made.requests(4) == []
    assert made.done


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[[]]", b'{"code":-1121,"msg":"Invalid symbol."}', b"[null]",
        b'[[1600000020000,"0","3","0.5","2","10",1600000079999,"20",5]]',
        b'[[1600000020000,null,"3","0.5","2","10",1600000079999,"20",5]]',
        b'[[1600000020000,"1","3","0.5","2","10",1600000079999,"20"]]',
        b'[[1600000080000,"1","3","0.5","2","10",1,"20",5],[1600000020000,"1","3","0.5","2","10",1,"20",5]]',
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't klines is a ParseError, and the same page can be asked for again."""
    made = pager(T0, T0 + 2 * MINUTE)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, NOW)
    assert not made.done
    made.receive(request, Klines([T0])(request), NOW)
    assert made.done


def test_real_answers(captures: Path) -> None:
    """The documented answers of both endpoints."""
    folder = captures / "payloads" / "binance"
    made = Binance().history(Dataset.parse("binance.ohlc.LTC-BTC.1w"), 0, NOW, Market("LTCBTC"))
    (request,) = made.requests(1)
    page = made.receive(request, (folder / "spot_http_klines_response.json").read_bytes(), NOW)
    assert page.records == [
        Bar(1499040000000 * MS, 0.0163479, 0.8, 0.015758, 0.015771, 148976.11427815, 2434.19055334, 308)
    ]
    made = Binance().history(Dataset.parse("binance.orderbook.LTC-BTC"), 0, NOW, Market("LTCBTC"))
    (request,) = made.requests(1)
    page = made.receive(request, (folder / "spot_http_depth_response.json").read_bytes(), 5)
    assert page.records == [BookSnapshot(5, 1027024, [(4.0, 431.0)], [(4.000002, 12.0)], 5)]
    assert (page.start, page.end, made.done, made.requests(1)) == (5, 5, True, [])


def test_the_present_book() -> None:
    """One page with one snapshot, best level first, at the time when it came."""
    made = Binance().history(Dataset.parse("binance.orderbook.BTC-USDT"), 0, NOW, Market("BTCUSDT"))
    (request,) = made.requests(5)
    assert request == PageRequest("publicGetDepth", {"symbol": "BTCUSDT", "limit": 5000})
    body = b'{"lastUpdateId":9,"bids":[["1","1"],["2","1"]],"asks":[["4","1"],["3","1"]]}'
    assert made.receive(request, body, NOW).records == [
        BookSnapshot(NOW, 9, [(2.0, 1.0), (1.0, 1.0)], [(3.0, 1.0), (4.0, 1.0)], NOW)
    ]
    assert made.done
    assert made.position == NOW
