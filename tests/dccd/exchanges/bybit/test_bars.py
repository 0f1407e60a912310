"""Live bars of Bybit."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bybit import Bybit
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
T0 = 1696613700 * NS


def stream(span: str = "1m") -> StreamProtocol:
    return Bybit().stream(Dataset.parse(f"bybit.ohlc.BTC-USDT.{span}"), StreamOptions(), Market("BTCUSDT"))


def data(minute: int, volume: float, confirm: bool = False, **fields: object) -> dict[str, object]:
    """The state of the bar that opens *minute* minutes after T0."""
    start = (T0 + minute * MINUTE) // 10**6
    bar = {"start": start, "end": start + 59_999, "interval": "1", "open": "2", "high": "4", "low": "1", "close": "3",
           "volume": str(volume), "turnover": str(2 * volume), "confirm": confirm, "timestamp": start}  # fmt: skip
    return bar | fields


def frame(*bars: dict[str, object], topic: str = "kline.1.BTCUSDT") -> bytes:
    return msgspec.json.encode({"topic": topic, "data": bars, "ts": 1, "type": "snapshot"})


def states(out: list[Record]) -> list[tuple[int, float, bool]]:
    return [((bar.ts - T0) // MINUTE, bar.volume, bar.closed) for bar in out if isinstance(bar, Bar)]


@pytest.mark.parametrize(("span", "name"), [("1m", "1"), ("4h", "240"), ("12h", "720"), ("1d", "D"), ("1w", "W")])
def test_subscribes(span: str, name: str) -> None:
    """The interval as Bybit writes it."""
    (text,) = stream(span).subscribe()
    assert msgspec.json.decode(text)["args"] == [f"kline.{name}.BTCUSDT"]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """States of a bar, then the closed one, with its turnover; an empty bar is one."""
    protocol, out = stream(), []
    protocol.subscribe()
    assert [protocol.receive(text, 9, out) for text in frames("bybit/bars")] == [Subscribed(), None, None, None]
    assert states(out) == [(0, 12.034, False), (0, 13.285, True), (1, 0.0, False)]
    assert out[1] == Bar(T0, 27950.0, 27956.1, 27949.5, 27955.0, 13.285, 371372.1004, None, 9)


def test_each_closed_bar_once() -> None:
    """What comes of a bar after it was closed, and states overtaken by later ones, are dropped."""
    protocol, out = stream(), []
    protocol.receive(frame(data(0, 2)), 0, out)
    protocol.receive(frame(data(0, 1)), 0, out)
    protocol.receive(frame(data(0, 3, True), data(1, 0)), 0, out)
    protocol.receive(frame(data(0, 3, True)), 0, out)
    protocol.receive(frame(data(0, 4)), 0, out)
    assert states(out) == [(0, 2.0, False), (0, 3.0, True), (1, 0.0, False)]


def test_missing_bars_are_told() -> None:
    """A closed bar that isn't the next one leaves a hole, which ends where it begins."""
    protocol, out = stream(), []
    protocol.receive(frame(data(0, 2, True)), 0, out)
    signal = protocol.receive(frame(data(3, 2, True)), 0, out)
    assert signal == Broken("2 closed bars are missing", T0 + MINUTE, "none", T0 + 3 * MINUTE)


def test_other_topics_are_not_ours() -> None:
    """Bars of another span or symbol are left out: a bar doesn't name its symbol."""
    protocol, out = stream(), []
    for topic in ("kline.5.BTCUSDT", "kline.1.ETHUSDT"):
        assert protocol.receive(frame(data(0, 1), topic=topic), 0, out) is None
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(data(1, 1), data(2, 1, high="1")), frame(data(1, 1, low="3.5")), frame(data(1, 1, close="0")),
        frame(data(1, -1)), frame(data(1, 1, confirm="maybe")), frame(data(1, 1, open=None)),
        frame(data(1, 1)).replace(b'"turnover":"2",', b""), frame(data(1, 1, start=-1)), frame(data(1, 1))[:-1], b"[]",
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A frame with one bad bar is a ParseError as a whole."""
    protocol, out = stream(), []
    protocol.receive(frame(data(0, 5, True)), 0, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 0, out)
    assert protocol.receive(frame(data(1, 0.5)), 0, out) is None
    assert states(out) == [(0, 5.0, True), (1, 0.5, False)]


def test_real_message(captures: Path) -> None:
    """A real state of a bar of five minutes."""
    body = (captures / "payloads" / "bybit" / "ws_kline.json").read_bytes()
    out: list[Record] = []
    stream("5m").receive(body, 1, out)
    (one,) = json.loads(body)["data"]
    values = [float(Decimal(one[name])) for name in ("open", "high", "low", "close", "volume", "turnover")]
    assert out == [Bar(one["start"] * 10**6, *values, None, 1, closed=False)]
