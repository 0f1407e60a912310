"""A connection to the simulated OKX."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.okx import Okx
from dccd.simulator.venue import Session
from dccd.symbols import NS

START = 1_714_564_800 * NS + 123_456_789


def session(path: str = "/ws/v5/public", faults: FaultPlan | None = None, **options: Any) -> Session:
    config = SimConfig(exchanges=("okx",), history=1, **options)
    made = Okx(config, faults or FaultPlan(lambda: START), START).open(path, START)
    assert made is not None
    return made


def ask(made: Session, op: str = "subscribe", *args: tuple[str, str], **fields: object) -> list[Any]:
    request = {"op": op, "args": [{"channel": channel, "instId": inst} for channel, inst in args], **fields}
    return [json.loads(frame) for frame in made.receive(json.dumps(request), START)]


def test_answers() -> None:
    """One for each argument, with the request's id, before all snapshots."""
    made = session()
    answers = ask(made, "subscribe", ("books", "BTC-USDT"), ("tickers", "BTC-USDT"), id="7a")
    assert [answer.get("event") for answer in answers] == ["subscribe", "subscribe", None, None]
    assert [answer["arg"]["channel"] for answer in answers] == ["books", "tickers", "books", "tickers"]
    assert all(answer["id"] == "7a" and len(answer["connId"]) == 8 for answer in answers[:2])
    assert set(made.streams) == {"books:BTC-USDT", "tickers:BTC-USDT"}
    (gone,) = ask(made, "unsubscribe", ("books", "BTC-USDT"))
    assert (gone["event"], "id" in gone, set(made.streams)) == ("unsubscribe", False, {"tickers:BTC-USDT"})
    assert made.opening() == []


def test_pings_are_text() -> None:
    """Answered with text."""
    assert session().receive("ping", START) == ["pong"]


@pytest.mark.parametrize(
    ("path", "channel", "inst"),
    [
        ("public", "books", "NOPE-USDT"), ("public", "nothing", "BTC-USDT"), ("public", "trades-all", "BTC-USDT"),
        ("public", "candle1m", "BTC-USDT"), ("business", "books", "BTC-USDT"), ("business", "candle7m", "BTC-USDT"),
        ("public", "funding-rate", "BTC-USDT"), ("public", "funding-rate", "BTC-USDT-240628"),
        ("public", "open-interest", "BTC-USDT"),
    ],
)  # fmt: skip
def test_what_is_not_there(path: str, channel: str, inst: str) -> None:
    """At this address; the error names what was asked for."""
    (error,) = ask(session(f"/ws/v5/{path}"), "subscribe", (channel, inst), id="1")
    assert (error["event"], error["code"], error["id"]) == ("error", "60018", "1")
    assert f"channel:{channel},instId:{inst} doesn't exist" in error["msg"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", "60012"), ("[]", "60012"), ('{"op":"dance"}', "60019"), ('{"op":"subscribe"}', "60012"),
        ('{"op":"subscribe","args":["books"]}', "60012"), ('{"op":"subscribe","args":[],"id":"1"}', "60012"),
        ('{"op":"subscribe","args":[{}],"id":"a-b"}', "60012"),
    ],
)  # fmt: skip
def test_bad_requests(text: str, code: str) -> None:
    """In OKX's codes."""
    (error,) = session().receive(text, START)
    assert json.loads(error)["code"] == code


def test_refused_by_a_fault() -> None:
    """In OKX's words, or those asked for."""
    faults = FaultPlan(lambda: START)
    made = session(faults=faults)
    for message in ("", "not today"):
        faults.inject(RefuseSubscription(symbol="BTC/USDT", data_type="orderbook", message=message))
        (error,) = ask(made, "subscribe", ("books", "BTC-USDT"))
        assert error["msg"] == (message or error["msg"]) and error["code"] == "60018"
    assert made.streams == {}


def test_limits() -> None:
    """480 requests an hour."""
    made = session(limits=True)
    codes = [ask(made, "subscribe", ("tickers", "BTC-USDT"))[0].get("code") for _ in range(481)]
    assert codes == [None] * 480 + ["60014"]


def test_other_paths() -> None:
    """There is nothing else."""
    venue = Okx(SimConfig(exchanges=("okx",), history=1), FaultPlan(lambda: START), START)
    assert venue.open("/ws/v5/private", START) is None
