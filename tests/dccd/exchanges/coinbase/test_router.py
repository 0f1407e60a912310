"""Whose frames are, and which are missing, on a connection to Coinbase."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import MessagesLost
from dccd.exchanges.base import Market, Router, StreamOptions
from dccd.exchanges.coinbase import Coinbase
from dccd.symbols import Dataset


def router() -> Router:
    return Coinbase().router()


def trades(number: int, *products: str) -> bytes:
    events = [{"type": "update", "trades": [{"product_id": product, "trade_id": "1"} for product in products]}]
    return msgspec.json.encode(
        {"channel": "market_trades", "client_id": "", "timestamp": "2026", "sequence_num": number, "events": events}
    )


def test_opening() -> None:
    """Heartbeats keep the connection open."""
    assert [msgspec.json.decode(text) for text in router().opening()] == [
        {"type": "subscribe", "channel": "heartbeats"}
    ]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("coinbase/trades", "trades.BTC-USD"),
        ("coinbase/bars", "ohlc.BTC-USD.5m"),
        ("coinbase/book", "orderbook.BTC-USD"),
    ],
)
def test_frames(frames: Callable[[str], list[bytes]], source: str, name: str) -> None:
    """A frame of one product is its stream's, heartbeats are nobody's, answers and frames of several are for all."""
    topic = Coinbase().stream(Dataset.parse(f"coinbase.{name}"), StreamOptions(), Market("BTC-USD")).topic
    made = router()
    for frame in frames(source):
        decoded = msgspec.json.decode(frame)
        items = [one for event in decoded["events"] for one in event.get("trades", event.get("candles", [event]))]
        products = {one.get("product_id") for one in items}
        expected = {"heartbeats": "", "subscriptions": None}.get(
            decoded["channel"], topic if products == {"BTC-USD"} else None
        )
        assert made.route(frame) == expected


def test_errors_have_no_number() -> None:
    """They are for all, and the count goes on."""
    made = router()
    assert made.route(trades(5, "BTC-USD")) == "market_trades:BTC-USD"
    assert made.route(b'{"type":"error","message":"no"}') is None
    assert made.route(trades(6, "BTC-USD", "BTC-USDC")) is None


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 2), "message 1 is missing"),
        ((7, 8, 11), "messages 9 to 10 are missing"),
        ((7, 8, 3), "message 3 came after message 8"),
    ],
)
def test_messages_that_are_missing(numbers: tuple[int, ...], words: str) -> None:
    """Whatever they would have been: a jump ends the connection."""
    made = router()
    for number in numbers[:-1]:
        made.route(trades(number, "BTC-USD"))
    with pytest.raises(MessagesLost, match=words) as caught:
        made.route(trades(numbers[-1], "ETH-USD"))
    assert caught.value.exchange == "coinbase"


def test_heartbeats_and_answers_are_counted() -> None:
    """One number is for all messages of a connection."""
    made = router()
    made.route(trades(0, "BTC-USD"))
    assert made.route(b'{"channel":"heartbeats","timestamp":"","sequence_num":1,"events":[{}]}') == ""
    assert made.route(b'{"channel":"subscriptions","timestamp":"","sequence_num":2,"events":[{}]}') is None
    with pytest.raises(MessagesLost):
        made.route(b'{"channel":"heartbeats","timestamp":"","sequence_num":4,"events":[{}]}')


def test_a_message_that_comes_twice_is_for_nobody() -> None:
    """A change of a book isn't made twice."""
    made = router()
    assert [made.route(trades(number, "BTC-USD")) for number in (4, 4, 5)] == [
        "market_trades:BTC-USD",
        "",
        "market_trades:BTC-USD",
    ]


@pytest.mark.parametrize("how", ["cut", "garbage", "types"])
def test_a_message_that_cannot_be_read_is_missing(how: str) -> None:
    """It goes to all, who count it, and the next one shows that the books lack what it said."""
    made, frame = router(), trades(5, "BTC-USD")
    made.route(trades(4, "BTC-USD"))
    broken = {"cut": frame[:-20], "garbage": b"<html>", "types": frame.replace(b":5,", b":true,")}[how]
    assert made.route(broken) is None
    with pytest.raises(MessagesLost, match="message 5 is missing"):
        made.route(trades(6, "BTC-USD"))


def test_spaces() -> None:
    """Another layout is for all, but its number counts."""
    made = router()
    for number in (4, 5):
        spaced = msgspec.json.format(trades(number, "BTC-USD"), indent=2)
        assert made.route(spaced) is None
    assert made.route(spaced) == ""
    with pytest.raises(MessagesLost):
        made.route(trades(7, "BTC-USD"))


@given(
    st.binary(max_size=120) | st.builds(lambda at, junk: trades(3, "A-B")[:at] + junk, st.integers(0, 99), st.binary())
)
def test_any_bytes(frame: bytes) -> None:
    """Nothing but MessagesLost is raised."""
    made = router()
    made.route(trades(1, "BTC-USD"))
    try:
        topic = made.route(frame)
    except MessagesLost:
        return
    assert topic is None or isinstance(topic, str)


NOT_COLLECTED = {
    "http_products.json": "ccxt reads it for the markets",
    "ws_heartbeats.json": "nobody's",
    "ws_subscriptions.json": "an answer",
}
"""Of the captured payloads those that hold no records."""


def test_all_captures_are_accounted_for(captures: Path) -> None:
    """Each file is tested in its module, or named above; those without records parse, and give none."""
    folder = captures / "payloads" / "coinbase"
    tested = {"ws_market_trades", "ws_candles", "ws_l2_data_snapshot", "ws_l2_data_update"}
    tested |= {"http_candles", "http_product_book"}
    assert {path.name for path in folder.iterdir()} == {f"{name}.json" for name in tested} | set(NOT_COLLECTED)
    for name in NOT_COLLECTED:
        if name.startswith("ws_"):
            stream = Coinbase().stream(Dataset.parse("coinbase.ohlc.BTC-USD.5m"), StreamOptions(), Market("BTC-USD"))
            body = (folder / name).read_bytes()
            out: list[object] = []
            assert stream.receive(body, 0, out) is None and out == []  # type: ignore[arg-type]  # any list will do
            assert router().route(body) is None
