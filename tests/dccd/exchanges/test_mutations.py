"""Any bytes whatever give records or a ParseError, nothing else, and never a price that wasn't there."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Exchange, HistoryPager, Market, StreamOptions, StreamProtocol
from dccd.exchanges.registry import get
from dccd.exchanges.unified import Features, Unified
from dccd.records import Bar, FundingRate, OpenInterest, Record, Trade
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
    "unified/trades": "anywhere.trades.BTC-USDT",
    "unified/bars": "anywhere.ohlc.BTC-USDT.1m",
    "unified/book": "anywhere.orderbook.BTC-USDT",
    # The same frames and bodies, of contracts that have to be converted.
    "bitmex/trades:linear": "bitmex.trades.BTC-USDT_PERP",
    "bitmex/book:linear": "bitmex.orderbook.BTC-USDT_PERP",
    "bitmex/interest:linear": "bitmex.open_interest.BTC-USDT_PERP",
    "krakenfutures/trades:inverse": "krakenfutures.trades.BTC-USD_PERP",
    "krakenfutures/book:inverse": "krakenfutures.orderbook.BTC-USD_PERP",
    "krakenfutures/interest:inverse": "krakenfutures.open_interest.BTC-USD_PERP",
    "okx/trades:linear": "okx.trades.BTC-USDT_PERP",
    "okx/trades:inverse": "okx.trades.BTC-USD_PERP",
    "okx/book:linear": "okx.orderbook.BTC-USDT_PERP",
    "okx/book:inverse": "okx.orderbook.BTC-USD_PERP",
    "okx/bars:linear": "okx.ohlc.BTC-USDT_PERP.1m",
    "unified/trades:linear": "anywhere.trades.BTC-USDT_PERP",
    "unified/trades:inverse": "anywhere.trades.BTC-USD_PERP",
    "unified/book:inverse": "anywhere.orderbook.BTC-USD_PERP",
}
ANSWERS = {
    **STREAMS,
    "binance/futures_interest": "binance.open_interest.BTC-USDT_PERP",
    "krakenfutures/bars": "krakenfutures.ohlc.BTC-USD_PERP.1m",
    "krakenfutures/bars:linear": "krakenfutures.ohlc.BTC-USD_PERP.1m",
    "krakenfutures/interest:linear": "krakenfutures.open_interest.BTC-USD_PERP",
    "unified/funding": "anywhere.funding.BTC-USDT_PERP",
    "unified/interest": "anywhere.open_interest.BTC-USDT_PERP",
}
"""What REST has, some of it only REST."""
ONLY_LIVE = {"bitmex/interest", "bitmex/interest:linear", "krakenfutures/interest:inverse"}
ONE_FILE = {"bitmex/funding": "bitmex/instrument", "bitmex/interest": "bitmex/instrument"}
"""Frames that several streams are made of."""
FRAMES = Path(__file__).parents[2] / "frames"
MARKET = Market("BTCUSDT")
MARKETS = {
    "bitfinex": Market("tBTCUSD"),
    "bitfinex/interest": Market("tBTCF0:USTF0"),
    "bitmex": Market("XBTUSD", inverse=True),
    "bitmex:linear": Market("XBTUSD", 0.000001),
    "krakenfutures": Market("PF_XBTUSD"),
    "krakenfutures:linear": Market("PF_XBTUSD", 0.00001),
    "krakenfutures:inverse": Market("PF_XBTUSD", inverse=True),
    "okx": Market("BTC-USDT"),
    "okx:linear": Market("BTC-USDT", 0.01),
    "okx:inverse": Market("BTC-USDT", 100.0, inverse=True),
    "okx/funding": Market("BTC-USDT-SWAP", 0.01),
    "okx/interest": Market("BTC-USDT-SWAP", 0.01),
    "unified:linear": Market("BTC/USDT", 0.001),
    "unified:inverse": Market("BTC/USDT", 10.0, inverse=True),
}
"""Where the frames name another one; by source, or by its exchange (and kind of contract)."""
ANYWHERE = Unified(
    Features(
        id="anywhere",
        kinds=frozenset({"spot", "swap"}),
        methods=frozenset(
            f"{how}{what}"
            for how, whats in (
                ("watch", ("Trades", "OHLCV", "OrderBook")),
                ("fetch", ("Trades", "OHLCV", "OrderBook", "FundingRateHistory", "OpenInterestHistory")),
            )
            for what in whats
        ),
        timeframes={60: "1m", 86_400: "1d"},
        page=500,
    )
)
"""An exchange through ccxt."""
REST_BOOK = b'{"lastUpdateId":160,"bids":[["16541.25","1.0"],["16541.24","10.0"]],"asks":[["16541.26","100.0"]]}'
EXTREMES = (b"1e-307", b"9e29", b'"1e-307"', b'"9e29"')
"""Valid prices, and valid amounts."""
TOKENS = st.sampled_from(
    [b"null", b"0", b"-1", b'""', b'"nan"', b'"Infinity"', b"1e999", b"{}", b"[]", b"true", b"9" * 30, *EXTREMES]
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
    """Prices and amounts of trades above 0, others not below, all of a size that means something; times fit 64 bits."""
    prices: list[float | None]
    amounts: list[float | None] = []
    times = [record.ts, record.recv_ts]
    if isinstance(record, Trade):
        prices = [record.price, record.amount]
    elif isinstance(record, Bar):
        prices = [record.open, record.high, record.low, record.close]
        amounts = [record.volume, record.quote_volume, record.trades]
    elif isinstance(record, FundingRate):
        assert abs(record.rate) < 1e3
        prices = [record.mark_price]
        times.append(record.due_ts)
    elif isinstance(record, OpenInterest):
        prices, amounts = [], [record.open_interest, record.open_interest_value]
    else:
        levels = [*record.bids, *record.asks]
        prices, amounts = [price for price, _ in levels], [amount for _, amount in levels]
        times.append(record.seq)
    return (
        all(n is None or 0 < n < 1e30 for n in prices)
        and all(n is None or 0 <= n < 1e30 for n in amounts)
        and all(n is None or 0 <= n < 2**63 for n in times)
    )


def exchange_of(source: str) -> Exchange:
    """A folder's, or one through ccxt."""
    name = source.split("/")[0]
    return ANYWHERE if name == "unified" else get(name)


