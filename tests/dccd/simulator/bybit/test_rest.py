"""Bybit's REST API: what each endpoint gives, and its errors word by word."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from dccd.simulator.bybit import Bybit
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.truth import Truth
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789
VENUE = Bybit(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)
TRUTH = Truth(VENUE)
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}


def answered(path: str, venue: Bybit = VENUE, **query: object) -> Any:
    answer = venue.get(f"/v5/market/{path}", {name: str(value) for name, value in query.items()}, START, "10.0.0.1")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def get(path: str, **query: object) -> Any:
    answer = answered(path, **query)
    assert (answer["retCode"], answer["retMsg"], answer["time"]) == (0, "OK", START // MS), answer
    return answer["result"]


def test_what_is_listed() -> None:
    """BTCUSDT in two categories; contracts in USD are in neither."""
    linear = get("instruments-info", category="linear", limit=1000)
    kinds = {one["symbol"]: one["contractType"] for one in linear["list"]}
    assert kinds == {
        "BTCUSDT": "LinearPerpetual",
        "ETHUSDT": "LinearPerpetual",
        "BTCUSDT-28JUN24": "LinearFutures",
        "BTCUSDT-27SEP24": "LinearFutures",
    }
    assert linear["nextPageCursor"] == ""
    assert "BTCUSDT" in {one["symbol"] for one in get("instruments-info", category="spot")["list"]}
    for query in ({"category": "inverse"}, {"category": "option"}, {"category": "linear", "status": "PreLaunch"}):
        assert get("instruments-info", **query)["list"] == []
    assert get("time") == {"timeSecond": str(START // NS), "timeNano": str(START)}


def test_bars() -> None:
    """Newest first, both ends inclusive, the newest if there are too many; the open one too."""
    start = START // MS - START // MS % 60_000
    rows = get("kline", **SPOT, interval="1", start=start - 600_000, end=start)["list"]
    truth = TRUTH.bars("BTC/USDT", 60, (start - 600_000) * MS, start * MS)
    assert [int(row[0]) for row in rows] == [start - n * 60_000 for n in range(11)]
    assert [tuple(map(float, row[1:])) for row in rows[:0:-1]] == [
        (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume) for bar in truth
    ]
    assert get("kline", **SPOT, interval="1", start=start - 600_000, end=start, limit=3)["list"] == rows[:3]
    assert get("kline", **SPOT, interval="1", start=start - 600_000, limit=3)["list"] == rows[-3:]
    assert len(get("kline", **SPOT, interval="1")["list"]) == 200
    assert len(get("kline", **SPOT, interval="1", limit=5000)["list"]) == 1000
    assert get("kline", **SPOT, interval="1", start=0, end=5)["list"] == []
    assert get("kline", **LINEAR, interval="D")["list"] != get("kline", **SPOT, interval="D")["list"]


@pytest.mark.parametrize(
    ("query", "symbol", "default", "most"), [(SPOT, "BTC/USDT", 60, 60), (LINEAR, "BTC/USDT:perp", 500, 1000)]
)
def test_trades(query: dict[str, str], symbol: str, default: int, most: int) -> None:
    """The newest, newest first."""
    rows = get("recent-trade", **query, limit=5000)["list"]
    last = TRUTH.last_id(symbol, START)
    truth = TRUTH.numbered(symbol, last - most + 1, last)
    assert [(one["execId"], int(one["time"]) * MS, float(one["price"]), float(one["size"])) for one in rows[::-1]] == [
        (one.tid, one.ts, one.price, one.amount) for one in truth
    ]
    assert get("recent-trade", **query)["list"] == rows[:default]


@pytest.mark.parametrize(("query", "symbol", "most"), [(SPOT, "BTC/USDT", 200), (LINEAR, "BTC/USDT:perp", 500)])
def test_the_book(query: dict[str, str], symbol: str, most: int) -> None:
    """Best level first on both sides, as deep as allowed."""
    found = get("orderbook", **query, limit=5000)
    truth = TRUTH.book(symbol, START, most)
    assert [tuple(map(float, level)) for level in found["b"]] == truth.bids
    assert [tuple(map(float, level)) for level in found["a"]] == truth.asks
    assert len(found["b"]) == most and found["cts"] * MS == truth.ts
    assert len(get("orderbook", **query)["b"]) == (1 if query is SPOT else 25)


def test_funding() -> None:
    """The rates paid, newest first, within the times; a start alone is refused."""
    day = START - START % (86_400 * NS)
    found = get("funding/history", **LINEAR, startTime=day // MS - 86_400_000, endTime=day // MS)["list"]
    truth = TRUTH.funding("BTC/USDT:perp", day - 86_400 * NS, day + 1)
    assert [(int(one["fundingRateTimestamp"]) * MS, float(one["fundingRate"])) for one in found[::-1]] == [
        (one.ts, one.rate) for one in truth
    ]
    assert len(found) == 4
    assert len(get("funding/history", **LINEAR, limit=2)["list"]) == 2
    assert get("funding/history", category="linear", symbol="BTCUSDT-28JUN24")["list"] == []
    assert answered("funding/history", **LINEAR, startTime=1)["retCode"] == 10001
    assert answered("funding/history", **SPOT)["retCode"] == 10001


def test_open_interest() -> None:
    """At multiples of the interval, newest first; a cursor goes on where a page ended."""
    found = get("open-interest", **LINEAR, intervalTime="5min", limit=200)
    rows, cursor = found["list"], found["nextPageCursor"]
    while cursor:
        found = get("open-interest", **LINEAR, intervalTime="5min", limit=200, cursor=unquote(cursor))
        rows, cursor = rows + found["list"], found["nextPageCursor"]
    truth = TRUTH.open_interests("BTC/USDT:perp", 300, 0, START)
    assert [(int(one["timestamp"]) * MS, float(one["openInterest"])) for one in rows[::-1]] == [
        (one.ts, one.open_interest) for one in truth
    ]
    times = {"startTime": (START - 3600 * NS) // MS, "endTime": START // MS}
    assert len(get("open-interest", **LINEAR, intervalTime="15min", **times)["list"]) == 4
    assert len(get("open-interest", **LINEAR, intervalTime="1h")["list"]) == 50


def test_tickers() -> None:
    """One, or all of a category."""
    assert len(get("tickers", category="linear")["list"]) == 4
    (one,) = get("tickers", **LINEAR)["list"]
    assert float(one["openInterest"]) == TRUTH.open_interest("BTC/USDT:perp", START).open_interest


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("kline", {"symbol": "BTCUSDT", "interval": "1"}, "params error: category invalid"),
        ("kline", {**SPOT, "symbol": "NOPE", "interval": "1"}, "Not supported symbols"),
        ("kline", {**SPOT, "interval": "7"}, "params error: interval invalid"),
        ("kline", {**SPOT, "interval": "1", "limit": "0"}, "params error: limit invalid"),
        ("kline", {**SPOT, "interval": "1", "start": "x"}, "params error: start invalid"),
        ("open-interest", {**LINEAR, "intervalTime": "1m"}, "params error: intervalTime invalid"),
        ("tickers", {**LINEAR, "symbol": "NOPE"}, "Not supported symbols"),
        ("instruments-info", {**LINEAR, "symbol": "NOPE"}, "params error: symbol invalid"),
    ],
)
def test_errors(path: str, query: dict[str, str], words: str) -> None:
    """Under status 200, with a code."""
    answer = answered(path, **query)
    assert (answer["retCode"], answer["retMsg"], answer["result"]) == (10001, words, {})


def test_no_such_path() -> None:
    """Is told by the status."""
    assert VENUE.get("/v5/what", {}, START, "10.0.0.1").status == 404


def test_limits() -> None:
    """600 requests in five seconds and address."""
    venue = Bybit(SimConfig(seed=3, history=1, limits=True), FaultPlan(lambda: START), START)
    statuses = [venue.get("/v5/market/time", {}, START, "10.0.0.1").status for _ in range(601)]
    assert statuses == [200] * 600 + [403]
    assert venue.get("/v5/market/time", {}, START, "10.0.0.2").status == 200
    assert venue.get("/v5/market/time", {}, START + 5 * NS, "10.0.0.1").status == 200


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_errors_on_demand(status: int) -> None:
    """With the time to wait."""
    answer = VENUE.error(status, 3)
    assert answer.status == status and answer.headers["Retry-After"] == "3"
