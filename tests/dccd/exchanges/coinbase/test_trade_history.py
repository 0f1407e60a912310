"""Past trades of Coinbase."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.coinbase import Coinbase
from dccd.records import Trade
from dccd.symbols import NS, Dataset

US = 1000
T0 = 1_600_000_000 * NS
NOW = T0 + 86_400 * NS
Tape = list[tuple[int, int]]
"""(id, time in ns) of each trade."""


def pager(start: int, end: int) -> HistoryPager:
    return Coinbase().history(Dataset.parse("coinbase.trades.BTC-USD"), start, end, Market("BTC-USD"))


def tape(times: list[int], first_id: int = 5001) -> Tape:
    return list(enumerate(sorted(time - time % US for time in times), first_id))


def row(tid: int, time: int) -> dict[str, str]:
    moment = datetime.fromtimestamp(time // NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    at = f"{moment}.{time % NS // US:06d}Z"
    side = "BUY" if tid % 2 else "SELL"
    return {
        "trade_id": str(tid),
        "product_id": "BTC-USD",
        "price": "2",
        "size": "3",
        "time": at,
        "side": side,
        "bid": "",
    }


def answer(trades: Tape, cap: int = 100, inclusive: bool = True) -> Callable[[PageRequest], bytes]:
    """The newest trades between two seconds, newest first."""

    def body(request: PageRequest) -> bytes:
        assert request.endpoint == "v3PublicGetBrokerageMarketProductsProductIdTicker"
        assert request.params["product_id"] == "BTC-USD" and int(request.params["limit"]) == 1000
        start, end = int(request.params["start"]) * NS, int(request.params["end"]) * NS
        assert start < end
        found = [row(*one) for one in trades if start < one[1] < end or (inclusive and one[1] in (start, end))]
        return msgspec.json.encode({"trades": found[::-1][:cap], "best_bid": "1", "best_ask": "3"})

    return body


def ids(run: Any) -> list[int]:
    return [int(trade.tid) for trade in run.records]


def test_a_quiet_market(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """The range's trades, with the taker's side; one request beside that for what was before."""
    trades = tape([T0 - 3600 * NS, T0 + 5 * NS, T0 + 7 * NS, T0 + 100 * NS])
    run = backfill(pager(T0, T0 + 100 * NS)).run(answer(trades), NOW)
    assert run.records == [
        Trade(T0 + 5 * NS, 2.0, 3.0, "buy", "5002"),
        Trade(T0 + 7 * NS, 2.0, 3.0, "sell", "5003"),
    ]
    assert merged(run.covered) == [(T0, T0 + 100 * NS)]
    assert run.requests == 2


@pytest.mark.parametrize("cap", [100, 1000])
@pytest.mark.parametrize("inclusive", [True, False])
def test_more_than_a_page(backfill: Callable[..., Any], merged: Callable[..., Any], cap: int, inclusive: bool) -> None:
    """What a page had no room for is asked for again, whatever a page holds and whether its ends count."""
    trades = tape([T0 + n * 37_000_000 for n in range(-5, 9000)])
    start, end = T0 + NS // 3, T0 + 300 * NS + 5
    made = backfill(pager(start, end))
    made.truth = [time for _, time in trades if start <= time < end]
    run = made.run(answer(trades, cap, inclusive), NOW, 4, lambda count: count - 1)
    assert sorted(ids(run)) == [tid for tid, time in trades if start <= time < end]
    assert merged(run.covered) == [(start, end)]
    assert run.requests < 250 if cap == 100 else 45


def test_pages_of_either_size(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """One of a hundred may have been cut after longer ones have come, too."""
    trades = tape([T0 + n * 37_000_000 for n in range(-5, 9000)])
    sizes = cycle([1000, 100, 1000])
    run = backfill(pager(T0, T0 + 300 * NS)).run(lambda request: answer(trades, next(sizes))(request), NOW)
    assert sorted(ids(run)) == [tid for tid, time in trades if T0 <= time < T0 + 300 * NS]
    assert merged(run.covered) == [(T0, T0 + 300 * NS)]


@settings(max_examples=60)
@given(
    times=st.lists(st.integers(0, 200 * NS), max_size=80),
    begin=st.integers(0, 150 * NS),
    length=st.integers(0, 100 * NS),
    concurrency=st.integers(1, 4),
    random=st.randoms(use_true_random=False),
)
def test_any_range(
    backfill: Callable[..., Any],
    merged: Callable[..., Any],
    times: list[int],
    begin: int,
    length: int,
    concurrency: int,
    random: Any,
) -> None:
    """All trades of the range, once each, in whatever order the pages come, and the position is never past them."""
    trades = tape([T0 + time for time in [-NS, *times]])
    start, end = T0 + begin, T0 + begin + length
    made = backfill(pager(start, end))
    made.truth = [time for _, time in trades if start <= time < end]
    run = made.run(answer(trades), NOW, concurrency, lambda count: random.randrange(max(count, 1)))
    assert sorted(ids(run)) == [tid for tid, time in trades if start <= time < end]
    assert merged(run.covered) == ([(start, end)] if start < end else [])


def test_more_than_a_page_in_a_second(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Those of it that can't be had are left out of what is covered; all others come, and it ends."""
    burst = [T0 + 50 * NS + n * US for n in range(250)]
    trades = tape([T0 - NS, *[T0 + n * NS // 2 for n in range(200)], *burst])
    run = backfill(pager(T0, T0 + 100 * NS)).run(answer(trades), NOW)
    got = ids(run)
    assert len(got) == len(set(got)) == 199 + 98
    # The newest hundred of that second: 98 of the burst, and those that come half a second and a second later.
    cut = burst[152] + 1
    assert merged(run.covered) == [(T0, T0 + 50 * NS), (cut, T0 + 100 * NS)]
    assert run.pager.position == T0 + 100 * NS


def test_the_present(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Nothing is asked for that hasn't happened, and the last seconds may be incomplete."""
    trades = tape([T0 - NS, T0 + 5 * NS, T0 + 55 * NS])
    run = backfill(pager(T0, T0 + 10_000 * NS)).run(answer(trades), T0 + 60 * NS)
    assert ids(run) == [5002, 5003]
    assert merged(run.covered) == [(T0, T0 + 55 * NS)]


def test_a_market_that_began_later(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """A bisection finds its first trade, which has the id 1: before, there is nothing."""
    start = T0 - 1000 * 86_400 * NS
    trades = tape([T0 + n * NS for n in range(400)], first_id=1)
    run = backfill(pager(start, T0 + 200 * NS)).run(answer(trades), NOW)
    assert sorted(ids(run)) == list(range(1, 201))
    assert merged(run.covered) == [(start, T0 + 200 * NS)]
    assert run.requests < 50


def test_older_than_coinbase_answers(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Its first trade is none of the market's first ones: what was before isn't taken for covered."""
    trades = tape([T0 + n * NS for n in range(400)])
    run = backfill(pager(T0 - 86_400 * NS, T0 + 200 * NS)).run(answer(trades), NOW)
    assert len(run.records) == 200
    assert merged(run.covered) == [(T0, T0 + 200 * NS)]
    assert run.pager.position == T0 + 200 * NS
    before = backfill(pager(T0 - 86_400 * NS, T0 - 3600 * NS)).run(answer(trades), NOW)
    assert before.records == [] and merged(before.covered) == []


def test_the_first_second_is_too_full(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """The bisection ends there, without proof of what was before."""
    trades = tape([T0 + 100 * NS + n * US for n in range(300)], first_id=1)
    run = backfill(pager(T0, T0 + 200 * NS)).run(answer(trades), NOW)
    assert len(run.records) == 100
    assert merged(run.covered) == [(T0 + 100 * NS + 200 * US + 1, T0 + 200 * NS)]


def test_a_page_that_comes_again(backfill: Callable[..., Any]) -> None:
    """Trades of another time than a window's are an error, not the reason to ask for each of its seconds."""
    trades = tape([T0 + n * NS // 10 for n in range(5000)])
    ticker = "v3PublicGetBrokerageMarketProductsProductIdTicker"
    window = {"product_id": "BTC-USD", "limit": 1000, "start": T0 // NS, "end": T0 // NS + 400}
    body = answer(trades)(PageRequest(ticker, window))
    made = backfill(pager(T0, T0 + 500 * NS))
    with pytest.raises(ParseError, match="another time"):
        made.run(lambda request: body, NOW)
    assert made.requests < 20


def test_nothing_at_all(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """A market without any trade is not told from one whose trades aren't answered: nothing is covered."""
    run = backfill(pager(T0, T0 + 200 * NS)).run(answer([]), NOW)
    assert run.records == [] and merged(run.covered) == []
    assert run.pager.position == T0 + 200 * NS


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"error":"NOT_FOUND"}', b'{"trades":[{}]}', b'{"trades":{}}',
        msgspec.json.encode({"trades": [row(1, T0) | {"price": "0"}]}),
        msgspec.json.encode({"trades": [row(1, T0) | {"time": "now"}]}),
        msgspec.json.encode({"trades": [row(1, T0) | {"side": "what"}]}),
        msgspec.json.encode({"trades": [row(1, T0) | {"trade_id": "a-b"}]}),
    ],
)  # fmt: skip
def test_broken_bodies(backfill: Callable[..., Any], body: bytes) -> None:
    """A body that isn't trades is a ParseError, and the page can be asked for again."""
    made = pager(T0, T0 + 10 * NS)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, NOW)
    assert not made.done and made.requests(1) == []
    made.receive(request, answer(tape([T0 - 1]))(request), NOW)
    assert made.requests(1)
