"""Live trades of Kraken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.kraken import Kraken
from dccd.records import Record, Trade
from dccd.symbols import NS, Dataset

T0 = 1696613755440295000


def stream(pair: str = "BTC-USD") -> StreamProtocol:
    return Kraken().stream(Dataset.parse(f"kraken.trades.{pair}"), StreamOptions(), Market("XXBTZUSD"))


def frame(*ids: int, second: int = 55, **fields: object) -> bytes:
    """One update with these trades."""
    trade = {"symbol": "BTC/USD", "side": "buy", "price": 1.5, "qty": 2.0, "ord_type": "limit",
             "timestamp": f"2023-10-06T17:35:{second}.440295Z"}  # fmt: skip
    data = [trade | {"trade_id": tid} | fields for tid in ids]
    return msgspec.json.encode({"channel": "trade", "type": "update", "data": data})


def tids(out: list[Record]) -> list[str | None]:
    return [trade.tid for trade in out if isinstance(trade, Trade)]


def test_subscribes() -> None:
    """One symbol, without the snapshot of trades that are stored already."""
    protocol = stream("XBT-USD")
    assert protocol.url == "wss://ws.kraken.com/v2"
    assert [msgspec.json.decode(text) for text in protocol.subscribe()] == [
        {
            "method": "subscribe",
            "params": {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": False},
            "req_id": 1,
        }
    ]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Several trades a frame, times to the nanosecond; status and heartbeats give nothing."""
    protocol, out = stream(), []
    signals = [protocol.receive(frame, 7, out) for frame in frames("kraken/trades")]
    assert signals == [None, Subscribed(), None, None, None, None]
    assert out == [
        Trade(T0, 27955.4, 0.00027625, "buy", "10218208", 7),
        Trade(T0, 27955.3, 0.0001246, "sell", "10218209", 7),
        Trade(1696613757000001000, 27955.0, 1.0, "sell", "10218210", 7),
    ]


@pytest.mark.parametrize(
    ("words", "permanent"),
    [
        ("Currency pair not supported FOO/BAR", True),
        ("Subscription depth not supported", True),
        ("Exceeded msg rate", False),
        ("Service is unavailable", False),
    ],
)
def test_refusals_are_in_krakens_words(words: str, permanent: bool) -> None:
    """An error answers the subscription; some pass, those of a wrong request don't."""
    answer = {"error": words, "method": "subscribe", "success": False, "symbol": "FOO/BAR", "req_id": 1}
    assert stream().receive(msgspec.json.encode(answer), 0, []) == Refused(words, permanent)


def test_an_error_that_names_nobody() -> None:
    """It may be another's: it ends nothing for good."""
    answer = {"error": "Event(s) not found", "method": "subscribe", "success": False}
    assert stream().receive(msgspec.json.encode(answer), 0, []) == Refused("Event(s) not found", permanent=False)


@pytest.mark.parametrize(
    "other",
    [
        b'{"channel":"heartbeat"}',
        b'{"channel":"status","type":"update","data":[{"system":"maintenance"}]}',
        b'{"method":"pong","req_id":42,"time_in":"2023-09-25T09:05:00.123456Z"}',
        b'{"method":"unsubscribe","result":{"channel":"trade"},"success":true,"req_id":9}',
        b'{"channel":"book","type":"update","data":[]}',
    ],
)
def test_what_is_not_ours(other: bytes) -> None:
    """Heartbeats, status, answers to others and other channels give nothing."""
    assert stream().receive(other, 0, []) is None


def test_other_symbols_are_not_ours() -> None:
    """Trades of another symbol on the same connection are left out."""
    out: list[Record] = []
    stream().receive(frame(1, symbol="ETH/USD"), 0, out)
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(2, price=None), frame(2, price=0), frame(2, price="nan"), frame(2, price=-1), frame(2, qty=0),
        frame(2, side="none"), frame(2, timestamp="yesterday"), frame(2, timestamp=5), frame(2, timestamp=""),
        frame(2).replace(b'"price":1.5,', b""), frame(2)[:-1], b"", b"{}", b"[]", b"null", b'{"channel":"trade"}',
        b'{"channel":"trade","type":"what","data":[]}',
        frame(2, 3).replace(b'40295Z"', b'40295"', 1), frame(2).replace(b"BTC/USD", b"BTC\xff"),
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A frame with one bad trade is a ParseError as a whole; to the next one it didn't come."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(1), 0, out)
    with pytest.raises(ParseError) as caught:
        protocol.receive(broken, 0, out)
    assert caught.value.exchange == "kraken"
    assert protocol.receive(frame(2, 3), 0, out) is None
    assert tids(out) == ["1", "2", "3"]
    assert protocol.unresolved() == []


def test_holes_late_and_twice() -> None:
    """As with Binance: late fills, twice is dropped, missing is a hole after two seconds."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(1, 4), 0, out)
    protocol.receive(frame(2, 1, 4), 0, out)
    assert tids(out) == ["1", "4", "2"]
    assert protocol.receive(frame(5), 2 * NS, out) == Broken("trade 3 is missing", T0, "none", T0 + 1)
    assert protocol.tick(10**18, out) is None


def test_unresolved() -> None:
    """What is held open when the connection ends."""
    protocol = stream()
    protocol.receive(frame(1), 0, [])
    protocol.receive(frame(3), 0, [])
    assert len(protocol.unresolved()) == 1


def test_real_message(captures: Path) -> None:
    """A real update."""
    out: list[Record] = []
    stream().receive((captures / "payloads" / "kraken" / "ws_trade_update.json").read_bytes(), 1, out)
    assert out == [
        Trade(T0, 105944.2, 0.00027625, "buy", "10218208", 1),
        Trade(1696613756123456000, 105910.5, 0.0001246, "sell", "10218209", 1),
    ]
