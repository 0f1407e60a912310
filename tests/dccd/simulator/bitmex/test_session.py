"""One connection to the simulated BitMEX."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.bitmex import Bitmex
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.venue import Session
from dccd.symbols import NS

START = 1_714_564_800 * NS
FAULTS = FaultPlan(lambda: START)
VENUE = Bitmex(SimConfig(seed=3, rate=2, history=1), FAULTS, START)


def opened(path: str = "/realtime") -> Session:
    session = VENUE.open(path, START)
    assert session is not None
    return session


def ask(session: Session, op: str, args: object) -> list[Any]:
    return [json.loads(frame) for frame in session.receive(json.dumps({"op": op, "args": args}), START)]


def test_the_welcome() -> None:
    """It says how many connections are left."""
    (frame,) = opened().opening()
    welcome = json.loads(frame)
    assert welcome["info"] == "Welcome to the BitMEX Realtime API." and welcome["limit"]["remaining"]
    assert VENUE.open("/elsewhere", START) is None


@pytest.mark.parametrize("args", ["trade:XBTUSD", ["trade:XBTUSD"]])
def test_subscribing(args: object) -> None:
    """An answer that repeats the request, then the partial; one argument needs no array."""
    session = opened()
    answer, partial = ask(session, "subscribe", args)
    assert answer == {"success": True, "subscribe": "trade:XBTUSD", "request": {"op": "subscribe", "args": args}}
    assert (partial["table"], partial["action"], partial["filter"]) == ("trade", "partial", {"symbol": "XBTUSD"})
    assert ask(session, "unsubscribe", args)[0]["unsubscribe"] == "trade:XBTUSD"
    assert session.streams == {}


def test_topics_in_the_address() -> None:
    """They are subscribed to at once."""
    frames = [json.loads(frame) for frame in opened("/realtime?subscribe=trade:XBTUSD,funding:XBTUSD").opening()]
    assert [frame.get("subscribe") or frame.get("table") for frame in frames[1:]] == [
        "trade:XBTUSD", "trade", "funding:XBTUSD", "funding",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '{"op":"dance"}',
        '{"op":"subscribe"}',
        '{"op":"subscribe","args":[1]}',
        '{"op":"subscribe","args":["trade:NOSUCH"]}',
        '{"op":"subscribe","args":["dance:XBTUSD"]}',
        '{"op":"unsubscribe","args":["trade:XBTUSD"]}',
    ],
)
def test_errors(text: str) -> None:
    """A status, words, and the request."""
    (frame,) = opened().receive(text, START)
    error = json.loads(frame)
    assert error["status"] == 400 and error["error"] and "request" in error


def test_twice() -> None:
    """A topic can be subscribed to once."""
    session = opened()
    ask(session, "subscribe", ["trade:XBTUSD"])
    assert ask(session, "subscribe", ["trade:XBTUSD"])[0]["error"].startswith("You are already subscribed")


def test_a_refusal_by_fault() -> None:
    """In the words that it was given."""
    FAULTS.inject(RefuseSubscription(exchange="bitmex", data_type="trades", message="Not today"))
    assert ask(opened(), "subscribe", ["trade:XBTUSD"])[0]["error"] == "Not today"


def test_ping() -> None:
    """As text."""
    assert opened().receive("ping", START) == ["pong"]
