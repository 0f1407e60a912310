"""Live trades of Coinbase."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.coinbase import Coinbase
from dccd.exchanges.wire import iso_ns
from dccd.records import Record, Trade
from dccd.symbols import NS, Dataset

T0 = 1_781_416_458 * NS  # 2026-06-14T05:54:18Z


def stream(pair: str = "BTC-USD") -> StreamProtocol:
    return Coinbase().stream(Dataset.parse(f"coinbase.trades.{pair}"), StreamOptions(), Market("BTC-USD"))


def frame(*ids: int, kind: str = "update", **fields: object) -> bytes:
    """One event with these trades, as they are given."""
    trade = {"product_id": "BTC-USD", "price": "1.5", "size": "2", "side": "SELL", "time": "2026-06-14T05:54:18.5Z"}
    trades = [trade | {"trade_id": str(tid)} | fields for tid in ids]
    events = [{"type": kind, "trades": trades}]
    return msgspec.json.encode({"channel": "market_trades", "timestamp": "", "sequence_num": 3, "events": events})


def tids(out: list[Record]) -> list[str | None]:
    return [trade.tid for trade in out if isinstance(trade, Trade)]


def test_subscribes() -> None:
    """One product a message, to which the topic of its frames belongs."""
    protocol = stream("CELO-USD")
    assert protocol.topic == "market_trades:CGLD-USD"
    asked = {"product_ids": ["CGLD-USD"], "channel": "market_trades"}
    assert [msgspec.json.decode(text) for text in [*protocol.subscribe(), *protocol.unsubscribe()]] == [
        {"type": "subscribe"} | asked,
        {"type": "unsubscribe"} | asked,
    ]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Oldest first, the taker's side being the other one than the wire's, times as they are written."""
    protocol, out = stream(), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("coinbase/trades")]
    assert signals == [Subscribed(), None, None, None, None]
    assert out == [
        Trade(T0 - 2 * NS, 64340.0, 1e-8, "sell", "1001", 7),
        Trade(T0 - 200_715_000, 64340.7, 0.5, "sell", "1002", 7),
        Trade(T0 - 200_715_000, 64340.74, 0.00746872, "buy", "1003", 7),
        Trade(T0 + 400_000_000, 64340.99, 0.2, None, "1004", 7),
        Trade(T0 + 500_001_000, 64341.0, 1.0, "buy", "1005", 7),
        Trade(T0 + 750_000_000, 64339.5, 0.25, "sell", "1006", 7),
    ]


def test_the_answer_confirms_too() -> None:
    """It lists all that the connection is subscribed to; one without ours is another stream's."""
    protocol = stream()
    answer = '{"channel":"subscriptions","timestamp":"","sequence_num":1,"events":[{"subscriptions":{%s}}]}'
    for other in ("", '"market_trades":["ETH-USD"]', '"level2":["BTC-USD"]'):
        assert protocol.receive((answer % other).encode(), 0, []) is None
    ours = (answer % '"level2":["ETH-USD"],"market_trades":["ETH-USD","BTC-USD"]').encode()
    assert protocol.receive(ours, 0, []) == Subscribed()
    assert protocol.receive(ours, 0, []) is None


@pytest.mark.parametrize(
    ("error", "words", "permanent"),
    [
        ({"message": "BTC-USD is not a valid product"}, "BTC-USD is not a valid product", True),
        ({"message": "no", "reason": "BTC-USD: rate limit exceeded"}, "no: BTC-USD: rate limit exceeded", False),
        ({"message": "failure to subscribe"}, "failure to subscribe", False),
        ({}, "error", False),
    ],
)
def test_refusals_are_in_coinbases_words(error: dict[str, str], words: str, permanent: bool) -> None:
    """An error that doesn't name our product may be meant for another stream, so that it isn't for good."""
    frame = msgspec.json.encode({"type": "error"} | error)
    assert stream().receive(frame, 0, []) == Refused(words, permanent)


