"""Live trades of Bybit, and what all of its streams make of answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bybit import Bybit
from dccd.records import Record, Trade
from dccd.symbols import Dataset

OWN_ID = "1"


def stream(symbol: str = "BTC-USDT_PERP", market: str = "BTCUSDT") -> StreamProtocol:
    protocol = Bybit().stream(Dataset.parse(f"bybit.trades.{symbol}"), StreamOptions(), Market(market))
    protocol.subscribe()
    return protocol


def frame(*ids: str, **fields: object) -> bytes:
    """One update with these trades."""
    trade = {"T": 1696613755440, "s": "BTCUSDT", "S": "Buy", "v": "2", "p": "1.5", "BT": False}
    data = [trade | {"i": tid} | fields for tid in ids]
    return msgspec.json.encode({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1696613755442, "data": data})


def answer(success: bool, words: str = "", req_id: str = OWN_ID, op: str = "subscribe") -> bytes:
    return msgspec.json.encode({"success": success, "ret_msg": words, "conn_id": "x", "req_id": req_id, "op": op})


@pytest.mark.parametrize(
    ("symbol", "market", "url"),
    [("BTC-USDT", "BTCUSDT", "spot"), ("BTC-USDT_PERP", "BTCUSDT", "linear"), ("BTC-USDC_PERP", "BTCPERP", "linear")],
)
def test_subscribes(symbol: str, market: str, url: str) -> None:
    """The same name on spot and linear, at different addresses; ids of requests are of the stream's lane."""
    protocol = stream(symbol, market)
    protocol.lane = 3
    assert protocol.url == f"wss://stream.bybit.com/v5/public/{url}"
    assert protocol.topic == f"publicTrade.{market}"
    asked = [msgspec.json.decode(text) for text in [*protocol.subscribe(), *protocol.unsubscribe()]]
    assert asked == [
        {"op": "subscribe", "args": [f"publicTrade.{market}"], "req_id": "10003"},
        {"op": "unsubscribe", "args": [f"publicTrade.{market}"], "req_id": "20003"},
    ]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Several trades a frame, the taker's side, ids as text; answers and pongs give nothing."""
    protocol, out = stream(), []
    signals = [protocol.receive(frame, 7, out) for frame in frames("bybit/trades")]
    assert signals == [Subscribed(), None, None, None]
    assert out == [
        Trade(1696613755440000000, 27955.4, 0.001, "buy", "8f0c4a3e-6f2b-5d0e-9c1a-2b7d1f0e4a11", 7),
        Trade(1696613755440000000, 27955.3, 0.25, "sell", "b1d2c3e4-0a1b-5c2d-8e3f-4a5b6c7d8e9f", 7),
        Trade(1696613757001000000, 27955.0, 1.0, "sell", "0e5c9a77-31c4-5f0a-a1de-90b1c2d3e4f5", 7),
    ]


def test_data_confirms() -> None:
    """A trade that comes before the answer shows that the subscription stands; one of another symbol doesn't."""
    protocol, out = stream(), []
    assert protocol.receive(frame("a", s="ETHUSDT"), 0, out) is None
    assert out == []
    assert protocol.receive(frame("a"), 0, out) == Subscribed()
    assert protocol.receive(frame("b"), 0, out) is None
    assert len(out) == 2


@pytest.mark.parametrize(
    ("words", "permanent"),
    [
        ("error:handler not found,topic:publicTrade.BTCUSDT", True),
        ("Invalid symbol :[publicTrade.BTCUSDT]", True),
        ("error:already subscribed,topic:publicTrade.BTCUSDT", False),
        ("Too many visits!", False),
        ("System error. Please try again later.", False),
    ],
)
@pytest.mark.parametrize("req_id", [OWN_ID, ""])
def test_refusals_are_in_bybits_words(words: str, permanent: bool, req_id: str) -> None:
    """An error answers the subscription, with or without its id; some pass, those of a wrong request don't."""
    assert stream().receive(answer(False, words, req_id), 0, []) == Refused(words, permanent)


