"""Binance's REST API: what each endpoint gives, which parameters go together, and its errors word by word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.binance import Binance
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789
CONFIG = SimConfig(seed=3, rate=20, history=3)
VENUE = Binance(CONFIG, FaultPlan(lambda: START), START)
MARKET = VENUE.listings["BTC/USDT"].market


def get(path: str, venue: Binance = VENUE, now: int = START, **query: object) -> Any:
    answer = venue.get(path, {name: str(value) for name, value in query.items()}, now, "10.0.0.1")
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def refused(path: str, **query: object) -> tuple[int, int, str]:
    answer = VENUE.get(path, {name: str(value) for name, value in query.items()}, START, "10.0.0.1")
    body = json.loads(answer.body)
    return answer.status, body["code"], body["msg"]


def agg(**query: object) -> list[dict[str, Any]]:
    return get("/api/v3/aggTrades", symbol="BTCUSDT", **query)


def test_agg_trades_are_the_market_s() -> None:
    """Ids, prices, sizes, sides and times are the truth's; the trade's own id is another number."""
    rows = agg(fromId=1000, limit=50)
    truth = MARKET.numbered(999, 1049, resolution=MS, first_id=1)
    assert [str(row["a"]) for row in rows] == [trade.tid for trade in truth]
    assert [row["T"] * MS for row in rows] == [trade.ts for trade in truth]
    assert [float(row["p"]) for row in rows] == [trade.price for trade in truth]
    assert [float(row["q"]) for row in rows] == [trade.amount for trade in truth]
    assert ["sell" if row["m"] else "buy" for row in rows] == [trade.side for trade in truth]
    assert all(row["f"] == row["l"] != row["a"] for row in rows)


def test_agg_trades_without_a_cursor_are_the_newest() -> None:
    """500 by default, 1,000 at most, up to the present moment and not beyond."""
    rows = agg()
    assert len(rows) == 500 and rows[-1]["a"] == MARKET.index(START + 1)
    assert len(agg(limit=5000)) == 1000


def test_agg_trades_in_a_window() -> None:
    """Both ends of the window are inclusive, and the limit cuts at its newer end."""
    start = (START - 3600 * NS) // MS
    truth = MARKET.trades(start * MS, (start + 10_001) * MS)
    rows = agg(startTime=start, endTime=start + 10_000, limit=1000)
    assert [row["a"] for row in rows] == [int(trade.tid or 0) + 1 for trade in truth]
    edge = rows[-1]["T"]
    assert agg(startTime=start, endTime=edge, limit=1000) == rows
    assert agg(startTime=start, endTime=start + 10_000, limit=7) == rows[:7]
    assert agg(endTime=edge, limit=3) == rows[-3:]
    assert agg(startTime=start, limit=5) == rows[:5]


def test_pages_by_id_have_no_gap() -> None:
    """From one page's last id plus one on, every trade comes once."""
    first = agg(fromId=1, limit=1000)
    second = agg(fromId=first[-1]["a"] + 1, limit=1000)
    assert [row["a"] for row in first + second] == list(range(1, 2001))
    assert agg(fromId=10**15) == []


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({}, (400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")),
        ({"symbol": "NOPE"}, (400, -1121, "Invalid symbol.")),
        (
            {"symbol": "BTC/USDT"},
            (400, -1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'."),
        ),
        (
            {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1},
            (400, -1128, "Combination of optional parameters invalid."),
        ),
        (
            {"symbol": "BTCUSDT", "startTime": 0, "endTime": 3_600_001},
            (400, -1127, "More than 1 hours between startTime and endTime."),
        ),
        ({"symbol": "BTCUSDT", "limit": 0}, (400, -1130, "Data sent for parameter 'limit' is not valid.")),
        (
            {"symbol": "BTCUSDT", "limit": "x"},
            (400, -1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."),
        ),
        ({"symbol": "BTCUSDT", "fromId": ""}, (400, -1105, "Parameter 'fromId' was empty.")),
        ({"symbol": "BTCUSDT", "fromId": 10**19}, (400, -1108, "Parameter 'fromId' overflowed.")),
        (
            {"symbol": "BTCUSDT", "since": 1},
            (400, -1104, "Not all sent parameters were read; read '1' parameter(s) but was sent '2'."),
        ),
    ],
)
def test_wrong_queries_get_binance_s_errors(query: dict[str, object], error: tuple[int, int, str]) -> None:
    """Status, code and words."""
    assert refused("/api/v3/aggTrades", **query) == error


def test_an_hour_is_allowed() -> None:
    """ccxt asks for exactly one hour."""
    start = START // MS - 7_200_000
    assert len(agg(startTime=start, endTime=start + 3_600_000, limit=1000)) == 1000


def test_trades_have_ids_of_their_own() -> None:
    """``trades`` and ``historicalTrades`` count trades, not aggregate trades."""
    newest = get("/api/v3/trades", symbol="BTCUSDT", limit=2)
    of_agg = agg(limit=2)
    assert [row["id"] for row in newest] == [row["f"] for row in of_agg]
    old = get("/api/v3/historicalTrades", symbol="BTCUSDT", fromId=newest[0]["id"] - 10, limit=11)
    assert old[-1] == newest[0]
    assert float(old[0]["quoteQty"]) == pytest.approx(float(old[0]["price"]) * float(old[0]["qty"]))


def klines(**query: object) -> list[list[Any]]:
    return get("/api/v3/klines", symbol="BTCUSDT", **query)


@pytest.mark.parametrize(("interval", "span"), [("1s", 1), ("1m", 60), ("1h", 3600), ("4h", 14_400)])
def test_klines_are_the_truth_s_bars(interval: str, span: int) -> None:
    """Every number of closed bars."""
    start = (START // NS - 40 * span) // span * span * NS
    rows = klines(interval=interval, startTime=max(start, MARKET.opened) // MS, limit=10)
    truth = MARKET.bars(span, max(start, MARKET.opened), START)[:10]
    assert len(rows) == 10
    for row, bar in zip(rows, truth, strict=True):
        assert row[0] * MS == bar.ts and row[6] == row[0] + span * 1000 - 1
        assert [float(text) for text in row[1:6]] == [bar.open, bar.high, bar.low, bar.close, bar.volume]
        assert float(row[7]) == bar.quote_volume and row[8] == bar.trades
        assert 0 <= float(row[9]) <= bar.volume and 0 <= float(row[10]) <= (bar.quote_volume or 0)


def test_the_last_kline_is_open() -> None:
    """Without times the newest bars come, the last of which is still going."""
    rows = klines(interval="1m")
    assert len(rows) == 500
    minute = START - START % (60 * NS)
    assert rows[-1][0] * MS == minute
    assert rows[-1][8] == MARKET.index(START + 1) - MARKET.index(minute)
    assert len(klines(interval="1m", limit=1500)) == 1000


def test_klines_within_times() -> None:
    """Bars that begin within the window, its ends included, the older ones first when cut."""
    start = (START // NS // 60 - 100) * 60_000
    rows = klines(interval="1m", startTime=start, endTime=start + 60_000 * 9)
    assert [row[0] for row in rows] == [start + n * 60_000 for n in range(10)]
    assert klines(interval="1m", startTime=start - 59_999, endTime=start, limit=5)[0] == rows[0]
    assert klines(interval="1m", startTime=start, limit=3) == rows[:3]
    assert klines(interval="1m", endTime=start + 60_000 * 9 + 5, limit=4) == rows[-4:]
    assert klines(interval="1m", startTime=start, endTime=start - 1) == []


def test_history_begins_with_the_market() -> None:
    """``startTime=0`` gives the very first bar, as on Binance."""
    first = klines(interval="1m", startTime=0, limit=1)[0]
    assert first[0] * MS == MARKET.opened
    assert len(klines(interval="1M", startTime=0)) == 2
    assert refused("/api/v3/klines", symbol="BTCUSDT", interval="7m") == (400, -1120, "Invalid interval.")


def test_depth_is_the_book_and_has_its_id() -> None:
    """Levels and ``lastUpdateId`` are the truth's."""
    body = get("/api/v3/depth", symbol="BTCUSDT", limit=20)
    truth = VENUE.listings["BTC/USDT"].book.snapshot(START, 20)
    assert body["lastUpdateId"] == truth.seq
    assert [(float(p), float(q)) for p, q in body["bids"]] == truth.bids
    assert [(float(p), float(q)) for p, q in body["asks"]] == truth.asks
    assert len(get("/api/v3/depth", symbol="BTCUSDT")["bids"]) == 100


def test_exchange_info_lists_the_symbols() -> None:
    """All, or those asked for; the tick size is the prices'."""
    info = get("/api/v3/exchangeInfo")
    assert [one["symbol"] for one in info["symbols"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSD", "ETHUSD"]
    filters = {one["filterType"]: one for one in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000" and filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert len(get("/api/v3/exchangeInfo", symbols='["BTCUSDT","ETHUSDT"]')["symbols"]) == 2
    assert refused("/api/v3/exchangeInfo", symbol="NOPE")[1] == -1121
    assert refused("/api/v3/exchangeInfo", symbols="BTCUSDT")[1] == -1100
    assert get("/dapi/v1/exchangeInfo")["symbols"] == []


def test_small_endpoints() -> None:
    """ping, time, tickers and the average price."""
    assert get("/api/v3/ping") == {}
    assert get("/api/v3/time") == {"serverTime": START // MS}
    last = agg(limit=1)[0]["p"]
    assert get("/api/v3/ticker/price", symbol="BTCUSDT") == {"symbol": "BTCUSDT", "price": last}
    assert len(get("/api/v3/ticker/price")) == 5
    touch = get("/api/v3/ticker/bookTicker", symbol="BTCUSDT")
    assert float(touch["bidPrice"]) < float(last) < float(touch["askPrice"])
    day = get("/api/v3/ticker/24hr", symbol="BTCUSDT")
    assert day["lastPrice"] == last and day["count"] == day["lastId"] - day["firstId"] + 1
    assert (
        float(day["lowPrice"]) <= float(get("/api/v3/avgPrice", symbol="BTCUSDT")["price"]) <= float(day["highPrice"])
    )
    assert VENUE.get("/api/v3/nothing", {}, START, "x").status == 404


def test_weights_are_counted_a_minute_and_address() -> None:
    """The header grows by each request's weight and starts anew with the minute."""
    venue = Binance(CONFIG, FaultPlan(lambda: START), START)

    def used(now: int, client: str, path: str = "/api/v3/exchangeInfo") -> str:
        return venue.get(path, {}, now, client).headers["x-mbx-used-weight-1m"]

    assert [used(START, "a"), used(START, "a"), used(START, "b")] == ["20", "40", "20"]
    assert used(START + 60 * NS, "a", "/api/v3/ping") == "1"
    assert (
        venue.get("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"}, START, "c").headers["x-mbx-used-weight-1m"]
        == "250"
    )


def test_limits_end_in_a_ban() -> None:
    """With limits on: 429 with Retry-After until the minute is over, 418 for who goes on regardless."""
    venue = Binance(SimConfig(limits=True, rate=1, symbols=("BTC/USDT",)), FaultPlan(lambda: START), START)

    def ask(now: int = START) -> tuple[int, str | None]:
        answer = venue.get("/api/v3/exchangeInfo", {}, now, "a")
        return answer.status, answer.headers.get("Retry-After")

    assert {ask() for _ in range(300)} == {(200, None)}
    assert ask() == (429, "60")
    assert [ask() for _ in range(299)][-1] == (429, "60")
    assert ask() == (418, "120")
    assert ask(START + 119 * NS)[0] == 418
    assert ask(START + 121 * NS) == (200, None)


@pytest.mark.parametrize(("status", "code"), [(429, -1003), (418, -1003), (503, -1008), (500, -1000)])
def test_errors_for_faults(status: int, code: int) -> None:
    """Any status, in Binance's format, with Retry-After when given."""
    answer = VENUE.error(status, 7)
    assert (answer.status, answer.headers) == (status, {"Retry-After": "7"})
    assert json.loads(answer.body)["code"] == code
