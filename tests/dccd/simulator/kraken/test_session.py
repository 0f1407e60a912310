"""Kraken's connections, without sockets: acknowledgements, refusals, heartbeats and pongs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.kraken import Kraken
from dccd.simulator.venue import Session
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789


@pytest.fixture
def venue() -> Kraken:
    """20 trades a second."""
    return Kraken(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: START), START)


def opened(venue: Kraken) -> Session:
    session = venue.open("/v2", START)
    assert session is not None
    return session


def sent(session: Session, now: int = START, **request: Any) -> list[Any]:
    """What is answered to a request; decimals as text, as checksums want them."""
    return [json.loads(frame, parse_float=str) for frame in session.receive(json.dumps(request), now)]


def subscribed(session: Session, **params: Any) -> list[Any]:
    ack, *rest = sent(session, method="subscribe", params=params, req_id=7)
    assert ack["success"] is True and ack["req_id"] == 7 and ack["method"] == "subscribe"
    return [ack["result"], *rest]


def due(session: Session, now: int) -> list[Any]:
    return [json.loads(frame, parse_float=str) for stream in session.streams.values() for frame in stream.due(now)]


def test_the_status_comes_first(venue: Kraken) -> None:
    """Before anything is asked for."""
    (frame,) = opened(venue).opening()
    status = json.loads(frame)
    assert status["channel"] == "status" and status["data"][0]["system"] == "online"
    assert status["data"][0]["api_version"] == "v2" and status["data"][0]["connection_id"] > 0


def test_several_symbols_get_an_answer_each(venue: Kraken) -> None:
    """Good and bad ones in one request: each is acknowledged or refused by itself."""
    session = opened(venue)
    answers = sent(session, method="subscribe", params={"channel": "trade", "symbol": ["BTC/USD", "NO/PE"]}, req_id=3)
    assert [answer["success"] for answer in answers] == [True, False]
    assert answers[1]["error"] == "Currency pair not supported NO/PE" and answers[1]["symbol"] == "NO/PE"
    assert answers[1]["req_id"] == 3
    (again,) = sent(session, method="subscribe", params={"channel": "trade", "symbol": ["BTC/USD"]})
    assert again["error"] == "Already subscribed"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 11}}, "depth not supp"),
        ({"method": "subscribe", "params": {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 2}}, "interval not"),
        ({"method": "subscribe", "params": {"channel": "trade", "symbol": "BTC/USD"}}, "must be an array"),
        ({"method": "subscribe", "params": {"channel": "weather", "symbol": ["BTC/USD"]}}, "name invalid"),
        ({"method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": 1}}, "boolean"),
        ({"method": "subscribe"}, "'params'"),
        ({"method": "unsubscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}}, "Not Found"),
        ({"method": "add_order"}, "Unsupported method"),
        ({"method": 1}, "Malformed"),
    ],
)
def test_wrong_requests_are_refused(venue: Kraken, request_: dict[str, Any], error: str) -> None:
    """With ``success`` false and words."""
    (answer,) = sent(opened(venue), **request_)
    assert answer["success"] is False and error in answer["error"]


def test_text_that_is_no_json_is_refused(venue: Kraken) -> None:
    """And the connection stays."""
    (answer,) = opened(venue).receive("{", START)
    assert json.loads(answer)["error"] == "Malformed request"


def test_a_subscription_is_refused_on_demand(venue: Kraken) -> None:
    """In the words asked for."""
    venue.faults.inject(RefuseSubscription(message="Market in cancel_only mode", data_type="orderbook"))
    session = opened(venue)
    subscribed(session, channel="trade", symbol=["BTC/USD"])
    (answer,) = sent(session, method="subscribe", params={"channel": "book", "symbol": ["BTC/USD"]})
    assert answer["error"] == "Market in cancel_only mode"


def test_unsubscribing_ends_the_stream(venue: Kraken) -> None:
    """Acknowledged, and nothing comes any more."""
    session = opened(venue)
    subscribed(session, channel="ohlc", symbol=["BTC/USD"], interval=15)
    (answer,) = sent(session, method="unsubscribe", params={"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 15})
    assert answer["success"] is True and answer["method"] == "unsubscribe"
    assert due(session, START + 60 * NS) == []


def test_pings_are_answered(venue: Kraken) -> None:
    """With the request's id."""
    (pong,) = sent(opened(venue), method="ping", req_id=101)
    assert pong["method"] == "pong" and pong["req_id"] == 101 and pong["time_in"] < pong["time_out"]


def test_heartbeats_fill_silent_seconds(venue: Kraken) -> None:
    """Only once subscribed, and only when nothing else is sent."""
    session = opened(venue)
    assert session.idle(START + 5 * NS, sent=False) == []
    subscribed(session, channel="trade", symbol=["BTC/USD"])
    assert session.idle(START + 6 * NS, sent=False) == ['{"channel":"heartbeat"}']
    assert session.idle(START + 6 * NS + 1, sent=False) == []
    assert session.idle(START + 7 * NS, sent=True) == []
    assert session.idle(START + 7 * NS + 999_999_999, sent=False) == []
    assert session.idle(START + 8 * NS, sent=False) == ['{"channel":"heartbeat"}']


def test_only_v2(venue: Kraken) -> None:
    """Other paths don't exist."""
    assert venue.open("/", START) is None and venue.open("/v2/", START) is not None
