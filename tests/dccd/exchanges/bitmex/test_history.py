"""Past bars, trades, funding payments and the present book of BitMEX."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.bitmex import Bitmex
from dccd.records import Bar, BookSnapshot, FundingRate, Trade
from dccd.symbols import NS, Dataset
from tests.dccd.exchanges.conftest import Backfill

T0 = 1_740_823_200 * NS
MS = 1_000_000
MINUTE = 60 * NS
HOUR = 60 * MINUTE
LATER = T0 + 10_000 * HOUR
INVERSE = Market("XBTUSD", inverse=True)


def pager(name: str, start: int, end: int, market: Market = INVERSE) -> HistoryPager:
    return Bitmex().history(Dataset.parse(f"bitmex.{name}"), start, end, market)


def iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // NS, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns // MS % 1000:03d}Z"


def read(text: str | int) -> int:
    return round(datetime.fromisoformat(str(text)).timestamp() * 1000) * MS


class Api:
    """BitMEX's REST API over rows: by time, from ``start`` on, ``count`` at most."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.asked: list[PageRequest] = []

    def __call__(self, request: PageRequest) -> bytes:
        self.asked.append(request)
        params = request.params
        assert params["symbol"] == "XBTUSD" and params["reverse"] == "false"
        until = read(params["endTime"]) if "endTime" in params else LATER
        found = [row for row in self.rows if read(params["startTime"]) <= read(row["timestamp"]) <= until]
        skip = int(params.get("start", 0))
        return json.dumps(found[skip : skip + int(params["count"])]).encode()


def trade(ts: int, n: int) -> dict[str, Any]:
    side = "Sell" if n % 2 else "Buy"
    return {"timestamp": iso(ts), "symbol": "XBTUSD", "side": side, "size": 100, "price": 80000.0 + n,
            "trdMatchID": f"5f0c1d2e-0000-1000-0000-{n:012x}", "homeNotional": 0.00125}  # fmt: skip


def bar(end: int, n: int = 0) -> dict[str, Any]:
    return {"timestamp": iso(end), "symbol": "XBTUSD", "open": 10.0 + n, "high": 13.0 + n, "low": 9.0 + n,
            "close": 11.0 + n, "trades": n, "volume": 22, "homeNotional": 2.0, "foreignNotional": 22}  # fmt: skip


