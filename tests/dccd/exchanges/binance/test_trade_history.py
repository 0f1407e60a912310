"""Past trades of Binance."""

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
from dccd.records import Trade
from dccd.symbols import NS, Dataset

MS = 1_000_000
HOUR = 3_600_000
T0 = 1_600_000_000_000
"""Milliseconds, as all times of the market here."""
LATER = (T0 + 10**9) * MS


def pager(start_ms: int, end_ms: int) -> HistoryPager:
    dataset = Dataset.parse("binance.trades.BTC-USDT")
    return Binance().history(dataset, start_ms * MS, end_ms * MS, Market("BTCUSDT"))


class AggTrades:
    """``GET /api/v3/aggTrades`` of a market with trades (id, ms); more may be made while pages are under way."""

    def __init__(self, trades: list[tuple[int, int]]) -> None:
        self.trades = trades

    def __call__(self, request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "publicGetAggTrades"
        limit = int(params["limit"])
        if "fromId" in params:
            assert "startTime" not in params
            found = [trade for trade in self.trades if trade[0] >= int(params["fromId"])][:limit]
        elif "startTime" in params:
            low, high = int(params["startTime"]), int(params["endTime"])
            assert high - low < HOUR
            found = [trade for trade in self.trades if low <= trade[1] <= high][:limit]
        else:
            found = self.trades[-limit:]
        return msgspec.json.encode(
            [{"a": a, "p": "2.5", "q": "1", "f": a, "l": a, "T": ms, "m": a % 2 == 0, "M": True} for a, ms in found]
        )


def ids(run: Any) -> list[int]:
    return sorted(int(trade.tid) for trade in run.records)


def test_a_short_range_is_one_request(backfill: Callable[..., Any]) -> None:
    """As the repair of a hole of some seconds: the window holds it all."""
    run = backfill(pager(T0, T0 + 1000)).run(AggTrades([(7, T0 - 1), (8, T0), (9, T0 + 999), (10, T0 + 1000)]), LATER)
    assert run.records == [
        Trade(T0 * MS, 2.5, 1.0, "sell", "8"), Trade((T0 + 999) * MS, 2.5, 1.0, "buy", "9"),
    ]  # fmt: skip
    assert run.requests == 1
    assert run.covered == [(T0 * MS, (T0 + 1000) * MS)]


@settings(max_examples=60)
@given(
    st.integers(0, 6000),
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 5999), st.integers(1, 4 * HOUR)), max_size=3),
    st.integers(0, 6000),
    st.integers(-3 * HOUR, 3 * HOUR),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_or_doubled(
    backfill: Callable[..., Any],
    merged: Callable[..., Any],
    count: int,
    density: int,
    pauses: list[tuple[int, int]],
    first_id: int,
    start: int,
    concurrency: int,
    chance: random.Random,
) -> None:
    """Hundreds of trades a millisecond, hours without any, pages in any order: each trade of the range comes once."""
    now, trades = T0, []
    wait = dict(pauses)
    for n in range(count):
        # On average as many trades a millisecond as a page has at the densest, down to some each.
        now += (chance.random() < 10.0**-density) + wait.get(n, 0)
        trades.append((first_id + n, now))
    start, end = T0 + start, now + 1 if chance.random() < 0.5 else (T0 + now) // 2
    end = max(end, start + 1)
    run = backfill(pager(start, end))
    run.truth = [ms * MS for _, ms in trades if start <= ms < end]
    run.run(AggTrades(trades), LATER, concurrency, chance.randrange)
    assert ids(run) == [a for a, ms in trades if start <= ms < end]
    assert merged(run.covered) == [(start * MS, end * MS)]
    assert run.pager.position == end * MS


def test_pages_are_asked_for_at_once() -> None:
    """Once the first id is known, so are all pages."""
    made = pager(T0, T0 + HOUR)
    answer = AggTrades([(n, T0 + n) for n in range(10_000)])
    (window,) = made.requests(8)
    made.receive(window, answer(window), LATER)
    requests = made.requests(8)
    assert [request.params["fromId"] for request in requests] == [999 * n for n in range(1, 9)]


