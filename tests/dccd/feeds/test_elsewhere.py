"""Exchanges without a folder: ccxt's and ccxt.pro's own classes, only their URLs changed, against KuCoin, Gate and
Bitstamp on loopback, in their own wire formats."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import BadSymbol, NoCapability, ParseError, SubscriptionRefused
from dccd.exchanges import registry
from dccd.exchanges.base import Page, StreamOptions
from dccd.exchanges.capability import check_any
from dccd.feeds import elsewhere, pro_line
from dccd.feeds.fake import FakeClock
from dccd.feeds.history import Rest, RestOptions, RestPool, pages
from dccd.feeds.items import Batch, Hole, Item, Live, Lost
from dccd.feeds.pool import Pool, SocketPools
from dccd.feeds.pro import ProPool
from dccd.feeds.session import Session
from dccd.feeds.settings import SessionSettings
from dccd.feeds.timing import Backoff, Clock
from dccd.records import Bar, BookDelta, BookSnapshot, Record, Trade
from dccd.symbols import NS, Dataset
from tests.elsewhere import VENUES, Bitstamp, Gate, Kucoin, Print, Venue, venue

pytestmark = pytest.mark.anyio

SETTINGS = SessionSettings(backoff=Backoff(initial=0.01, maximum=0.05))


class Place:
    """One exchange on loopback, and the feeds that stand before it."""

    def __init__(self, made: Venue, rest: Rest, pool: Pool) -> None:
        self.venue, self.rest, self.pool = made, rest, pool
        self.exchange = elsewhere.find(made.id)

    def dataset(self, data_type: str, span: str | None = None) -> Dataset:
        """Of the one market."""
        return Dataset.make(self.venue.id, data_type, self.venue.pair, span)

    async def history(self, dataset: Dataset, start: int, end: int) -> list[Page]:
        """All pages."""
        pager = self.exchange.history(dataset, start, end, await self.rest.market(dataset.symbol))
        return [page async for page in pages(self.rest, pager)]

    @contextlib.asynccontextmanager
    async def stream(self, dataset: Dataset, options: StreamOptions | None = None) -> AsyncIterator[Watch]:
        """A session that runs while the block does."""
        session = Session(
            self.exchange, dataset, options, rest=self.rest, sockets=self.pool, settings=SETTINGS, chance=lambda: 0.0
        )
        watch = Watch()
        task = asyncio.create_task(watch.follow(session))
        try:
            yield watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Watch:
    """What a session has yielded."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._news = asyncio.Event()
        self.error: Exception | None = None

    async def follow(self, session: Session) -> None:
        """Keep all items."""
        try:
            async with contextlib.aclosing(session.run()) as items:
                async for item in items:
                    self.items.append(item)
                    self._news.set()
        except Exception as exc:
            self.error = exc
            self._news.set()

    @property
    def records(self) -> list[Record]:
        """Of all batches."""
        return [record for item in self.items if isinstance(item, Batch) for record in item.records]

    def of(self, kind: type[Item]) -> list[Any]:
        """The items of one kind."""
        return [item for item in self.items if isinstance(item, kind)]

    async def until(self, good: Callable[[], Any]) -> None:
        """Wait until *good* holds."""
        async with asyncio.timeout(20):
            while not good():
                self._news.clear()
                await self._news.wait()


@pytest.fixture(params=sorted(VENUES))
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Each of the three."""
    async with at(VENUES[request.param]()) as made:
        yield made


@contextlib.asynccontextmanager
async def at(made: Venue, clock: Clock | None = None) -> AsyncIterator[Place]:
    """*made*, and feeds before it, whose connections go by *clock*."""
    async with venue(made):
        rests = RestPool({made.id: RestOptions(rest_url=made.urls["rest_url"], rate_limit=False, attempts=2)})
        pools = SocketPools({made.id: made.urls["ws_url"]}, rests=rests, clock=clock)
        try:
            yield Place(made, rests.get(made.id), pools.get(elsewhere.find(made.id)))
        finally:
            await pools.aclose()
            await rests.aclose()


def shown(one: Print, resolution: int = NS // 1000) -> tuple[int, float, float, str]:
    """A trade as ccxt tells it: its times are milliseconds, or even seconds."""
    return (one.ts - one.ts % resolution, one.price, one.amount, one.side)


def told(records: list[Record]) -> list[tuple[int, float, float, str | None]]:
    """The same of what was collected."""
    return [(one.ts, one.price, one.amount, one.side) for one in records if isinstance(one, Trade)]


def fill(made: Venue, count: int = 300, apart: int = 20 * NS) -> int:
    """Trades until now; return when now is."""
    now = time.time_ns()
    for n in range(count):
        made.trade(now - (count - n) * apart, 100 + n % 7, side="sell" if n % 3 else "buy")
    return now


# ---------------------------------------------------------------- the past


async def test_past_trades(place: Place) -> None:
    """The newest hundred are all that REST has: they come, and what isn't served is said to be so."""
    now = fill(place.venue)
    found = await place.history(place.dataset("trades"), now - 3 * 3600 * NS, now - 30 * NS)
    resolution = NS if place.venue.id == "bitstamp" else NS // 1000
    served = [one for one in place.venue.prints[-100:] if one.ts < now - 30 * NS]
    assert told([record for page in found for record in page.records]) == [shown(one, resolution) for one in served]
    covering = [page for page in found if page.end > page.start]
    assert covering[0].start == shown(served[0], resolution)[0]
    assert covering[-1].end >= now - 31 * NS


