"""Any bytes whatever give records or a ParseError, nothing else, and never a price that wasn't there."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Exchange, Market, StreamOptions
from dccd.exchanges.registry import get
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import Dataset

STREAMS = {
    "binance/trades": "binance.trades.BTC-USDT",
    "binance/bars": "binance.ohlc.BTC-USDT.1m",
    "binance/book": "binance.orderbook.BTC-USDT",
    "binance/futures_trades": "binance.trades.BTC-USDT_PERP",
    "binance/futures_bars": "binance.ohlc.BTC-USDT_PERP.1m",
    "binance/futures_book": "binance.orderbook.BTC-USDT_PERP",
    "binance/futures_funding": "binance.funding.BTC-USDT_PERP",
    "bybit/trades": "bybit.trades.BTC-USDT_PERP",
    "bybit/bars": "bybit.ohlc.BTC-USDT_PERP.1m",
    "bybit/book": "bybit.orderbook.BTC-USDT_PERP",
    "bybit/funding": "bybit.funding.BTC-USDT_PERP",
    "bybit/interest": "bybit.open_interest.BTC-USDT_PERP",
    "bitfinex/trades": "bitfinex.trades.BTC-USD",
    "bitfinex/bars": "bitfinex.ohlc.BTC-USD.1m",
    "bitfinex/book": "bitfinex.orderbook.BTC-USD",
    "bitfinex/interest": "bitfinex.open_interest.BTC-USDT_PERP",
    "bitmex/trades": "bitmex.trades.BTC-USD_PERP",
    "bitmex/bars": "bitmex.ohlc.BTC-USD_PERP.1m",
    "bitmex/book": "bitmex.orderbook.BTC-USD_PERP",
    "bitmex/funding": "bitmex.funding.BTC-USD_PERP",
    "bitmex/interest": "bitmex.open_interest.BTC-USD_PERP",
    "coinbase/trades": "coinbase.trades.BTC-USD",
    "coinbase/bars": "coinbase.ohlc.BTC-USD.5m",
    "coinbase/book": "coinbase.orderbook.BTC-USD",
    "kraken/trades": "kraken.trades.BTC-USD",
    "kraken/bars": "kraken.ohlc.BTC-USD.1m",
    "kraken/book": "kraken.orderbook.BTC-USD",
    "krakenfutures/trades": "krakenfutures.trades.BTC-USD_PERP",
    "krakenfutures/book": "krakenfutures.orderbook.BTC-USD_PERP",
    "krakenfutures/funding": "krakenfutures.funding.BTC-USD_PERP",
    "krakenfutures/interest": "krakenfutures.open_interest.BTC-USD_PERP",
    "okx/trades": "okx.trades.BTC-USDT",
    "okx/bars": "okx.ohlc.BTC-USDT.1m",
    "okx/book": "okx.orderbook.BTC-USDT",
    "okx/book_checksums": "okx.orderbook.BTC-USDT",
    "okx/funding": "okx.funding.BTC-USDT_PERP",
    "okx/interest": "okx.open_interest.BTC-USDT_PERP",
}
ANSWERS = {**STREAMS, "binance/futures_interest": "binance.open_interest.BTC-USDT_PERP"}
"""What REST has, some of it only REST."""
ONLY_LIVE = {"bitmex/interest"}
ONE_FILE = {"bitmex/funding": "bitmex/instrument", "bitmex/interest": "bitmex/instrument"}
"""Frames that several streams are made of."""
FRAMES = Path(__file__).parents[2] / "frames"
MARKET = Market("BTCUSDT")
MARKETS = {
    "bitfinex": Market("tBTCUSD"),
    "bitfinex.open_interest.BTC-USDT_PERP": Market("tBTCF0:USTF0"),
    "bitmex": Market("XBTUSD", inverse=True),
    "krakenfutures": Market("PF_XBTUSD"),
    "okx": Market("BTC-USDT"),
    "okx.funding.BTC-USDT_PERP": Market("BTC-USDT-SWAP", 0.01),
    "okx.open_interest.BTC-USDT_PERP": Market("BTC-USDT-SWAP", 0.01),
}
"""Where the frames name another one."""
REST_BOOK = b'{"lastUpdateId":160,"bids":[["16541.25","1.0"],["16541.24","10.0"]],"asks":[["16541.26","100.0"]]}'
TOKENS = st.sampled_from(
    [b"null", b"0", b"-1", b'""', b'"nan"', b'"Infinity"', b"1e999", b"{}", b"[]", b"true", b"9" * 30]
)

Mutation = Callable[[bytes], bytes]


def cut(at: float) -> Mutation:
    return lambda frame: frame[: int(at * len(frame))]


def flip(at: float, bit: int) -> Mutation:
    def mutate(frame: bytes) -> bytes:
        where = min(int(at * len(frame)), len(frame) - 1)
        return frame[:where] + bytes([frame[where] ^ (1 << bit)]) + frame[where + 1 :] if frame else frame

    return mutate


def value(at: float, token: bytes) -> Mutation:
    """Another value in place of the one after some colon or comma."""

    def mutate(frame: bytes) -> bytes:
        places = [n for n, byte in enumerate(frame) if byte in b":,["] or [-1]
        where = places[min(int(at * len(places)), len(places) - 1)] + 1
        ends = [n for n in range(where, len(frame)) if frame[n] in b",]}"]
        return frame[:where] + token + frame[ends[0] if ends else len(frame) :]

    return mutate


def drop(at: float, length: int) -> Mutation:
    def mutate(frame: bytes) -> bytes:
        where = int(at * len(frame))
        return frame[:where] + frame[where + length :]

    return mutate


WHERE = st.floats(0, 1)
MUTATION = st.one_of(
    st.builds(cut, WHERE),
    st.builds(flip, WHERE, st.integers(0, 7)),
    st.builds(value, WHERE, TOKENS),
    st.builds(drop, WHERE, st.integers(1, 30)),
    st.binary(max_size=60).map(lambda junk: lambda frame: junk),
)


def sound(record: Record) -> bool:
    """Prices above 0, amounts finite, times that fit 64 bits."""
    numbers: list[float]
    if isinstance(record, Trade):
        numbers = [record.price, record.amount]
    elif isinstance(record, Bar):
        numbers = [record.open, record.high, record.low, record.close]
    elif isinstance(record, FundingRate):
        assert math.isfinite(record.rate)
        numbers = [] if record.mark_price is None else [record.mark_price]
    elif isinstance(record, OpenInterest):
        assert math.isfinite(record.open_interest) and record.open_interest >= 0
        numbers = []
    else:
        assert isinstance(record, BookSnapshot | BookDelta)
        levels = [*record.bids, *record.asks]
        assert all(math.isfinite(amount) and amount >= 0 for _, amount in levels)
        numbers = [price for price, _ in levels]
    return all(math.isfinite(n) and n > 0 for n in numbers) and 0 <= record.ts < 2**63


def play(exchange: Exchange, name: str, frames: list[bytes]) -> tuple[list[Record], int]:
    protocol = exchange.stream(
        Dataset.parse(name), StreamOptions(), MARKETS.get(name, MARKETS.get(exchange.id, MARKET))
    )
    out: list[Record] = []
    refused = 0
    recv_ts = 1_696_436_740 * 10**9
    for n, frame in enumerate(frames):
        before = list(out)
        try:
            protocol.receive(frame, recv_ts + n, out)
            if n == 2 and "binance.orderbook" in name:
                protocol.snapshot(REST_BOOK, recv_ts + n, out)
        except ParseError:
            refused += 1
            assert out == before
    protocol.tick(recv_ts + 10**12, out)
    protocol.unresolved()
    return out, refused


@pytest.mark.parametrize("source", sorted(STREAMS))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 10), mutations=st.lists(MUTATION, min_size=1, max_size=3))
def test_mutated_frames(
    frames: Callable[[str], list[bytes]], source: str, index: int, mutations: list[Mutation]
) -> None:
    """A valid frame cut, with bits flipped, values replaced or bytes left out, among valid ones."""
    good = frames(ONE_FILE.get(source, source))
    index %= len(good)
    bad = good[index]
    for mutation in mutations:
        bad = mutation(bad)
    exchange = get(source.split("/")[0])
    out, _ = play(exchange, STREAMS[source], [*good[:index], bad, *good[index:]])
    assert all(sound(record) for record in out)


@pytest.mark.parametrize("source", sorted(STREAMS))
def test_every_truncation(frames: Callable[[str], list[bytes]], source: str) -> None:
    """Every frame cut at every byte is refused, and what follows is as if it hadn't come."""
    good = frames(ONE_FILE.get(source, source))
    exchange, name = get(source.split("/")[0]), STREAMS[source]
    expected, _ = play(exchange, name, good)
    assert expected
    for index, frame in enumerate(good):
        protocol = exchange.stream(
            Dataset.parse(name), StreamOptions(), MARKETS.get(name, MARKETS.get(exchange.id, MARKET))
        )
        out: list[Record] = []
        for earlier in good[:index]:
            protocol.receive(earlier, 0, out)
        state = repr(protocol), list(out)
        for length in range(len(frame)):
            with pytest.raises(ParseError):
                protocol.receive(frame[:length], 0, out)
        assert (repr(protocol), out) == state


