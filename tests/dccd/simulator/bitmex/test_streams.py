"""BitMEX's tables, simulated: what its own protocols make of their frames is the truth."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from dccd.exchanges.base import Broken, Market, Signal, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bitmex import Bitmex as Exchange
from dccd.exchanges.book import Book
from dccd.records import Bar, BookDelta, BookSnapshot, FundingRate, Level, OpenInterest, Record, Trade
from dccd.simulator.bitmex import Bitmex
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.truth import Truth
from dccd.symbols import NS, Dataset

START = 1_714_564_800 * NS + 123_456_789
MINUTE = 60 * NS
CONFIG = SimConfig(seed=3, rate=5, history=1, book_depth=60)
VENUE = Bitmex(CONFIG, FaultPlan(lambda: START), START)
TRUTH = Truth(VENUE)
MARKETS = {
    "BTC/USD:perp": Market("XBTUSD", inverse=True),
    "BTC/USDT:perp": Market("XBTUSDT", 1e-6),
    "BTC/USDT:quarter": Market("XBTUSDTM24", 1e-6),
}
SYMBOLS = sorted(MARKETS)


class Feed:
    """A protocol on a simulated connection, whose frames go through the router first."""

    def __init__(self, data_type: str, symbol: str, span: int | None = None, **options: int) -> None:
        dataset = Dataset.make("bitmex", data_type, symbol, span)
        self.protocol: StreamProtocol = Exchange().stream(dataset, StreamOptions(**options), MARKETS[symbol])  # type: ignore[arg-type]  # a depth
        session = VENUE.open("/realtime", START)
        assert session is not None
        self.session = session
        self.router = Exchange().router()
        self.records: list[Record] = []
        self.signals: list[Signal] = []
        self.take(session.opening(), START)
        for text in self.protocol.subscribe():
            self.take(session.receive(text, START), START)

    def take(self, frames: list[str], now: int) -> None:
        for frame in frames:
            if self.router.route(frame.encode()) in (None, self.protocol.topic):
                signal = self.protocol.receive(frame.encode(), now, self.records)
                self.signals += [] if signal is None else [signal]

    def run(self, until: int, step: int = NS // 4, lose: tuple[int, int] = (-1, -1)) -> Feed:
        """Take what is due each *step*; the frames numbered so are lost."""
        count = 0
        for now in range(START, until + 1, step):
            (stream,) = self.session.streams.values()
            for frame in stream.due(now):
                if not lose[0] <= count < lose[1]:
                    self.take([frame], now)
                count += 1
        return self


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_trades(symbol: str) -> None:
    """All since the subscription, several of one order in a frame."""
    feed = Feed("trades", symbol).run(START + 2 * MINUTE)
    truth = TRUTH.trades(symbol, START, START + 2 * MINUTE)
    got = [one for one in feed.records if isinstance(one, Trade)]
    assert feed.signals == [Subscribed()]
    assert [(one.ts, one.price, one.amount, one.side, one.tid) for one in got] == [
        (one.ts, one.price, one.amount, one.side, one.tid) for one in truth
    ][-len(got) :]
    assert len(truth) - len(got) <= 5  # those of the millisecond of the start


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bars(symbol: str) -> None:
    """Closed ones, from the last one before; opened at the close of the one before."""
    feed = Feed("ohlc", symbol, 60).run(START + 5 * MINUTE)
    first = START - START % MINUTE - MINUTE
    truth = TRUTH.bars(symbol, 60, first - MINUTE, first + 6 * MINUTE)
    assert feed.signals == [Subscribed()]
    got = [one for one in feed.records if isinstance(one, Bar)]
    assert [(b.ts, b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.trades, b.closed) for b in got] == [
        (b.ts, before.close, b.high, b.low, b.close, b.volume, b.quote_volume, b.trades, True)
        for before, b in pairwise(truth)
    ]


def same(side: list[Level], truth: list[Level]) -> bool:
    prices = [price for price, _ in side] == [price for price, _ in truth]
    return prices and [amount for _, amount in side] == pytest.approx([amount for _, amount in truth])


def states(records: list[Record], symbol: str, depth: int) -> list[bool]:
    """Whether the book is the truth's after the last record of each time."""
    book, found = Book(depth), list[bool]()
    for n, one in enumerate(records):
        assert isinstance(one, BookSnapshot | BookDelta)
        if isinstance(one, BookSnapshot):
            book.reset(one.bids, one.asks)
        else:
            book.apply(one.bids, one.asks)
        if n + 1 == len(records) or records[n + 1].ts != one.ts:
            truth = TRUTH.book(symbol, one.ts + 1_000_000, depth)
            bids, asks = book.view()
            found.append(same(bids, truth.bids) and same(asks, truth.asks))
    return found


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("depth", [25, 60])
def test_books(symbol: str, depth: int) -> None:
    """Both sides at each time, of either table."""
    feed = Feed("orderbook", symbol, depth=depth).run(START + 30 * NS)
    assert feed.signals == [Subscribed()]
    found = states(feed.records, symbol, depth)
    assert len(found) >= 300 and all(found)