def test_other_streams_errors_are_not_ours() -> None:
    """Neither one that names another product, nor any once our subscription stands."""
    protocol = stream()
    assert protocol.receive(b'{"type":"error","message":"ETH-USD is not a valid product"}', 0, []) is None
    protocol.receive(frame(1), 0, [])
    assert protocol.receive(b'{"type":"error","message":"failure to subscribe"}', 0, []) is None


@pytest.mark.parametrize(
    "other",
    [
        b'{"channel":"heartbeats","timestamp":"","sequence_num":2,"events":[{"heartbeat_counter":42}]}',
        b'{"channel":"l2_data","timestamp":"","sequence_num":2,"events":[]}',
        b'{"channel":"status","events":[{"type":"snapshot","products":[]}]}',
        frame(1, product_id="ETH-USD"),
    ],
)
def test_what_is_not_ours(other: bytes) -> None:
    """Heartbeats, other channels and other products give nothing, and confirm nothing."""
    out: list[Record] = []
    assert stream().receive(other, 0, out) is None
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(2, price=None), frame(2, price="0"), frame(2, price="nan"), frame(2, price=""), frame(2, size="0"),
        frame(2, side="HOLD"), frame(2, time="yesterday"), frame(2, time=5), frame(2, time=""), frame(2, trade_id=""),
        frame(2).replace(b'"price":"1.5",', b""), frame(2)[:-1], b"", b"{}", b"[]", b"null",
        b'{"channel":"market_trades"}', frame(2, kind="what"), frame(2, 3).replace(b'18.5Z"', b'18.5"', 1),
        b'{"channel":"subscriptions","events":[{"subscriptions":5}]}', frame(2).replace(b"BTC-USD", b"BTC\xff"),
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A frame with one bad trade is a ParseError as a whole; to the next one it didn't come."""
    protocol, out = stream(), list[Record]()
    protocol.receive(frame(1), 0, out)
    with pytest.raises(ParseError) as caught:
        protocol.receive(broken, 0, out)
    assert caught.value.exchange == "coinbase"
    assert protocol.receive(frame(3, 2), 0, out) is None
    assert tids(out) == ["1", "2", "3"]
    assert protocol.unresolved() == []


def test_holes_late_and_twice() -> None:
    """A snapshot in between brings some trades again and one that was missing; what stays away is a hole."""
    protocol, out = stream(), list[Record]()
    protocol.receive(frame(1, 4), 0, out)
    protocol.receive(frame(4, 2, 1, kind="snapshot"), 0, out)
    assert tids(out) == ["1", "4", "2"]
    at = T0 + 500_000_000
    assert protocol.receive(frame(5), 2 * NS, out) == Broken("trade 3 is missing", at, "none", at + 1)
    assert protocol.tick(10**18, out) is None
    protocol.receive(frame(9), 3 * NS, out)
    assert [broken.reason for broken in protocol.unresolved()] == ["trades 6 to 8 are missing"]


def test_real_message(captures: Path) -> None:
    """A real update, against another reading of the same bytes."""
    body = (captures / "payloads" / "coinbase" / "ws_market_trades.json").read_bytes()
    protocol, out = stream(), list[Record]()
    assert protocol.receive(body, 1, out) == Subscribed()
    expected = [trade for event in msgspec.json.decode(body)["events"] for trade in event["trades"]]
    assert len(out) == len(expected) == 2
    for got, trade in zip(out, expected, strict=True):
        assert isinstance(got, Trade)
        assert got.tid == trade["trade_id"] and got.ts == iso_ns(trade["time"])
        assert (Decimal(str(got.price)), Decimal(str(got.amount))) == (Decimal(trade["price"]), Decimal(trade["size"]))
        assert got.side == {"BUY": "sell", "SELL": "buy"}[trade["side"]]
    assert [trade.ts for trade in out] == [1_775_572_202_789_012_000, 1_775_572_202_800_000_000]
