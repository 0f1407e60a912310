"""Funding rates and open interest of Bybit's contracts, live."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bybit import Bybit
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import Dataset

MS = 10**6
T0 = 1696613755542


def stream(name: str = "funding") -> StreamProtocol:
    return Bybit().stream(Dataset.parse(f"bybit.{name}.BTC-USDT_PERP"), StreamOptions(), Market("BTCUSDT"))


def frame(kind: str, ts: int = T0, **data: object) -> bytes:
    return msgspec.json.encode(
        {"topic": "tickers.BTCUSDT", "type": kind, "data": {"symbol": "BTCUSDT", **data}, "cs": 1, "ts": ts}
    )


WHOLE = {"fundingRate": "0.0001", "nextFundingTime": "1696636800000", "markPrice": "27954.85", "openInterest": "5",
         "openInterestValue": "9.5"}  # fmt: skip


def test_funding(frames: Callable[[str], list[bytes]]) -> None:
    """The rate, its due time and the mark price of that moment, whenever the rate or the time changes."""
    protocol, out = stream(), []
    protocol.subscribe()
    signals = [protocol.receive(text, n, out) for n, text in enumerate(frames("bybit/funding"))]
    assert signals == [None, Subscribed(), None, None, None, None]
    due = 1696636800000 * MS
    assert out == [
        FundingRate(T0 * MS, -0.000212, 27954.85, 1, due),
        FundingRate(1696613760042 * MS, -0.0002115, 27954.9, 4, due),
        FundingRate(1696636800142 * MS, 0.0001, 27960.0, 5, 1696665600000 * MS),
    ]


def test_interest(frames: Callable[[str], list[bytes]]) -> None:
    """The open interest and its value, whenever it changes."""
    protocol, out = stream("open_interest"), []
    for n, text in enumerate(frames("bybit/interest")):
        protocol.receive(text, n, out)
    assert out == [
        OpenInterest(T0 * MS, 68744.761, 1921749476.53, 1),
        OpenInterest(1696613756042 * MS, 68745.001, 1921759623.95, 3),
    ]


def test_deltas_need_a_snapshot() -> None:
    """Before one, and again after a new subscription, a delta is of nothing that is known."""
    protocol, out = stream(), []
    assert protocol.receive(frame("delta", fundingRate="0.1"), 0, out) is None
    assert protocol.receive(frame("snapshot", **WHOLE), 0, out) == Subscribed()
    protocol.resubscribe()
    assert protocol.receive(frame("delta", fundingRate="0.1"), 0, out) is None
    assert len(out) == 1


@pytest.mark.parametrize("name", ["funding", "open_interest"])
def test_a_snapshot_that_cannot_be_read_confirms_nothing(name: str) -> None:
    """Neither does the answer: the time for the confirmation runs out, and all begins anew."""
    protocol, out = stream(name), []
    ask = msgspec.json.decode(protocol.subscribe()[0])
    answer = {"success": True, "ret_msg": "", "conn_id": "x", "req_id": ask["req_id"], "op": "subscribe"}
    assert protocol.receive(msgspec.json.encode(answer), 1, out) is None
    with pytest.raises(ParseError):
        protocol.receive(frame("snapshot", **WHOLE | {"markPrice": "-1"}), 2, out)
    assert protocol.receive(frame("delta", fundingRate="0.1", openInterest="4"), 3, out) is None
    assert out == []


def test_a_field_that_does_not_apply() -> None:
    """Before a market's first payment there is no rate, and of a dated contract there never is."""
    protocol, out = stream(), []
    assert (
        protocol.receive(frame("snapshot", **WHOLE | {"fundingRate": "", "nextFundingTime": ""}), 0, out)
        == Subscribed()
    )
    assert out == []
    protocol.receive(frame("delta", fundingRate="0.0002"), 0, out)
    assert out == [FundingRate(T0 * MS, 0.0002, 27954.85, 0, None)]


@pytest.mark.parametrize(
    "broken",
    [
        frame("snapshot", markPrice="1"), frame("delta", fundingRate="nan"), frame("delta", fundingRate="x"),
        frame("delta", fundingRate=[]), frame("delta", markPrice="0"), frame("delta", nextFundingTime="soon"),
        frame("what"), frame("delta").replace(b'"ts":', b'"t":'), frame("delta")[:-1], b"{}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["funding", "open_interest"])
def test_broken_frames_change_nothing(broken: bytes, name: str) -> None:
    """To the next frame it didn't come."""
    protocol, out = stream(name), []
    protocol.receive(frame("snapshot", **WHOLE), 0, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 0, out)
    assert protocol.receive(frame("delta", T0 + 1, openInterest="6", fundingRate="0.2"), 0, out) is None
    assert out[1:] == (
        [FundingRate((T0 + 1) * MS, 0.2, 27954.85, 0, 1696636800000 * MS)]
        if name == "funding"
        else [OpenInterest((T0 + 1) * MS, 6.0, 9.5, 0)]
    )


def test_a_missing_value_is_no_zero() -> None:
    """Open interest without its value is given without it."""
    out: list[Record] = []
    stream("open_interest").receive(frame("snapshot", openInterest="0"), 0, out)
    assert out == [OpenInterest(T0 * MS, 0.0, None, 0)]