@pytest.mark.parametrize("start", [0, 3600, 500])
async def test_past_bars(place: Place, start: int) -> None:
    """Each closed bar once, from the market's first on."""
    now = fill(place.venue)
    begin = start and now - start * NS
    found = await place.history(place.dataset("ohlc", "1m"), begin, now)
    got = [record for page in found for record in page.records if isinstance(record, Bar)]
    bars = place.venue.bars(60, -(-begin // NS), 1 << 40)
    # One more may have become certain while they were asked for.
    sure, possible = ([b for b in bars if (b[0] + 60) * NS <= at - 10 * NS] for at in (now, time.time_ns()))
    assert len(sure) <= len(got)
    rows = [(b.ts // NS, b.open, b.high, b.low, b.close, pytest.approx(b.volume)) for b in got]
    assert rows == possible[: len(rows)]
    assert len(got) > (start or 6000) // 60 - 3


async def test_a_symbol_that_is_not_listed(place: Place) -> None:
    """Is told by ccxt's markets."""
    with pytest.raises(BadSymbol):
        await place.rest.market(Dataset.make(place.venue.id, "trades", "NONE/USD").symbol)


async def test_an_answer_that_ccxt_cannot_read() -> None:
    """Is a ParseError, which is asked for again, and not an exception of ccxt's."""
    made = Kucoin()
    async with at(made) as place:
        dataset = place.dataset("trades")
        await place.rest.market(dataset.symbol)
        made.rest = lambda method, path, query: {"code": "200000", "data": [5, None]}  # type: ignore[method-assign]
        with pytest.raises(ParseError, match="ccxt can't read"):
            await place.history(dataset, 0, time.time_ns())


# ---------------------------------------------------------------- live


async def test_live_trades(place: Place) -> None:
    """Each comes once, those of a burst too; a lost connection is a hole from the last to the next."""
    made = place.venue
    async with place.stream(place.dataset("trades")) as watch:
        await made.subscribed.wait()
        first = [made.trade(time.time_ns(), 100 + n) for n in range(3)]
        await made.publish(*first)
        await watch.until(lambda: len(watch.records) == 3)
        assert len(watch.of(Live)) == 1
        burst = [made.trade(time.time_ns(), 90 + n / 100) for n in range(2500)]
        await made.publish(*burst)
        await watch.until(lambda: len(watch.records) == 2503)
        made.subscribed.clear()
        await made.drop()
        missed = made.trade(time.time_ns(), 1.0)
        await made.subscribed.wait()
        last = made.trade(time.time_ns(), 101)
        await made.publish(last)
        await watch.until(lambda: len(watch.records) == 2504)
    got = told(watch.records)
    assert sorted(got) == sorted(shown(one) for one in made.prints if one is not missed)
    (hole,) = watch.of(Hole)
    assert hole.since <= missed.ts < hole.until
    assert len(watch.of(Lost)) == 1
    has_ids = made.id != "kucoin"
    assert all((record.tid is not None) == has_ids for record in watch.records if isinstance(record, Trade))


async def test_a_burst_in_one_turn_of_the_loop_is_more_than_the_cache_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is dropped: each trade is taken where ccxt.pro puts it, not from what it returns."""
    async with at(Kucoin()) as place:
        async with place.stream(place.dataset("trades")) as watch:
            await place.venue.subscribed.wait()
            prints = [place.venue.trade(time.time_ns(), 100 + n) for n in range(5000)]
            frames = place.venue.trades_frames(prints)
            assert isinstance(place.pool, ProPool) and place.pool._live is not None
            (client,) = place.pool._live.api.clients.values()
            await watch.until(lambda: client.isConnected)
            for frame in frames:  # as its receive loop does with all that one read has brought
                place.pool._live.api.handle_message(client, frame)
            await watch.until(lambda: len(watch.records) == 5000)
        assert told(watch.records) == [shown(one) for one in prints]
        assert watch.of(Hole) == []


async def test_where_there_is_no_tap_a_full_cache_is_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should ccxt keep trades elsewhere one day: what it returns counts, and as much as the cache holds is a loss."""
    monkeypatch.setattr(pro_line.ProLine, "trade", lambda self, found: None)
    async with at(Kucoin()) as place:
        async with place.stream(place.dataset("trades")) as watch:
            await place.venue.subscribed.wait()
            await place.venue.publish(place.venue.trade(time.time_ns(), 99))
            await watch.until(lambda: len(watch.records) == 1)
            assert isinstance(place.pool, ProPool) and place.pool._live is not None
            api = place.pool._live.api
            (client,) = api.clients.values()
            prints = [place.venue.trade(time.time_ns(), 100 + n) for n in range(1500)]
            for frame in place.venue.trades_frames(prints):
                api.handle_message(client, frame)
            await watch.until(lambda: watch.of(Hole))
        (hole,) = watch.of(Hole)
        assert "dropped" in hole.reason
        assert hole.since <= shown(prints[0])[0] and shown(prints[499])[0] < hole.until
        assert told(watch.records)[1:] == [shown(one) for one in prints[500:]]


async def test_live_bars() -> None:
    """Each state, and each bar closed once."""
    made = Kucoin()
    async with at(made) as place, place.stream(place.dataset("ohlc", "1m")) as watch:
        await made.subscribed.wait()
        at_minute = time.time_ns() // NS // 60 * 60
        for minute in range(3):
            for n in range(2):
                made.trade((at_minute + 60 * minute + n) * NS, 100 + n)
                await made.tell(made.bar_frame(60, "1min", at_minute + 60 * minute))
        await watch.until(lambda: len([bar for bar in watch.records if isinstance(bar, Bar) and bar.closed]) == 2)
    closed = [bar for bar in watch.records if isinstance(bar, Bar) and bar.closed]
    assert [(b.ts // NS, b.open, b.high, b.low, b.close, b.volume) for b in closed] == made.bars(60, 0, at_minute + 61)


async def test_a_live_book() -> None:
    """Snapshot and changes make the exchange's book, both sides."""
    made = Kucoin()
    async with at(made) as place, place.stream(place.dataset("orderbook")) as watch:
        await made.subscribed.wait()
        for n in range(40):
            if n == 20:
                await watch.until(lambda: watch.records)
            await made.change(time.time_ns(), {99.0 - n / 10: 1.0 + n, 99.5: n % 2 * 1.0}, {101.0 + n / 10: 2.0 + n})
        await watch.until(lambda: watch.records and watch.records[-1].seq == made.seq)  # type: ignore[union-attr]
    book: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    for record in watch.records:
        assert isinstance(record, BookSnapshot | BookDelta)
        if isinstance(record, BookSnapshot):
            book = {"bids": {}, "asks": {}}
        book["bids"].update(record.bids)
        book["asks"].update(record.asks)
    assert {p: a for p, a in book["bids"].items() if a} == made.bids
    assert {p: a for p, a in book["asks"].items() if a} == made.asks
    assert any(isinstance(record, BookDelta) for record in watch.records)


async def test_streams_share_one_connection_and_leave_one_by_one() -> None:
    """One that ends is taken off at the exchange, the other one goes on; what begins again is subscribed again."""
    made = Kucoin()
    async with at(made) as place:
        async with place.stream(place.dataset("ohlc", "1m")):
            async with place.stream(place.dataset("trades")) as watch:
                await made.until_heard("subscribe", "/market/match:BTC-USDT")
                await made.publish(made.trade(time.time_ns(), 100))
                await watch.until(lambda: watch.records)
                assert len(made.sockets) == 1
            await made.until_heard("unsubscribe", "/market/match:BTC-USDT")
            async with place.stream(place.dataset("trades")) as watch:
                await made.until_heard("subscribe", "/market/match:BTC-USDT", times=2)
                await made.publish(made.trade(time.time_ns(), 101))
                await watch.until(lambda: watch.records)
                assert len(made.sockets) == 1
        kinds = [(said["type"], said["topic"].partition(":")[0]) for said in made.heard if "topic" in said]
    assert ("unsubscribe", "/market/match") in kinds
    assert kinds.count(("subscribe", "/market/match")) == 2
    assert kinds.count(("subscribe", "/market/candles")) == 1


class Brief(Kucoin):
    """Gives each subscriber a trade, and closes the connection."""

    opened = 0

    def said(self, message: Any) -> list[Any]:
        """A subscription is answered with data and the end."""
        answers = super().said(message)
        if message.get("type") == "subscribe":
            self.opened += 1
            answers += self.trades_frames([self.trade(time.time_ns(), 100)])
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self.drop()))
        return answers


async def test_connections_that_end_at_once_are_opened_at_the_exchange_s_pace() -> None:
    """Data sets a stream's backoff to its beginning; of all streams there are two a second and twenty a minute."""
    clock, made = FakeClock(), Brief()
    async with at(made, clock) as place, place.stream(place.dataset("trades")) as watch:
        async with place.stream(place.dataset("ohlc", "1m")):
            async with asyncio.timeout(20):
                for opened in range(2, 21, 2):
                    await clock.until_sleeping()
                    assert place.pool.statistics()["opens"] == opened
                    clock.advance(1.0)
                await clock.until_sleeping()
                clock.advance(49.0)
                assert place.pool.statistics()["opens"] == 20
                await clock.until_sleeping()
                clock.advance(1.0)
                await clock.until_sleeping()
                assert place.pool.statistics()["opens"] == 22
        assert made.opened >= 20
        assert not any("no frame" in lost.reason or "Without" in lost.reason for lost in watch.of(Lost))


async def test_a_message_that_ccxt_fails_over_is_counted() -> None:
    """ccxt.pro would stop reading in silence: the connection goes on, and the message is told."""
    made = Gate()
    async with at(made) as place, place.stream(place.dataset("trades")) as watch:
        await made.subscribed.wait()
        await made.publish(made.trade(time.time_ns(), 100))
        await watch.until(lambda: watch.records)
        await made.tell({"channel": "spot.candlesticks", "event": "update", "result": {"t": "1", "n": "odd"}})
        await made.publish(made.trade(time.time_ns(), 101))
        await watch.until(lambda: len(watch.records) == 2)
        assert isinstance(place.pool, ProPool)
        assert place.pool.statistics()["connections"][0]["unread"] == 1


async def test_a_refusal_of_ccxts() -> None:
    """Asking again is no use: the stream is refused, in ccxt's words."""
    made = Bitstamp()
    async with at(made) as place, place.stream(place.dataset("trades")) as watch:
        await made.subscribed.wait()
        assert watch.error is None
    exchange = elsewhere.find("bitstamp")
    with pytest.raises(NoCapability, match="trades, orderbook"):
        exchange.check(place.dataset("ohlc", "1m"), live=True)
    async with at(made) as place:
        assert isinstance(place.pool, ProPool)
        broken = msgspec.structs.replace(exchange.features)
        place.exchange = type(exchange)(broken)
        place.exchange.stream = lambda *given: exchange.stream(  # type: ignore[method-assign]
            given[0], given[1], msgspec.structs.replace(given[2], id="NONE/USD")
        )
        async with place.stream(place.dataset("trades")) as watch:
            await watch.until(lambda: watch.error)
    assert isinstance(watch.error, SubscriptionRefused) and "NONE/USD" in str(watch.error)


# ---------------------------------------------------------------- all that ccxt knows


def test_every_id_of_ccxts_is_an_exchange() -> None:
    """With something to collect, but for CoinSpot, of which it is said why; one there isn't is told those near."""
    names = elsewhere.names()
    assert len(names) > 100 and set(registry.EXCHANGES) <= set(names)
    for name in names:
        if name in registry.EXCHANGES:
            continue
        exchange = elsewhere.find(name)
        offers = [offer for offer in (exchange.capabilities.spot, exchange.capabilities.perp) if offer is not None]
        assert exchange.id == name
        if name == "coinspot":
            with pytest.raises(NoCapability, match=r"nothing that can be collected.*one user's own.*API key"):
                check_any(name, exchange.capabilities)
            continue
        check_any(name, exchange.capabilities)
        assert any(offer.historical for offer in offers), name
    for name, near in (("bitfenix", "bitfinex"), ("kukoin", "kucoin"), ("binanc", "binance")):
        with pytest.raises(NoCapability, match=f"did you mean.*{near}"):
            elsewhere.find(name)


class Name(str):
    """One that can be seen to be forgotten."""


async def test_a_name_that_nobody_knows_is_not_kept() -> None:
    """Requests may bring ever new ones."""
    name = Name("nobodys")
    forgotten = weakref.ref(name)
    await elsewhere.learn(name)
    with pytest.raises(NoCapability):
        elsewhere.find(name)
    del name
    gc.collect()
    assert forgotten() is None


def test_every_class_of_ccxt_pros_keeps_its_trades_where_the_tap_is() -> None:
    """What proves that none is dropped. Should one do otherwise, what it returns counts, a full cache as a hole."""
    import ccxt.pro

    without = []
    for name in ccxt.pro.exchanges:
        kind = getattr(ccxt.pro, name)
        modules = {parent.__module__ for parent in kind.__mro__ if parent.__module__.startswith("ccxt.pro")}
        source = "".join(inspect.getsource(sys.modules[module]) for module in modules)
        if kind().has.get("watchTrades") is True and "self.trades[" not in source:
            without.append(name)
    assert without == []
