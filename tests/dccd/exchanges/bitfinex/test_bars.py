"""Live bars of Bitfinex."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import StreamProtocol, Subscribed
from dccd.exchanges.open_bars import GRACE
from dccd.records import Bar, Record
from dccd.symbols import NS

Make = Callable[..., StreamProtocol]
MINUTE = 60 * NS
T0 = 1_696_436_700 * NS
CHAN = 343351


@pytest.fixture
def bars(stream: Make) -> StreamProtocol:
    """Subscribed to bars of a minute, as channel 343351."""
    protocol = stream("ohlc.BTC-USD.1m")
    answer = {"event": "subscribed", "channel": "candles", "chanId": CHAN, "key": "trade:1m:tBTCUSD"}
    assert protocol.receive(msgspec.json.encode(answer), 0, []) == Subscribed()
    return protocol


def candle(minute: int, volume: object, *prices: object) -> list[object]:
    """Open, close, high, low."""
    return [T0 // 10**6 + 60_000 * minute, *(prices or (2, 3, 4, 1)), volume]


def message(content: object, chan: int = CHAN) -> bytes:
    return msgspec.json.encode([chan, content, 2, 1_696_436_701_190])


def states(out: list[Record]) -> list[tuple[int, float, bool]]:
    return [((bar.ts - T0) // MINUTE, bar.volume, bar.closed) for bar in out if isinstance(bar, Bar)]


@pytest.mark.parametrize(("span", "label"), [("1m", "1m"), ("3h", "3h"), ("1d", "1D"), ("1w", "7D"), ("2w", "14D")])
def test_subscribes(stream: Make, span: str, label: str) -> None:
    """By a key of the span, as Bitfinex calls it, and the market."""
    protocol = stream(f"ohlc.BTC-USD.{span}")
    assert protocol.topic == f"candles:trade:{label}:tBTCUSD"
    assert msgspec.json.decode(protocol.subscribe()[0]) == {
        "event": "subscribe",
        "channel": "candles",
        "key": f"trade:{label}:tBTCUSD",
        "subId": 1,
    }


def test_frames(stream: Make, frames: Callable[[str], list[bytes]]) -> None:
    """The snapshot's open bar, its further states, and, when the next one begins, the closed bar."""
    protocol, out = stream("ohlc.BTC-USD.1m"), list[Record]()
    recv_ts = T0 + 40 * NS
    for frame in frames("bitfinex/bars"):
        protocol.receive(frame, recv_ts, out)
    assert states(out) == [(0, 0.5, False), (0, 0.75, False), (0, 0.75, True), (1, 0.01, False)]
    assert out[2] == Bar(T0, 27715.0, 27718.0, 27715.0, 27718.0, 0.75, recv_ts=recv_ts)


def test_closed_bars_of_the_snapshot_are_historys(bars: StreamProtocol) -> None:
    """Only those that are open when it comes are given out, oldest first; an empty one gives none."""
    out: list[Record] = []
    bars.receive(message([]), T0, out)
    bars.receive(message([candle(1, 5), candle(0, 7), candle(-1, 9)]), T0 + MINUTE + GRACE - 1, out)
    assert states(out) == [(0, 7, False), (0, 7, True), (1, 5, False)]


def test_time_closes_a_bar(bars: StreamProtocol) -> None:
    """Some seconds after its end a bar is closed though no other has begun, and only once."""
    out: list[Record] = []
    bars.receive(message(candle(0, 5)), T0, out)
    bars.tick(T0 + MINUTE + GRACE, out)
    bars.tick(T0 + 2 * MINUTE, out)
    assert states(out) == [(0, 5, False), (0, 5, True)]


def test_other_channels_are_not_ours(bars: StreamProtocol) -> None:
    """Whatever they send."""
    out: list[Record] = []
    for frame in (message(candle(0, 1), 5), message([candle(0, 1)], 5), b'[5,"te",[1,2,3,4]]', b"[5,[1,2,-3]]"):
        assert bars.receive(frame, T0, out) is None
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        message(candle(0, 1, None, 3, 4, 1)), message(candle(0, 1, 2, 0, 4, 1)), message(candle(0, 1, 2, 3, 2.5, 1)),
        message(candle(0, 1, 2, 3, 4, 2.5)), message(candle(0, -1)), message(candle(0, "nan")),
        message(candle(0, 1)[:-1]),
        message([candle(0, 1), candle(1, 1, 2, 3, 4, None)]), message([candle(0, 1), candle(1, 1, 2, 3, 2.5, 1)]),
        message(candle(0, 1))[:-1], b"[343351]", b"[343351,null,1,1]",
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(bars: StreamProtocol, broken: bytes) -> None:
    """A bar without a price, or whose high isn't the highest, is a ParseError; so is a snapshot with one such."""
    out: list[Record] = []
    bars.receive(message(candle(0, 1)), T0, out)
    with pytest.raises(ParseError):
        bars.receive(broken, T0, out)
    bars.receive(message(candle(0, 2)), T0, out)
    assert states(out) == [(0, 1, False), (0, 2, False)]
