"""Binance's connections, without sockets: requests on them, and their answers word by word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.binance import Binance
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
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


def test_subscribing_live(venue: Binance) -> None:
    """SUBSCRIBE, LIST_SUBSCRIPTIONS and UNSUBSCRIBE, ids echoed whatever their type."""
    session = opened(venue, "/ws")
    assert due(session, START + NS) == []
    assert asked(session, method="SUBSCRIBE", params=["btcusdt@aggTrade", "ethusdt@trade"], id=1) == {
        "result": None,
        "id": 1,
    }
    assert asked(session, method="LIST_SUBSCRIPTIONS", id="x") == {
        "result": ["btcusdt@aggTrade", "ethusdt@trade"],
        "id": "x",
    }
    assert {one["s"] for one in due(session, START + 2 * NS)} == {"BTCUSDT", "ETHUSDT"}
    assert asked(session, method="UNSUBSCRIBE", params=["ethusdt@trade"], id=None) == {"result": None, "id": None}
    assert {one["s"] for one in due(session, START + 4 * NS)} == {"BTCUSDT"}


def test_properties(venue: Binance) -> None:
    """A raw connection can be made a combined one, and is asked about it."""
    session = opened(venue, "/ws/btcusdt@aggTrade")
    assert asked(session, method="GET_PROPERTY", params=["combined"], id=1)["result"] is False
    assert asked(session, method="SET_PROPERTY", params=["combined", True], id=2)["result"] is None
    assert due(session, START + NS)[0]["stream"] == "btcusdt@aggTrade"
    assert asked(session, method="SET_PROPERTY", params=["combined", 1], id=3)["error"]["code"] == 1
    assert asked(session, method="GET_PROPERTY", params=["colour"], id=4)["error"]["msg"] == "Unknown property"


def test_unknown_streams_are_accepted_and_silent(venue: Binance) -> None:
    """As on Binance: no error, no data."""
    session = opened(venue, "/stream?streams=nopeusdt@aggTrade/btcusdt@kline_7m/what")
    assert asked(session, method="SUBSCRIBE", params=["xyz@trade"], id=5) == {"result": None, "id": 5}
    assert due(session, START + 5 * NS) == []


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{", 3, "Invalid JSON"),
        ("[]", 2, "expected a map"),
        ('{"id":1}', 2, "missing field `method`"),
        ('{"method":"FLY","id":1}', 2, "unknown variant `FLY`"),
        ('{"method":"SUBSCRIBE","id":1}', 2, "missing field `params`"),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2, "must be strings"),
        ('{"method":"SUBSCRIBE","params":["a@trade"],"id":-1}', 2, "unsigned integer"),
        ('{"method":"SUBSCRIBE","params":["btcusdt@trade","what"],"id":1}', 2, "Invalid request: invalid stream"),
    ],
)
def test_wrong_requests_get_errors(venue: Binance, text: str, code: int, words: str) -> None:
    """Code and words of the documentation."""
    (answer,) = opened(venue, "/ws").receive(text, START)
    error = json.loads(answer)["error"]
    assert error["code"] == code and words in error["msg"]


def test_at_most_1024_streams_a_connection(venue: Binance) -> None:
    """One more is refused, and changes nothing."""
    session = opened(venue, "/ws")
    names = [f"s{n}usdt@trade" for n in range(1024)]
    assert "error" not in asked(session, method="SUBSCRIBE", params=names, id=1)
    assert "too many" in asked(session, method="SUBSCRIBE", params=["btcusdt@trade"], id=2)["error"]["msg"]
    assert not session.streams


def test_a_subscription_is_refused_on_demand(venue: Binance) -> None:
    """The fault strikes the symbol it is for, once."""
    venue.faults.inject(RefuseSubscription(symbol="ETH/USDT"))
    session = opened(venue, "/ws")
    assert "error" not in asked(session, method="SUBSCRIBE", params=["btcusdt@trade"], id=1)
    assert asked(session, method="SUBSCRIBE", params=["ethusdt@trade"], id=2)["error"]["code"] == 2
    assert "error" not in asked(session, method="SUBSCRIBE", params=["ethusdt@trade"], id=3)


def test_no_such_path(venue: Binance) -> None:
    """Only /ws and /stream are WebSocket paths."""
    assert venue.open("/v2", START) is None and venue.open("/", START) is None
