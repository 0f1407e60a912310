"""The open interest of Bitfinex's perpetuals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import Market, PageRequest, StreamProtocol, Subscribed
from dccd.exchanges.bitfinex import Bitfinex
from dccd.records import OpenInterest, Record
from dccd.symbols import NS, Dataset

Make = Callable[..., StreamProtocol]
MS = 1_000_000
T0 = 1_696_436_740_000 * MS
NAME = "bitfinex.open_interest.BTC-USDT_PERP"


def state(ms: int, interest: object) -> list[object]:
    return [
        ms,
        None,
        2,
        3,
        None,
        4,
        None,
        5,
        6,
        7,
        None,
        8,
        None,
        None,
        9,
        None,
        None,
        interest,
        None,
        None,
        None,
        1,
        1,
    ]


def test_subscribes(stream: Make) -> None:
    """By a key of the contract."""
    protocol = stream("open_interest.BTC-USDT_PERP")
    assert protocol.topic == "status:deriv:tBTCF0:USTF0"
    request = msgspec.json.decode(protocol.subscribe()[0])
    assert (request["channel"], request["key"]) == ("status", "deriv:tBTCF0:USTF0")


def test_frames(stream: Make, frames: Callable[[str], list[bytes]]) -> None:
    """Each new value once, in base asset, at the exchange's time."""
    protocol, out = stream("open_interest.BTC-USDT_PERP"), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("bitfinex/interest")]
    assert signals == [None, None, Subscribed(), *[None] * 4]
    assert out == [
        OpenInterest(T0, 9636.07644994, None, 7),
        OpenInterest(T0 + 10 * NS, 9635.86484562, None, 7),
    ]


@pytest.mark.parametrize("interest", [None, "x", -1, 1e40])
def test_a_state_without_it(stream: Make, interest: object) -> None:
    """Is a ParseError, as is one that is too short."""
    protocol, out = stream("open_interest.BTC-USDT_PERP"), list[Record]()
    answer = {"event": "subscribed", "channel": "status", "chanId": 5, "key": "deriv:tBTCF0:USTF0"}
    protocol.receive(msgspec.json.encode(answer), 0, out)
    for broken in (state(1, interest), state(1, 2)[:17], [], None):
        with pytest.raises(ParseError):
            protocol.receive(msgspec.json.encode([5, broken, 1, 1]), 0, out)
    assert protocol.receive(msgspec.json.encode([6, state(1, 2), 2, 1]), 0, out) is None
    assert out == []


def test_history(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Of each state, page by page, whatever their distance."""
    times = [T0 // MS + n * 60_000 + n % 7 for n in range(12_000)]

    def answer(request: PageRequest) -> bytes:
        params = request.params
        assert (request.endpoint, params["symbol"]) == ("publicGetStatusDerivSymbolHist", "tBTCF0:USTF0")
        assert (params["limit"], params["sort"]) == (5000, 1)
        found = [ms for ms in times if int(params["start"]) <= ms <= int(params["end"])][:5000]
        return msgspec.json.encode([state(ms, ms % 1000) for ms in found])

    start, end = times[10] * MS, times[11_000] * MS
    pager = Bitfinex().history(Dataset.parse(NAME), start, end, Market("tBTCF0:USTF0"))
    run = backfill(pager).run(answer, times[-1] * MS + 3600 * NS)
    assert run.records == [OpenInterest(ms * MS, float(ms % 1000)) for ms in times[10:11_000]]
    assert merged(run.covered) == [(start, end)]


def test_of_spot_there_is_none() -> None:
    """And of funding rates nothing at all: which payment they are of isn't told."""
    for name in ("bitfinex.open_interest.BTC-USD", "bitfinex.funding.BTC-USDT_PERP"):
        for live in (True, False):
            with pytest.raises(NoCapability):
                Bitfinex().check(Dataset.parse(name), live)
