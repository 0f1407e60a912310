"""Any bytes whatever give records of BitMEX or a ParseError, nothing else, and never a price that wasn't there."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol
from dccd.exchanges.bitmex import Bitmex
from dccd.records import Bar, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import Dataset
from tests.dccd.exchanges.test_mutations import MUTATION, Mutation

STREAMS = {
    "trades": "bitmex.trades.BTC-USD_PERP",
    "bars": "bitmex.ohlc.BTC-USD_PERP.1m",
    "book": "bitmex.orderbook.BTC-USD_PERP",
    "funding": "bitmex.funding.BTC-USD_PERP",
    "interest": "bitmex.open_interest.BTC-USD_PERP",
}
BODIES = {
    "bitmex.trades.BTC-USD_PERP": b'[{"timestamp":"2017-07-14T02:40:10.000Z","symbol":"XBTUSD","side":"Buy","size":100,'
    b'"price":2000.5,"trdMatchID":"5f0c1d2e-0000-1000-0000-000000000001","homeNotional":0.05}]',
    "bitmex.ohlc.BTC-USD_PERP.1m": b'[{"timestamp":"2017-07-14T02:41:00.000Z","symbol":"XBTUSD","open":2,"high":3,'
    b'"low":1,"close":2.5,"trades":4,"homeNotional":16.0,"foreignNotional":40}]',
    "bitmex.orderbook.BTC-USD_PERP": b'[{"symbol":"XBTUSD","id":1,"side":"Sell","size":100,"price":2000.5},'
    b'{"symbol":"XBTUSD","id":2,"side":"Buy","size":100,"price":2000.0}]',
    "bitmex.funding.BTC-USD_PERP": b'[{"timestamp":"2017-07-14T02:40:10.000Z","symbol":"XBTUSD","fundingRate":0.0001}]',
}
T = 1_500_000_000 * 10**9


def stream(name: str) -> StreamProtocol:
    return Bitmex().stream(Dataset.parse(STREAMS[name]), StreamOptions(), Market("XBTUSD", inverse=True))


def load(frames: Callable[[str], list[bytes]], name: str) -> list[bytes]:
    return frames("bitmex/instrument" if name in ("funding", "interest") else f"bitmex/{name}")


def sound(record: Record) -> bool:
    """Prices above 0, amounts finite, times that fit 64 bits."""
    amounts: list[float | None]
    if isinstance(record, Trade):
        prices, amounts = [record.price], [record.amount]
    elif isinstance(record, Bar):
        prices = [record.open, record.high, record.low, record.close]
        amounts = [record.volume, record.quote_volume]
    elif isinstance(record, FundingRate):
        prices, amounts = [record.mark_price or 1.0], [abs(record.rate)]
    elif isinstance(record, OpenInterest):
        prices, amounts = [1.0], [record.open_interest, record.open_interest_value]
    else:
        levels = [*record.bids, *record.asks]
        prices, amounts = [price for price, _ in levels], [amount for _, amount in levels]
    finite = all(math.isfinite(price) and price > 0 for price in prices)
    return finite and all(n is None or (math.isfinite(n) and n >= 0) for n in amounts) and 0 <= record.ts < 2**63


@pytest.mark.parametrize("name", sorted(STREAMS))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 10), mutations=st.lists(MUTATION, min_size=1, max_size=3))
def test_mutated_frames(frames: Callable[[str], list[bytes]], name: str, index: int, mutations: list[Mutation]) -> None:
    """A valid frame cut, with bits flipped, values replaced or bytes left out, among valid ones."""
    good = load(frames, name)
    index %= len(good)
    bad = good[index]
    for mutation in mutations:
        bad = mutation(bad)
    protocol, out = stream(name), list[Record]()
    for frame in [*good[:index], bad, *good[index:]]:
        before = list(out)
        try:
            protocol.receive(frame, T, out)
        except ParseError:
            assert out == before
    protocol.tick(T + 10**12, out)
    assert all(sound(record) for record in out)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_every_truncation(frames: Callable[[str], list[bytes]], name: str) -> None:
    """Every frame cut at every byte is refused, and what follows is as if it hadn't come."""
    whole, expected, protocol, out = stream(name), list[Record](), stream(name), list[Record]()
    for frame in load(frames, name):
        for length in range(len(frame)):
            with pytest.raises(ParseError):
                protocol.receive(frame[:length], 0, out)
        assert (repr(protocol), out) == (repr(whole), expected)
        assert protocol.receive(frame, 0, out) == whole.receive(frame, 0, expected)
    assert out and out == expected


@pytest.mark.parametrize("name", sorted(BODIES))
@settings(max_examples=60)
@given(data=st.data())
def test_any_answer(name: str, data: st.DataObject) -> None:
    """Whatever REST answers to the first request of a backfill is a page or a ParseError."""
    good = BODIES[name]
    body = data.draw(st.one_of(st.binary(max_size=80), MUTATION.map(lambda mutation: mutation(good))))
    pager = Bitmex().history(Dataset.parse(name), T, T + 60 * 10**9, Market("XBTUSD", inverse=True))
    (request,) = pager.requests(1)
    try:
        page = pager.receive(request, body, T + 10**15)
    except ParseError:
        assert not pager.done
    else:
        assert all(sound(record) for record in page.records)
