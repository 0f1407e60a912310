"""Bybit's topics, without sockets: what is sent is the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.bybit import Bybit
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.truth import Truth
from dccd.simulator.venue import Session
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789


@pytest.fixture
def venue() -> Bybit:
    """20 trades a second."""
    return Bybit(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)


def opened(venue: Bybit, topic: str, category: str = "linear") -> tuple[Session, list[Any]]:
    """A connection with one subscription, and its snapshots."""
    session = venue.open(f"/v5/public/{category}", START)
    assert session is not None
    answer, *frames = session.receive(json.dumps({"op": "subscribe", "args": [topic]}), START)
    assert json.loads(answer)["success"]
    assert all(topic in repr(stream) for stream in session.streams.values())
    return session, [json.loads(frame) for frame in frames]


def due(session: Session, now: int) -> list[Any]:
    return [json.loads(frame) for stream in session.streams.values() for frame in stream.due(now)]


@pytest.mark.parametrize(
    ("category", "symbol", "market"),
    [
        ("spot", "BTC/USDT", "BTCUSDT"),
        ("linear", "BTC/USDT:perp", "BTCUSDT"),
        ("linear", "BTC/USDT:quarter", "BTCUSDT-28JUN24"),
    ],
)
def test_trades_come_once_each(venue: Bybit, category: str, symbol: str, market: str) -> None:
    """Every trade after the subscription, of the category's own market; those of one order in one frame."""
    session, frames = opened(venue, f"publicTrade.{market}", category)
    assert frames == []
    frames = due(session, START + 3 * NS) + due(session, START + 10 * NS)
    got = [one for frame in frames for one in frame["data"]]
    truth = Truth(venue).trades(symbol, START + MS, START + 10 * NS)
    assert [(one["i"], one["T"] * MS, float(one["p"]), float(one["v"]), one["S"].lower()) for one in got] == [
        (one.tid, one.ts, one.price, one.amount, one.side) for one in truth
    ]
    assert {one["s"] for one in got} == {market}
    assert any(len(frame["data"]) > 1 for frame in frames)
    assert all(len({one["S"] for one in frame["data"]}) == 1 for frame in frames)


def test_benchmark_mode() -> None:
    """So many numbered trades as asked for, twenty a frame at most."""
    venue = Bybit(SimConfig(seed=3, rate=20, history=1, total=100), FaultPlan(lambda: START), START)
    session, _ = opened(venue, "publicTrade.BTCUSDT")
    (stream,) = session.streams.values()
    assert stream.due(START + NS) == []
    taken = [json.loads(frame) for _ in range(5) for frame in stream.take(30)]
    assert sum(len(frame["data"]) for frame in taken) == 100
    assert max(len(frame["data"]) for frame in taken) <= 20


def test_bars(venue: Bybit) -> None:
    """The open bar at once and as it changes, closed ones confirmed once, with volume and turnover."""
    session, (first,) = opened(venue, "kline.1.BTCUSDT", "spot")
    frames = [first] + [frame for second in range(1, 150) for frame in due(session, START + second * NS)]
    states = [frame["data"][0] for frame in frames]
    closed = [state for state in states if state["confirm"]]
    truth = Truth(venue).bars("BTC/USDT", 60, closed[0]["start"] * MS, closed[-1]["start"] * MS + 1)
    names = ("open", "high", "low", "close", "volume", "turnover")
    assert [tuple(float(state[name]) for name in names) for state in closed] == [
        (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume) for bar in truth
    ]
    assert len(closed) == 2 and len(states) > 100
    assert all(state["end"] == state["start"] + 59_999 and state["interval"] == "1" for state in states)


def applied(book: tuple[dict[str, str], dict[str, str]], frame: Any) -> None:
    """Take a frame as Bybit prescribes."""
    for side, levels in zip(book, (frame["data"]["b"], frame["data"]["a"]), strict=True):
        if frame["type"] == "snapshot":
            side.clear()
        for price, amount in levels:
            if amount.strip("0.") == "":
                del side[price]
            else:
                side[price] = amount


@pytest.mark.parametrize(("category", "depth", "every"), [("linear", 50, 1), ("spot", 200, 2), ("linear", 1000, 2)])
def test_books(venue: Bybit, category: str, depth: int, every: int) -> None:
    """A snapshot, then deltas numbered without a gap; at each the book is the truth's, on both sides."""
    session, (first,) = opened(venue, f"orderbook.{depth}.BTCUSDT", category)
    assert first["type"] == "snapshot"
    frames = [first, *due(session, START + NS), *due(session, START + 3 * NS)]
    symbol = "BTC/USDT" if category == "spot" else "BTC/USDT:perp"
    book: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for frame in frames:
        applied(book, frame)
        truth = Truth(venue).book(symbol, frame["cts"] * MS, depth)
        assert [{float(price): float(amount) for price, amount in side.items()} for side in book] == [
            dict(truth.bids),
            dict(truth.asks),
        ]
    assert {frame["type"] for frame in frames[1:]} == {"delta"} and len(frames) >= 30 // every
    numbers = [frame["data"]["u"] for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] > 1


def test_the_best_level(venue: Bybit) -> None:
    """Snapshots only."""
    session, frames = opened(venue, "orderbook.1.BTCUSDT")
    frames += due(session, START + NS)
    assert {frame["type"] for frame in frames} == {"snapshot"} and len(frames) > 5
    assert all(len(frame["data"][side]) == 1 for frame in frames for side in "ba")


def test_a_contract_s_ticker(venue: Bybit) -> None:
    """A snapshot of all fields, then what changed: together they are the truth."""
    session, (first,) = opened(venue, "tickers.BTCUSDT")
    assert first["type"] == "snapshot"
    ticker = dict(first["data"])
    derivative = Truth(venue).derivative("BTC/USDT:perp")
    for frame in due(session, START + 70 * NS):
        assert frame["type"] == "delta" and set(frame["data"]) < set(ticker)
        ticker |= frame["data"]
        at = frame["ts"] * MS
        truth = Truth(venue).open_interest("BTC/USDT:perp", at)
        assert float(ticker["openInterest"]) == truth.open_interest
        assert float(ticker["openInterestValue"]) == truth.open_interest_value
        assert (float(ticker["fundingRate"]), int(ticker["nextFundingTime"]) * MS) == derivative.predicted(at)
        assert float(ticker["markPrice"]) == derivative.mark_price(at)


def test_other_tickers(venue: Bybit) -> None:
    """A dated contract pays no funding; spot has neither funding nor open interest, and snapshots only."""
    _, (frame,) = opened(venue, "tickers.BTCUSDT-28JUN24")
    assert frame["data"]["fundingRate"] == frame["data"]["nextFundingTime"] == ""
    assert frame["data"]["deliveryTime"] == "1719561600000" and float(frame["data"]["openInterest"]) > 0
    session, (frame,) = opened(venue, "tickers.BTCUSDT", "spot")
    assert "openInterest" not in frame["data"]
    assert {frame["type"] for frame in due(session, START + 2 * NS)} == {"snapshot"}
