"""The simulated OKX's REST API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.okx import Okx
from dccd.simulator.truth import Truth
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789
MS = 1_000_000
MINUTE = 60 * NS


@pytest.fixture(scope="module")
def venue() -> Okx:
    """Three days of history."""
    return Okx(SimConfig(exchanges=("okx",), seed=3, rate=2, history=3), FaultPlan(lambda: START), START)


@pytest.fixture(scope="module")
def truth(venue: Okx) -> Truth:
    """Its truth."""
    return Truth(venue)


def get(venue: Okx, path: str, **query: object) -> Any:
    answer = venue.get(f"/api/v5/{path}", {key: str(value) for key, value in query.items()}, START, "me")
    body = json.loads(answer.body)
    assert answer.status == 200 and body["code"] == "0", body
    return body["data"]


def test_instruments(venue: Okx) -> None:
    """By kind of market; of options there are none."""
    listed = {kind: [row["instId"] for row in get(venue, "public/instruments", instType=kind)] for kind in KINDS}
    assert listed["SPOT"][0] == "BTC-USDT"
    assert listed["SWAP"] == ["BTC-USDT-SWAP", "ETH-USDT-SWAP", "BTC-USD-SWAP"]
    assert listed["FUTURES"] == ["BTC-USDT-240628", "BTC-USDT-240927"]
    assert listed["OPTION"] == []


KINDS = ("SPOT", "SWAP", "FUTURES", "OPTION")


def test_history_of_trades_by_id(venue: Okx, truth: Truth) -> None:
    """The hundred before an id, newest first; both bounds are exclusive."""
    rows = get(venue, "market/history-trades", instId="BTC-USDT", after=500)
    assert [int(row["tradeId"]) for row in rows] == list(range(499, 399, -1))
    expected = truth.numbered("BTC/USDT", 499, 499)[0]
    assert (int(rows[0]["ts"]) * MS, float(rows[0]["px"]), float(rows[0]["sz"]), rows[0]["side"]) == (
        expected.ts,
        expected.price,
        expected.amount,
        expected.side,
    )
    rows = get(venue, "market/history-trades", instId="BTC-USDT", after=500, before=495, type=1)
    assert [int(row["tradeId"]) for row in rows] == [499, 498, 497, 496]
    assert get(venue, "market/history-trades", instId="BTC-USDT", after=1) == []
    newest = get(venue, "market/history-trades", instId="BTC-USDT")
    assert int(newest[0]["tradeId"]) == truth.last_id("BTC/USDT", START)


def test_history_of_trades_by_time(venue: Okx, truth: Truth) -> None:
    """Those before a time, which is exclusive."""
    some = truth.numbered("BTC/USDT", 1000, 1000)[0]
    rows = get(venue, "market/history-trades", instId="BTC-USDT", type=2, after=some.ts // MS)
    assert int(rows[0]["ts"]) < some.ts // MS
    expected = truth.trades("BTC/USDT", truth.opened("BTC/USDT"), some.ts)
    assert rows[0]["tradeId"] == expected[-1].tid and len(rows) == 100
    assert get(venue, "market/history-trades", instId="BTC-USDT", type=2, after=truth.opened("BTC/USDT") // MS) == []


def test_newest_trades(venue: Okx, truth: Truth) -> None:
    """Up to 500."""
    rows = get(venue, "market/trades", instId="BTC-USDT-SWAP", limit=1000)
    assert len(rows) == 500
    assert int(rows[0]["tradeId"]) == truth.last_id("BTC/USDT:perp", START)


@pytest.mark.parametrize("path", ["market/candles", "market/history-candles"])
def test_candles(venue: Okx, truth: Truth, path: str) -> None:
    """Newest first, between exclusive bounds, the open one not complete."""
    rows = get(venue, path, instId="BTC-USDT", bar="1m")
    assert len(rows) == 100 and [row[8] for row in rows[:2]] == ["0", "1"]
    end = START - START % MINUTE - 5 * MINUTE
    rows = get(venue, path, instId="BTC-USDT", before=(end - 4 * MINUTE) // MS, after=end // MS, limit=300)
    bars = truth.bars("BTC/USDT", 60, end - 3 * MINUTE, end)
    assert [int(row[0]) * MS for row in rows] == [bar.ts for bar in reversed(bars)]
    for row, bar in zip(rows, reversed(bars), strict=True):
        values = [float(text) for text in row[1:8]]
        assert values == pytest.approx([bar.open, bar.high, bar.low, bar.close, bar.volume, *[bar.quote_volume] * 2])


def test_how_far_candles_go_back(venue: Okx, truth: Truth) -> None:
    """Present ones 1,440, history's to the first trade; at most 300 at once."""
    early = truth.opened("BTC/USDT") // MS + 400 * 60_000
    assert get(venue, "market/candles", instId="BTC-USDT", after=early) == []
    rows = get(venue, "market/history-candles", instId="BTC-USDT", after=early, limit=400)
    assert len(rows) == 300 and int(rows[0][0]) == early - 60_000


def test_candles_of_contracts(venue: Okx, truth: Truth) -> None:
    """Volume in contracts, in base and in quote asset, inverse or not."""
    for id, symbol, size in (("BTC-USDT-SWAP", "BTC/USDT:perp", 0.01), ("BTC-USD-SWAP", "BTC/USD:perp", 100.0)):
        row = get(venue, "market/history-candles", instId=id, bar="1H", limit=2)[1]
        (bar,) = truth.bars(symbol, 3600, int(row[0]) * MS, int(row[0]) * MS + 1)
        assert (float(row[6]), float(row[7])) == pytest.approx((bar.volume, bar.quote_volume))
        assert float(row[5]) * size == pytest.approx(bar.quote_volume if size == 100.0 else bar.volume)