def rest_body(source: str) -> bytes:
    """A hand-made answer to the first request of such a backfill (``<source>.rest.json``), where there is one."""
    path = FRAMES / f"{source}.rest.json"
    return path.read_bytes().strip() if path.exists() else REST_BOOK


@pytest.mark.parametrize("source", sorted(ANSWERS.keys() - ONLY_LIVE))
@settings(max_examples=100)
@given(junk=st.none() | st.binary(max_size=80), mutations=st.lists(MUTATION, max_size=3))
def test_any_answer(source: str, junk: bytes | None, mutations: list[Mutation]) -> None:
    """Whatever REST answers to the first request of a backfill is a page or a ParseError."""
    body = rest_body(source) if junk is None else junk
    for mutation in mutations:
        body = mutation(body)
    dataset = Dataset.parse(ANSWERS[source])
    market = MARKETS.get(ANSWERS[source], MARKETS.get(dataset.exchange, MARKET))
    pager = get(dataset.exchange).history(dataset, 1_700_000_000 * 10**9, 1_700_000_060 * 10**9, market)
    (request,) = pager.requests(1)
    try:
        page = pager.receive(request, body, 1_800_000_000 * 10**9)
    except ParseError:
        assert not pager.done
    else:
        assert all(sound(record) for record in page.records)


@pytest.mark.parametrize("source", sorted(STREAMS))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 10), mutations=st.lists(MUTATION, min_size=1, max_size=2))
def test_beginnings_tell_the_topic(
    frames: Callable[[str], list[bytes]], source: str, index: int, mutations: list[Mutation]
) -> None:
    """Whatever begins as a frame of one topic does is routed to that topic, however broken the rest is."""
    router = get(source.split("/")[0]).router()
    good = frames(ONE_FILE.get(source, source))
    frame = good[index % len(good)]
    beginning = router.alike(frame)
    if beginning:
        bad = frame[len(beginning) :]
        for mutation in mutations:
            bad = mutation(bad)
        assert router.route(beginning + bad) == router.route(frame)
