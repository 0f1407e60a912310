"""The REST API of Binance's futures: what each endpoint gives, and its errors word by word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.binance import Binance
from dccd.simulator.config import SimConfig
from dccd.simulator.expiries import expiries
from dccd.simulator.faults import FaultPlan
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789
VENUE = Binance(SimConfig(seed=3, rate=20, history=40), FaultPlan(lambda: START), START)
PERP = VENUE.listings["BTC/USDT:perp"]
QUARTER = "BTCUSDT_240628"


def get(path: str, **query: object) -> Any:
    answer = VENUE.get(path, {name: str(value) for name, value in query.items()}, START, "10.0.0.1")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def refused(path: str, **query: object) -> tuple[int, int, str]:
    answer = VENUE.get(path, {name: str(value) for name, value in query.items()}, START, "10.0.0.1")
    body = json.loads(answer.body)
    return answer.status, body["code"], body["msg"]


def test_contracts_are_listed() -> None:
    """Margined in USDT, quarters by the day on which they expire; spot is elsewhere, and so is what is in coin."""
    found = {one["symbol"]: one for one in get("/fapi/v1/exchangeInfo")["symbols"]}
    assert list(found) == ["BTCUSDT", "ETHUSDT", QUARTER, "BTCUSDT_240927"]
    assert [one["contractType"] for one in found.values()] == [
        "PERPETUAL", "PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"
    ]  # fmt: skip
    assert found[QUARTER]["deliveryDate"] * MS == expiries(START)[0]
    assert {one["pair"] for one in found.values()} == {"BTCUSDT", "ETHUSDT"}
    assert get("/fapi/v1/ping") == {} and get("/fapi/v1/time") == {"serverTime": START // MS}
    assert "BTC/USD:perp" not in VENUE.listings


def test_another_market_than_spot_s() -> None:
    """BTCUSDT is in both, with trades, prices and decimals of its own."""
    spot = get("/api/v3/aggTrades", symbol="BTCUSDT", limit=3)
    perp = get("/fapi/v1/aggTrades", symbol="BTCUSDT", limit=3)
    assert [row["T"] for row in spot] != [row["T"] for row in perp]
    assert len(spot[0]["p"].partition(".")[2]) == 8 and len(perp[0]["p"].partition(".")[2]) == 2
    assert "M" not in perp[0] and perp[0]["nq"] == perp[0]["q"]


@pytest.mark.parametrize(("id", "symbol"), [("BTCUSDT", "BTC/USDT:perp"), (QUARTER, "BTC/USDT:quarter")])
def test_trades_bars_and_books_are_the_market_s(id: str, symbol: str) -> None:
    """Ids, prices, sizes, sides and times are the truth's."""
    listing = VENUE.listings[symbol]
    rows = get("/fapi/v1/aggTrades", symbol=id, fromId=1000, limit=50)
    truth = listing.market.numbered(999, 1049, resolution=MS, first_id=1)
    assert [(str(row["a"]), row["T"] * MS, float(row["p"]), float(row["q"]), row["m"]) for row in rows] == [
        (one.tid, one.ts, one.price, one.amount, one.side == "sell") for one in truth
    ]
    single = get("/fapi/v1/trades", symbol=id, limit=5)
    assert [row["id"] - 1_000_000 for row in single] == [row["a"] for row in get("/fapi/v1/aggTrades", symbol=id)][-5:]
    minute = START - START % (60 * NS)
    bars = listing.market.bars(60, minute - 600 * NS, minute)
    found = get("/fapi/v1/klines", symbol=id, interval="1m", startTime=(minute - 600 * NS) // MS, limit=10)
    assert [(row[0] * MS, *map(float, row[1:6]), row[8]) for row in found] == [
        (bar.ts, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.trades) for bar in bars
    ]
    body = get("/fapi/v1/depth", symbol=id, limit=20)
    snapshot = listing.book.snapshot(START, 20)
    assert (body["lastUpdateId"], body["T"] * MS) == (snapshot.seq, snapshot.ts - snapshot.ts % MS)
    for side, levels in (("bids", snapshot.bids), ("asks", snapshot.asks)):
        assert [(float(price), float(amount)) for price, amount in body[side]] == levels


def test_funding_that_was_paid() -> None:
    """The newest by default; between times the oldest first, both ends included; none of dated contracts."""
    truth = PERP.derivative.settlements(0, START)
    rows = get("/fapi/v1/fundingRate", symbol="BTCUSDT")
    assert [(row["fundingTime"] * MS, float(row["fundingRate"]), float(row["markPrice"])) for row in rows] == [
        (one.ts, one.rate, one.mark_price) for one in truth[-100:]
    ]
    first, last = truth[0].ts // MS, truth[4].ts // MS
    inside = get("/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=first, endTime=last)
    assert [row["fundingTime"] for row in inside] == [one.ts // MS for one in truth[:5]]
    assert get("/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=first, limit=2) == inside[:2]
    assert get("/fapi/v1/fundingRate", symbol=QUARTER) == get("/fapi/v1/fundingInfo") == []


def test_what_is_announced() -> None:
    """Mark price, rate and the time of its payment; a dated contract has no rate."""
    one = get("/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert (float(one["lastFundingRate"]), one["nextFundingTime"] * MS) == PERP.derivative.predicted(START)
    assert float(one["markPrice"]) == PERP.derivative.mark_price(START) != float(one["indexPrice"])
    every = {one["symbol"]: one for one in get("/fapi/v1/premiumIndex")}
    assert len(every) == 4 and every["BTCUSDT"] == one
    assert (every[QUARTER]["lastFundingRate"], every[QUARTER]["nextFundingTime"]) == ("", 0)


def test_open_interest() -> None:
    """Now, and every five minutes of the last thirty days: thirty by default, the newest."""
    it = PERP.derivative
    now = get("/fapi/v1/openInterest", symbol="BTCUSDT")
    assert float(now["openInterest"]) == it.open_interest(START).open_interest
    path, query = "/futures/data/openInterestHist", {"symbol": "BTCUSDT", "period": "5m"}
    rows = get(path, **query)
    truth = it.open_interests(START - 30 * 86_400 * NS, START + 1, 300 * NS)

    def read(row: dict[str, Any]) -> tuple[int, float, float]:
        return row["timestamp"] * MS, float(row["sumOpenInterest"]), float(row["sumOpenInterestValue"])

    assert [read(row) for row in rows] == [(one.ts, one.open_interest, one.open_interest_value) for one in truth[-30:]]
    oldest = get(path, **query, startTime=truth[0].ts // MS, endTime=truth[4].ts // MS)
    assert [read(row)[0] for row in oldest] == [one.ts for one in truth[:5]]
    assert len(get(path, **query, limit=5000)) == 500
    assert [row["timestamp"] % 3_600_000 for row in get(path, symbol=QUARTER, period="1h", limit=3)] == [0] * 3


@pytest.mark.parametrize(
    ("path", "query", "error"),
    [
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 7}, (400, -4021, "7 is not valid depth limit.")),
        ("/fapi/v1/depth", {"symbol": "BTCUSD"}, (400, -1121, "Invalid symbol.")),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1s"}, (400, -1120, "Invalid interval.")),
        (
            "/fapi/v1/fundingRate",
            {},
            (400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."),
        ),
        (
            "/fapi/v1/aggTrades",
            {"symbol": "BTCUSDT", "startTime": 0, "endTime": 3_600_001},
            (400, -1127, "More than 1 hours between startTime and endTime."),
        ),
        (
            "/futures/data/openInterestHist",
            {"symbol": "BTCUSDT", "period": "5m", "startTime": START // MS - 31 * 86_400_000},
            (400, -1130, "parameter 'startTime' is invalid."),
        ),
        (
            "/futures/data/openInterestHist",
            {"symbol": "BTCUSDT", "period": "7m"},
            (400, -1130, "parameter 'period' is invalid."),
        ),
    ],
)
def test_errors(path: str, query: dict[str, object], error: tuple[int, int, str]) -> None:
    """Status, code and words."""
    assert refused(path, **query) == error


def test_weights() -> None:
    """As documented; they don't count against spot's, and requests of funding rates have no weight."""
    venue = Binance(SimConfig(), FaultPlan(lambda: START), START)

    def weigh(path: str, **query: object) -> int | None:
        asked = {"symbol": "BTCUSDT"} | {name: str(value) for name, value in query.items()}
        used = venue.get(path, asked, START, f"{path}{query}").headers.get("x-mbx-used-weight-1m")
        return None if used is None else int(used)

    assert [weigh("/fapi/v1/depth", limit=limit) for limit in (50, 100, 500, 1000)] == [2, 5, 10, 20]
    assert [weigh("/fapi/v1/klines", interval="1m", limit=n) for n in (99, 499, 1000, 1500)] == [1, 2, 5, 10]
    assert weigh("/fapi/v1/aggTrades") == 20
    assert weigh("/fapi/v1/fundingRate") is weigh("/futures/data/openInterestHist", period="5m") is None
    assert venue.get("/fapi/v1/ping", {}, START, "x").headers["x-mbx-used-weight-1m"] == "1"
    assert venue.get("/api/v3/ping", {}, START, "x").headers["x-mbx-used-weight-1m"] == "1"
