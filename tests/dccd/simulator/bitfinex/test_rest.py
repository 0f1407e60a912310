"""Bitfinex's REST API: order, limits, what belongs to an answer, and its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.bitfinex import Bitfinex
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789
VENUE = Bitfinex(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)
MARKET = VENUE.listings["BTC/USD"].market


def get(path: str, status: int = 200, **query: object) -> Any:
    answer = VENUE.get(f"/v2/{path}", {name: str(value) for name, value in query.items()}, START, "a")
    assert answer.status == status
    return json.loads(answer.body)


def test_trades_forwards_and_backwards() -> None:
    """From ``start`` on oldest first, or those before ``end`` newest first; both belong to the answer."""
    rows = get("trades/tBTCUSD/hist", start=0, sort=1, limit=50)
    truth = MARKET.numbered(0, 50, MS, 1, VENUE.trade_id)
    assert [(str(row[0]), row[1] * MS, abs(row[2]), row[3], "buy" if row[2] > 0 else "sell") for row in rows] == [
        (one.tid, one.ts, one.amount, one.price, one.side) for one in truth
    ]
    window = get("trades/tBTCUSD/hist", start=rows[10][1], end=rows[20][1], sort=1)
    assert window == [row for row in rows if rows[10][1] <= row[1] <= rows[20][1]]
    assert get("trades/tBTCUSD/hist", start=rows[10][1], end=rows[20][1]) == window[::-1]
    newest = get("trades/tBTCUSD/hist")
    assert len(newest) == 125
    assert newest[0][1] == MARKET.time(MARKET.index(START + 1) - 1) // MS


def test_candles() -> None:
    """Open, close, high, low; the open one, too; newest first unless asked otherwise."""
    minute = START // (60 * NS) * 60_000
    rows = get("candles/trade:1m:tBTCUSD/hist", limit=10)
    assert [row[0] for row in rows] == [minute - 60_000 * n for n in range(10)]
    forwards = get("candles/trade:1m:tBTCUSD/hist", start=rows[9][0], end=rows[1][0], sort=1)
    assert forwards == rows[:0:-1]
    for row, bar in zip(forwards, MARKET.bars(60, rows[9][0] * MS, minute * MS), strict=True):
        assert row == [bar.ts // MS, bar.open, bar.close, bar.high, bar.low, bar.volume]
    days = get("candles/trade:1D:tBTCUSD/hist", start=0, sort=1, limit=10_000)
    assert [row[0] * MS for row in days] == [MARKET.opened + n * 86_400 * NS for n in range(4)]


def test_candles_without_trades_are_none() -> None:
    """A slow market has fewer of them than minutes, and as many as asked for all the same."""
    slow = Bitfinex(SimConfig(seed=3, rate=0.005, history=3), FaultPlan(lambda: START), START)
    query = {"start": str(slow.opened // MS), "sort": "1", "limit": "100"}
    rows = json.loads(slow.get("/v2/candles/trade:1m:tBTCUSD/hist", query, START, "a").body)
    market = slow.listings["BTC/USD"].market
    bars = [bar for bar in market.bars(60, slow.opened, START) if bar.trades]
    assert [row[0] * MS for row in rows] == [bar.ts for bar in bars[:100]]
    assert rows[-1][0] - rows[0][0] > 100 * 60_000


@pytest.mark.parametrize("length", [1, 25, 100, 250])
def test_the_book(length: int) -> None:
    """The truth's levels, by price or, raw, by order."""
    truth = VENUE.listings["BTC/USD"].book.snapshot(START, length)
    expected = [*truth.bids, *[(price, -amount) for price, amount in truth.asks]]
    rows = get("book/tBTCUSD/P0", len=length)
    assert [(row[0], row[2]) for row in rows] == expected
    assert all(row[1] > 0 for row in rows)
    assert [(row[1], row[2]) for row in get("book/tBTCUSD/R0", len=length)] == expected


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("trades/tNOPE/hist", {}, "symbol: invalid"),
        ("book/tNOPE/P0", {}, "symbol: invalid"),
        ("candles/trade:1m:tNOPE/hist", {}, "symbol: invalid"),
        ("candles/trade:2m:tBTCUSD/hist", {}, "time_interval: invalid"),
        ("trades/tBTCUSD/hist", {"limit": 10_001}, "limit: invalid"),
        ("trades/tBTCUSD/hist", {"limit": 0}, "limit: invalid"),
        ("trades/tBTCUSD/hist", {"start": "yesterday"}, "start: invalid"),
        ("book/tBTCUSD/P0", {"len": 50}, "len: invalid"),
        ("book/tBTCUSD/P9", {}, "precision: invalid"),
        ("status/deriv/tBTCUSD/hist", {}, "symbol: invalid"),
    ],
)
def test_errors_are_arrays_with_status_500(path: str, query: dict[str, object], words: str) -> None:
    """Code 10020, and what is wrong."""
    assert get(path, 500, **query) == ["error", 10020, words]


