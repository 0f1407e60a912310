"""Past trades of OKX."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.okx import Okx
from dccd.records import Trade
from dccd.symbols import NS, Dataset

MS = 1_000_000
T0 = 1_600_000_000_000
LATER = (T0 + 10**9) * MS


def pager(start: int, end: int, market: Market | None = None, name: str = "okx.trades.BTC-USDT") -> HistoryPager:
    """From *start* to *end* in ms after T0."""
    return Okx().history(Dataset.parse(name), (T0 + start) * MS, (T0 + end) * MS, market or Market("BTC-USDT"))


class Trades:
    """``GET /api/v5/market/history-trades`` of a market with trades (id, ms after T0), both ascending."""

    def __init__(self, trades: list[tuple[int, int]]) -> None:
        self.trades = trades
        self.ids = [tid for tid, _ in trades]
        self.times = [ms for _, ms in trades]
        self.asked: list[int] = []

    def __call__(self, request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetMarketHistoryTrades"
        params = request.params
        kind, after = int(params["type"]), int(params["after"])
        self.asked.append(kind)
        past = bisect_left(self.ids, after) if kind == 1 else bisect_left(self.times, after - T0)
        return self.rows(self.trades[max(0, past - int(params["limit"])) : past])

    @staticmethod
    def rows(trades: list[tuple[int, int]]) -> bytes:
        rows = [
            {"instId": "BTC-USDT", "side": "buy" if tid % 2 else "sell", "sz": "3", "source": "0", "px": "2",
             "tradeId": str(tid), "ts": str(T0 + ms)}
            for tid, ms in reversed(trades)
        ]  # fmt: skip
        return msgspec.json.encode({"code": "0", "msg": "", "data": rows})


def ids(run: Any) -> list[int]:
    return sorted(int(trade.tid) for trade in run.records)


def test_one_page(backfill: Callable[..., Any]) -> None:
    """The taker's side, ids as text; the start belongs to it, the end doesn't."""
    run = backfill(pager(0, 1000)).run(Trades([(7, -1), (8, 0), (9, 999), (10, 1000)]), LATER)
    assert run.records == [
        Trade(T0 * MS, 2.0, 3.0, "sell", "8"),
        Trade((T0 + 999) * MS, 2.0, 3.0, "buy", "9"),
    ]
    assert run.pager.position == (T0 + 1000) * MS


def test_contracts_are_base_asset(backfill: Callable[..., Any]) -> None:
    """By the contract's size."""
    made = pager(0, 1000, Market("BTC-USDT-SWAP", 0.1), "okx.trades.BTC-USDT_PERP")
    (trade,) = backfill(made).run(Trades([(8, 0)]), LATER).records
    assert trade.amount == 0.3


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 2500),
    density=st.integers(0, 2),
    sparse=st.booleans(),
    start=st.integers(-3000, 3000),
    chance=st.randoms(use_true_random=False),
)
def test_nothing_is_lost_or_doubled(
    backfill: Callable[..., Any],
    merged: Callable[..., Any],
    count: int,
    density: int,
    sparse: bool,
    start: int,
    chance: random.Random,
) -> None:
    """Hundreds of trades a millisecond, ids with gaps, several pages at once: each trade of the range comes once."""
    now, tid, trades = 0, 100, []
    for _ in range(count):
        now += chance.random() < 10.0**-density
        tid += 1 + (chance.randrange(5) if sparse else 0)
        trades.append((tid, now))
    end = max(start + 1, chance.choice((now + 1, now // 2, now + 5000)))
    run = backfill(pager(start, end))
    run.truth = [(T0 + ms) * MS for _, ms in trades if start <= ms < end]
    run.run(Trades(trades), LATER, 1 + chance.randrange(4), chance.randrange)
    assert ids(run) == [tid for tid, ms in trades if start <= ms < end]
    assert merged(run.covered) == [((T0 + start) * MS, (T0 + end) * MS)]


def test_a_market_that_did_not_exist_yet(backfill: Callable[..., Any]) -> None:
    """The first trade there is, with whatever id, is found among the ids."""
    for first in (0, 1, 5000, 123_456_789):
        run = backfill(pager(-10_000, 1000)).run(Trades([(first + n, n) for n in range(350)]), LATER)
        assert ids(run) == list(range(first, first + 350))
        assert run.pager.position == (T0 + 1000) * MS
        assert run.requests < 40


def test_from_the_beginning(backfill: Callable[..., Any]) -> None:
    """No time before OKX's own is asked for."""
    made = Okx().history(Dataset.parse("okx.trades.BTC-USDT"), 0, (T0 + 1000) * MS, Market("BTC-USDT"))
    trades = Trades([(n, n) for n in range(350)])
    assert ids(backfill(made).run(trades, LATER)) == list(range(350))
    assert trades.asked.count(2) == 1


def test_nothing_there(backfill: Callable[..., Any]) -> None:
    """An empty answer covers the range, but for the last ten seconds; so does one without trades of the range."""
    run = backfill(pager(0, 1000)).run(Trades([]), LATER)
    assert (run.records, run.pager.position, run.requests) == ([], (T0 + 1000) * MS, 1)
    run = backfill(pager(0, 100_000)).run(Trades([]), (T0 + 50_000) * MS)
    assert run.pager.position == (T0 + 40_000) * MS
    run = backfill(pager(0, 100_000)).run(Trades([(5, -90_000)]), (T0 + 50_000) * MS)
    assert (run.records, run.pager.position) == ([], (T0 + 40_000) * MS)


@pytest.mark.parametrize("start", [0, T0 - 86_400_000])
@pytest.mark.parametrize("count", [1, 50, 350])
def test_trades_that_okx_keeps_no_more(
    backfill: Callable[..., Any], merged: Callable[..., Any], start: int, count: int
) -> None:
    """What lies before the first one is covered only where that is so young that the market began with it."""
    for days, covered in ((84, T0), (70, start)):
        made = Okx().history(Dataset.parse("okx.trades.BTC-USDT"), start * MS, (T0 + 1000) * MS, Market("BTC-USDT"))
        trades = Trades([(5000 + n, n) for n in range(count)])
        run = backfill(made).run(trades, (T0 + days * 86_400_000) * MS, 4, lambda count: count - 1)
        assert ids(run) == list(range(5000, 5000 + count))
        assert merged(run.covered) == [(covered * MS, (T0 + 1000) * MS)]
        assert run.pager.position == (T0 + 1000) * MS


def test_no_trade_at_all_long_ago(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """It proves nothing; but one from before the start does."""
    now = (T0 + 84 * 86_400_000) * MS
    for trades, covered in (([], []), ([(5, -90_000)], [(T0 * MS, (T0 + 1000) * MS)])):
        run = backfill(pager(0, 1000)).run(Trades(trades), now)
        assert (run.records, merged(run.covered)) == ([], covered)
        assert run.pager.position == (T0 + 1000) * MS


def test_trades_made_meanwhile(backfill: Callable[..., Any]) -> None:
    """After many pages those that were made since the first look come too."""
    trades = Trades([(n, n) for n in range(1000)])
    now = [(T0 + 1000) * MS]

    def answer(request: PageRequest) -> bytes:
        body = trades(request)
        if len(trades.asked) == 5:
            trades.__init__([(n, n) for n in range(1250)])  # type: ignore[misc]  # the market goes on
            now[0] += 20 * NS
        return body

    run = backfill(pager(0, 10**6)).run(answer, now[0])
    assert ids(run) == list(range(1250))
    assert run.pager.position <= (T0 + 1250) * MS


def test_a_service_that_is_behind() -> None:
    """A page without the last trade, which another service had, is asked for again."""
    trades = Trades([(n, n) for n in range(150)])
    made = pager(0, 10**6)
    for _ in range(2):
        (request,) = made.requests(9)
        made.receive(request, trades(request), LATER) if request.cursor.kind != "search" else None
    while (request := made.requests(1)[0]).cursor.kind == "search":
        made.receive(request, trades(request), LATER)
    first, last = request, made.requests(9)[0]
    made.receive(first, trades(first), LATER)
    with pytest.raises(ParseError, match="up to 148 where 149 is the last"):
        made.receive(last, Trades(trades.trades[:-1])(last), LATER)
    assert not made.done
    page = made.receive(last, trades(last), LATER)
    assert [trade.tid for trade in page.records if isinstance(trade, Trade)] == [str(n) for n in range(100, 150)]
    assert made.done


def test_an_empty_range_needs_no_request() -> None:
    """It is done before it begins."""
    made = pager(0, 0)
    assert (made.requests(4), made.done) == ([], True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"code":"50011","msg":"Too Many Requests","data":[]}', b'{"code":"0","data":[{}]}',
        b'{"code":"0","data":[{"side":"buy","sz":"1","px":"0","tradeId":"1","ts":"1600000000000"}]}',
        b'{"code":"0","data":[{"side":"buy","sz":"1","px":"1","tradeId":"","ts":"1600000000000"}]}',
        b'{"code":"0","data":[{"side":"b","sz":"1","px":"1","tradeId":"1","ts":"1600000000000"}]}',
        b'{"code":"0","data":[{"side":"buy","sz":"1","px":"1","tradeId":"1","ts":"never"}]}',
        Trades.rows([(2, 0), (1, 0)]), Trades.rows([(1, 0), (1, 0)]),
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't one market's trades is a ParseError, and the page can be asked for again."""
    made = pager(0, 1000)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, LATER)
    assert not made.done
    made.receive(request, Trades([])(request), LATER)
    assert made.done
