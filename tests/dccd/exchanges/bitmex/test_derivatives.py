"""Announced funding rates and open interest of BitMEX."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bitmex import Bitmex
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import NS, Dataset

T0 = 1_740_823_200 * NS
HOUR = 3600 * NS
ACKS: list[None] = [None, None, None]
INVERSE = Market("XBTUSD", inverse=True)


def stream(data_type: str, market: Market = INVERSE, symbol: str = "BTC-USD_PERP") -> StreamProtocol:
    return Bitmex().stream(Dataset.parse(f"bitmex.{data_type}.{symbol}"), StreamOptions(), market)


def frame(action: str = "update", **fields: object) -> bytes:
    row = {"symbol": "XBTUSDT", "timestamp": "2025-03-01T10:00:00.000Z"} | fields
    return msgspec.json.encode({"table": "instrument", "action": action, "data": [row]})


def test_funding(frames: Callable[[str], list[bytes]]) -> None:
    """The rate of the next payment whenever that changes, with the mark price of then."""
    protocol, out = stream("funding"), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("bitmex/instrument")]
    assert signals == [*ACKS, Subscribed(), None, None, None, None]
    assert out == [
        FundingRate(T0 + NS // 2, 0.0001, 80000.0, 7, T0 + 2 * HOUR),
        FundingRate(T0 + 2 * HOUR, 0.0003, 64000.0, 7, T0 + 10 * HOUR),
    ]


def test_open_interest(frames: Callable[[str], list[bytes]]) -> None:
    """In base asset at the mark price, worth 1 USD a contract; prices alone are no change, nor is the same again."""
    protocol, out = stream("open_interest"), list[Record]()
    for one in frames("bitmex/instrument"):
        protocol.receive(one, 7, out)
    assert out == [
        OpenInterest(T0 + NS // 2, 5.0, 400000.0, 7),
        OpenInterest(T0 + 6 * NS, 10.0, 640000.0, 7),
    ]


@pytest.mark.parametrize(("settle", "value"), [("USDt", 320.5), ("XBt", None), ("Gwei", None), (None, None)])
def test_value_of_a_linear_contract(settle: str | None, value: float | None) -> None:
    """BitMEX's openValue, if that is in the quote asset; else null."""
    protocol, out = stream("open_interest", Market("XBTUSDT", 1e-6), "BTC-USDT_PERP"), list[Record]()
    fields = {"openInterest": 4000, "openValue": 320_500_000, "settlCurrency": settle}
    assert protocol.receive(frame("partial", **fields), 3, out) == Subscribed()
    assert out == [OpenInterest(T0, 0.004, value, 3)]


def test_what_is_missing_is_not_made_up() -> None:
    """Without an open interest, a mark price to convert it by, or a rate, there is no record."""
    for data_type, fields in (
        ("open_interest", {"openValue": 5}),
        ("funding", {"fundingTimestamp": "2025-03-01T12:00:00.000Z", "fundingRate": None}),
    ):
        protocol, out = stream(data_type, Market("XBTUSDT", 1e-6), "BTC-USDT_PERP"), list[Record]()
        protocol.receive(frame("partial", **fields), 0, out)
        assert out == []
    out = []
    stream("open_interest", Market("XBTUSDT", inverse=True)).receive(frame("partial", openInterest=5), 0, out)
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(fundingRate="nan"), frame(fundingRate=1100), frame(markPrice=0), frame(timestamp="now", fundingRate=0.1),
        frame(fundingTimestamp="soon"), frame(openInterest=-1), frame(fundingRate=0.1)[:-1],
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """Each is a ParseError, and the row is as before."""
    protocol, out = stream("funding", Market("XBTUSDT", 1e-6), "BTC-USDT_PERP"), list[Record]()
    protocol.receive(frame("partial", fundingRate=0.1, markPrice=5), 0, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 0, out)
    protocol.receive(frame(fundingRate=0.2), 0, out)
    assert out == [FundingRate(T0, 0.1, 5.0, 0), FundingRate(T0, 0.2, 5.0, 0)]


def test_a_new_mark_price_is_no_new_open_interest() -> None:
    """Inverse contracts are then another amount of base asset; a record comes when their number changes."""
    protocol, out = stream("open_interest", Market("XBTUSDT", inverse=True)), list[Record]()
    protocol.receive(frame("partial", openInterest=100, markPrice=50), 0, out)
    protocol.receive(frame(openInterest=100, markPrice=40), 0, out)
    with pytest.raises(ParseError, match="no amount"):
        protocol.receive(frame(openInterest=7, markPrice=1e-307), 0, out)
    protocol.receive(frame(openInterest=120), 0, out)
    assert out == [OpenInterest(T0, 2.0, 100.0, 0), OpenInterest(T0, 3.0, 120.0, 0)]