def file_of(source: str) -> str:
    """The name of its frames, whatever the contract."""
    name = source.split(":")[0]
    return ONE_FILE.get(name, name)


def market_of(source: str) -> Market:
    """That of the frames."""
    exchange, _, kind = source.partition("/")
    contract = f"{exchange}:{kind.partition(':')[2]}"
    return MARKETS.get(source) or MARKETS.get(contract) or MARKETS.get(exchange, MARKET)


def stream_of(source: str) -> StreamProtocol:
    """A new one."""
    return exchange_of(source).stream(Dataset.parse(STREAMS[source]), StreamOptions(), market_of(source))


def play(source: str, frames: list[bytes]) -> tuple[list[Record], int]:
    """Its records, and how many frames it refused."""
    protocol = stream_of(source)
    out: list[Record] = []
    refused = 0
    recv_ts = 1_696_436_740 * 10**9
    for n, frame in enumerate(frames):
        before = list(out)
        try:
            protocol.receive(frame, recv_ts + n, out)
            if n == 2 and "binance.orderbook" in STREAMS[source]:
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
    good = frames(file_of(source))
    index %= len(good)
    bad = good[index]
    for mutation in mutations:
        bad = mutation(bad)
    out, _ = play(source, [*good[:index], bad, *good[index:]])
    assert all(sound(record) for record in out)


@pytest.mark.parametrize("source", sorted(STREAMS))
def test_every_truncation(frames: Callable[[str], list[bytes]], source: str) -> None:
    """Every frame cut at every byte is refused, and what follows is as if it hadn't come."""
    good = frames(file_of(source))
    expected, _ = play(source, good)
    assert expected
    for index, frame in enumerate(good):
        protocol = stream_of(source)
        out: list[Record] = []
        for earlier in good[:index]:
            protocol.receive(earlier, 0, out)
        state = repr(protocol), list(out)
        for length in range(len(frame)):
            with pytest.raises(ParseError):
                protocol.receive(frame[:length], 0, out)
        assert (repr(protocol), out) == state


@pytest.mark.parametrize("source", sorted(STREAMS))
def test_every_value_at_its_extremes(frames: Callable[[str], list[bytes]], source: str) -> None:
    """A valid price and a valid amount may come to none together; then the frame is refused."""
    good = frames(file_of(source))
    for index, frame in enumerate(good):
        places = sum(byte in b":,[" for byte in frame)
        for place, token in product(range(places), EXTREMES):
            bad = value((place + 0.5) / places, token)(frame)
            out, _ = play(source, [*good[:index], bad, *good[index:]])
            assert all(sound(record) for record in out), bad


def rest_body(source: str) -> bytes:
    """A hand-made answer to the first request of such a backfill (``<source>.rest.json``), where there is one."""
    path = FRAMES / f"{source.split(':')[0]}.rest.json"
    return path.read_bytes().strip() if path.exists() else REST_BOOK