def test_pages_of_trades(
    backfill: type[Backfill], merged: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]
) -> None:
    """Each once, though pages end within a millisecond, and one millisecond holds more than two pages."""
    times = [T0 + n // 3 * MS for n in range(1500)] + [T0 + 600 * MS] * 2500 + [T0 + (601 + n) * MS for n in range(700)]
    api = Api([trade(ts, n) for n, ts in enumerate(times)])
    start, end = T0 + 5 * MS, T0 + 1200 * MS
    run = backfill(pager("trades.BTC-USD_PERP", start, end))
    run.truth = [ts for ts in times if start <= ts < end]
    run.run(api, LATER)
    wanted = [(ts, n) for n, ts in enumerate(times) if start <= ts < end]
    assert [(one.ts, one.tid) for one in run.records if isinstance(one, Trade)] == [
        (ts, f"5f0c1d2e-0000-1000-0000-{n:012x}") for ts, n in wanted
    ]
    assert run.records[0] == Trade(start, 80015.0, 0.00125, "sell", "5f0c1d2e-0000-1000-0000-00000000000f")
    assert merged(run.covered) == [(start, end)]
    assert {request.endpoint for request in api.asked} == {"publicGetTrade"}
    assert any(request.params["start"] for request in api.asked)


def test_trades_without_ids_that_share_a_page_edge(backfill: type[Backfill]) -> None:
    """They are told by what they are."""
    rows = [trade(T0 + n // 4 * MS, n) | {"trdMatchID": None} for n in range(1003)]
    run = backfill(pager("trades.BTC-USD_PERP", T0, T0 + HOUR)).run(Api(rows), LATER)
    assert len(run.records) == 1003


def test_pages_of_bars(backfill: type[Backfill]) -> None:
    """By their opening times, in windows side by side, whatever comes first; BitMEX's times are their ends."""
    ends = [T0 + n * MINUTE for n in range(1, 2601)]
    api = Api([bar(end, n) for n, end in enumerate(ends)])
    run = backfill(pager("ohlc.BTC-USD_PERP.1m", T0 + 10 * MINUTE, T0 + 2590 * MINUTE))
    run.run(api, LATER, concurrency=3, choose=lambda count: count - 1)
    run.records.sort(key=lambda one: one.ts)
    assert (
        run.records
        == [Bar(end - MINUTE, 10.0 + n, 13.0 + n, 9.0 + n, 11.0 + n, 2.0, 22.0, n) for n, end in enumerate(ends)][
            10:2590
        ]
    )
    assert run.pager.position == T0 + 2590 * MINUTE
    assert {(one.endpoint, one.params["binSize"], one.params["partial"]) for one in api.asked} == {
        ("publicGetTradeBucketed", "1m", "false")
    }
    assert min(str(one.params["startTime"]) for one in api.asked) == "2025-03-01T10:11:00Z"


def test_a_market_that_began_later(backfill: type[Backfill]) -> None:
    """Bars of a day find its beginning: a handful of requests instead of thousands."""
    begin = T0 - T0 % (24 * HOUR)
    minutes = [bar(begin + n * MINUTE) for n in range(1, 3001)]
    days = [bar(begin + n * 24 * HOUR) for n in range(1, 3)]
    api = Api([])

    def answer(request: PageRequest) -> bytes:
        api.rows = days if request.params["binSize"] == "1d" else minutes
        return api(request)

    run = backfill(pager("ohlc.BTC-USD_PERP.1m", 0, begin + 3000 * MINUTE)).run(answer, begin + 3001 * MINUTE)
    assert len(run.records) == 3000 and run.requests < 12


def test_an_open_bar_is_left_out(backfill: type[Backfill]) -> None:
    """The page ends before it."""
    api = Api([bar(T0 + MINUTE), bar(T0 + 2 * MINUTE)])
    run = backfill(pager("ohlc.BTC-USD_PERP.1m", T0, T0 + HOUR)).run(api, T0 + 90 * NS)
    assert [one.ts for one in run.records] == [T0]
    assert run.pager.position == T0 + MINUTE


def test_funding(backfill: type[Backfill]) -> None:
    """Rates that were paid, when they were due."""
    rows = [
        {"timestamp": iso(T0 + n * 8 * HOUR), "symbol": "XBTUSD", "fundingInterval": "2000-01-01T08:00:00.000Z",
         "fundingRate": (n - 3) / 10000, "fundingRateDaily": 0.0} for n in range(1200)
    ]  # fmt: skip
    api = Api(rows)
    run = backfill(pager("funding.BTC-USD_PERP", T0 + 1, T0 + 1100 * 8 * HOUR)).run(api, LATER)
    assert run.records == [
        FundingRate(T0 + n * 8 * HOUR, (n - 3) / 10000, due_ts=T0 + n * 8 * HOUR) for n in range(1, 1100)
    ]
    assert {(one.endpoint, one.params["count"]) for one in api.asked} == {("publicGetFunding", 500)}


def test_the_book() -> None:
    """The whole of it, best first on both sides, in base asset."""
    rows = [{"symbol": "XBTUSD", "id": n, "side": side, "size": size, "price": price, "timestamp": iso(T0)}
            for n, (side, size, price) in enumerate([("Sell", 204, 102.0), ("Sell", 101, 101.0), ("Buy", 98, 98.0),
                                                     ("Buy", 198, 99.0)])]  # fmt: skip
    found = pager("orderbook.BTC-USD_PERP", 0, 1)
    (request,) = found.requests(2)
    assert request == PageRequest("publicGetOrderBookL2", {"symbol": "XBTUSD", "depth": 0})
    page = found.receive(request, json.dumps(rows).encode(), 5)
    assert page.records == [BookSnapshot(5, 5, [(99.0, 2.0), (98.0, 1.0)], [(101.0, 1.0), (102.0, 2.0)], 5)]
    assert found.done


@pytest.mark.parametrize("data_type", ["orderbook", "open_interest"])
def test_what_there_is_not(data_type: str) -> None:
    """No book of what has no fixed size in base asset, and no past open interest of anything."""
    with pytest.raises(NoCapability):
        pager(f"{data_type}.ETH-USD_PERP", 0, 1, Market("ETHUSD", 100.0))


@pytest.mark.parametrize("name", ["trades.BTC-USD_PERP", "ohlc.BTC-USD_PERP.1m", "funding.BTC-USD_PERP",
                                  "orderbook.BTC-USD_PERP"])  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"{}", b'{"error":{"message":"Invalid symbol","name":"HTTPError"}}', b"[1]", b"[{}]", b"<html>",
        json.dumps([{**trade(T0, 0), **bar(T0), "fundingRate": 0.1, "id": 1, "price": None, "open": None,
                     "fundingTimestamp": None, "symbol": "ETHUSD"}]).encode(),
        json.dumps([bar(T0) | trade(T0, 1) | {"timestamp": "then", "fundingRate": 1, "id": 1, "size": 0}]).encode(),
    ],
)  # fmt: skip
def test_broken_bodies(name: str, body: bytes) -> None:
    """Each is a ParseError, and the page can be asked for again."""
    found = pager(name, T0, T0 + HOUR)
    (request,) = found.requests(1)
    with pytest.raises(ParseError):
        found.receive(request, body, LATER)
    assert not found.done
    if "orderbook" not in name:
        found.receive(request, b"[]", LATER)
        assert found.done


def test_what_is_out_of_order() -> None:
    """Bars or trades that don't follow one another are refused."""
    for name, rows in (("trades.BTC-USD_PERP", [trade(T0 + MS, 1), trade(T0, 0)]),
                       ("ohlc.BTC-USD_PERP.1m", [bar(T0 + 2 * MINUTE), bar(T0 + MINUTE)])):  # fmt: skip
        found = pager(name, T0, T0 + HOUR)
        (request,) = found.requests(1)
        with pytest.raises(ParseError, match="out of order"):
            found.receive(request, msgspec.json.encode(rows), LATER)
