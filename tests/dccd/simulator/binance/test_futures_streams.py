"""The streams of Binance's futures, without sockets: where each is served, and payloads that agree with the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.binance import Binance
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.venue import Session
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789
QUARTER = "btcusdt_240628"


@pytest.fixture
def venue() -> Binance:
    """20 trades a second."""
    return Binance(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)


def opened(venue: Binance, path: str) -> Session:
    session = venue.open(path, START)
    assert session is not None
    return session


def due(session: Session, now: int) -> list[Any]:
    """All that is due, as a client gets it."""
    return [json.loads(frame) for stream in session.streams.values() for frame in session.wrap(stream, stream.due(now))]


def asked(session: Session, *names: str) -> Any:
    (answer,) = session.receive(json.dumps({"method": "SUBSCRIBE", "params": names, "id": 1}), START)
    return json.loads(answer)


PUBLIC = ("depth@100ms", "depth", "depth@500ms", "depth5@100ms", "bookTicker", "trade")
MARKET = ("aggTrade", "kline_1m", "markPrice", "markPrice@1s")


@pytest.mark.parametrize("symbol", ["btcusdt", QUARTER])
@pytest.mark.parametrize(("path", "served", "silent"), [("public", PUBLIC, MARKET), ("market", MARKET, PUBLIC)])
def test_where_streams_are_served(
    venue: Binance, symbol: str, path: str, served: tuple[str, ...], silent: tuple[str, ...]
) -> None:
    """On the wrong path a stream is accepted, and silent; so are 1s bars, and those of contracts not listed."""
    session = opened(venue, f"/{path}/stream")
    names = [f"{symbol}@{kind}" for kind in (*served, *silent, "kline_1s")]
    assert asked(session, *names, "ltcusdt@aggTrade", "ltcusdt@depth") == {"result": None, "id": 1}
    assert {one["stream"] for one in due(session, START + 10 * NS)} == {f"{symbol}@{kind}" for kind in served}


def test_spot_has_neither(venue: Binance) -> None:
    """The paths of spot serve spot, and none of the futures' own streams."""
    session = opened(venue, "/stream")
    assert "error" not in asked(session, "btcusdt@markPrice", f"{QUARTER}@aggTrade", "btcusdt@aggTrade")
    got = due(session, START + 10 * NS)
    spot = venue.listings["BTC/USDT"].market.trades(START + 1, START + 10 * NS + 1, MS, 1)
    assert [one["data"]["T"] * MS for one in got] == [one.ts for one in spot]
    assert venue.open("/private/ws", START) is None and venue.open("/market", START) is None


def test_ways_to_subscribe(venue: Binance) -> None:
    """Raw and combined, in the path and by request; two hundred at most."""
    assert [one["e"] for one in due(opened(venue, "/market/ws/btcusdt@markPrice@1s"), START + NS)] == [
        "markPriceUpdate"
    ]
    path = "/public/stream?streams=btcusdt@depth@100ms/ethusdt@bookTicker"
    assert {one["stream"] for one in due(opened(venue, path), START + NS)} == {
        "btcusdt@depth@100ms", "ethusdt@bookTicker"
    }  # fmt: skip
    session = opened(venue, "/market/stream")
    assert "error" not in asked(session, *(f"s{n}usdt@aggTrade" for n in range(200)))
    assert "at most 200" in asked(session, "btcusdt@aggTrade")["error"]["msg"]


def test_trades(venue: Binance) -> None:
    """Aggregate ones on one path and single ones on the other are the same trades under different ids."""
    agg = due(opened(venue, "/market/ws/btcusdt@aggTrade"), START + 5 * NS)
    single = due(opened(venue, "/public/ws/btcusdt@trade"), START + 5 * NS)
    truth = venue.listings["BTC/USDT:perp"].market.trades(START + 1, START + 5 * NS + 1, MS, 1)
    assert [(str(one["a"]), one["T"] * MS, float(one["p"]), float(one["q"])) for one in agg] == [
        (one.tid, one.ts, one.price, one.amount) for one in truth
    ]
    assert [one["t"] - 1_000_000 for one in single] == [one["a"] for one in agg]


@pytest.mark.parametrize("speed", ["", "@100ms", "@500ms"])
def test_updates_make_the_truth_s_book(venue: Binance, speed: str) -> None:
    """From a snapshot on, each naming the one before and none beginning right after it."""
    book = venue.listings["BTC/USDT:perp"].book
    query = {"symbol": "BTCUSDT", "limit": "1000"}
    session = opened(venue, f"/public/ws/btcusdt@depth{speed}")
    body = json.loads(venue.get("/fapi/v1/depth", query, START, "a").body)
    last = body["lastUpdateId"]
    sides = {side: {float(p): float(q) for p, q in body[side]} for side in ("bids", "asks")}
    got = due(session, START + 20 * NS)
    for one in got:
        assert one["pu"] == last and one["U"] > last + 1 and one["E"] > one["T"]
        last = one["u"]
        for side, changes in (("bids", one["b"]), ("asks", one["a"])):
            sides[side].update({float(price): float(amount) for price, amount in changes})
    truth = book.snapshot(got[-1]["T"] * MS + MS, 100)
    assert truth.seq == last
    assert sorted(((p, q) for p, q in sides["bids"].items() if q), reverse=True)[:100] == truth.bids
    assert sorted((p, q) for p, q in sides["asks"].items() if q)[:100] == truth.asks


def test_best_levels(venue: Binance) -> None:
    """The partial book and its touch are the truth's."""
    book = venue.listings["BTC/USDT:perp"].book
    partial = due(opened(venue, "/public/ws/btcusdt@depth5@100ms"), START + NS)[-1]
    truth = book.snapshot(START + NS, 5)
    assert (partial["e"], partial["u"]) == ("depthUpdate", truth.seq)
    assert [(float(p), float(q)) for p, q in partial["b"]] == truth.bids
    touch = due(opened(venue, "/public/ws/btcusdt@bookTicker"), START + NS)[-1]
    assert (float(touch["b"]), float(touch["B"])) == truth.bids[0]
    assert (float(touch["a"]), float(touch["A"])) == truth.asks[0]


@pytest.mark.parametrize(("name", "seconds"), [("markPrice@1s", 1), ("markPrice", 3)])
def test_mark_prices(venue: Binance, name: str, seconds: int) -> None:
    """Every second or every three: mark price, rate and the time of its payment."""
    it = venue.listings["BTC/USDT:perp"].derivative
    got = due(opened(venue, f"/market/ws/btcusdt@{name}"), START + 12 * NS)
    assert [one["E"] // 1000 % seconds for one in got] == [0] * (12 // seconds)
    for one in got:
        at = one["E"] * MS
        assert (float(one["r"]), one["T"] * MS) == it.predicted(at)
        assert float(one["p"]) == it.mark_price(at)


def test_a_dated_contract_pays_no_funding(venue: Binance) -> None:
    """Its mark price comes without a rate and without a time."""
    (one,) = due(opened(venue, f"/market/ws/{QUARTER}@markPrice@1s"), START + NS)
    assert (one["s"], one["r"], one["T"]) == (QUARTER.upper(), "", 0)
