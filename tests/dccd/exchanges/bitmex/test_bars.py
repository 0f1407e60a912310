"""Live bars of BitMEX."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bitmex import Bitmex
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

T0 = 1_740_823_200 * NS
MINUTE = 60 * NS


def stream(span: str = "1m") -> StreamProtocol:
    dataset = Dataset.parse(f"bitmex.ohlc.BTC-USD_PERP.{span}")
    return Bitmex().stream(dataset, StreamOptions(), Market("XBTUSD", inverse=True))


def frame(action: str = "insert", table: str = "tradeBin1m", /, **fields: object) -> bytes:
    row = {"timestamp": "2025-03-01T10:01:00.000Z", "symbol": "XBTUSD", "open": 2.0, "high": 3.0, "low": 1.0,
           "close": 2.5, "trades": 4, "volume": 40, "homeNotional": 16.0, "foreignNotional": 40}  # fmt: skip
    return msgspec.json.encode({"table": table, "action": action, "data": [row | fields]})


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Bars by their opening times; an open beyond the high is BitMEX's; bars left out are a hole."""
    protocol, out = stream(), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("bitmex/bars")]
    hole = Broken("2 closed bars are missing", T0 + 3 * MINUTE, "none", T0 + 5 * MINUTE)
    assert signals == [None, None, Subscribed(), None, None, hole]
    assert out == [
        Bar(T0, 80000.0, 80010.0, 79990.5, 80005.0, 0.5, 40000.0, 12, 7),
        Bar(T0 + MINUTE, 80005.0, 80004.5, 80000.0, 80001.0, 0.0125, 1000.0, 3, 7),
        Bar(T0 + 2 * MINUTE, 80001.0, 80001.0, 80001.0, 80001.0, 0.0, 0.0, 0, 7),
        Bar(T0 + 5 * MINUTE, 80001.0, 80020.0, 80001.0, 80020.0, 0.00125, 100.0, 1, 7),
    ]


@pytest.mark.parametrize(("span", "table"), [("1m", "tradeBin1m"), ("5m", "tradeBin5m"), ("1h", "tradeBin1h"),
                                             ("1d", "tradeBin1d")])  # fmt: skip
def test_tables(span: str, table: str) -> None:
    """Each span has its own."""
    protocol, out = stream(span), list[Record]()
    assert protocol.topic == f"{table}:XBTUSD"
    protocol.receive(frame("partial", table, timestamp="2025-03-02T00:00:00.000Z"), 0, out)
    seconds = Dataset.parse(f"bitmex.ohlc.BTC-USD_PERP.{span}").span
    assert seconds is not None and [bar.ts for bar in out] == [1_740_873_600 * NS - seconds * NS]


def test_a_bar_that_came_before_is_dropped() -> None:
    """Each bar is given out once."""
    protocol, out = stream(), list[Record]()
    for _ in range(2):
        assert not isinstance(protocol.receive(frame("partial"), 0, out), Broken)
    assert len(out) == 1


def test_a_market_without_a_trade_has_no_bars() -> None:
    """Their prices are null."""
    protocol, out = stream(), list[Record]()
    empty: dict[str, object] = {"open": None, "high": None, "low": None, "close": None, "trades": 0, "homeNotional": 0}
    assert protocol.receive(frame("partial", **empty), 0, out) == Subscribed()
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(close=None), frame(open=None, high=None, low=None, close=None), frame(close=3.5), frame(close=0.5),
        frame(low=3.5), frame(homeNotional=None), frame(trades=-1), frame(timestamp="2025-03-01T10:01:00.001Z"),
        frame(timestamp="1970-01-01T00:00:00.000Z"), frame("update"), frame("delete"), frame()[:-2],
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """Each is a ParseError."""
    protocol, out = stream(), list[Record]()
    protocol.receive(frame("partial", timestamp="2025-03-01T10:00:00.000Z"), 0, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 0, out)
    assert protocol.receive(frame(), 0, out) is None and len(out) == 2
