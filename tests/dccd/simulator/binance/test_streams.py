"""Binance's streams, without sockets: subscriptions in all ways, and payloads that agree with the truth."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from dccd.simulator.binance import Binance
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.venue import Session
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789


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


def asked(session: Session, **request: Any) -> Any:
    (answer,) = session.receive(json.dumps(request), START)
    return json.loads(answer)


def test_trades_come_once_each(venue: Binance) -> None:
    """Every trade after the subscription, none twice, however often it is asked what is due."""
    session = opened(venue, "/ws/btcusdt@aggTrade")
    got = due(session, START + NS) + due(session, START + NS) + due(session, START + 5 * NS)
    truth = venue.listings["BTC/USDT"].market.trades(START + 1, START + 5 * NS + 1, MS, 1)
    assert [(one["a"], one["T"] * MS, float(one["p"]), float(one["q"])) for one in got] == [
        (int(trade.tid or 0), trade.ts, trade.price, trade.amount) for trade in truth
    ]
    assert {one["e"] for one in got} == {"aggTrade"} and {one["s"] for one in got} == {"BTCUSDT"}
    assert all(one["E"] >= one["T"] for one in got)


def test_the_trade_stream_has_trade_ids(venue: Binance) -> None:
    """Both streams tell the same trades under different ids."""
    session = opened(venue, "/stream?streams=btcusdt@trade/btcusdt@aggTrade")
    got = due(session, START + 2 * NS)
    single = [one["data"] for one in got if one["stream"] == "btcusdt@trade"]
    agg = [one["data"] for one in got if one["stream"] == "btcusdt@aggTrade"]
    assert [one["t"] for one in single] == [one["f"] for one in agg]


def test_klines_are_pushed_open_and_then_closed_once(venue: Binance) -> None:
    """The open bar every two seconds, each bar closed exactly once, with the truth's numbers."""
    session = opened(venue, "/ws/btcusdt@kline_1m")
    got = [one["k"] for second in range(200) for one in due(session, START + second * NS)]
    closed = [one for one in got if one["x"]]
    minute = START - START % (60 * NS)
    truth = venue.listings["BTC/USDT"].market.bars(60, minute, minute + 180 * NS)
    assert [(one["t"] * MS, float(one["o"]), float(one["c"]), float(one["v"]), one["n"]) for one in closed] == [
        (bar.ts, bar.open, bar.close, bar.volume, bar.trades) for bar in truth
    ]
    assert all(one["L"] - one["f"] + 1 == one["n"] for one in closed)
    assert 80 < len(got) - len(closed) < 105
    assert all(a["t"] <= b["t"] for a, b in pairwise(got))


def test_a_clock_that_jumps_closes_all_bars_between(venue: Binance) -> None:
    """No bar is left out when an hour goes by at once."""
    session = opened(venue, "/ws/btcusdt@kline_1m")
    closed = [one["k"]["t"] for one in due(session, START + 3600 * NS) if one["k"]["x"]]
    assert len(closed) == 60 and all(b - a == 60_000 for a, b in pairwise(closed))


@pytest.mark.parametrize(("name", "every"), [("depth@100ms", 1), ("depth", 10)])
def test_depth_updates_chain_and_lead_to_the_truth(venue: Binance, name: str, every: int) -> None:
    """A local book, kept as Binance's documentation says, equals the truth at its end."""
    book = venue.listings["BTC/USDT"].book
    session = opened(venue, f"/ws/btcusdt@{name}")
    updates = due(session, START + 2 * NS)
    snapshot = json.loads(venue.get("/api/v3/depth", {"symbol": "BTCUSDT", "limit": "5000"}, START + NS, "a").body)
    updates += due(session, START + 10 * NS)
    assert all(b["U"] == a["u"] + 1 for a, b in pairwise(updates))
    assert len(updates) == pytest.approx(100 / every, abs=1)
    last = snapshot["lastUpdateId"]
    fresh = [one for one in updates if one["u"] > last]
    assert fresh[0]["U"] <= last + 1 <= fresh[0]["u"]
    sides = [{float(p): float(q) for p, q in snapshot[side]} for side in ("bids", "asks")]
    for update in fresh:
        for side, changes in zip(sides, (update["b"], update["a"]), strict=True):
            for price, amount in changes:
                side[float(price)] = float(amount)
    truth = book.snapshot(fresh[-1]["E"] * MS, 10**6)
    assert truth.seq == fresh[-1]["u"]
    assert sorted(((p, q) for p, q in sides[0].items() if q), reverse=True) == truth.bids
    assert sorted((p, q) for p, q in sides[1].items() if q) == truth.asks


def test_partial_depth_and_tickers(venue: Binance) -> None:
    """The best levels, in the formats of their streams."""
    session = opened(
        venue, "/stream?streams=btcusdt@depth5@100ms/btcusdt@bookTicker/btcusdt@miniTicker/btcusdt@avgPrice"
    )
    now = START + NS
    by_name: dict[str, Any] = {one["stream"].split("@", 1)[1]: one["data"] for one in due(session, now)}
    truth = venue.listings["BTC/USDT"].book.snapshot(now, 5)
    assert by_name["depth5@100ms"]["lastUpdateId"] == by_name["bookTicker"]["u"] == truth.seq
    assert [(float(p), float(q)) for p, q in by_name["depth5@100ms"]["bids"]] == truth.bids
    assert (float(by_name["bookTicker"]["a"]), float(by_name["bookTicker"]["A"])) == truth.asks[0]
    assert by_name["miniTicker"]["e"] == "24hrMiniTicker" and by_name["avgPrice"]["i"] == "5m"


def test_numbered_trades_for_benchmarks() -> None:
    """With a total, each subscription gets that many from the start on, whatever the time, and none by time."""
    venue = Binance(SimConfig(seed=3, rate=20, history=3, total=1200), FaultPlan(lambda: START), START)
    for _ in range(2):
        session = opened(venue, "/ws/btcusdt@aggTrade")
        (stream,) = session.streams.values()
        ids = [json.loads(frame)["a"] for _ in range(4) for frame in stream.take(500)]
        first = venue.listings["BTC/USDT"].market.index(START) + 1
        assert ids == list(range(first, first + 1200))
        assert stream.due(START + 60 * NS) == []
