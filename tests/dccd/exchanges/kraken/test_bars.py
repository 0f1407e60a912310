"""Live bars of Kraken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol
from dccd.exchanges.kraken import Kraken
from dccd.exchanges.open_bars import GRACE
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
T0 = 1696436700 * NS
"""2023-10-04T16:25."""


def stream() -> StreamProtocol:
    return Kraken().stream(Dataset.parse("kraken.ohlc.BTC-USD.1m"), StreamOptions(), Market("XXBTZUSD"))


def frame(minute: int, trades: int, kind: str = "update", **fields: object) -> bytes:
    """The state of the bar that opens *minute* minutes after T0."""
    bar = {"symbol": "BTC/USD", "open": 2, "high": 4, "low": 1, "close": 3, "trades": trades, "volume": trades / 10,
           "vwap": 2.5, "interval_begin": f"2023-10-04T16:{25 + minute}:00.000000000Z", "interval": 1}  # fmt: skip
    return msgspec.json.encode({"channel": "ohlc", "type": kind, "data": [bar | fields]})


def states(out: list[Record]) -> list[tuple[int, int | None, bool]]:
    return [((bar.ts - T0) // MINUTE, bar.trades, bar.closed) for bar in out if isinstance(bar, Bar)]


def test_subscribes() -> None:
    """The interval in minutes, with the snapshot."""
    params = msgspec.json.decode(stream().subscribe()[0])["params"]
    assert params == {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1, "snapshot": True}


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """The snapshot's open bar, its further states, and, when the next one begins, the closed bar."""
    protocol, out = stream(), []
    recv_ts = T0 + 40 * NS
    for text in frames("kraken/bars"):
        protocol.receive(text, recv_ts, out)
    assert states(out) == [(0, 7, False), (0, 9, False), (0, 9, True), (1, 1, False)]
    assert out[2] == Bar(T0, 27715.0, 27718.0, 27715.0, 27718.0, 0.75, None, 9, recv_ts)


def test_time_closes_a_bar() -> None:
    """Some seconds after its end a bar is closed though no other has begun, and only once."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(0, 5), T0, out)
    protocol.tick(T0 + MINUTE + GRACE - 1, out)
    assert len(out) == 1
    protocol.tick(T0 + MINUTE + GRACE, out)
    protocol.tick(T0 + 2 * MINUTE, out)
    protocol.receive(frame(2, 1), T0 + 2 * MINUTE, out)
    assert states(out) == [(0, 5, False), (0, 5, True), (2, 1, False)]


def test_a_trade_that_comes_very_late_corrects_its_bar() -> None:
    """The closed bar is given out again with the trade in it; an older state of it is not."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(0, 5), T0, out)
    protocol.tick(T0 + 2 * MINUTE, out)
    protocol.receive(frame(0, 4), T0, out)
    protocol.receive(frame(0, 5), T0, out)
    assert len(out) == 2
    protocol.receive(frame(0, 6), T0, out)
    assert states(out)[2:] == [(0, 6, True)]


def test_overtaken_states_are_dropped() -> None:
    """A state with fewer trades than the last one is older."""
    protocol = stream()
    out: list[Record] = []
    for minute, trades in ((0, 5), (0, 4), (1, 1), (0, 5), (0, 3)):
        protocol.receive(frame(minute, trades), T0, out)
    assert states(out) == [(0, 5, False), (0, 5, True), (1, 1, False)]


def test_closed_bars_of_the_snapshot_are_historys() -> None:
    """Only the bar that is open when the snapshot comes is given out."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(0, 5, "snapshot"), T0 + MINUTE + GRACE, out)
    assert out == []
    protocol.receive(frame(1, 5, "snapshot"), T0 + MINUTE + GRACE, out)
    assert states(out) == [(1, 5, False)]


@pytest.mark.parametrize(
    "broken",
    [
        frame(0, 1, open=None), frame(0, 1, open=0), frame(0, 1, high=0.5), frame(0, 1, low=3.5), frame(0, -1),
        frame(0, 1, interval_begin="now"), frame(0, 1, volume=-1), frame(0, 1, close="nan"), frame(0, 1)[:-1],
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A bar without a price, or whose high isn't the highest, is a ParseError."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(0, 1), T0, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, T0, out)
    protocol.receive(frame(0, 2), T0, out)
    assert states(out) == [(0, 1, False), (0, 2, False)]


def test_other_intervals_and_symbols() -> None:
    """Aren't ours."""
    out: list[Record] = []
    stream().receive(frame(0, 1, interval=5), T0, out)
    stream().receive(frame(0, 1, symbol="ETH/USD"), T0, out)
    assert out == []


def test_real_message(captures: Path) -> None:
    """A real update."""
    out: list[Record] = []
    stream().receive((captures / "payloads" / "kraken" / "ws_ohlc_update.json").read_bytes(), 1, out)
    assert out == [Bar(T0, 106038.2, 106044.3, 106038.1, 106040.1, 30927.68066226, None, 12, 1, closed=False)]
