"""Whose a frame of a Bitfinex connection is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import MessagesLost
from dccd.exchanges.base import Router, StreamProtocol
from dccd.exchanges.bitfinex import Bitfinex
from dccd.records import Record

SUBSCRIBED = [
    (b'{"event":"subscribed","channel":"trades","chanId":17,"symbol":"tBTCUSD","pair":"BTCUSD"}', "trades:tBTCUSD"),
    (b'{"event":"subscribed","channel":"book","chanId":170,"symbol":"tDOGE:USD","len":"25"}', "book:tDOGE:USD"),
    (b'{"event":"subscribed","channel":"candles","chanId":3,"key":"trade:1m:tBTCUSD"}', "candles:trade:1m:tBTCUSD"),
]


def opened(flags: int = 229376) -> Router:
    """Three channels, with what the exchange has been asked for."""
    router = Bitfinex().router()
    assert router.route(b'{"event":"conf","status":"OK","flags":%d}' % flags) == ""
    for frame, _ in SUBSCRIBED:
        assert router.route(frame) is None
    return router


def test_asks_for_numbers_times_and_checksums() -> None:
    """32768, 65536 and 131072."""
    (frame,) = Bitfinex().router().opening()
    assert msgspec.json.decode(frame) == {"event": "conf", "flags": 32768 + 65536 + 131072}


def test_the_answer_that_numbers_begin_with() -> None:
    """Without it losses wouldn't show: an array that comes before it tells that it is missing."""
    router = Bitfinex().router()
    router.opening()
    for frame, _ in SUBSCRIBED:
        assert router.route(frame) is None
    with pytest.raises(MessagesLost, match="conf"):
        router.route(b'[17,"tu",[1,2,3,4],1,1696436701190]')
    for status in ("OK", "FAILED"):
        router = Bitfinex().router()
        router.opening()
        assert router.route(b'{"event":"conf","status":"%s"}' % status.encode()) == ("" if status == "OK" else None)
        assert router.route(b"[3,[1,2,3,4,5,6],1,1696436701190]") is None


def test_arrays_go_by_their_channel() -> None:
    """To the stream whose subscription the channel answers, its heartbeats too."""
    router = opened()
    assert router.route(b'[17,"tu",[1,2,3,4],1,1696436701190]') == "trades:tBTCUSD"
    assert router.route(b"[170,[[1,1,1]],2,1696436701190]") == "book:tDOGE:USD"
    assert router.route(b'[170,"cs",-5,3,1696436701190]') == "book:tDOGE:USD"
    assert router.route(b"[3,[1,2,3,4,5,6],4,1696436701190]") == "candles:trade:1m:tBTCUSD"
    assert router.route(b'[17,"hb",5,1696436701190]') == "trades:tBTCUSD"
    assert router.route(b'[99,"hb",6,1696436701190]') == ""
    assert router.route(b"[99,[1,2,3],7,1696436701190]") is None


@pytest.mark.parametrize(
    "name", ["trades.BTC-USD", "ohlc.BTC-USD.1m", "orderbook.BTC-USD", "open_interest.BTC-USDT_PERP"]
)
def test_heartbeats_are_their_stream_s_beat(name: str, stream: Callable[..., StreamProtocol]) -> None:
    """They say that the channel lives, and nothing else: to every kind of stream, before and after data."""
    protocol, router = stream(name), Bitfinex().router()
    (asked,) = map(msgspec.json.decode, protocol.subscribe())
    answer = msgspec.json.encode({**asked, "event": "subscribed", "chanId": 17})
    beat = b'[17,"hb",5,1696436701190]'
    assert protocol.receive(beat, 1, []) is None
    router.route(answer)
    protocol.receive(answer, 1, [])
    assert router.route(beat) == protocol.topic
    out: list[Record] = []
    assert protocol.receive(beat, 2, out) is None
    assert protocol.beat is not None and protocol.beat > 15
    assert out == []


def test_a_channel_that_has_ended() -> None:
    """Its id means nothing any more, and may come again."""
    router = opened()
    assert router.route(b'{"event":"unsubscribed","status":"OK","chanId":17}') is None
    assert router.route(b'[17,"tu",[1,2,3,4],1,1]') is None
    router.route(SUBSCRIBED[1][0].replace(b"170", b"17"))
    assert router.route(b"[17,[1,2,3],2,1]") == "book:tDOGE:USD"


def test_events() -> None:
    """Answers and errors are for all, what is said at the opening for nobody."""
    router = opened()
    assert router.route(b'{"event":"info","version":2,"platform":{"status":1}}') == ""
    assert router.route(b'{"event":"pong","ts":1,"cid":1}') == ""
    assert router.route(b'{"event":"info","code":20051,"msg":"restart"}') is None
    assert router.route(b'{"event":"error","msg":"symbol: invalid","code":10300}') is None
    assert router.route(b'{"event":"conf","status":"FAILED"}') is None


@pytest.mark.parametrize(
    ("flags", "tail"), [(229376, b",%d,1696436701190]"), (65536, b",%d]"), (196608, b",%d]"), (98304, b",%d,1]")]
)
def test_a_jump_of_the_numbers_is_a_loss(flags: int, tail: bytes) -> None:
    """Whichever channel it is of; heartbeats and checksums are numbered too; the first one is 1."""
    router = opened(flags)
    assert router.route(b"[17,[]" + tail % 1) == "trades:tBTCUSD"
    assert router.route(b'[170,"cs",890884919' + tail % 2) == "book:tDOGE:USD"
    assert router.route(b'[3,"hb"' + tail % 3) == "candles:trade:1m:tBTCUSD"
    with pytest.raises(MessagesLost, match="4 to 5 of the connection"):
        router.route(b"[17,[1,2,3,4,5,6]" + tail % 6)
    with pytest.raises(MessagesLost, match="1 to 1 of"):
        opened(flags).route(b"[17,[]" + tail % 2)


def test_a_message_that_comes_twice_is_for_nobody() -> None:
    """Its number was there before."""
    router = opened()
    frame = b'[17,"tu",[1,2,3,4],1,1696436701190]'
    assert [router.route(frame), router.route(frame)] == ["trades:tBTCUSD", ""]
    assert router.route(frame.replace(b",1,", b",2,")) == "trades:tBTCUSD"


def test_a_damaged_message_is_a_loss() -> None:
    """Its number can't be read: the next one shows that it is missing."""
    for damaged in (b'[17,"tu",[1,2,', b"[17", b"[", b"[17]", b'[17,"tu",[1,2,3,4],true,1]'):
        router = opened()
        assert router.route(damaged) in ("trades:tBTCUSD", None)
        with pytest.raises(MessagesLost):
            router.route(b'[17,"tu",[1,2,3,4],2,1696436701190]')


def test_without_numbers_there_is_no_loss() -> None:
    """As when the exchange doesn't give them."""
    router = opened(0)
    assert router.route(b'[17,"tu",[1,2,3,4]]') == "trades:tBTCUSD"
    assert router.route(b"[170,[1,2,300]]") == "book:tDOGE:USD"


@given(st.one_of(st.binary(max_size=60), st.sampled_from([b"[17," + b"9" * 5000 + b",1]", b"{" * 5000])))
def test_any_bytes(frame: bytes) -> None:
    """Give a topic, nobody, all, or a loss."""
    try:
        assert isinstance(opened().route(frame), str | None)
    except MessagesLost:
        pass
