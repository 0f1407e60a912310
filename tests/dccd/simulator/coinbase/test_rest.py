"""Coinbase's REST API: ranges of seconds, limits, and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.coinbase import Coinbase
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.symbols import NS

US = 1000
START = 1_714_564_800 * NS + 123_456_789
VENUE = Coinbase(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)
MARKET = VENUE.listings["BTC/USD"].market
NOW = START // NS


def answer(path: str, **query: object) -> tuple[int, Any]:
    found = VENUE.get(path, {name: str(value) for name, value in query.items()}, START, "a")
    return found.status, json.loads(found.body)


def get(path: str, **query: object) -> Any:
    status, body = answer(f"/api/v3/brokerage/market/{path}", **query)
    assert status == 200, body
    return body


def test_trades_are_the_market_s() -> None:
    """Newest first, ids as text, the side being the maker's."""
    rows = get("products/BTC-USD/ticker", limit=100)["trades"]
    end = MARKET.index(START + 1)
    truth = MARKET.numbered(end - 100, end, resolution=US, first_id=1)[::-1]
    assert [(row["trade_id"], float(row["price"]), float(row["size"])) for row in rows] == [
        (one.tid, one.price, one.amount) for one in truth
    ]
    assert [row["side"] for row in rows] == [{"buy": "SELL", "sell": "BUY"}[one.side or ""] for one in truth]
    assert rows[0]["product_id"] == "BTC-USD" and rows[0]["time"].startswith("2024-05-01T12:00:00")


def test_trades_of_a_range() -> None:
    """Both seconds count; of more than a hundred the newest come."""
    rows = get("products/BTC-USD/ticker", limit=1000, start=NOW - 9, end=NOW - 8)["trades"]
    first, last = MARKET.index((NOW - 9) * NS), MARKET.index((NOW - 8) * NS + US)
    assert [int(row["trade_id"]) for row in rows] == list(range(last, first, -1))
    assert len(get("products/BTC-USD/ticker", limit=1000, start=NOW - 60, end=NOW)["trades"]) == 100
    assert get("products/BTC-USD/ticker", limit=1000, start=1, end=2)["trades"] == []


def test_candles_are_the_market_s() -> None:
    """Newest first, both ends included, up to the open one."""
    rows = get("products/BTC-USD/candles", granularity="FIVE_MINUTE", start=NOW - 3600, end=NOW)["candles"]
    truth = MARKET.bars(300, (NOW - 3600) * NS, NOW * NS)
    assert [int(row["start"]) * NS for row in rows[1:]] == [bar.ts for bar in reversed(truth)]
    row, bar = rows[1], truth[-1]
    assert tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume")) == (
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
    )
    assert int(rows[0]["start"]) == NOW and len(rows) == 13


def test_no_candle_without_a_trade() -> None:
    """A quiet minute is left out."""
    quiet = Coinbase(SimConfig(seed=3, rate=1 / 600, history=3), FaultPlan(lambda: START), START)
    query = {"granularity": "ONE_MINUTE", "start": str(NOW - 6000), "end": str(NOW)}
    body = quiet.get("/api/v3/brokerage/market/products/BTC-USD/candles", query, START, "a").body
    rows = json.loads(body)["candles"]
    assert 0 < len(rows) < 30 and all(float(row["volume"]) > 0 for row in rows)


def test_the_book() -> None:
    """Best first on both sides, at its own time."""
    book = get("product_book", product_id="BTC-USD", limit=5)["pricebook"]
    truth = VENUE.listings["BTC/USD"].book.snapshot(START, 5)
    assert [(float(one["price"]), float(one["size"])) for one in book["bids"]] == truth.bids
    assert [(float(one["price"]), float(one["size"])) for one in book["asks"]] == truth.asks
    assert book["time"] == "2024-05-01T12:00:00.1Z"
    assert len(get("product_book", product_id="BTC-USD")["pricebook"]["bids"]) > 500


def test_products() -> None:
    """Spot by default; no contracts; nothing that is in the book of another."""
    found = get("products")
    assert {one["product_id"] for one in found["products"]} == {one.replace("/", "-") for one in VENUE.listings}
    assert get("products", product_type="FUTURE")["products"] == []
    assert get("products/ETH-USD")["base_currency_id"] == "ETH"
    usdc = Coinbase(SimConfig(symbols=("BTC/USD", "BTC/USDC")), FaultPlan(lambda: START), START)
    assert list(usdc.listings) == ["BTC/USD"]


@pytest.mark.parametrize(
    ("path", "query", "status", "words"),
    [
        ("products/NO-PE/candles", {}, 404, "Product NO-PE not supported"),
        ("products/NO-PE", {}, 404, "Product NO-PE not supported"),
        ("product_book", {"product_id": "NOPE"}, 404, "Product NOPE not supported"),
        ("products/BTC-USD/nothing", {}, 404, "Not Found"),
        ("products/BTC-USD/candles", {"granularity": "TEN", "start": 1, "end": 2}, 400, "granularity"),
        ("products/BTC-USD/candles", {"granularity": "ONE_DAY", "start": "x", "end": 2}, 400, "start argument"),
        ("products/BTC-USD/candles", {"granularity": "ONE_MINUTE", "start": 0, "end": 21_060}, 400, "less than 350"),
        ("products/BTC-USD/ticker", {}, 400, "limit"),
        ("products/BTC-USD/ticker", {"limit": 1001}, 500, "internal"),
    ],
)
def test_errors(path: str, query: dict[str, object], status: int, words: str) -> None:
    """A token, and words."""
    got, body = answer(f"/api/v3/brokerage/market/{path}", **query)
    assert got == status
    assert words in body["message"] and body["error"] in ("NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL")


def test_limits() -> None:
    """With limits on, ten requests a second."""
    venue = Coinbase(SimConfig(limits=True, history=1), FaultPlan(lambda: START), START)
    statuses = [venue.get("/v2/time", {}, START, "a").status for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert venue.get("/v2/time", {}, START, "b").status == 200
    assert venue.get("/v2/time", {}, START + NS, "a").status == 200


def test_errors_for_faults() -> None:
    """In its own words, with the time to wait."""
    answer = VENUE.error(429, 2)
    assert answer.headers == {"Retry-After": "2"} and json.loads(answer.body)["error"] == "resource_exhausted"
    assert json.loads(VENUE.error(503, None).body)["error"] == "UNAVAILABLE"


def test_what_is_old() -> None:
    """The lists that ccxt asks for beside the products."""
    assert answer("/v2/time")[1]["data"]["epoch"] == NOW
    assert [one["id"] for one in answer("/v2/currencies")[1]["data"]] == ["USD"]
    assert {one["code"] for one in answer("/v2/currencies/crypto")[1]["data"]} == {"BTC", "ETH", "SOL", "USDT"}
    assert float(answer("/v2/exchange-rates")[1]["data"]["rates"]["BTC"]) == pytest.approx(1 / 64_000, rel=0.5)
    assert answer("/api/v3/brokerage/time")[1]["epochSeconds"] == str(NOW)
    assert answer("/v2/nothing")[0] == 404