@pytest.mark.parametrize(
    "other",
    [
        b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}',
        b'{"req_id":"0","op":"pong","args":["1696613756001"],"conn_id":"x"}',
        answer(True, op="unsubscribe"),
        answer(True, req_id="2"),
        answer(False, "error:handler not found,topic:kline.1.NONE", req_id="2"),
        answer(False, "error:handler not found,topic:kline.1.NONE", req_id=""),
        answer(True, req_id="10000"),
        answer(True, req_id="x" * 400),
        b'{"topic":"kline.1.BTCUSDT","data":[],"ts":1,"type":"snapshot"}',
    ],
)
def test_what_is_not_ours(other: bytes) -> None:
    """Pongs, answers to others or to an earlier subscription, and other topics give nothing."""
    assert stream().receive(other, 0, []) is None


def test_an_answer_that_names_nobody() -> None:
    """It is for a stream that waits for one, and for no other; an error may be another's: it ends nothing for good."""
    protocol = stream()
    refusal = Refused("Illegal json data", permanent=False)
    assert protocol.receive(answer(False, "Illegal json data", req_id=""), 0, []) == refusal
    assert protocol.receive(answer(True, "subscribe", req_id=""), 0, []) == Subscribed()
    assert protocol.receive(answer(False, "Illegal json data", req_id=""), 0, []) is None


def test_resubscribing() -> None:
    """The late answer to the subscription before counts as none; the new one's confirms again."""
    protocol = stream()
    assert protocol.receive(answer(True), 0, []) == Subscribed()
    assert [msgspec.json.decode(text)["op"] for text in protocol.resubscribe()] == ["unsubscribe", "subscribe"]
    assert protocol.receive(answer(True), 0, []) is None
    assert protocol.receive(answer(True, req_id="20001"), 0, []) == Subscribed()


@pytest.mark.parametrize(
    "broken",
    [
        frame("b", p=None), frame("b", p="0"), frame("b", p="nan"), frame("b", p="-1"), frame("b", p=""),
        frame("b", v="0"), frame("b", S="None"), frame("b", T="yesterday"), frame("b", T=-5), frame("b", i=""),
        frame("b", i=None), frame("b").replace(b'"p":"1.5",', b""), frame("b")[:-1], b"", b"{}", b"[]", b"null",
        b'{"topic":"publicTrade.BTCUSDT"}', frame("b", "c").replace(b'"1.5"', b'"x"', 1),
        frame("b").replace(b'"s":"BTC', b'"s":"BTC\xff'), b'{"success":true}', b'{"op":"what","success":true}',
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A frame with one bad trade is a ParseError as a whole; to the next one it didn't come."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame("a"), 0, out)
    protocol_before = repr(protocol)
    with pytest.raises(ParseError) as caught:
        # An answer without an id, to somebody who waits for none, is nobody's: this one waits.
        waiting = stream() if broken.startswith(b'{"success"') or b"what" in broken else protocol
        waiting.receive(broken, 0, out)
    assert caught.value.exchange == "bybit"
    assert repr(protocol) == protocol_before
    protocol.receive(frame("b", "c"), 0, out)
    assert [trade.tid for trade in out if isinstance(trade, Trade)] == ["a", "b", "c"]
    assert protocol.unresolved() == [] and protocol.tick(10**18, out) is None


def test_real_message(captures: Path) -> None:
    """A real update, whose maker named its topic otherwise than Bybit does."""
    body = (captures / "payloads" / "bybit" / "ws_public_trade.json").read_bytes()
    out: list[Record] = []
    stream().receive(body, 1, out)
    expected = [
        Trade(one["T"] * 10**6, float(Decimal(one["p"])), float(Decimal(one["v"])), one["S"].lower(), one["i"], 1)
        for one in json.loads(body)["data"]
    ]
    assert out == expected and len(out) == 1


def test_real_answers(captures: Path) -> None:
    """A real confirmation (of somebody's own id) and a real refusal, of a topic that isn't ours."""
    folder = captures / "payloads" / "bybit"
    ack = (folder / "ws_subscription_ack.json").read_bytes()
    assert stream().receive(ack, 0, []) is None
    assert stream().receive(ack.replace(b"sub-orderbook-1", OWN_ID.encode()), 0, []) == Subscribed()
    failure = (folder / "ws_subscription_failure.json").read_bytes()
    assert stream().receive(failure, 0, []) is None
    ours = failure.replace(b"invalid.topic.BTCUSDT", b"publicTrade.BTCUSDT")
    assert stream().receive(ours, 0, []) == Refused("Invalid topic: publicTrade.BTCUSDT")
