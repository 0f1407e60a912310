"""Past trades of Kraken."""

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
from dccd.exchanges.kraken import Kraken
from dccd.records import Trade
from dccd.symbols import NS, Dataset

T0 = 1_600_000_000 * NS
LATER = T0 + 10**6 * NS


def pager(start: int, end: int) -> HistoryPager:
    return Kraken().history(Dataset.parse("kraken.trades.BTC-USD"), start, end, Market("XXBTZUSD"))


class Trades:
    """``GET /0/public/Trades`` of a market with trades (id, ns). ``since`` itself belongs to the answer, or not."""

    def __init__(self, trades: list[tuple[int, int]], inclusive: bool = False) -> None:
        self.trades = trades
        self.inclusive = inclusive

    def __call__(self, request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetTrades"
        since, count = int(request.params["since"]), int(request.params["count"])
        first = since if self.inclusive else since + 1
        found = [trade for trade in self.trades if trade[1] >= first][:count]
        rows = ",".join(
            f'["30243.40000","0.34507674",{ns // NS}.{ns % NS:09d},"{"b" if tid % 2 else "s"}","m","",{tid}]'
            for tid, ns in found
        )
        last = found[-1][1] if found else since
        return f'{{"error":[],"result":{{"XXBTZUSD":[{rows}],"last":"{last}"}}}}'.encode()


def ids(run: Any) -> list[int]:
    return [int(trade.tid) for trade in run.records]


def test_one_page(backfill: Callable[..., Any]) -> None:
    """Times to the nanosecond, the taker's side, ids as text; the end doesn't belong to it."""
    trades = [(7, T0 - 1), (8, T0), (9, T0 + 123_456_789), (10, T0 + NS)]
    run = backfill(pager(T0, T0 + NS)).run(Trades(trades), LATER)
    assert run.records == [
        Trade(T0, 30243.4, 0.34507674, "sell", "8"),
        Trade(T0 + 123_456_789, 30243.4, 0.34507674, "buy", "9"),
    ]
    assert run.covered == [(T0, T0 + NS)]
    assert run.requests == 1


@settings(max_examples=50)
@given(
    st.integers(0, 5000), st.integers(0, 2), st.integers(-2000, 2000), st.booleans(), st.randoms(use_true_random=False)
)
def test_nothing_is_lost_or_doubled(
    backfill: Callable[..., Any],
    merged: Callable[..., Any],
    count: int,
    density: int,
    start: int,
    inclusive: bool,
    chance: random.Random,
) -> None:
    """Up to a hundred trades a nanosecond, whether since is inclusive or not: each trade of the range comes once."""
    now, trades = T0, []
    for tid in range(count):
        now += chance.random() < 10.0**-density
        trades.append((tid, now))
    start, end = T0 + start, max(T0 + start + 1, chance.choice((now + 1, (T0 + now) // 2, now + 5 * NS)))
    run = backfill(pager(start, end))
    run.truth = [ns for _, ns in trades if start <= ns < end]
    run.run(Trades(trades, inclusive), LATER)
    assert ids(run) == [tid for tid, ns in trades if start <= ns < end]
    assert merged(run.covered) == [(start, end)]


@pytest.mark.parametrize("inclusive", [True, False])
def test_more_than_a_page_of_one_nanosecond(
    backfill: Callable[..., Any], merged: Callable[..., Any], inclusive: bool
) -> None:
    """What can't be asked for is left out of what is covered, and the rest comes all the same."""
    trades = [(n, T0 + n) for n in range(100)] + [(n, T0 + 100) for n in range(100, 1700)]
    trades += [(n, T0 + n) for n in range(1700, 1800)]
    run = backfill(pager(T0, T0 + 1800)).run(Trades(trades, inclusive), LATER)
    assert ids(run) == [*range(1100), *range(1700, 1800)]
    assert merged(run.covered) == [(T0, T0 + 100), (T0 + 101, T0 + 1800)]


def test_a_market_that_did_not_exist_yet(backfill: Callable[..., Any]) -> None:
    """The first page after any time before is that of the first trades."""
    run = backfill(pager(0, T0 + NS)).run(Trades([(n, T0 + n) for n in range(1500)]), LATER)
    assert ids(run) == list(range(1500))
    assert run.requests == 3
    assert run.pager.position == T0 + NS


def test_nothing_there(backfill: Callable[..., Any]) -> None:
    """An empty answer covers the range, but for the last ten seconds."""
    run = backfill(pager(T0, T0 + NS)).run(Trades([]), LATER)
    assert (run.records, run.pager.position) == ([], T0 + NS)
    run = backfill(pager(T0, T0 + 100 * NS)).run(Trades([]), T0 + 50 * NS)
    assert run.pager.position == T0 + 40 * NS


def test_a_short_page_is_not_the_end(backfill: Callable[..., Any]) -> None:
    """Pages of fewer trades than asked for, with more behind them, don't end a backfill early."""

    class Short(Trades):
        def __call__(self, request: PageRequest) -> bytes:
            return super().__call__(PageRequest(request.endpoint, {**request.params, "count": 400}))

    run = backfill(pager(T0, T0 + NS)).run(Short([(n, T0 + n * 7) for n in range(1500)]), LATER)
    assert ids(run) == list(range(1500))


def test_a_page_that_comes_again() -> None:
    """Going on a nanosecond at a time would take for ever: it is an error, and nothing counts as covered by it."""
    made = pager(T0, T0 + NS)
    (request,) = made.requests(1)
    body = Trades([(n, T0 + n) for n in range(1500)])(request)
    position = made.receive(request, body, LATER).end
    for _ in range(2):
        made.receive(made.requests(1)[0], body, LATER)
    (request,) = made.requests(1)
    with pytest.raises(ParseError, match="known trades"):
        made.receive(request, body, LATER)
    assert made.position <= position + 1 and not made.done


def test_an_empty_range_needs_no_request() -> None:
    """It is done before it begins."""
    made = pager(T0, T0)
    assert (made.requests(4), made.done) == ([], True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b'{"error":["EGeneral:Internal error"]}', b'{"error":[],"result":{"X":[]}}',
        b'{"error":[],"result":{"X":[],"last":"soon"}}', b'{"error":[],"result":{"last":"5"}}',
        b'{"error":[],"result":{"X":[["0","1",1600000000.1,"b","m","",1]],"last":"5"}}',
        b'{"error":[],"result":{"X":[["1","1","never","b","m","",1]],"last":"5"}}',
        b'{"error":[],"result":{"X":[["1","1",1600000000.1,"x","m","",1]],"last":"5"}}',
        b'{"error":[],"result":{"X":[["1","1",1600000000.1,"b","m",""]],"last":"5"}}',
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't one market's trades is a ParseError, and the page can be asked for again."""
    made = pager(T0, T0 + NS)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, LATER)
    assert not made.done
    made.receive(request, Trades([(1, T0), (2, T0 + NS)])(request), LATER)
    assert made.done


def test_the_documented_answer() -> None:
    """Rows as Kraken's documentation shows them; its times have as many decimals as a float prints."""
    body = msgspec.json.encode(
        {
            "error": [],
            "result": {
                "XXBTZUSD": [["30243.40000", "0.34507674", 1688669597.8277369, "b", "m", "", 61044952]],
                "last": "1688671969993150842",
            },
        }
    )
    made = pager(1688669597 * NS, 1688669598 * NS)
    page = made.receive(made.requests(1)[0], body, LATER * 2)
    assert page.records == [Trade(1688669597827736900, 30243.4, 0.34507674, "buy", "61044952")]
    assert made.done
