"""Kraken's REST API: cursors, the reach of OHLC, and errors with status 200."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.kraken import Kraken
from dccd.symbols import NS

US = 1000
START = 1_714_564_800 * NS + 123_456_789
VENUE = Kraken(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)
MARKET = VENUE.listings["BTC/USD"].market


def get(method: str, now: int = START, **query: object) -> Any:
    answer = VENUE.get(f"/0/public/{method}", {name: str(value) for name, value in query.items()}, now, "a")
    assert answer.status == 200
    body = json.loads(answer.body, parse_float=str)
    assert body["error"] == [], body
    return body["result"]


def refused(method: str, **query: object) -> Any:
    answer = VENUE.get(f"/0/public/{method}", {name: str(value) for name, value in query.items()}, START, "a")
    assert answer.status == 200
    return json.loads(answer.body)["error"]


def trades(**query: object) -> tuple[list[list[Any]], str]:
    found = get("Trades", pair="XBTUSD", **query)
    return found["XXBTZUSD"], found["last"]


def test_trades_are_the_market_s() -> None:
    """Price, volume, time, side and the id as the last field."""
    rows, _ = trades(since=0, count=50)
    truth = MARKET.numbered(0, 50, resolution=US, first_id=1)
    assert [(float(row[0]), float(row[1]), row[3], row[6]) for row in rows] == [
        (one.price, one.amount, (one.side or "")[0], int(one.tid or 0)) for one in truth
    ]
    assert [int(row[2].replace(".", "")) * US for row in rows] == [one.ts for one in truth]
    assert rows[0][0].split(".")[1] == f"{int(rows[0][0].split('.')[1]):05d}"


def test_the_cursor_loses_nothing() -> None:
    """``last`` as the next ``since`` gives each trade once, though many share the microsecond at pages' edges."""
    ids: list[int] = []
    since: str = "0"
    for _ in range(40):
        rows, since = trades(since=since, count=17)
        ids += [row[6] for row in rows]
    assert ids == list(range(1, 40 * 17 + 1))


def test_since_in_seconds_or_nanoseconds() -> None:
    """Both are taken, and both are exclusive."""
    second = START // NS - 600
    rows, last = trades(since=second, count=5)
    assert rows == trades(since=second * NS, count=5)[0]
    assert int(last) == MARKET.time(MARKET.index(second * NS + 1) + 4)
    assert trades(since=last, count=1)[0][0][6] == rows[-1][6] + 1


def test_without_since_the_newest() -> None:
    """1,000 by default, up to now; at the end, nothing and the same cursor."""
    rows, last = trades()
    assert len(rows) == 1000 and rows[-1][6] == MARKET.index(START + 1)
    assert trades(since=last) == ([], last)


def test_ohlc_reaches_back_720_bars() -> None:
    """Whatever ``since`` says; the last one is open, and ``last`` is the newest closed one."""
    found = get("OHLC", pair="XXBTZUSD", interval=1, since=0)
    rows = found["XXBTZUSD"]
    minute = START - START % (60 * NS)
    assert len(rows) == 720 and rows[-1][0] * NS == minute and found["last"] * NS == minute - 60 * NS
    truth = MARKET.bars(60, rows[0][0] * NS, minute)
    for row, bar in zip(rows, truth, strict=False):
        assert (row[0] * NS, row[7]) == (bar.ts, bar.trades)
        assert [float(row[n]) for n in (1, 2, 3, 4, 6)] == [bar.open, bar.high, bar.low, bar.close, bar.volume]
        assert float(row[5]) == pytest.approx((bar.quote_volume or 0) / bar.volume, abs=0.051)
    assert rows[-1][7] == MARKET.index(START + 1) - MARKET.index(minute)


def test_ohlc_since_is_exclusive() -> None:
    """Bars after ``since``: the pages of a polling client don't repeat."""
    minute = (START // NS // 60 - 10) * 60
    rows = get("OHLC", pair="XBTUSD", since=minute)["XXBTZUSD"]
    assert [row[0] for row in rows] == [minute + 60 * n for n in range(1, 11)]
    assert get("OHLC", pair="XBTUSD", since=minute - 1)["XXBTZUSD"][0][0] == minute


def test_depth() -> None:
    """The book's prices; amounts with three decimals."""
    found = get("Depth", pair="XBTUSD", count=7)["XXBTZUSD"]
    truth = VENUE.listings["BTC/USD"].book.snapshot(START, 7)
    assert [float(row[0]) for row in found["bids"]] == [price for price, _ in truth.bids]
    assert [float(row[1]) for row in found["asks"]] == [pytest.approx(amount, abs=0.0011) for _, amount in truth.asks]
    assert all(isinstance(row[2], int) for row in found["asks"])


@pytest.mark.parametrize(
    ("method", "query", "error"),
    [
        ("Trades", {"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ("Trades", {}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": "XBTUSD", "count": 1001}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": "XBTUSD", "since": "yesterday"}, "EGeneral:Invalid arguments"),
        ("OHLC", {"pair": "XBTUSD", "interval": 7}, "EGeneral:Invalid arguments"),
        ("Depth", {"pair": "XBTUSD", "count": 501}, "EGeneral:Invalid arguments"),
        ("AssetPairs", {"pair": "XBTUSD,NOPE"}, "EQuery:Unknown asset pair"),
    ],
)
def test_errors_come_with_status_200(method: str, query: dict[str, object], error: str) -> None:
    """In ``error``, in Kraken's words."""
    assert refused(method, **query) == [error]


def test_metadata() -> None:
    """Assets, pairs, time and status."""
    pairs = get("AssetPairs")
    assert pairs["XXBTZUSD"]["wsname"] == "XBT/USD" and pairs["XXBTZUSD"]["pair_decimals"] == 1
    assert list(get("AssetPairs", pair="BTC/USDT")) == ["XBTUSDT"]
    assert get("Assets")["XXBT"]["altname"] == "XBT"
    assert get("Time")["unixtime"] == START // NS
    assert get("SystemStatus")["status"] == "online"
    ticker = get("Ticker", pair="XBTUSD")["XXBTZUSD"]
    assert ticker["t"][1] == MARKET.index(START + 1) - MARKET.index(START - 86_400 * NS)
    assert float(ticker["b"][0]) < float(ticker["c"][0]) < float(ticker["a"][0])
    assert VENUE.get("/0/public/Nothing", {}, START, "a").status == 404


def test_limits_refill_a_request_a_second() -> None:
    """With limits on: a burst, then Kraken's refusal, then one more each second."""
    venue = Kraken(SimConfig(limits=True, rate=1, symbols=("BTC/USD",)), FaultPlan(lambda: START), START)
    statuses = [venue.get("/0/public/Time", {}, START, "a").status for _ in range(17)]
    assert statuses == [200] * 15 + [429] * 2
    assert venue.get("/0/public/Time", {}, START + NS, "a").status == 200
    answer = venue.get("/0/public/Time", {}, START + NS, "a")
    assert json.loads(answer.body) == {"error": ["EGeneral:Too many requests"]}
    assert venue.get("/0/public/Time", {}, START, "b").status == 200


def test_errors_for_faults() -> None:
    """Any status in Kraken's format, with Retry-After when given."""
    answer = VENUE.error(503, 3)
    assert (answer.status, answer.headers) == (503, {"Retry-After": "3"})
    assert json.loads(answer.body)["error"] == ["EService:Unavailable"]
