"""Bitfinex's connections, without sockets: answers, refusals, numbers, heartbeats."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dccd.simulator.bitfinex import Bitfinex
from dccd.simulator.faults import RefuseSubscription
from dccd.symbols import NS

if TYPE_CHECKING:
    from tests.dccd.simulator.bitfinex.conftest import Client

MS = 1_000_000
ALL = 32768 + 65536 + 131072


def test_only_ws_2(venue: Bitfinex, start: int) -> None:
    """Other paths don't exist."""
    assert venue.open("/", start) is None
    assert venue.open("/ws/1", start) is None
    session = venue.open("/ws/2", start)
    assert session is not None
    (greeting,) = map(json.loads, session.opening())
    assert (greeting["event"], greeting["version"], greeting["platform"]) == ("info", 2, {"status": 1})


def test_what_was_asked_for_is_repeated(client: Client) -> None:
    """With the channel's id, and the client's own."""
    answer, *_ = client.send("subscribe", channel="book", symbol="tBTCUST", prec="P0", freq="F0", len="100", subId=5)
    chan = answer.pop("chanId")
    assert answer == {
        "event": "subscribed", "channel": "book", "symbol": "tBTCUST", "prec": "P0", "freq": "F0", "len": "100",
        "pair": "BTCUST", "subId": 5,
    }  # fmt: skip
    answer, *_ = client.send("subscribe", channel="candles", key="trade:1m:tBTCF0:USTF0")
    assert answer["key"] == "trade:1m:tBTCF0:USTF0"
    assert answer["chanId"] != chan
    assert "subId" not in answer


@pytest.mark.parametrize(
    ("fields", "words", "code"),
    [
        ({"channel": "weather", "symbol": "tBTCUSD"}, "channel: unknown", 10302),
        ({"channel": "trades", "symbol": "tNOPE"}, "symbol: invalid", 10300),
        ({"channel": "trades"}, "symbol: invalid", 10300),
        ({"channel": "candles", "key": "trade:2m:tBTCUSD"}, "key: invalid", 10300),
        ({"channel": "candles", "key": "trade:1m:tNOPE"}, "key: invalid", 10300),
        ({"channel": "status", "key": "deriv:tBTCUSD"}, "key: invalid", 10300),
        ({"channel": "status", "key": "liq:global"}, "key: invalid", 10300),
        ({"channel": "candles", "symbol": "tBTCUSD"}, "key: invalid", 10300),
        ({"channel": "book", "symbol": "tBTCUSD", "len": "50"}, "len: invalid", 10300),
        ({"channel": "book", "symbol": "tBTCUSD", "prec": "P7"}, "prec: invalid", 10300),
    ],
)
def test_wrong_subscriptions_are_refused(client: Client, fields: dict[str, Any], words: str, code: int) -> None:
    """With what was asked for, words and a code."""
    (answer,) = client.send("subscribe", **fields, subId=9)
    assert (answer["event"], answer["msg"], answer["code"], answer["subId"]) == ("error", words, code, 9)
    assert answer["channel"] == fields["channel"]


def test_one_of_each_and_25_in_all(client: Client) -> None:
    """A second one is a duplicate, a 26th one too many."""
    for frame in ("1m", "5m", "15m", "30m", "1h", "3h"):
        for symbol in ("tBTCUSD", "tETHUSD", "tBTCUST", "tETHUST"):
            client.subscribe("candles", key=f"trade:{frame}:{symbol}")
    assert client.send("subscribe", channel="candles", key="trade:1m:tBTCUSD")[0]["code"] == 10301
    client.subscribe("trades", symbol="tBTCUSD")
    assert client.send("subscribe", channel="trades", symbol="tBTCUST")[0]["code"] == 10305


def test_a_subscription_is_refused_on_demand(venue: Bitfinex, client: Client) -> None:
    """In the words asked for."""
    venue.faults.inject(RefuseSubscription(message="subscribe: failed", data_type="orderbook"))
    client.subscribe("trades", symbol="tBTCUSD")
    assert client.send("subscribe", channel="book", symbol="tBTCUSD")[0]["msg"] == "subscribe: failed"


def test_unsubscribing(client: Client, start: int) -> None:
    """By the channel's id; nothing comes any more; an id that isn't there is an error."""
    chan, _ = client.subscribe("trades", symbol="tBTCUSD")
    assert client.send("unsubscribe", chanId=chan) == [{"event": "unsubscribed", "status": "OK", "chanId": chan}]
    assert client.due(start + 10 * NS) == []
    assert client.send("unsubscribe", chanId=chan)[0]["code"] == 10400


def test_pings_and_nonsense(client: Client, start: int) -> None:
    """Are answered."""
    assert client.send("ping", cid=7) == [{"event": "pong", "ts": start // MS, "cid": 7}]
    assert client.send("dance")[0]["code"] == 10000
    assert client.send("conf", flags="all")[0]["event"] == "error"
    for text in ("{", "[]"):
        assert json.loads(client.session.receive(text, start)[0])["event"] == "error"


@pytest.mark.parametrize(("flags", "length"), [(0, 0), (32768, 1), (65536, 1), (ALL, 2)])
def test_numbers_and_times_as_the_flags_say(client: Client, start: int, flags: int, length: int) -> None:
    """All messages of the connection in one sequence, whichever channel they are of, from 1 on."""
    assert client.send("conf", flags=flags) == [{"event": "conf", "status": "OK", "flags": flags}]
    _, first = client.subscribe("trades", symbol="tBTCUSD")
    _, second = client.subscribe("book", symbol="tBTCUSD")
    messages = first + second + client.due(start + 2 * NS)
    for number, message in enumerate(messages, 1):
        tail = message[3:] if isinstance(message[1], str) else message[2:]
        assert len(tail) == length
        if flags & 65536:
            assert tail[0] == number
        if flags & 32768:
            assert start - NS <= tail[-1] * MS <= start + 2 * NS


def test_a_heartbeat_for_each_silent_channel(client: Client, start: int) -> None:
    """After 15 seconds, numbered too."""
    client.send("conf", flags=ALL)
    chan, _ = client.subscribe("trades", symbol="tBTCUSD")
    assert client.session.idle(start + 14 * NS, sent=False) == []
    (beat,) = map(json.loads, client.session.idle(start + 15 * NS, sent=False))
    assert beat == [chan, "hb", 2, (start + 15 * NS) // MS]
    assert client.session.idle(start + 29 * NS, sent=False) == []
    assert len(client.session.idle(start + 30 * NS, sent=False)) == 1
