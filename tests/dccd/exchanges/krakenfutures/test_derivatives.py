"""Live funding rates and open interest of Kraken Futures."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import Dataset

MS = 10**6
T0 = 1731715200406
HOUR = 3_600_000
DUE = 1731718800000


def stream(kind: str, market: Market = Market("PF_XBTUSD"), symbol: str = "BTC-USD_PERP") -> StreamProtocol:  # noqa: B008  # frozen
    return KrakenFutures().stream(Dataset.parse(f"krakenfutures.{kind}.{symbol}"), StreamOptions(), market)


def frame(**fields: object) -> bytes:
    whole = {"time": T0, "product_id": "PF_XBTUSD", "feed": "ticker", "next_funding_rate_time": DUE, "markPrice": 50000}
    rates = {"relative_funding_rate": 0.00001, "funding_rate": 0.5, "openInterest": 2000}
    return msgspec.json.encode(whole | rates | fields)


def test_funding(frames: Callable[[str], list[bytes]]) -> None:
    """The fraction per hour and until when it is paid, whenever they change; both rates left out mean none is paid."""
    protocol, out = stream("funding"), list[Record]()
    assert protocol.subscribe() == ['{"event":"subscribe","feed":"ticker","product_ids":["PF_XBTUSD"]}']
    signals = [protocol.receive(text, n, out) for n, text in enumerate(frames("krakenfutures/funding"))]
    assert signals == [Subscribed(), None, None, None, None]
    assert out == [
        FundingRate(T0 * MS, 0.000010023, 91069.313, 1, DUE * MS),
        FundingRate((T0 + HOUR) * MS, -0.0000044, 91045.2, 3, (DUE + HOUR) * MS),
        FundingRate((T0 + 2 * HOUR) * MS, 0.0, 91045.3, 4, (DUE + 2 * HOUR) * MS),
    ]


def test_open_interest(frames: Callable[[str], list[bytes]]) -> None:
    """In base asset, whenever it changes."""
    protocol, out = stream("open_interest"), list[Record]()
    for n, text in enumerate(frames("krakenfutures/interest")):
        protocol.receive(text, n, out)
    assert out == [
        OpenInterest(T0 * MS, 2013.4417, None, 1),
        OpenInterest((T0 + 1000) * MS, 2013.5421, None, 2),
        OpenInterest((T0 + HOUR) * MS, 2010.0, None, 3),
    ]


def test_open_interest_in_dollars() -> None:
    """Contracts of a dollar are their value, and at the mark price so much base asset."""
    protocol, out = stream("open_interest", Market("PF_XBTUSD", inverse=True)), list[Record]()
    protocol.receive(frame(openInterest=100000), 3, out)
    assert out == [OpenInterest(T0 * MS, 2.0, 100000.0, 3)]
    with pytest.raises(ParseError):
        protocol.receive(frame(markPrice=None), 3, out)


def test_a_new_mark_price_is_no_new_open_interest() -> None:
    """Inverse contracts are another amount of base asset each second; a record comes when their number changes."""
    protocol = stream("open_interest", Market("PI_XBTUSD", inverse=True))
    out: list[Record] = []
    for mark, interest in ((50_000, 100_000), (40_000, 100_000), (40_000, 200_000)):
        protocol.receive(frame(product_id="PI_XBTUSD", openInterest=interest, markPrice=mark), 3, out)
    assert out == [OpenInterest(T0 * MS, 2.0, 100_000.0, 3), OpenInterest(T0 * MS, 5.0, 200_000.0, 3)]
    with pytest.raises(ParseError, match="no amount"):
        protocol.receive(frame(product_id="PI_XBTUSD", openInterest=7, markPrice=1e-307), 3, out)


def test_open_interest_of_a_dated_contract() -> None:
    """Its ticker has no rates."""
    out: list[Record] = []
    dated = frame(relative_funding_rate=None, funding_rate=None, next_funding_rate_time=None)
    stream("open_interest", symbol="BTC-USD_QUARTER").receive(dated, 3, out)
    assert out == [OpenInterest(T0 * MS, 2000.0, None, 3)]


@pytest.mark.parametrize(
    "fields",
    [
        {"relative_funding_rate": None},
        {"relative_funding_rate": None, "funding_rate": None, "next_funding_rate_time": None},
        {"relative_funding_rate": 2000},
        {"markPrice": 0},
        {"time": None},
    ],
)
def test_what_is_no_rate(fields: dict[str, object]) -> None:
    """A rate that is missing is 0 only where Kraken leaves out the other one, too."""
    protocol, out = stream("funding"), list[Record]()
    with pytest.raises(ParseError):
        protocol.receive(frame(**fields), 3, out)
    assert not out


def test_no_open_interest() -> None:
    """Nothing is made up."""
    with pytest.raises(ParseError):
        stream("open_interest").receive(frame(openInterest=None), 3, [])


@pytest.mark.parametrize("kind", ["funding", "open_interest"])
def test_older_than_the_last_one(kind: str) -> None:
    """It was overtaken."""
    protocol, out = stream(kind), list[Record]()
    protocol.receive(frame(), 3, out)
    protocol.receive(frame(time=T0 - 1, relative_funding_rate=0.1, openInterest=7), 3, out)
    assert len(out) == 1
