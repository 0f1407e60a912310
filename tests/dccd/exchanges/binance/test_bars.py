"""Live bars of Binance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.binance import Binance
from dccd.records import Bar, Record
from dccd.symbols import Dataset

MS = 1_000_000
MINUTE = 60_000


def stream() -> StreamProtocol:
    return Binance().stream(Dataset.parse("binance.ohlc.BTC-USDT.1m"), StreamOptions(), Market("BTCUSDT"))


def frame(ms: int, closed: bool, trades: int = 1, **fields: object) -> bytes:
    """One kline."""
    kline = {"t": ms, "s": "BTCUSDT", "i": "1m", "o": "2", "c": "3", "h": "4", "l": "1", "v": "5", "n": trades,
             "x": closed, "q": "15"}  # fmt: skip
    return msgspec.json.encode({"e": "kline", "E": ms, "s": "BTCUSDT", "k": kline | fields})


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Open and closed bars with quote volume and trade count."""
    protocol, out = stream(), []
    assert [protocol.receive(frame, 7, out) for frame in frames("binance/bars")] == [Subscribed(), *[None] * 4]
    assert [(bar.ts // MS, bar.closed) for bar in out] == [
        (1672515780000, False), (1672515780000, True), (1672515840000, False), (1672515840000, True),
    ]  # fmt: skip
    assert out[1] == Bar(1672515780000 * MS, 16541.25, 16543.0, 16540.99, 16542.0, 3.2, 52933.9, 5, 7)


def test_subscribes() -> None:
    """The interval is in the stream's name."""
    assert "btcusdt@kline_1m" in stream().subscribe()[0]
    weekly = Binance().stream(Dataset.parse("binance.ohlc.BTC-USDT.1w"), StreamOptions(), Market("BTCUSDT"))
    assert "btcusdt@kline_1w" in weekly.subscribe()[0]


def test_each_bar_closes_once() -> None:
    """A closed bar sent again, or an open state of it that comes late, gives nothing."""
    protocol = stream()
    out: list[Record] = []
    for state in (frame(0, True), frame(0, True), frame(0, False), frame(MINUTE, False, 5), frame(MINUTE, False, 4)):
        protocol.receive(state, 0, out)
    assert [(bar.ts, bar.closed) for bar in out if isinstance(bar, Bar)] == [(0, True), (MINUTE * MS, False)]


def test_a_closed_bar_that_did_not_come_is_a_hole() -> None:
    """From the first missing bar to the next closed one."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(0, True), 0, out)
    assert protocol.receive(frame(3 * MINUTE, True), 0, out) == Broken(
        "2 closed bars are missing", MINUTE * MS, "none", 3 * MINUTE * MS
    )
    assert len(out) == 2


@pytest.mark.parametrize(
    "broken",
    [
        frame(0, True, o=None), frame(0, True, h="0.5"), frame(0, True, l="3.5"), frame(0, True, c="nan"),
        frame(0, True, v="-1"), frame(0, True, n=-1), frame(0, True, x=None), frame(-1, True), frame(0, True, t=None),
        b'{"e":"kline","s":"BTCUSDT","k":{}}',
    ],
)  # fmt: skip
def test_broken_frames(broken: bytes) -> None:
    """A bar without a price, or whose high isn't the highest, is a ParseError."""
    out: list[Record] = []
    with pytest.raises(ParseError):
        stream().receive(broken, 0, out)
    assert out == []


def test_another_interval() -> None:
    """Bars of another interval on the same connection aren't ours."""
    out: list[Record] = []
    stream().receive(frame(0, True, i="5m"), 0, out)
    assert out == []


def test_recording(captures: Path) -> None:
    """Each recorded kline is a bar."""
    found = 0
    lines = (captures / "frames" / "binance.tsv").read_text().splitlines()
    for pair in ("NKN-USDT", "LRC-BTC", "BLZ-ETH"):
        protocol = Binance().stream(
            Dataset.parse(f"binance.ohlc.{pair}.1m"), StreamOptions(), Market(pair.replace("-", ""))
        )
        name = pair.replace("-", "").lower() + "@kline_1m"
        out: list[Record] = []
        expected = []
        for line in lines:
            text = line.split("\t")[2]
            protocol.receive(text.encode(), 0, out)
            wrapped = msgspec.json.decode(text)
            if wrapped["stream"] == name:
                k = wrapped["data"]["k"]
                prices = [float(k[key]) for key in "ohlcvq"]
                expected.append(Bar(k["t"] * MS, *prices, trades=k["n"], recv_ts=0, closed=k["x"]))
        assert out == expected
        found += len(out)
    assert found == 2
