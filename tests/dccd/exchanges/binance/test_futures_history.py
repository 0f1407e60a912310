"""Past trades, bars and the present book of Binance's futures: their endpoints, and trades that are gone."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.binance import Binance
from dccd.records import Bar, BookSnapshot
from dccd.symbols import NS, Dataset

MS = 1_000_000
HOUR = 3_600_000
T0 = 1_600_000_020_000
"""Milliseconds, the beginning of a minute."""
LATER = (T0 + 10**9) * MS


def pager(name: str, start_ms: int, end_ms: int) -> HistoryPager:
    return Binance().history(Dataset.parse(f"binance.{name}"), start_ms * MS, end_ms * MS, Market("BTCUSDT"))


class AggTrades:
    """``GET /fapi/v1/aggTrades`` of a market with trades (id, ms), of which those before number *kept* are gone.

    *how* old ones are answered isn't documented: with nothing, or with the newest.
    """

    def __init__(self, trades: list[tuple[int, int]], kept: int = 0, how: str = "nothing") -> None:
        self.trades, self.how = trades[kept:], how
        self.oldest = self.trades[0] if self.trades else (0, 0)

    def __call__(self, request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "fapiPublicGetAggTrades" and params["symbol"] == "BTCUSDT"
        limit = int(params["limit"])
        found = self.trades[-limit:]
        if "fromId" in params:
            assert "startTime" not in params
            from_id = int(params["fromId"])
            if from_id >= self.oldest[0] or self.how != "nothing":
                found = [trade for trade in self.trades if trade[0] >= from_id][:limit]
            else:
                found = []
        elif "startTime" in params:
            low, high = int(params["startTime"]), int(params["endTime"])
            assert high - low < HOUR
            if high >= self.oldest[1] or self.how == "nothing":
                found = [trade for trade in self.trades if low <= trade[1] <= high][:limit]
        rows = [{"a": a, "p": "2.5", "q": "1", "nq": "1", "f": a, "l": a, "T": ms, "m": a % 2 == 0} for a, ms in found]
        return msgspec.json.encode(rows)


@settings(max_examples=60)
@given(
    st.integers(1, 5000),
    st.integers(0, 5000),
    st.sampled_from(["nothing", "newest"]),
    st.integers(0, 1),
    st.integers(-3 * HOUR, 3 * HOUR),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_what_is_gone_is_not_covered(
    backfill: Callable[..., Any],
    merged: Callable[..., Any],
    count: int,
    kept: int,
    how: str,
    first_id: int,
    start: int,
    concurrency: int,
    chance: random.Random,
) -> None:
    """However old trades are refused: those that are kept come once, and from the first of them on it is covered."""
    now, trades = T0, []
    for n in range(count):
        now += chance.choice((0, 1, 5, 4000))
        trades.append((first_id + n, now))
    begin, end = T0 + start, now + HOUR
    kept = min(kept, count - 1)
    run = backfill(pager("trades.BTC-USDT_PERP", begin, end)).run(
        AggTrades(trades, kept, how), LATER, concurrency, chance.randrange
    )
    expected = [a for a, ms in trades[kept:] if begin <= ms < end]
    assert sorted(int(trade.tid) for trade in run.records) == expected
    gone = kept and trades[kept][1] >= begin
    ((since, until),) = merged(run.covered)
    assert until == end * MS
    if not gone:
        assert since == begin * MS
    elif trades[kept][1] > begin + HOUR:
        # Nothing of the first hour is there any more.
        assert since == trades[kept][1] * MS
    assert run.pager.position == end * MS


def test_an_empty_answer_is_believed_for_a_day(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """What Binance promises to have; of before that, the ids tell whether trades are gone."""
    trades = [(n, T0 + n * 10_000) for n in range(1, 2000)]
    for age, covered, requests in ((HOUR, [(T0 * MS, (T0 + 10_000) * MS)], 1), (30 * HOUR, [], None)):
        run = backfill(pager("trades.BTC-USDT_PERP", T0, T0 + 10_000)).run(AggTrades(trades, 1000), (T0 + age) * MS, 1)
        assert run.records == [] and merged(run.covered) == covered
        assert requests is None or run.requests == requests


@pytest.mark.parametrize("name", ["trades.BTC-USDT", "trades.BTC-USDT_PERP"])
def test_an_answer_to_another_question(name: str) -> None:
    """Trades of another time, or ids before those asked for: a ParseError, or for futures another way to ask."""
    made = pager(name, T0, T0 + HOUR)
    (request,) = made.requests(1)
    body = msgspec.json.encode([{"a": 9, "p": "2.5", "q": "1", "T": T0 + 2 * HOUR, "m": True}])
    if name.endswith("USDT"):
        with pytest.raises(ParseError, match="another time"):
            made.receive(request, body, LATER)
        return
    assert made.receive(request, body, LATER).records == []
    (request,) = made.requests(1)
    assert set(request.params) == {"symbol", "limit"}
    made.receive(request, body, LATER)
    (request,) = made.requests(1)
    request = PageRequest(request.endpoint, request.params, msgspec.structs.replace(request.cursor, from_id=10))
    with pytest.raises(ParseError, match="trade 9 where 10 was asked for"):
        made.receive(request, body, LATER)


def test_bars() -> None:
    """Of the futures' klines, at most a thousand a page."""
    made = pager("ohlc.BTC-USDT_PERP.1m", T0, T0 + HOUR)
    (request,) = made.requests(1)
    assert request.endpoint == "fapiPublicGetKlines"
    params = {"symbol": "BTCUSDT", "interval": "1m", "startTime": T0, "endTime": T0 + HOUR - 1, "limit": 1000}
    assert request.params == params
    row = [T0, "1", "3", "0.5", "2", "10", T0 + 59_999, "20", 5, "1", "2", "0"]
    page = made.receive(request, msgspec.json.encode([row]), LATER)
    assert page.records == [Bar(T0 * MS, 1.0, 3.0, 0.5, 2.0, 10.0, 20.0, 5)]
    assert made.done and (page.start, page.end) == (T0 * MS, (T0 + HOUR) * MS)


def test_the_present_book() -> None:
    """A thousand levels a side, at the matching engine's time."""
    made = pager("orderbook.BTC-USDT_QUARTER", T0, T0 + 1)
    (request,) = made.requests(1)
    assert request == PageRequest("fapiPublicGetDepth", {"symbol": "BTCUSDT", "limit": 1000})
    body = {"lastUpdateId": 7, "E": T0 + 3, "T": T0, "bids": [["9", "1"], ["8", "2"]], "asks": [["10", "3"]]}
    page = made.receive(request, msgspec.json.encode(body), T0 * MS + 5 * NS)
    assert page.records == [BookSnapshot(T0 * MS, 7, [(9.0, 1.0), (8.0, 2.0)], [(10.0, 3.0)], T0 * MS + 5 * NS)]
