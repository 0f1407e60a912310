"""Coinbase's connections, without sockets: numbers, answers, errors, heartbeats, and what the channels send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.coinbase import Coinbase
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Session
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789


@pytest.fixture
def venue() -> Coinbase:
    """20 trades a second."""
    return Coinbase(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)


def opened(venue: Coinbase) -> Session:
    session = venue.open("/", START)
    assert session is not None and session.opening() == []
    return session


def sent(session: Session, kind: str, channel: str, *products: str, now: int = START) -> list[Any]:
    request = {"type": kind, "channel": channel, "product_ids": list(products)}
    return [json.loads(frame) for frame in session.receive(json.dumps(request), now)]


def due(session: Session, now: int) -> list[Any]:
    return [json.loads(frame) for stream in session.streams.values() for frame in session.wrap(stream, stream.due(now))]


def test_all_frames_have_numbers(venue: Coinbase) -> None:
    """Snapshots, answers, updates and heartbeats, from 0 on; what a fault loses has its number, too."""
    session = opened(venue)
    frames = sent(session, "subscribe", "heartbeats")
    frames += sent(session, "subscribe", "market_trades", "BTC-USD", "ETH-USD")
    frames += due(session, START + NS)
    frames += [json.loads(frame) for frame in session.idle(START + NS, True)]
    frames += sent(session, "unsubscribe", "market_trades", "BTC-USD")
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    assert [frame["channel"] for frame in frames[:4]] == ["subscriptions", *["market_trades"] * 2, "subscriptions"]
    assert frames[3]["events"] == [
        {"subscriptions": {"heartbeats": ["heartbeats"], "market_trades": ["BTC-USD", "ETH-USD"]}}
    ]
    assert frames[-1]["events"][0]["subscriptions"]["market_trades"] == ["ETH-USD"]
    assert session.idle(START + NS, False) == []


def test_trades(venue: Coinbase) -> None:
    """The newest hundred, then batches, all newest first: each trade once."""
    session = opened(venue)
    snapshot, _ = sent(session, "subscribe", "market_trades", "BTC-USD")
    assert snapshot["events"][0]["type"] == "snapshot"
    got = [int(trade["trade_id"]) for trade in reversed(snapshot["events"][0]["trades"])]
    market = venue.listings["BTC/USD"].market
    assert len(got) == 100 and got[-1] == market.index(START + 1)
    for step in range(1, 30):
        for frame in due(session, START + step * NS // 10):
            trades = frame["events"][0]["trades"]
            times = [trade["time"] for trade in trades]
            assert frame["events"][0]["type"] == "update" and len(trades) < 20
            assert frame["timestamp"] > max(times)
            got += [int(trade["trade_id"]) for trade in reversed(trades)]
    assert got == list(range(got[0], got[0] + len(got)))
    assert got[-1] == market.index((START + 29 * NS // 10) // (NS // 4) * (NS // 4))


def test_candles(venue: Coinbase) -> None:
    """An hour of them, then each second's, and one that ended in its final state."""
    session = opened(venue)
    snapshot, _ = sent(session, "subscribe", "candles", "BTC-USD")
    starts = [int(candle["start"]) for candle in snapshot["events"][0]["candles"]]
    assert starts == sorted(starts, reverse=True) and len(starts) == 12 and starts[0] == START // NS
    frames = due(session, START + 301 * NS)
    assert len(frames) == 301
    edge = [frame for frame in frames if len(frame["events"][0]["candles"]) == 2]
    final = frames[299]["events"][0]["candles"][-1]
    (bar,) = venue.listings["BTC/USD"].market.bars(300, START // NS * NS, START // NS * NS + 1)
    assert edge == [] and final["product_id"] == "BTC-USD"
    assert (float(final["close"]), float(final["volume"])) == (bar.close, bar.volume)


def test_the_book(venue: Coinbase) -> None:
    """A snapshot of all levels and the updates after it make the truth's book, on both sides."""
    session = opened(venue)
    sides: dict[str, dict[float, float]] = {"bid": {}, "offer": {}}
    first, _ = sent(session, "subscribe", "level2", "BTC-USD")
    frames = [first, *due(session, START + 30 * NS)]
    for frame in frames:
        (event,) = frame["events"]
        assert event["product_id"] == "BTC-USD" and frame["channel"] == "l2_data"
        for update in event["updates"]:
            price, amount = float(update["price_level"]), float(update["new_quantity"])
            sides[update["side"]][price] = amount
            if not amount:
                del sides[update["side"]][price]
    truth = venue.listings["BTC/USD"].book.snapshot(START + 30 * NS, 1000)
    assert sorted(sides["bid"].items(), reverse=True) == truth.bids
    assert sorted(sides["offer"].items()) == truth.asks
    assert len(frames) == 301 and first["events"][0]["updates"][0]["event_time"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Malformed JSON"),
        ("[]", "Type has to be"),
        ('{"type":"what"}', "Type has to be"),
        ('{"type":"subscribe","channel":"full"}', "full is not a valid channel"),
        ('{"type":"subscribe","channel":"level2"}', "at least one product"),
        ('{"type":"subscribe","channel":"level2","product_ids":"BTC-USD"}', "a list"),
    ],
)
def test_errors(venue: Coinbase, text: str, words: str) -> None:
    """Without a number."""
    (frame,) = opened(venue).receive(text, START)
    error = json.loads(frame)
    assert error["type"] == "error" and words in error["message"] and "sequence_num" not in error


def test_refusals(venue: Coinbase) -> None:
    """A product that isn't listed, or a fault: an error, and an answer that doesn't list it."""
    session = opened(venue)
    error, snapshot, answer = sent(session, "subscribe", "level2", "NO-PE", "BTC-USD")
    assert error == {"type": "error", "message": "NO-PE is not a valid product"}
    assert snapshot["sequence_num"] == 0 and answer["events"][0]["subscriptions"] == {"level2": ["BTC-USD"]}
    venue.faults.inject(RefuseSubscription(symbol="ETH/USD", message="no ETH-USD today"))
    error, answer = sent(session, "subscribe", "market_trades", "ETH-USD")
    assert error["message"] == "no ETH-USD today" and "market_trades" not in answer["events"][0]["subscriptions"]


def test_subscribed_twice(venue: Coinbase) -> None:
    """Once is enough; unsubscribed without products is all of a channel."""
    session = opened(venue)
    sent(session, "subscribe", "market_trades", "BTC-USD", "ETH-USD")
    (answer,) = sent(session, "subscribe", "market_trades", "BTC-USD")
    assert answer["channel"] == "subscriptions"
    (answer,) = sent(session, "unsubscribe", "market_trades")
    assert answer["events"] == [{"subscriptions": {}}] and session.streams == {}


def test_only_one_path(venue: Coinbase) -> None:
    """The root."""
    assert venue.open("", START) is not None
    assert venue.open("/ws", START) is None
