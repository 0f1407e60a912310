"""What is answered to a subscription of Bitfinex, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Refused, StreamProtocol, Subscribed
from dccd.records import Record

Make = Callable[..., StreamProtocol]


def event(kind: str, **fields: Any) -> bytes:
    return msgspec.json.encode({"event": kind, **{"chanId" if k == "chan" else k: v for k, v in fields.items()}})


def subscribed(stream: Make) -> StreamProtocol:
    protocol = stream("ohlc.BTC-USD.1m")
    protocol.lane = 2
    protocol.subscribe()
    answer = event("subscribed", channel="candles", chan=7, key="trade:1m:tBTCUSD", subId=2)
    assert protocol.receive(answer, 0, []) == Subscribed()
    return protocol


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({"subId": 2}, True),
        ({"subId": "2"}, True),
        ({"subId": 1}, False),
        ({}, True),
        ({"key": "trade:5m:tBTCUSD"}, False),
        ({"channel": "book", "key": None, "symbol": "tBTCUSD"}, False),
    ],
)
def test_whose_a_confirmation_is(stream: Make, fields: dict[str, Any], ours: bool) -> None:
    """By the id that it repeats, else by what it names."""
    protocol = stream("ohlc.BTC-USD.1m")
    protocol.lane = 2
    protocol.subscribe()
    answer = event("subscribed", **({"channel": "candles", "chan": 7, "key": "trade:1m:tBTCUSD"} | fields))
    assert protocol.receive(answer, 0, []) == (Subscribed() if ours else None)
    assert protocol.unsubscribe() == (['{"event":"unsubscribe","chanId":7}'] if ours else [])


def test_renewing(stream: Make) -> None:
    """The old channel is left and no longer heard; a new one is asked for, once."""
    protocol = subscribed(stream)
    leave, ask = protocol.resubscribe()
    assert msgspec.json.decode(leave) == {"event": "unsubscribe", "chanId": 7}
    assert msgspec.json.decode(ask)["subId"] == 10_002
    assert protocol.resubscribe() == []
    out: list[Record] = []
    assert protocol.receive(b"[7,[1,2,2,2,2,1],1]", 0, out) is None
    assert protocol.receive(event("unsubscribed", status="OK", chan=7), 0, out) is None
    assert protocol.receive(event("subscribed", chan=7, subId=2), 0, out) is None
    assert protocol.receive(event("subscribed", chan=8, subId=10_002), 0, out) == Subscribed()
    assert protocol.receive(b"[8,[1,2,2,2,2,1],1]", 0, out) is None
    assert len(out) == 1


@pytest.mark.parametrize(
    ("code", "words", "permanent"),
    [
        (10300, "symbol: invalid", True),
        (10300, "subscribe: failed", False),
        (10302, "channel: unknown", True),
        (10301, "subscribe: dup", False),
        (10305, "subscribe: limit", False),
        (11000, "not ready", False),
    ],
)
def test_refusals_are_in_bitfinexs_words(stream: Make, code: int, words: str, permanent: bool) -> None:
    """Some pass, those of a wrong request don't."""
    protocol = stream("trades.BTC-USD")
    protocol.subscribe()
    answer = event("error", channel="trades", symbol="tBTCUSD", msg=words, code=code, subId=1, pair="BTCUSD")
    assert protocol.receive(answer, 0, []) == Refused(f"{words} (code {code})", permanent)


@pytest.mark.parametrize(
    ("fields", "ours", "permanent"),
    [
        ({}, True, False),
        ({"channel": "trades", "symbol": "tBTCUSD"}, True, True),
        ({"channel": "trades"}, True, False),
        ({"channel": "trades", "symbol": "tETHUSD"}, False, False),
        ({"channel": "book", "symbol": "tBTCUSD"}, False, False),
        ({"subId": 5}, False, False),
        ({"subId": 1}, True, True),
        ({"chan": 7}, False, False),
    ],
)
def test_whose_an_error_is(stream: Make, fields: dict[str, Any], ours: bool, permanent: bool) -> None:
    """One that names nobody is whoever's who isn't confirmed yet, and ends nothing for good; one with a channel's id
    is of an unsubscription.
    """
    protocol = stream("trades.BTC-USD")
    protocol.subscribe()
    signal = protocol.receive(event("error", msg="symbol: invalid", code=10300, **fields), 0, [])
    assert signal == (Refused("symbol: invalid (code 10300)", permanent) if ours else None)


def test_an_error_after_the_confirmation_is_anothers(stream: Make) -> None:
    """Should it name nobody."""
    assert subscribed(stream).receive(event("error", msg="symbol: invalid", code=10300), 0, []) is None


def test_a_configuration_that_is_refused(stream: Make) -> None:
    """Without numbers and checksums nothing would be known of losses: the connection is tried again."""
    answer = event("conf", status="FAILED", flags=0)
    assert stream("trades.BTC-USD").receive(answer, 0, []) == Refused("configuration FAILED", permanent=False)
    assert stream("trades.BTC-USD").receive(event("conf", status="OK", flags=229376), 0, []) is None


def test_restart_and_maintenance(stream: Make) -> None:
    """A restart needs a new connection, the end of a maintenance new subscriptions, its beginning nothing."""
    protocol = subscribed(stream)
    say = "Entering in Maintenance mode. Please pause any activity"
    assert protocol.receive(event("info", code=20060, msg=say), 0, []) is None
    assert protocol.receive(event("info", code=20061, msg="Ended"), 0, []) == Broken("Ended", None, "resubscribe")
    restart = "Stop/Restart Websocket Server (please reconnect)"
    assert protocol.receive(event("info", code=20051, msg=restart), 0, []) == Broken(restart, None, "reconnect")
    assert stream("trades.BTC-USD").receive(event("info", code=20061), 0, []) is None


@pytest.mark.parametrize("frame", [b"{", b'{"event":5}', b'{"chanId":5}', b'{"event":"subscribed","chanId":-1}'])
def test_events_that_are_none(stream: Make, frame: bytes) -> None:
    """A ParseError."""
    with pytest.raises(ParseError):
        stream("trades.BTC-USD").receive(frame, 0, [])


def test_a_confirmation_without_the_channels_id(stream: Make) -> None:
    """Nothing would be known to be ours."""
    protocol = stream("trades.BTC-USD")
    with pytest.raises(ParseError):
        protocol.receive(event("subscribed", channel="trades", symbol="tBTCUSD"), 0, [])
    assert protocol.receive(event("subscribed", channel="trades", symbol="tBTCUSD", chan=5), 0, []) == Subscribed()
