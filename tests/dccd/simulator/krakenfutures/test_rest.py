"""Kraken Futures' REST APIs: what each endpoint gives, and its errors word by word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.krakenfutures import KrakenFutures
from dccd.simulator.truth import Truth
from dccd.simulator.venue import Answer
from dccd.symbols import NS

MS = 1_000_000
HOUR = 3600
START = 1_714_564_800 * NS + 123_456_789
CONTRACTS = ("BTC/USD:perp", "BTC/USDT:perp", "BTC/USD:quarter", "BTC/USD:next_quarter")
CONFIG = {"seed": 3, "rate": 20, "history": 3, "contracts": CONTRACTS}
VENUE = KrakenFutures(SimConfig(**CONFIG), FaultPlan(lambda: START), START)  # type: ignore[arg-type]  # by name
TRUTH = Truth(VENUE)
PERP = "BTC/USD:perp"


def ask(venue: KrakenFutures, path: str, query: dict[str, object]) -> Answer:
    return venue.get(path, {name.rstrip("_"): str(value) for name, value in query.items()}, START, "10.0.0.1")


def get(path: str, **query: object) -> Any:
    answer = ask(VENUE, path, query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def derivatives(path: str, **query: object) -> Any:
    found = get(f"/derivatives/api/{path}", **query)
    assert found["result"] == "success" and found["serverTime"] == "2024-05-01T12:00:00.123Z"
    return found


def test_what_is_listed() -> None:
    """Contracts in USD: perpetuals and the next quarter's linear, this quarter's inverse."""
    found = derivatives("v3/instruments")["instruments"]
    assert [(one["symbol"], one["type"], one.get("lastTradingTime")) for one in found] == [
        ("PF_XBTUSD", "flexible_futures", None),
        ("FI_XBTUSD_240628", "futures_inverse", "2024-06-28T08:00:00.000Z"),
        ("FF_XBTUSD_240927", "flexible_futures", "2024-09-27T08:00:00.000Z"),
    ]
    assert list(VENUE.listings) == [PERP, "BTC/USD:quarter", "BTC/USD:next_quarter"]


def test_tickers() -> None:
    """Rates in money, only of perpetuals; one by its name."""
    found = derivatives("v3/tickers")["tickers"]
    assert [one["tag"] for one in found] == ["perpetual", "quarter", "quarter"]
    assert ["fundingRate" in one for one in found] == [True, False, False]
    derivative = TRUTH.derivative(PERP)
    rate = derivative.predicted(START).rate
    assert found[0]["fundingRate"] == rate * derivative.index_price(START)
    assert found[0]["openInterest"] == TRUTH.open_interest(PERP, START).open_interest
    assert derivatives("v3/tickers/FI_XBTUSD_240628")["ticker"] == found[1]


def test_the_book() -> None:
    """The whole of it, bids from the worst on; sizes of the inverse contract are dollars."""
    found = derivatives("v3/orderbook", symbol="PF_XBTUSD")["orderBook"]
    truth = TRUTH.book(PERP, START)
    assert [tuple(level) for level in found["bids"][::-1]] == truth.bids
    assert [tuple(level) for level in found["asks"]] == truth.asks and len(truth.asks) > 500
    price, size = derivatives("v3/orderbook", symbol="FI_XBTUSD_240628")["orderBook"]["asks"][0]
    (best, amount), *_ = TRUTH.book("BTC/USD:quarter", START).asks
    assert size == int(size) and best == price and amount == pytest.approx(size / price)


def test_the_newest_trades() -> None:
    """A hundred, the last one first, before a time if asked."""
    found = derivatives("v3/history", symbol="PF_XBTUSD")["history"]
    truth = TRUTH.trades(PERP, START - 60 * NS, START)[-100:]
    assert [(one["uid"], one["price"], one["size"], one["side"]) for one in found[::-1]] == [
        (trade.tid, trade.price, trade.amount, trade.side) for trade in truth
    ]
    before = derivatives("v3/history", symbol="PF_XBTUSD", lastTime=found[0]["time"])["history"]
    assert before[0]["trade_id"] < found[0]["trade_id"] and len(before) == 100


def test_funding() -> None:
    """All there is, at the beginnings of hours; nothing of a contract that expires."""
    found = derivatives("v4/historicalfundingrates", symbol="PF_XBTUSD")["rates"]
    truth = TRUTH.funding(PERP, 0, START)
    assert [one["relativeFundingRate"] for one in found] == [one.rate for one in truth] and len(truth) == 85
    assert found[-1]["timestamp"] == "2024-05-01T12:00:00.000Z"
    assert derivatives("v4/historicalfundingrates", symbol="FF_XBTUSD_240927")["rates"] == []
    assert ask(VENUE, "/derivatives/api/v3/historicalfundingrates", {"symbol": "PF_XBTUSD"}).status == 404


def test_candles() -> None:
    """Oldest first, both ends inclusive, the open one too; 2000 a page, and whether there are more."""
    path, newest = "/api/charts/v1/trade/PF_XBTUSD/1m", START // NS - START // NS % 60
    found = get(path, from_=newest - 600, to=newest)
    assert found["more_candles"] is False
    assert [one["time"] for one in found["candles"]] == [(newest - 600 + n * 60) * 1000 for n in range(11)]
    bars = TRUTH.bars(PERP, 60, (newest - 600) * NS, newest * NS)
    names = ("open", "high", "low", "close", "volume")
    assert [[float(one[name]) for name in names] for one in found["candles"][:-1]] == [
        [getattr(bar, name) for name in names] for bar in bars
    ]
    long = get(path, from_=newest - 60 * 2000, to=newest)
    assert long["more_candles"] is True and len(long["candles"]) == 2000
    assert long["candles"][0]["time"] == (newest - 60 * 2000) * 1000
    assert get(path)["candles"][-1] == found["candles"][-1]
    mark = get("/api/charts/v1/mark/PF_XBTUSD/1m", from_=newest, to=newest)["candles"]
    assert float(mark[0]["volume"]) == 0


def test_open_interest() -> None:
    """Four values a bucket, times in seconds, 2000 a page."""
    path, newest = "/api/charts/v1/analytics/PF_XBTUSD/open-interest", START // NS - START // NS % 300
    found = get(path, since=newest - 600, to=newest, interval=300)
    assert found["errors"] == [] and found["result"]["more"] is False
    assert found["result"]["timestamp"] == [newest - 600, newest - 300, newest]
    truth = TRUTH.open_interests(PERP, 300, (newest - 600) * NS, newest * NS + 1)
    assert [float(values[0]) for values in found["result"]["data"]] == [one.open_interest for one in truth]
    assert all(float(low) <= float(last) <= float(high) for _, high, low, last in found["result"]["data"])
    long = get(path, since=newest - 60 * 3000, interval=60)["result"]
    assert long["more"] is True and len(long["timestamp"]) == 2000


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_executions(sort: str) -> None:
    """Each once, page after page, by the token of the one before."""
    since, before = START // MS - 30_000, START // MS - 1_000
    query: dict[str, object] = {"since": since, "before": before, "sort": sort, "count": 100}
    rows: list[Any] = []
    while True:
        found = get("/api/history/v3/market/PF_XBTUSD/executions", **query)
        rows += [one["event"]["Execution"]["execution"] for one in found["elements"]]
        assert found["len"] == len(found["elements"]) <= 100
        if "continuationToken" not in found:
            break
        query["continuation_token"] = found["continuationToken"]
    truth = TRUTH.trades(PERP, since * MS, before * MS)
    got = [(one["uid"], one["timestamp"] * MS, float(one["price"]), float(one["quantity"])) for one in rows]
    assert got[:: 1 if sort == "asc" else -1] == [(one.tid, one.ts, one.price, one.amount) for one in truth]
    sides = [one["takerOrder"]["direction"].lower() for one in rows]
    assert sides[:: 1 if sort == "asc" else -1] == [one.side for one in truth] and len(truth) > 500


@pytest.mark.parametrize(
    ("path", "query", "status", "body"),
    [
        ("/derivatives/api/v3/orderbook", {}, 400, '"message":"400 BAD_REQUEST"'),
        ("/derivatives/api/v3/orderbook", {"symbol": "X"}, 400, '"message":"Argument invalid: symbol"'),
        ("/derivatives/api/v3/history", {"symbol": "PF_XBTUSD", "lastTime": "x"}, 400, "invalidArgument: lastTime"),
        ("/derivatives/api/v3/nothing", {}, 404, "NOT_FOUND"),
        ("/api/charts/v1/index/PF_XBTUSD/1m", {}, 400, "Invalid tick type"),
        ("/api/charts/v1/trade/X/1m", {}, 400, "Invalid instrument"),
        ("/api/charts/v1/trade/PF_XBTUSD/2m", {}, 400, "Invalid resolution"),
        ("/api/charts/v1/trade/PF_XBTUSD/1m", {"from": "x"}, 400, "Invalid from"),
        ("/api/charts/v1/analytics/PF_XBTUSD/open-interest", {"since": 1, "interval": 1}, 400, '"field":"interval"'),
        ("/api/charts/v1/analytics/PF_XBTUSD/open-interest", {"interval": 60}, 400, '"field":"since"'),
        ("/api/charts/v1/analytics/X/open-interest", {}, 400, '"field":"symbol"'),
        ("/api/charts/v1/analytics/PF_XBTUSD/funding", {}, 400, '"field":"analytics_type"'),
        ("/api/history/v3/market/X/executions", {}, 400, "Unknown tradeable"),
        ("/api/history/v3/market/PF_XBTUSD/executions", {"since": "x"}, 400, "Invalid since"),
        ("/api/history/v3/market/PF_XBTUSD/executions", {"continuation_token": "?"}, 400, "Invalid continuation token"),
    ],
)
def test_errors(path: str, query: dict[str, object], status: int, body: str) -> None:
    """Each API has a form of its own."""
    answer = ask(VENUE, path, query)
    assert answer.status == status and body in answer.body.decode()


def test_limits() -> None:
    """Five hundred requests in ten seconds, when limits are on."""
    venue = KrakenFutures(SimConfig(limits=True, **CONFIG), FaultPlan(lambda: START), START)  # type: ignore[arg-type]  # by name
    path = "/derivatives/api/v3/orderbook"
    statuses = [ask(venue, path, {"symbol": "X"}).status for _ in range(501)]
    assert statuses == [400] * 500 + [429]
    assert json.loads(ask(venue, path, {}).body)["error"] == "apiLimitExceeded"
    assert venue.get(path, {}, START, "10.0.0.2").status == 400
    assert venue.get(path, {}, START + 10 * NS, "10.0.0.1").status == 400
    assert json.loads(venue.error(503, 2.0).body) == {"result": "error", "error": "Unavailable"}
    assert venue.error(429, 2.0).headers == {"Retry-After": "2"}
