"""Past bars and the present book of Coinbase."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.coinbase import Coinbase
from dccd.records import Bar, BookSnapshot
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
T0 = 1_600_000_020 * NS
LISTED = 1_590_000_000
SECONDS = {"ONE_MINUTE": 60, "ONE_DAY": 86_400, "FOUR_HOUR": 14_400}


def pager(start: int, end: int, span: str = "1m") -> HistoryPager:
    return Coinbase().history(Dataset.parse(f"coinbase.ohlc.BTC-USD.{span}"), start, end, Market("BTC-USD"))


def answer(closed: int, listed: int = LISTED, without: tuple[int, ...] = ()) -> Callable[[PageRequest], bytes]:
    """The bars that begin from *listed* to *closed* (seconds), newest first; none for the minutes in *without*."""

    def body(request: PageRequest) -> bytes:
        assert request.endpoint == "v3PublicGetBrokerageMarketProductsProductIdCandles"
        assert request.params["product_id"] == "BTC-USD"
        span = SECONDS[str(request.params["granularity"])]
        start, end = int(request.params["start"]), int(request.params["end"])
        assert (end - start) // span < 350, "number of candles requested should be less than 350"
        first = max(start, listed - listed % span)
        times = [t for t in range(first + -first % span, min(end, closed) + 1, span) if t not in without]
        rows = [{"start": str(t), "low": "1", "high": "4", "open": "2", "close": "3", "volume": "2.5"} for t in times]
        return msgspec.json.encode({"candles": rows[::-1]})

    return body


def minutes(run: Any) -> list[int]:
    return [(bar.ts - T0) // MINUTE for bar in run.records]


def test_pages(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Windows of 300, several at once and answered in any order; an interval without a trade has no bar."""
    gone = T0 // NS + 420
    run = backfill(pager(T0, T0 + 700 * MINUTE)).run(
        answer(T0 // NS + 90_000, without=(gone,)), T0 + 1600 * MINUTE, 3, lambda count: count - 1
    )
    assert sorted(minutes(run)) == [n for n in range(700) if n != 7]
    assert Bar(T0, 2.0, 4.0, 1.0, 3.0, 2.5) in run.records
    assert merged(run.covered) == [(T0, T0 + 700 * MINUTE)]
    assert run.requests == 3


def test_the_open_bar_is_left_out(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """What is covered ends where it begins."""
    run = backfill(pager(T0, T0 + 100 * MINUTE)).run(answer(T0 // NS + 600), T0 + 10 * MINUTE + 15 * NS)
    assert minutes(run) == list(range(10))
    assert merged(run.covered) == [(T0, T0 + 10 * MINUTE)]


def test_a_market_that_began_later(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Bars of days find it; before, there is nothing."""
    start, first = T0 - 1500 * 86_400 * NS, T0 - 600 * MINUTE
    run = backfill(pager(start, T0)).run(answer(T0 // NS + 60, listed=first // NS), T0 + 60 * MINUTE)
    assert minutes(run) == list(range(-600, 0))
    assert merged(run.covered) == [(start, T0)]
    assert run.requests < 25


def test_the_year_that_has_no_bars_of_days(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Bars of minutes are older than those of days: until those begin all of them are asked for."""
    february = 1_422_748_800
    days = answer(1_450_000_000, listed=1_437_350_400)
    small = answer(february + 600, listed=february)

    def body(request: PageRequest) -> bytes:
        return (days if request.params["granularity"] == "ONE_DAY" else small)(request)

    start, end = 1_388_534_400 * NS, 1_437_436_800 * NS
    run = backfill(pager(start, end)).run(body, 1_460_000_000 * NS, 4, most=2000)
    assert [bar.ts // NS for bar in run.records] == list(range(february, february + 601, 60))
    assert merged(run.covered) == [(start, end)]


@settings(max_examples=30)
@given(st.integers(0, 900), st.integers(0, 900), st.integers(1, 5), st.randoms())
def test_any_range(backfill: Callable[..., Any], begin: int, length: int, concurrency: int, random: Any) -> None:
    """All bars of the range, once each, in whatever order the pages come."""
    start, end = T0 + begin * MINUTE, T0 + (begin + length) * MINUTE
    run = backfill(pager(start, end)).run(
        answer(T0 // NS + 10**6), T0 + 5000 * MINUTE, concurrency, lambda count: random.randrange(max(count, 1))
    )
    assert sorted(minutes(run)) == list(range(begin, begin + length))
    assert run.pager.position == max(start, end)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"error":"NOT_FOUND"}', b'{"candles":{}}', b'{"candles":[{}]}',
        b'{"candles":[{"start":"1600000020","low":"0","high":"1","open":"1","close":"1","volume":"1"}]}',
        b'{"candles":[{"start":"1600000020","low":"2","high":"1","open":"1","close":"1","volume":"1"}]}',
        b'{"candles":[{"start":"1600000020","high":"1","open":"1","close":"1","volume":"1"}]}',
        b'{"candles":[{"start":"x","low":"1","high":"1","open":"1","close":"1","volume":"1"}]}',
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't bars is a ParseError, and the page can be asked for again."""
    made = pager(T0, T0 + MINUTE)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, T0 + 20 * MINUTE)
    assert not made.done
    made.receive(request, answer(T0 // NS + 1200)(request), T0 + 20 * MINUTE)
    assert made.done


def test_real_answers(captures: Path) -> None:
    """A real page of bars and a real book, against another reading of the same bytes."""
    folder = captures / "payloads" / "coinbase"
    body = (folder / "http_candles.json").read_bytes()
    rows = msgspec.json.decode(body)["candles"]
    made = pager(int(rows[1]["start"]) * NS, int(rows[0]["start"]) * NS + 3600 * NS, "1h")
    page = made.receive(made.requests(1)[0], body, 1_800_000_000 * NS)
    names = ("open", "high", "low", "close", "volume")
    assert page.records == [Bar(int(r["start"]) * NS, *(float(r[name]) for name in names)) for r in rows[::-1]]
    assert len(page.records) == 2 and page.records[1].ts == 1_712_192_400 * NS
    assert made.done

    book = Coinbase().history(Dataset.parse("coinbase.orderbook.BTC-USD"), 0, 1, Market("BTC-USD"))
    (request,) = book.requests(1)
    assert request == PageRequest("v3PublicGetBrokerageMarketProductBook", {"product_id": "BTC-USD", "limit": 1000})
    body = (folder / "http_product_book.json").read_bytes()
    (snapshot,) = book.receive(request, body, 5).records
    truth = msgspec.json.decode(body)["pricebook"]
    sides = [[(float(one["price"]), float(one["size"])) for one in truth[side]] for side in ("bids", "asks")]
    assert snapshot == BookSnapshot(1_775_521_739_662_782_000, 5, *sides, 5)
    assert [len(side) for side in sides] == [5, 5]
    assert book.done


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"pricebook":{"bids":[],"asks":[]}}', b'{"pricebook":{"bids":[],"asks":[],"time":"now"}}',
     b'{"pricebook":{"bids":[{"price":"0","size":"1"}],"asks":[],"time":"2026-04-07T00:28:59Z"}}'],
)  # fmt: skip
def test_broken_books(body: bytes) -> None:
    """A book without its time, or with a level without its price, is a ParseError."""
    book = Coinbase().history(Dataset.parse("coinbase.orderbook.BTC-USD"), 0, 1, Market("BTC-USD"))
    with pytest.raises(ParseError):
        book.receive(book.requests(1)[0], body, 5)
    assert not book.done