START, END, NOW = 1_700_000_000 * 10**9, 1_700_000_060 * 10**9, 1_800_000_000 * 10**9
DAY = 86_400
FIRST_DAY = 1_650_067_200
"""When those bars begin (s): each is a day of 2022."""
COARSE = {
    "bitfinex/bars": b"[[1650067200000,2,3,4,1,0.75],[1650153600000,3,3,4,1,0.5]]",
    "bitmex/bars": b'[{"timestamp":"2022-04-17T00:00:00.000Z","symbol":"XBTUSD","open":2,"high":4,"low":1,"close":3,'
    b'"trades":4,"homeNotional":0.5,"foreignNotional":1.5}]',
    "bybit/bars": b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","symbol":"BTCUSDT","list":'
    b'[["1650153600000","3","4","1","2","0","0"],["1650067200000","2","4","1","3","1.5","4"]]}}',
    "bybit/interest": b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","symbol":"BTCUSDT","list":'
    b'[["1650067200000","2","4","1","3","1.5","4"]]}}',
    "coinbase/bars": b'{"candles":[{"start":"1650153600","low":"1","high":"4","open":"2","close":"3","volume":"2.5"},'
    b'{"start":"1650067200","low":"1","high":"4","open":"2","close":"3","volume":"2.5"}]}',
    "krakenfutures/bars": b'{"candles":[{"time":1650067200000,"open":"2","high":"4","low":"1","close":"3",'
    b'"volume":"5"}],"more_candles":false}',
    "krakenfutures/interest": b'{"result":{"timestamp":[1650067200,1650153600],"more":false,"data":'
    b'[["1","2","1","2"],["2","2","1","1"]]},"errors":[]}',
    "okx/bars": b'{"code":"0","msg":"","data":[["1650153600000","2","4","1","3","10","20","20","1"],'
    b'["1650067200000","2.5","2.5","2","2","1","2.25","2.25","1"]]}',
    "unified/bars": b"[[1650067200000,2,4,1,3,0.5],[1650153600000,3,4,1,2,0]]",
}
"""Answers to the first request of a backfill that begins long before."""


def pager_of(source: str, start: int, end: int) -> HistoryPager:
    """A new one of what REST has."""
    return exchange_of(source).history(Dataset.parse(ANSWERS[source]), start, end, market_of(source))


@pytest.mark.parametrize("source", sorted(ANSWERS.keys() - ONLY_LIVE))
@settings(max_examples=100)
@given(junk=st.none() | st.binary(max_size=80), mutations=st.lists(MUTATION, max_size=3))
def test_any_answer(source: str, junk: bytes | None, mutations: list[Mutation]) -> None:
    """Whatever REST answers to the first request of a backfill is a page or a ParseError."""
    body = rest_body(source) if junk is None else junk
    for mutation in mutations:
        body = mutation(body)
    pager = pager_of(source, START, END)
    (request,) = pager.requests(1)
    try:
        page = pager.receive(request, body, NOW)
    except ParseError:
        assert junk is not None or mutations
        assert not pager.done
    else:
        assert all(sound(record) for record in page.records)


@pytest.mark.parametrize("source", sorted(ANSWERS.keys() - ONLY_LIVE))
def test_every_value_of_an_answer_at_its_extremes(source: str) -> None:
    """As those of frames."""
    body = rest_body(source)
    places = sum(byte in b":,[" for byte in body)
    for place, token in product(range(places), EXTREMES):
        pager = pager_of(source, START, END)
        (request,) = pager.requests(1)
        bad = value((place + 0.5) / places, token)(body)
        try:
            page = pager.receive(request, bad, NOW)
        except ParseError:
            continue
        assert all(sound(record) for record in page.records), bad


@pytest.mark.parametrize("source", sorted(COARSE))
@settings(max_examples=100)
@given(junk=st.none() | st.binary(max_size=80), mutations=st.lists(MUTATION, max_size=3))
def test_any_answer_of_days(source: str, junk: bytes | None, mutations: list[Mutation]) -> None:
    """Whatever tells where a market begins, the search goes on within what was asked for, and nothing is given out."""
    body = COARSE[source] if junk is None else junk
    for mutation in mutations:
        body = mutation(body)
    start, end = (FIRST_DAY - 60 * DAY) * 10**9, (FIRST_DAY + 60 * DAY) * 10**9
    pager = pager_of(source, start, end)
    (request,) = pager.requests(1)
    if source == "unified/bars":
        pager.receive(request, b"[[1700006400000,1,1,1,1,1]]", NOW)  # the newest page
        (request,) = pager.requests(1)
    try:
        page = pager.receive(request, body, NOW)
    except ParseError:
        assert junk is not None or mutations
        assert not pager.done
        return
    assert page.records == []
    assert start <= page.start <= page.end <= end
    if junk is None and not mutations and source != "unified/bars":
        assert page.end == FIRST_DAY * 10**9
    (request,) = pager.requests(1) or [request]
    assert start <= pager.position <= end


@pytest.mark.parametrize("source", sorted(STREAMS))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 10), mutations=st.lists(MUTATION, min_size=1, max_size=2))
def test_beginnings_tell_the_topic(
    frames: Callable[[str], list[bytes]], source: str, index: int, mutations: list[Mutation]
) -> None:
    """Whatever begins as a frame of one topic does is routed to that topic, however broken the rest is."""
    router = exchange_of(source).router()
    good = frames(file_of(source))
    frame = good[index % len(good)]
    beginning = router.alike(frame)
    if beginning:
        bad = frame[len(beginning) :]
        for mutation in mutations:
            bad = mutation(bad)
        assert router.route(beginning + bad) == router.route(frame)