def test_book(venue: Okx, truth: Truth) -> None:
    """One level as a rule, 400 at most, with the number of the live books."""
    (one,) = get(venue, "market/books", instId="BTC-USDT")
    (all,) = get(venue, "market/books", instId="BTC-USDT", sz=1000)
    expected = truth.book("BTC/USDT", START, 400)
    assert len(one["bids"]) == len(one["asks"]) == 1
    assert [(float(row[0]), float(row[1])) for row in all["bids"]] == expected.bids
    assert [(float(row[0]), float(row[1])) for row in all["asks"]] == expected.asks
    assert (all["seqId"], int(all["ts"]) * MS) == (expected.seq, expected.ts)


def test_funding(venue: Okx, truth: Truth) -> None:
    """Rates paid, newest first; the announced one; none of dated contracts."""
    rows = get(venue, "public/funding-rate-history", instId="BTC-USDT-SWAP")
    expected = truth.funding("BTC/USDT:perp", 0, START + 1)
    assert [(int(row["fundingTime"]) * MS, float(row["realizedRate"])) for row in reversed(rows)] == [
        (one.ts, one.rate) for one in expected
    ]
    first, last = expected[0].ts // MS, expected[-1].ts // MS
    rows = get(venue, "public/funding-rate-history", instId="BTC-USDT-SWAP", before=first, after=last, limit=2)
    assert [int(row["fundingTime"]) * MS for row in rows] == [expected[-2].ts, expected[-3].ts]
    (now,) = get(venue, "public/funding-rate", instId="BTC-USDT-SWAP")
    assert (float(now["fundingRate"]), int(now["fundingTime"]) * MS) == truth.derivative("BTC/USDT:perp").predicted(
        START
    )
    assert get(venue, "public/funding-rate", instId="BTC-USDT-240628") == []


def test_open_interest(venue: Okx, truth: Truth) -> None:
    """Now, and each five minutes; in contracts, in base asset, in USD."""
    for id, symbol, kind in (("BTC-USDT-SWAP", "BTC/USDT:perp", "SWAP"), ("BTC-USD-SWAP", "BTC/USD:perp", "SWAP")):
        (now,) = get(venue, "public/open-interest", instType=kind, instId=id)
        expected = truth.open_interest(symbol, START)
        assert (float(now["oiCcy"]), float(now["oiUsd"])) == pytest.approx(
            (expected.open_interest, expected.open_interest_value)
        )
        begin, end = START // MS - 3_600_000, START // MS
        rows = get(venue, "rubik/stat/contracts/open-interest-history", instId=id, period="5m", begin=begin, end=end)
        values = truth.open_interests(symbol, 300, begin * MS, end * MS)
        assert [(int(row[0]) * MS, float(row[2]), float(row[3])) for row in reversed(rows)] == [
            (one.ts, one.open_interest, one.open_interest_value) for one in values
        ]
    assert len(get(venue, "rubik/stat/contracts/open-interest-history", instId="BTC-USDT-SWAP")) == 100


def test_the_rest(venue: Okx) -> None:
    """Time, tickers, mark price."""
    assert get(venue, "public/time") == [{"ts": str(START // MS)}]
    (one,) = get(venue, "market/ticker", instId="BTC-USDT")
    assert one in get(venue, "market/tickers", instType="SPOT")
    assert float(one["bidPx"]) < float(one["last"]) < float(one["askPx"])
    assert len(get(venue, "public/mark-price", instType="SWAP")) == 3


@pytest.mark.parametrize(
    ("path", "query", "code", "status"),
    [
        ("market/books", {"instId": "NOPE-USDT"}, "51001", 200),
        ("market/books", {}, "50014", 400),
        ("market/history-candles", {"instId": "BTC-USDT", "bar": "7m"}, "51000", 400),
        ("market/history-trades", {"instId": "BTC-USDT", "type": "3"}, "51000", 400),
        ("market/history-trades", {"instId": "BTC-USDT", "after": "x"}, "51000", 400),
        ("public/funding-rate-history", {"instId": "BTC-USDT"}, "51001", 200),
        ("public/instruments", {"instType": "BONDS"}, "51000", 400),
        ("rubik/stat/contracts/open-interest-history", {"instId": "BTC-USDT-SWAP", "period": "1m"}, "51000", 400),
        ("nowhere", {}, "404", 404),
    ],
)
def test_refusals(venue: Okx, path: str, query: dict[str, str], code: str, status: int) -> None:
    """In OKX's codes."""
    answer = venue.get(f"/api/v5/{path}", query, START, "me")
    assert (json.loads(answer.body)["code"], answer.status) == (code, status)


def test_limits() -> None:
    """So many requests of a kind in two seconds, counted by address."""
    config = SimConfig(exchanges=("okx",), history=1, limits=True)
    venue = Okx(config, FaultPlan(lambda: START), START)
    query, path = {"instId": "BTC-USDT"}, "/api/v5/market/history-trades"
    answers = [venue.get(path, query, START, "me") for _ in range(21)]
    assert [answer.status for answer in answers] == [200] * 20 + [429]
    assert json.loads(answers[-1].body)["code"] == "50011"
    assert venue.get(path, query, START, "you").status == 200
    assert venue.get(path, query, START + 2 * NS, "me").status == 200


def test_errors(venue: Okx) -> None:
    """As OKX, or what is in front of it, words them."""
    codes = {status: json.loads(venue.error(status, 1).body)["code"] for status in (429, 503, 500)}
    assert codes == {429: "50011", 503: "50001", 500: "50026"}
    assert venue.error(502, None).content_type == "text/html"