def test_states_of_perpetuals() -> None:
    """Every minute's of one, or the present ones of all."""
    contract = VENUE.listings["BTC/USDT:perp"].derivative
    rows = get("status/deriv/tBTCF0:USTF0/hist", start=0, sort=1, limit=5000)
    assert [row[0] * MS for row in rows] == [MARKET.opened + n * 60 * NS for n in range(len(rows))]
    assert [row[17] for row in rows[:50]] == [contract.open_interest(row[0] * MS).open_interest for row in rows[:50]]
    window = get("status/deriv/tBTCF0:USTF0/hist", start=rows[5][0], end=rows[9][0])
    assert window == rows[9:4:-1]
    present = get("status/deriv", keys="ALL")
    assert [row[0] for row in present] == ["tBTCF0:USTF0", "tETHF0:USTF0"]
    assert present[0][18] == contract.open_interest(START).open_interest
    assert get("status/deriv", keys="tETHF0:USTF0") == present[1:]


def test_metadata() -> None:
    """What ccxt asks for its markets, and the status; nothing else is there."""
    pairs, futures, nothing = get("conf/pub:info:pair,pub:info:pair:futures,pub:list:pair:securities")
    assert [pair[0] for pair in pairs] == ["BTCUST", "ETHUST", "SOLUST", "BTCUSD", "ETHUSD"]
    assert [pair[0] for pair in futures] == ["BTCF0:USTF0", "ETHF0:USTF0"]
    assert nothing == []
    assert get("conf/pub:list:currency") == [["BTC", "ETH", "SOL", "USD", "UST"]]
    assert get("platform/status") == [1]
    assert get("nothing", 404)[0] == "error"


def test_limits_are_by_the_minute() -> None:
    """With limits on: 90 requests, 240 to the book, an address."""
    venue = Bitfinex(SimConfig(limits=True, rate=1, symbols=("BTC/USD",)), FaultPlan(lambda: START), START)

    def statuses(path: str, now: int, client: str, count: int) -> list[int]:
        return [venue.get(path, {}, now, client).status for _ in range(count)]

    assert statuses("/v2/platform/status", START, "a", 92) == [200] * 90 + [429] * 2
    assert statuses("/v2/book/tBTCUSD/P0", START, "a", 241) == [200] * 240 + [429]
    assert statuses("/v2/platform/status", START, "b", 1) == [200]
    assert statuses("/v2/platform/status", START + 60 * NS, "a", 1) == [200]


def test_errors_for_faults() -> None:
    """Any status in Bitfinex's format, with Retry-After when given."""
    answer = VENUE.error(429, 3)
    assert (answer.status, answer.headers) == (429, {"Retry-After": "3"})
    assert json.loads(answer.body) == ["error", 11010, "ratelimit: error"]
    assert json.loads(VENUE.error(503, None).body)["error"] == "temporarily_unavailable"
