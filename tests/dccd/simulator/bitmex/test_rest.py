"""BitMEX's REST API: pages, errors, limits, and that BitMEX's own pagers get the truth from it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from dccd.exchanges.base import Market, PageRequest
from dccd.exchanges.bitmex import Bitmex as Exchange
from dccd.records import BookSnapshot, Record
from dccd.simulator.bitmex import Bitmex
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.truth import Truth
from dccd.symbols import NS, Dataset

START = 1_714_564_800 * NS + 123_456_789
HOUR = 3600 * NS
CONFIG = SimConfig(seed=3, rate=2, history=3)
VENUE = Bitmex(CONFIG, FaultPlan(lambda: START), START)
TRUTH = Truth(VENUE)
PATHS = {
    "publicGetTrade": "trade",
    "publicGetTradeBucketed": "trade/bucketed",
    "publicGetFunding": "funding",
    "publicGetOrderBookL2": "orderBook/L2",
}
MARKETS = {
    "BTC/USD:perp": Market("XBTUSD", inverse=True),
    "BTC/USDT:perp": Market("XBTUSDT", 1e-6),
    "BTC/USDT:quarter": Market("XBTUSDTM24", 1e-6),
}


def get(path: str, **query: object) -> Any:
    answer = VENUE.get(f"/api/v1/{path}", {name: str(value) for name, value in query.items()}, START, "a")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def backfill(data_type: str, symbol: str, start: int, end: int, span: int | None = None) -> list[Record]:
    """All that the exchange's own pager gets."""
    dataset = Dataset.make("bitmex", data_type, symbol, span)
    pager, found = Exchange().history(dataset, start, end, MARKETS[symbol]), list[Record]()
    while not pager.done:
        for request in pager.requests(3):
            found += pager.receive(request, _answer(request), START).records
    return found


def _answer(request: PageRequest) -> bytes:
    query = {name: str(value) for name, value in request.params.items()}
    return VENUE.get(f"/api/v1/{PATHS[request.endpoint]}", query, START, "a").body


@pytest.mark.parametrize("symbol", sorted(MARKETS))
def test_the_truth_through_the_pagers(symbol: str) -> None:
    """Trades, bars and payments; a bar's open is the close of the one before it."""
    end = START - HOUR
    start = end - 3 * HOUR
    assert backfill("trades", symbol, start, end) == TRUTH.trades(symbol, start, end)
    start -= start % (60 * NS)
    bars, truth = backfill("ohlc", symbol, start, end, 60), TRUTH.bars(symbol, 60, start - 60 * NS, end)
    assert len(bars) == 3 * 60 + 1
    assert bars == [msgspec.structs.replace(bar, open=before.close) for before, bar in pairwise(truth)]
    if symbol.endswith("perp"):
        paid = backfill("funding", symbol, VENUE.opened, end)
        assert [(one.ts, one.rate) for one in paid] == [  # type: ignore[union-attr]  # payments all
            (one.ts, one.rate) for one in TRUTH.funding(symbol, VENUE.opened, end)
        ]
    (book,) = backfill("orderbook", symbol, 0, 1)
    assert isinstance(book, BookSnapshot)
    whole = TRUTH.book(symbol, START, CONFIG.book_depth)
    for side, truth_side in ((book.bids, whole.bids), (book.asks, whole.asks)):
        assert [price for price, _ in side] == [price for price, _ in truth_side]
        assert [amount for _, amount in side] == pytest.approx([amount for _, amount in truth_side])


def test_pages() -> None:
    """The oldest first unless reversed; a count, and as many skipped as asked."""
    every = get("trade", symbol="XBTUSD", count=50)
    assert get("trade", symbol="XBTUSD", count=10, start=20) == every[20:30]
    assert len(get("trade", symbol="XBTUSD")) == 100
    newest = get("trade", symbol="XBTUSD", count=3, reverse="true")
    assert [row["timestamp"] for row in newest] == sorted((row["timestamp"] for row in newest), reverse=True)
    since = every[7]["timestamp"]
    assert get("trade", symbol="XBTUSD", startTime=since, count=1)[0]["timestamp"] == since
    assert get("trade", symbol="NOSUCH") == []


def test_a_bar_that_is_open() -> None:
    """Only where it is asked for."""
    closed = get("trade/bucketed", symbol="XBTUSD", binSize="1h", reverse="true", count=1)[0]
    opened = get("trade/bucketed", symbol="XBTUSD", binSize="1h", reverse="true", count=1, partial="true")[0]
    assert (closed["timestamp"], opened["timestamp"]) == ("2024-05-01T12:00:00.000Z", "2024-05-01T13:00:00.000Z")


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("trade", {"symbol": "XBTUSD", "count": 1001}, 400),
        ("trade", {"symbol": "XBTUSD", "count": "many"}, 400),
        ("trade", {}, 400),
        ("trade", {"symbol": "XBTUSD", "startTime": "yesterday"}, 400),
        ("trade/bucketed", {"symbol": "XBTUSD", "binSize": "2m"}, 400),
        ("funding", {"symbol": "XBTUSD", "count": 501}, 400),
        ("nothing", {}, 404),
    ],
)
def test_errors(path: str, query: dict[str, object], status: int) -> None:
    """A status, and words in BitMEX's form."""
    answer = VENUE.get(f"/api/v1/{path}", {name: str(value) for name, value in query.items()}, START, "a")
    assert answer.status == status
    assert set(json.loads(answer.body)["error"]) == {"message", "name"}


def test_limits() -> None:
    """30 requests a minute and address, one more each two seconds; each answer says what is left."""
    config = SimConfig(seed=3, rate=2, history=3, limits=True)
    venue = Bitmex(config, FaultPlan(lambda: START), START)
    query = {"symbol": "XBTUSD", "count": "1"}
    answers = [venue.get("/api/v1/trade", query, START, "a") for _ in range(31)]
    assert [one.status for one in answers] == [200] * 30 + [429]
    assert [answers[n].headers["x-ratelimit-remaining"] for n in (0, 29)] == ["29", "0"]
    assert answers[30].headers["Retry-After"]
    assert json.loads(answers[30].body)["error"]["name"] == "RateLimitError"
    assert venue.get("/api/v1/trade", query, START, "b").status == 200
    assert venue.get("/api/v1/trade", query, START + 2 * NS, "a").status == 200


def test_what_is_listed() -> None:
    """Contracts paid in their base or quote asset; each says what one is."""
    config = SimConfig(contracts=("BTC/USD:perp", "ETH/USD:perp", "BTC/USDT:perp"))
    venue = Bitmex(config, FaultPlan(lambda: START), START)
    assert list(venue.formats) == ["XBTUSD", "XBTUSDT"]
    rows = {row["symbol"]: row for row in get("instrument/active")}
    assert rows["XBTUSDT"]["underlyingToPositionMultiplier"] == 1_000_000
    assert (rows["XBTUSD"]["multiplier"], rows["XBTUSD"]["isInverse"]) == (-100_000_000, True)
    assert rows["XBTUSDTM24"]["expiry"] == "2024-06-28T08:00:00.000Z"
    assert get("instrument", symbol="XBTUSD") == [rows["XBTUSD"]]