def test_a_page_of_one_millisecond(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Thousands of trades that share a millisecond, and with it the edges of several pages, all come once."""
    trades = [(n, T0 + (5 if 500 <= n < 4500 else n // 1000)) for n in range(500)]
    trades += [(n, T0 + 5) for n in range(500, 4500)] + [(n, T0 + 6) for n in range(4500, 5000)]
    for seed in range(5):
        run = backfill(pager(T0, T0 + 7))
        run.truth = [ms * MS for _, ms in trades]
        run.run(AggTrades(trades), LATER, 4, random.Random(seed).randrange)
        assert ids(run) == list(range(5000))
        assert merged(run.covered) == [(T0 * MS, (T0 + 7) * MS)]


def test_a_symbol_that_did_not_exist_yet(backfill: Callable[..., Any]) -> None:
    """From the beginning of time the first trade is found in a few requests."""
    trades = [(n, T0 + n) for n in range(2500)]
    run = backfill(pager(0, T0 + 5000)).run(AggTrades(trades), LATER)
    assert ids(run) == list(range(2500))
    assert run.requests <= 6
    assert run.covered[-1][1] == (T0 + 5000) * MS


def test_after_a_long_silence_the_first_trade_is_found(backfill: Callable[..., Any]) -> None:
    """A range that begins in hours without a trade, among a million trades."""
    trades = [(n, T0 + n * 10 + (0 if n < 700_123 else 5 * HOUR)) for n in range(1_000_000)]
    start = trades[700_122][1] + 1
    market = AggTrades(trades)
    by_id = {"fromId": lambda low: trades[low : low + 1000]}

    def answer(request: PageRequest) -> bytes:
        if "fromId" in request.params:
            found = by_id["fromId"](int(request.params["fromId"]))
            return AggTrades(found)(request)
        return market(request)

    run = backfill(pager(start, start + 6 * HOUR)).run(answer, LATER, 4)
    assert ids(run)[0] == 700_123
    assert ids(run) == [n for n, ms in trades if start <= ms < start + 6 * HOUR]


def test_nothing_there(backfill: Callable[..., Any]) -> None:
    """No trades at all, or none since the start, or none before the end: covered, with no record."""
    for trades in ([], [(1, T0 - 1)], [(1, T0 + 9 * HOUR)], [(1, T0 - 1), (2, T0 + 9 * HOUR)]):
        run = backfill(pager(T0, T0 + 5 * HOUR)).run(AggTrades(trades), LATER)
        assert run.records == []
        assert run.pager.position == (T0 + 5 * HOUR) * MS


def test_the_newest_moments_are_not_covered(backfill: Callable[..., Any]) -> None:
    """Up to ten seconds before the answer came; a later trade that has come is covered up to its own time."""
    now = (T0 + 20_000) * MS
    run = backfill(pager(T0, T0 + 100_000)).run(AggTrades([(1, T0)]), now)
    assert run.pager.position == now - 10 * NS
    run = backfill(pager(T0, T0 + 100_000)).run(AggTrades([(1, T0), (2, T0 + 15_000)]), now)
    assert (run.pager.position, ids(run)) == ((T0 + 15_000) * MS, [1, 2])


def test_trades_made_meanwhile(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """A market that goes on while its newest pages are under way: none is left out between two pages."""
    for seed in range(20):
        chance = random.Random(seed)
        market = AggTrades([(n, T0 + n) for n in range(1500)])

        def answer(request: PageRequest, market: AggTrades = market, chance: random.Random = chance) -> bytes:
            body = market(request)
            if len(market.trades) < 6000:
                count = len(market.trades)
                market.trades += [(n, T0 + n) for n in range(count, count + chance.choice((0, 300, 700, 1200)))]
            return body

        run = backfill(pager(T0, T0 + 5000)).run(answer, LATER, 4, chance.randrange)
        got = ids(run)
        assert got == list(range(len(got)))
        assert len(got) >= 1500
        assert len(merged(run.covered)) == 1


def test_ids_that_are_missing(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Should the exchange leave ids out, pages still fit each other."""
    chance = random.Random(1)
    trades = [(n, T0 + n) for n in range(9000) if chance.random() < 0.8]
    for seed in range(5):
        run = backfill(pager(T0, T0 + 9000)).run(AggTrades(trades), LATER, 4, random.Random(seed).randrange)
        assert ids(run) == [n for n, _ in trades]
        assert merged(run.covered) == [(T0 * MS, (T0 + 9000) * MS)]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b'[{"a":1}]', b'{"code":-1121,"msg":"Invalid symbol."}',
        b'[{"a":1,"p":"0","q":"1","T":1600000000000,"m":true}]',
        b'[{"a":2,"p":"1","q":"1","T":1600000000000,"m":true},{"a":1,"p":"1","q":"1","T":1600000000000,"m":true}]',
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't trades is a ParseError, and the same page can be asked for again."""
    made = pager(T0, T0 + 1000)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, LATER)
    assert not made.done
    assert made.receive(request, AggTrades([(1, T0)])(request), LATER).records
    assert made.done


def test_a_page_that_comes_again_is_refused() -> None:
    """Its ids are below those that were asked for: an error that is tried again, not an end."""
    market = AggTrades([(number, T0 + number) for number in range(3000)])
    made = pager(T0, T0 + HOUR // 2)
    (window,) = made.requests(1)
    made.receive(window, market(window), LATER)
    first, second = made.requests(2)
    made.receive(first, market(first), LATER)
    with pytest.raises(ParseError, match="asked for"):
        made.receive(second, market(first), LATER)
    made.receive(second, market(second), LATER)
