"""The live bars of OKX."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.okx import Okx
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
T0 = 1_696_436_700 * NS


def stream(name: str = "okx.ohlc.BTC-USDT.1m", market: Market | None = None) -> StreamProtocol:
    return Okx().stream(Dataset.parse(name), StreamOptions(), market or Market("BTC-USDT"))


def frame(
    minute: int, state: str, size: str = "1", inst: str = "BTC-USDT", values: tuple[str, ...] = ("2", "4", "1", "3")
) -> bytes:
    row = [str((T0 + minute * MINUTE) // 1_000_000), *values, size, "70", "80", state]
    return msgspec.json.encode({"arg": {"channel": "candle1m", "instId": inst}, "data": [row]})


def closed(out: list[Record]) -> list[int]:
    return [(record.ts - T0) // MINUTE for record in out if isinstance(record, Bar) and record.closed]


def test_documented_frames(frames: Callable[[str], list[bytes]]) -> None:
    """States of the open bar, then each closed one once, with the quote volume that OKX gives."""
    made = stream()
    out: list[Record] = []
    assert [made.receive(one, 5, out) for one in frames("okx/bars")] == [Subscribed(), *[None] * 5]
    assert closed(out) == [0, 1]
    assert out[1] == Bar(T0, 27541.1, 27551.5, 27541.1, 27546.0, 4.25, 117067.5, None, 5)
    assert out[0] == Bar(T0, 27541.1, 27550.0, 27541.1, 27545.5, 3.5, 96400.25, None, 5, closed=False)
    assert [(bar.close, bar.volume) for bar in out[2:] if isinstance(bar, Bar)] == [
        (27546.0, 0.1),
        (27544.0, 1.1),
        (27544.0, 0.0),
    ]


def test_contracts_have_their_volume_in_base_asset() -> None:
    """OKX gives it beside that in contracts."""
    made = stream("okx.ohlc.BTC-USDT_PERP.1m", Market("BTC-USDT-SWAP", 0.01))
    out: list[Record] = []
    made.receive(frame(0, "1", "7000", inst="BTC-USDT-SWAP"), 5, out)
    assert out == [Bar(T0, 2.0, 4.0, 1.0, 3.0, 70.0, 80.0, None, 5)]


def test_overtaken_and_twice() -> None:
    """A state that a later one overtook, and a closed bar sent again, give nothing."""
    made = stream()
    out: list[Record] = []
    for one in (frame(0, "0", "2"), frame(0, "0", "1"), frame(0, "1", "3"), frame(0, "1", "3"), frame(0, "0", "4")):
        made.receive(one, 5, out)
    assert [record.volume for record in out if isinstance(record, Bar)] == [2.0, 3.0]


def test_missing_bars() -> None:
    """Closed bars that never came are a hole, from the first one's beginning to the next one's."""
    made = stream()
    made.receive(frame(0, "1"), 5, [])
    assert made.receive(frame(1, "1"), 5, []) is None
    missing = Broken("2 closed bars are missing", T0 + 2 * MINUTE, "none", T0 + 4 * MINUTE)
    assert made.receive(frame(4, "1"), 5, []) == missing


@pytest.mark.parametrize(
    "broken",
    [
        frame(1, "2"), frame(1, ""), frame(1, "1", "-1"), frame(1, "1", "nan"),
        frame(1, "1", values=("2", "4", "1", "")),
        frame(1, "1", values=("2", "1.5", "1", "3")), frame(1, "1", values=("2", "4", "2.5", "3")),
        frame(1, "1", values=("0", "4", "0", "3")), frame(1, "1", values=("2", "4", "1")), frame(1, "1")[:-1],
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A bar whose high is none, or that lacks a price, is a ParseError."""
    made = stream()
    out: list[Record] = []
    with pytest.raises(ParseError):
        made.receive(broken, 5, out)
    assert out == []
    made.receive(frame(1, "1"), 5, out)
    assert closed(out) == [1]