def test_a_lost_frame_breaks_the_book() -> None:
    """Levels that came or went meanwhile don't fit, sooner or later; the renewed subscription has the truth again."""
    feed = Feed("orderbook", "BTC/USD:perp", depth=60)
    feed.run(START + MINUTE, lose=(40, 80))
    assert [type(signal) for signal in feed.signals] == [Subscribed, Broken]
    broken = len(feed.records)
    now = START + MINUTE
    for text in feed.protocol.resubscribe():
        feed.take(feed.session.receive(text, now), now)
    assert feed.signals[2:] == [Subscribed()]
    assert all(states(feed.records[broken:], "BTC/USD:perp", 60))


@pytest.mark.parametrize("symbol", ["BTC/USD:perp", "BTC/USDT:perp"])
def test_funding(symbol: str) -> None:
    """What is announced, each change once."""
    feed = Feed("funding", symbol).run(START + 10 * MINUTE, step=NS)
    derivative = TRUTH.derivative(symbol)
    got = [one for one in feed.records if isinstance(one, FundingRate)]
    assert len(got) == 11
    assert all((one.rate, one.due_ts) == tuple(derivative.predicted(one.ts)) for one in got)
    assert all(one.mark_price == derivative.mark_price(one.ts) for one in got)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_open_interest(symbol: str) -> None:
    """In base asset, and its value in quote asset."""
    feed = Feed("open_interest", symbol).run(START + MINUTE, step=NS)
    got = [one for one in feed.records if isinstance(one, OpenInterest)]
    assert len(got) > 50
    for one in got:
        truth = TRUTH.open_interest(symbol, one.ts)
        assert one.open_interest == pytest.approx(truth.open_interest, rel=1e-12)
        assert one.open_interest_value == pytest.approx(truth.open_interest_value, rel=1e-6)


def test_payments() -> None:
    """The table of what was paid: the last one, then each when it is due."""
    session = VENUE.open("/realtime", START)
    assert session is not None
    _, partial = session.receive('{"op":"subscribe","args":"funding:XBTUSD"}', START)
    last, following = TRUTH.funding("BTC/USD:perp", START - 8 * 3600 * NS, START + 8 * 3600 * NS)
    assert [row["fundingRate"] for row in json.loads(partial)["data"]] == [last.rate]
    (frame,) = session.streams["funding:XBTUSD"].due(following.ts)
    assert json.loads(frame)["data"][0]["fundingRate"] == following.rate


def test_benchmark() -> None:
    """So many trades, as fast as they are taken."""
    config = SimConfig(seed=3, rate=5, history=1, total=50)
    venue = Bitmex(config, FaultPlan(lambda: START), START)
    session = venue.open("/realtime", START)
    assert session is not None
    session.receive('{"op":"subscribe","args":"trade:XBTUSD"}', START)
    stream = session.streams["trade:XBTUSD"]
    frames = [json.loads(frame) for frame in [*stream.take(30), *stream.take(30), *stream.take(30)]]
    assert stream.due(START + MINUTE) == []
    assert sum(len(frame["data"]) for frame in frames) == 50
