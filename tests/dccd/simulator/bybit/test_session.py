"""Bybit's connections, without sockets: requests on them, and their answers word by word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.bybit import Bybit
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Session
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789


@pytest.fixture
def venue() -> Bybit:
    """20 trades a second."""
    return Bybit(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)


def opened(venue: Bybit, category: str = "linear") -> Session:
    session = venue.open(f"/v5/public/{category}", START)
    assert session is not None and session.opening() == [] and session.idle(START, False) == []
    return session


def asked(session: Session, **request: Any) -> Any:
    """The answer, without the snapshots after it."""
    answer = json.loads(session.receive(json.dumps(request), START)[0])
    assert answer.pop("conn_id")
    return answer


def subscribed(session: Session, *topics: str) -> Any:
    return asked(session, op="subscribe", args=list(topics), req_id="7")


def test_subscribing(venue: Bybit) -> None:
    """The id is echoed; spot has a word more to say."""
    session = opened(venue)
    answer = {"success": True, "ret_msg": "", "req_id": "7", "op": "subscribe"}
    assert subscribed(session, "publicTrade.BTCUSDT", "orderbook.50.ETHUSDT") == answer
    assert list(session.streams) == ["publicTrade.BTCUSDT", "orderbook.50.ETHUSDT"]
    assert asked(session, op="unsubscribe", args=["publicTrade.BTCUSDT"], req_id="8")["success"]
    assert list(session.streams) == ["orderbook.50.ETHUSDT"]
    assert subscribed(opened(venue, "spot"), "publicTrade.BTCUSDT") == answer | {"ret_msg": "subscribe"}


def test_snapshots_follow_the_answer(venue: Bybit) -> None:
    """One of each topic that has one."""
    topics = ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.5.BTCUSDT"]
    _, *frames = opened(venue).receive(json.dumps({"op": "subscribe", "args": topics}), START)
    assert [json.loads(frame)["topic"] for frame in frames] == [topics[0], topics[2], topics[3]]
    assert {json.loads(frame)["type"] for frame in frames} == {"snapshot"}


def test_pings(venue: Bybit) -> None:
    """Answered with their own op."""
    for category in ("spot", "linear"):
        answer = {"success": True, "ret_msg": "pong", "req_id": "3", "op": "ping"}
        assert asked(opened(venue, category), op="ping", req_id="3") == answer


@pytest.mark.parametrize(
    ("category", "topic", "words"),
    [
        ("linear", "publicTrade.NOPEUSDT", "error:handler not found,topic:publicTrade.NOPEUSDT"),
        ("linear", "kline.7.BTCUSDT", "error:handler not found,topic:kline.7.BTCUSDT"),
        ("linear", "orderbook.25.BTCUSDT", "error:handler not found,topic:orderbook.25.BTCUSDT"),
        ("spot", "publicTrade.NOPEUSDT", "Invalid symbol :[publicTrade.NOPEUSDT]"),
        ("spot", "publicTrade.BTCUSDT-28JUN24", "Invalid symbol :[publicTrade.BTCUSDT-28JUN24]"),
    ],
)
def test_unknown_topics(venue: Bybit, category: str, topic: str, words: str) -> None:
    """Refused, and with them all others of the request."""
    session = opened(venue, category)
    answer = subscribed(session, "publicTrade.BTCUSDT", topic)
    assert answer == {"success": False, "ret_msg": words, "req_id": "7", "op": "subscribe"}
    assert session.streams == {}


def test_twice(venue: Bybit) -> None:
    """An error, and the first goes on."""
    session = opened(venue)
    subscribed(session, "publicTrade.BTCUSDT")
    answer = subscribed(session, "publicTrade.ETHUSDT", "publicTrade.BTCUSDT")
    assert answer["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    assert list(session.streams) == ["publicTrade.BTCUSDT"]


def test_limits(venue: Bybit) -> None:
    """Ten topics a request on spot, 21,000 characters a connection."""
    topics = [f"kline.{name}.BTCUSDT" for name in ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D")]
    assert subscribed(opened(venue, "spot"), *topics)["ret_msg"] == "args size >10"
    assert subscribed(opened(venue), *topics)["success"]
    many = [f"publicTrade.{'X' * 30}{n:04d}" for n in range(450)]
    assert "exceeds 21000" in subscribed(opened(venue), *many)["ret_msg"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Illegal json data"),
        ("[]", "Illegal json data"),
        ('{"op":"what"}', "error:invalid op"),
        ('{"op":"subscribe"}', "error:invalid args"),
        ('{"op":"subscribe","args":[1]}', "error:invalid args"),
    ],
)
def test_wrong_requests(venue: Bybit, text: str, words: str) -> None:
    """An answer without success."""
    answer = json.loads(opened(venue).receive(text, START)[0])
    assert (answer["success"], answer["ret_msg"]) == (False, words)


def test_a_refusal_on_demand(venue: Bybit) -> None:
    """In Bybit's words, or others."""
    for message in ("", "busy"):
        venue.faults.inject(RefuseSubscription(symbol="BTC/USDT:perp", message=message))
        answer = subscribed(opened(venue), "publicTrade.BTCUSDT")
        assert answer["ret_msg"] == (message or "error:handler not found,topic:publicTrade.BTCUSDT")
    assert subscribed(opened(venue), "publicTrade.BTCUSDT")["success"]


@pytest.mark.parametrize("path", ["/", "/v5/public/inverse", "/v5/private", "/v5/public/spot/x"])
def test_other_paths(venue: Bybit, path: str) -> None:
    """There is nothing."""
    assert venue.open(path, START) is None


def test_recordings(venue: Bybit) -> None:
    """A frame is of its topic, an answer of none; a session serves a tape's streams."""
    read = Bybit.reader()
    assert read('{"topic":"kline.1.X","data":[]}') == [("kline.1.X", '{"topic":"kline.1.X","data":[]}')]
    assert read('{"success":true,"op":"subscribe"}') == read("[]") == []
    assert Bybit.identity("orderbook.50.BTCUSDT") == ("BTCUSDT", "orderbook")
    assert Bybit.identity("publicTrade.BTCUSDT") == ("BTCUSDT", "trades")
    assert Bybit.identity("what") == ("what", "")
    session = venue.open("/v5/public/spot", START, lambda name, now: None)
    assert session is not None
    assert not subscribed(session, "publicTrade.BTCUSDT")["success"]
