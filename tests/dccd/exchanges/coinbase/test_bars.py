"""Live bars of Coinbase."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.coinbase import Coinbase
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

T0 = 1_696_436_700 * NS  # 2023-10-04T16:25:00Z


def stream(span: str = "5m") -> StreamProtocol:
    return Coinbase().stream(Dataset.parse(f"coinbase.ohlc.BTC-USD.{span}"), StreamOptions(), Market("BTC-USD"))


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """The open bar goes on from its snapshot, and is closed when the next one begins, though that comes first."""
    protocol, out = stream(), list[Record]()
    now = [T0 + n * NS for n in (30, 31, 299, 301)]
    signals = [protocol.receive(frame, at, out) for frame, at in zip(frames("coinbase/bars"), now, strict=True)]
    assert signals == [Subscribed(), None, None, None]
    closed = Bar(T0, 10, 12, 9, 11.75, 4.25, recv_ts=now[3], closed=False)
    following = Bar(T0 + 300 * NS, 11.75, 11.75, 11.75, 11.75, 0.1, recv_ts=now[3], closed=False)
    assert out == [
        Bar(T0, 10, 12, 9, 11, 3.5, recv_ts=now[0], closed=False),
        Bar(T0, 10, 12, 9, 11.5, 4, recv_ts=now[2], closed=False),
        closed,
        msgspec.structs.replace(closed, closed=True),
        following,
    ]
    out.clear()
    assert protocol.tick(T0 + 603 * NS, out) is None
    assert out == [msgspec.structs.replace(following, closed=True)]


def test_only_five_minutes() -> None:
    """Other spans are refused, with the one that there is."""
    with pytest.raises(NoCapability, match="it has 5m"):
        stream("1m")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("open", "0"), ("high", ""), ("low", None), ("close", "nan"), ("volume", "-1"), ("high", "8"), ("low", "13"),
        ("start", "soon"), ("start", "99999999999"), ("product_id", 5),
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(frames: Callable[[str], list[bytes]], field: str, value: object) -> None:
    """A missing price is no 0, and a high below the low no bar."""
    protocol, out = stream(), list[Record]()
    good = frames("coinbase/bars")[2]
    broken = msgspec.json.decode(good)
    broken["events"][0]["candles"][0][field] = value
    with pytest.raises(ParseError):
        protocol.receive(msgspec.json.encode(broken), T0, out)
    assert out == []
    protocol.receive(good, T0, out)
    assert len(out) == 1


def test_real_message(captures: Path) -> None:
    """A real update."""
    out: list[Record] = []
    body = (captures / "payloads" / "coinbase" / "ws_candles.json").read_bytes()
    assert stream().receive(body, 5, out) == Subscribed()
    (candle,) = msgspec.json.decode(body)["events"][0]["candles"]
    values = (float(candle[name]) for name in ("open", "high", "low", "close", "volume"))
    assert out == [Bar(1_775_521_800 * NS, *values, recv_ts=5, closed=False)]
    assert int(candle["start"]) == 1_775_521_800 and float(candle["close"]) == 68920.5
