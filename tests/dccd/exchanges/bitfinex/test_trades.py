"""Live trades of Bitfinex."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import StreamProtocol, Subscribed
from dccd.records import Record, Trade

Make = Callable[..., StreamProtocol]
T0 = 1_696_436_701_123_000_000
CHAN = 19111


@pytest.fixture
def trades(stream: Make) -> StreamProtocol:
    """Subscribed, as channel 19111."""
    protocol = stream("trades.BTC-USD")
    protocol.subscribe()
    answer = {"event": "subscribed", "channel": "trades", "chanId": CHAN, "symbol": "tBTCUSD", "pair": "BTCUSD"}
    assert protocol.receive(msgspec.json.encode(answer), 0, []) == Subscribed()
    return protocol


def message(*trade: object, kind: object = "tu", chan: object = CHAN) -> bytes:
    return msgspec.json.encode([chan, kind, trade, 2, 1_696_436_701_190])


def test_subscribes(stream: Make) -> None:
    """The answer will repeat the id, which is of the stream's lane."""
    protocol = stream("trades.BTC-USD")
    protocol.lane = 3
    assert (protocol.url, protocol.topic) == ("wss://api-pub.bitfinex.com/ws/2", "trades:tBTCUSD")
    (request,) = protocol.subscribe()
    assert msgspec.json.decode(request) == {
        "event": "subscribe",
        "channel": "trades",
        "symbol": "tBTCUSD",
        "subId": 3,
    }


def test_frames(stream: Make, frames: Callable[[str], list[bytes]]) -> None:
    """Each trade once, as it was written down; the snapshot, heartbeats and events give nothing."""
    protocol, out = stream("trades.BTC-USD"), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("bitfinex/trades")]
    assert signals == [None, None, Subscribed(), *[None] * 8]
    assert out == [
        Trade(T0, 27955.4, 0.00027625, "buy", "1494734170", 7),
        Trade(T0, 27955.5, 0.5, "buy", "1494734171", 7),
        Trade(1_696_436_717_001_000_000, 27955.0, 1.0, "sell", "1494734188", 7),
    ]


def test_ids_that_jump_are_normal(trades: StreamProtocol) -> None:
    """They count all markets' trades."""
    for tid in (5, 900):
        assert trades.receive(message(tid, 1, 1, 1), 0, []) is None
    assert trades.tick(10**19, []) is None
    assert trades.unresolved() == []


def test_other_channels_are_not_ours(trades: StreamProtocol) -> None:
    """Whatever they send."""
    out: list[Record] = []
    for frame in (
        message(1, 1, 1, 1, chan=5),
        b"[5,[7254.5,0,1],2,1]",
        b"[5,[[7254.5,1,1],[7255,1,-1]],2,1]",
        b'[5,"cs",-1,2,1]',
        b'[5,"hb",2]',
    ):
        assert trades.receive(frame, 0, out) is None
    assert out == []


def test_newer_fields_at_the_end_do_not_matter(trades: StreamProtocol) -> None:
    """ "New fields may be appended at the end of a message"."""
    out: list[Record] = []
    trades.receive(b'[19111,"tu",[1,2,0.5,3,"new"],4,5,"new"]', 0, out)
    assert out == [Trade(2_000_000, 3.0, 0.5, "buy", "1", 0)]


@pytest.mark.parametrize(
    "broken",
    [
        message(2, 1, 1, None), message(2, 1, 1, 0), message(2, 1, 1, -3), message(2, 1, 1), message(2, 1, 0, 5),
        message(2, 1, "x", 5), message(2, 1, "nan", 5), message(2, 1, 1, "inf"), message(-1, 1, 1, 1),
        message(2, "x", 1, 1), message(2, 10**15, 1, 1), message(2, 1, 1, 1, kind="xy"), message(2, 1, 1, 1)[:-1],
        message(2, 1, 1, 1, kind="te").replace(b"1]", b"null]"), b"", b"{}", b"[]", b"null", b"[19111]", b'"',
        b"[19111,[[1,2,3,null]],1]", b"[19111,[[1,2,3,4],5],1]", b'[19111,"tu"]', b"\xff", b"[" * 2000,
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(trades: StreamProtocol, broken: bytes) -> None:
    """A trade without a price is a ParseError; to the next one it didn't come."""
    out: list[Record] = []
    with pytest.raises(ParseError) as caught:
        trades.receive(broken, 0, out)
    assert caught.value.exchange == "bitfinex"
    assert out == []
    assert trades.receive(message(3, 1, 1, 1), 0, out) is None
    assert len(out) == 1
