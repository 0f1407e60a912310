from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing

import pytest
from aiohttp import web

from dccd.errors import BadSymbol, ExchangeDown, ExchangeError, NoCapability, ParseError, RateLimited
from dccd.exchanges.base import Market, Page, PageRequest
from dccd.feeds.fake import START, FakeClock, FakePager, FakeRest
from dccd.feeds.history import Rest, RestOptions, RestPool, pages
from dccd.feeds.timing import Backoff
from dccd.symbols import NS, Symbol
from tests.waiting import Until

pytestmark = pytest.mark.anyio

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[..., Awaitable[Rest]]
BOUND = 30.0
KLINES = PageRequest("publicGetKlines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1000})
DEPTH = PageRequest("publicGetDepth", {"symbol": "BTCUSDT", "limit": 5000})


@pytest.fixture
async def rest_of() -> AsyncIterator[Start]:
    """A function that starts an exchange of that id that answers as given, and returns a Rest for it."""
    async with AsyncExitStack() as stack:

        async def start(
            answer: Answer, *, exchange: str = "binance", clock: FakeClock | None = None, rate_limit: bool = False
        ) -> Rest:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            options = RestOptions(
                rest_url=url, rate_limit=rate_limit, attempts=3, backoff=Backoff(initial=1.0, jitter=0.0), timeout=5.0
            )
            rest = Rest(exchange, options, clock=clock, chance=lambda: 0.0)
            stack.push_async_callback(rest.aclose)
            return rest

        yield start


async def passing(waiting: Awaitable[bytes], clock: FakeClock, *seconds: float) -> bytes:
    """What *waiting* gives, when these waits have passed."""
    task = asyncio.ensure_future(waiting)
    async with asyncio.timeout(BOUND):
        for second in seconds:
            await clock.until_sleeping()
            clock.advance(second)
        return await task


# ---------------------------------------------------------------- one request


async def test_the_body_comes_as_the_exchange_sent_it(rest_of: Start) -> None:
    """The endpoint is ccxt's, under the exchange's own path at the configured address; the bytes are untouched."""
    body = b'[[1700000000000,"50000.10000000",  "odd spacing"]]'
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.Response(body=body, content_type="application/json", headers={"X-MBX-USED-WEIGHT-1M": "42"})

    rest = await rest_of(answer)
    nothing = dict.fromkeys(("requests", "retries", "failures", "rate_limited", "bytes"), 0)
    assert rest.statistics() == {**nothing, "used_weight": None}
    assert await rest.get(KLINES) == body
    assert await rest.get(PageRequest("public_get_klines", {"symbol": "X"})) == body
    assert asked == ["/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000", "/api/v3/klines?symbol=X"]
    statistics = rest.statistics()
    assert (statistics["requests"], statistics["bytes"], statistics["used_weight"]) == (2, 2 * len(body), 42)
    assert statistics["cost"] == pytest.approx(0.8)
    assert repr(rest) == "<Rest binance requests=2 retries=0>"


async def test_a_symbol_the_exchange_doesn_t_list_is_said_so(rest_of: Start) -> None:
    """Binance's -1121 is BadSymbol, in its words, with ccxt's error as the cause, and isn't tried again."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)

    rest = await rest_of(answer)
    with pytest.raises(BadSymbol, match=r"Invalid symbol\.") as caught:
        await rest.get(KLINES)
    assert type(caught.value.__cause__).__module__.startswith("ccxt")
    assert rest.statistics()["requests"] == 1


async def test_coinbase_says_so_in_other_words(rest_of: Start) -> None:
    """Its 404 is BadSymbol too, though ccxt doesn't know the words; parameters in the path are filled in."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        words = "Product NO-PE not supported"
        return web.json_response({"error": "NOT_FOUND", "error_details": words, "message": words}, status=404)

    rest = await rest_of(answer, exchange="coinbase")
    endpoint = "v3PublicGetBrokerageMarketProductsProductIdTicker"
    with pytest.raises(BadSymbol, match="NO-PE not supported"):
        await rest.get(PageRequest(endpoint, {"product_id": "NO-PE", "limit": 1}))
    assert asked == ["/api/v3/brokerage/market/products/NO-PE/ticker?limit=1"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, b"<html>forbidden</html>"), (404, b"{}"), (451, b'{"code":0,"msg":"restricted location"}'), (400, b"")],
)
async def test_what_asking_again_can_t_change_is_not_asked_again(rest_of: Start, status: int, body: bytes) -> None:
    """Any other 4xx is an error at once."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    rest = await rest_of(answer)
    with pytest.raises(ExchangeError) as caught:
        await rest.get(KLINES)
    assert type(caught.value) is ExchangeError
    assert rest.statistics()["requests"] == 1


async def test_an_error_under_a_status_of_200_is_an_error(rest_of: Start) -> None:
    """Kraken says errors in the body: its own words come out, as the kind that ccxt knows."""
    errors = iter(["EQuery:Unknown asset pair", "EService:Unavailable", "EAPI:Rate limit exceeded"])

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": [next(errors, "EService:Unavailable")]})

    clock = FakeClock()
    rest = await rest_of(answer, exchange="kraken", clock=clock)
    request = PageRequest("publicGetOHLC", {"pair": "NONE", "interval": 1})
    with pytest.raises(BadSymbol, match="Unknown asset pair"):
        await rest.get(request)
    with pytest.raises(ExchangeDown, match="EService:Unavailable"):
        await passing(rest.get(request), clock, 1.0, 2.0)


async def test_kraken_s_paths_are_kept(rest_of: Start) -> None:
    """``publicGetOHLC`` is /0/public/OHLC."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": [], "result": {"path": request.path}})

    rest = await rest_of(answer, exchange="kraken")
    body = await rest.get(PageRequest("publicGetOHLC", {"pair": "XBTUSD"}))
    assert b"/0/public/OHLC" in body


@pytest.mark.parametrize("status", [418, 429])
async def test_a_rate_limit_is_waited_for_as_long_as_the_exchange_says(rest_of: Start, status: int) -> None:
    """Retry-After holds for all requests of the host, not only for the one that was told."""
    asked = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            return web.json_response({"code": -1003, "msg": "Too many"}, status=status, headers={"Retry-After": "7"})
        return web.Response(body=b"[]")

    clock = FakeClock()
    rest = await rest_of(answer, clock=clock)
    first = asyncio.ensure_future(rest.get(KLINES))
    async with asyncio.timeout(BOUND):
        await clock.until_sleeping()
        other = asyncio.ensure_future(rest.get(DEPTH, urgent=True))
        await clock.until_sleeping(2)
        assert asked == 1
        clock.advance(7.0)
        assert await asyncio.gather(first, other) == [b"[]", b"[]"]
    assert clock.sleeps == [7.0, 7.0]
    assert (rest.statistics()["retries"], rest.statistics()["rate_limited"]) == (1, 1)


async def test_a_ban_is_an_error_at_once_for_everybody(rest_of: Start) -> None:
    """A Retry-After of an hour isn't sat out, and nobody else asks meanwhile: that would lengthen it."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"code": -1003, "msg": "banned"}, status=418, headers={"Retry-After": "3600"})

    clock = FakeClock()
    rest = await rest_of(answer, clock=clock)
    for seconds in (3600.0, 3600.0):
        with pytest.raises(RateLimited) as caught:
            await rest.get(KLINES)
        assert caught.value.retry_after == seconds
    assert rest.statistics()["requests"] == 1


async def test_an_exchange_that_is_down_is_tried_again_so_many_times(rest_of: Start) -> None:
    """5xx and dropped connections are retried with growing waits, then raised."""

    async def answer(request: web.Request) -> web.Response:
        if rest.statistics()["requests"] == 2:
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=503, text="Service Unavailable")

    clock = FakeClock()
    rest = await rest_of(answer, clock=clock)
    with pytest.raises(ExchangeDown, match="503"):
        await passing(rest.get(KLINES), clock, 1.0, 2.0)
    assert clock.sleeps == [1.0, 2.0]
    assert (rest.statistics()["retries"], rest.statistics()["failures"]) == (2, 1)


async def test_nobody_listening_is_an_exchange_that_is_down() -> None:
    """A refused connection is ExchangeDown, from aiohttp's error."""
    rest = Rest("binance", RestOptions(rest_url="http://127.0.0.1:1", rate_limit=False, attempts=1))
    with pytest.raises(ExchangeDown, match="can't be reached"):
        await rest.get(KLINES)
    await rest.aclose()
    with pytest.raises(ExchangeDown, match="closed"):
        await rest.get(KLINES)


async def test_what_ccxt_doesn_t_know_is_said_so(rest_of: Start) -> None:
    """An exchange or an endpoint that isn't ccxt's is NoCapability."""
    with pytest.raises(NoCapability, match="no exchange 'mtgox'"):
        await Rest("mtgox").get(KLINES)

    async def answer(request: web.Request) -> web.Response:
        raise AssertionError("never asked")

    rest = await rest_of(answer)
    with pytest.raises(NoCapability, match="publicGetNothing"):
        await rest.get(PageRequest("publicGetNothing", {}))
    with pytest.raises(NoCapability):
        await rest.get(PageRequest("close", {}))


async def test_the_rate_limit_is_ccxt_s_and_books_go_first(rest_of: Start, until: Until) -> None:
    """Requests are spaced by ccxt's costs; a snapshot asked for last overtakes the pages that wait."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=b"[]")

    clock = FakeClock()
    rest = await rest_of(answer, clock=clock, rate_limit=True)
    tasks = [asyncio.ensure_future(rest.get(KLINES)) for _ in range(3)]
    await until(lambda: len(asked) == 1 and clock.sleeping)
    tasks.append(asyncio.ensure_future(rest.get(DEPTH, urgent=True)))
    await until(lambda: rest.statistics()["waiting"] == 3)
    for count in (2, 3, 4):
        await clock.until_sleeping()
        clock.advance(clock.sleeps[-1])
        await until(lambda: len(asked) == count)  # noqa: B023 - awaited within this turn
    await asyncio.gather(*tasks)
    assert asked == ["/api/v3/klines", "/api/v3/depth", "/api/v3/klines", "/api/v3/klines"]
    # ccxt: 50 ms a unit; klines cost 0.4, the deepest book 25.
    assert clock.sleeps == [pytest.approx(0.02), pytest.approx(2.5), pytest.approx(0.02)]


async def test_markets_are_loaded_once_for_all_who_ask(rest_of: Start) -> None:
    """A name that doesn't follow from the symbol comes from ccxt's markets; callers at once share one load."""
    asked: list[str] = []

    pairs = {
        "symbol": "BTC-USD", "baseCurrency": "BTC", "feeCurrency": "USD", "market": "USDS", "enableTrading": True,
        "baseMinSize": "0.1", "quoteMinSize": "0.1", "baseMaxSize": "9", "quoteMaxSize": "9", "baseIncrement": "0.1",
        "quoteIncrement": "0.1", "priceIncrement": "0.1", "name": "BTC-USD", "quoteCurrency": "USD",
        "isMarginEnabled": False, "st": False,
    }  # fmt: skip

    async def kucoin(request: web.Request) -> web.Response:
        asked.append(request.path)
        data = [pairs] if request.path.endswith("/symbols") else []
        return web.json_response({"code": "200000", "data": data})

    rest = await rest_of(kucoin, exchange="kucoin")
    symbols = [Symbol.parse("BTC/USD"), Symbol.parse("XBT/USD")]
    assert await asyncio.gather(*(rest.market(symbol) for symbol in symbols)) == [Market("BTC/USD")] * 2
    loaded = len(asked)
    assert await rest.market(symbols[0]) == Market("BTC/USD")
    assert len(asked) == loaded
    with pytest.raises(BadSymbol, match="NONE/USD"):
        await rest.market(Symbol.parse("NONE/USD"))
    with pytest.raises(BadSymbol):
        await rest.market(Symbol.parse("BTC/USD:quarter"))


async def test_a_pool_has_one_rest_an_exchange() -> None:
    """All who ask an exchange share its limit; an exchange that isn't configured has the defaults."""
    pool = RestPool({"binance": RestOptions(rate_limit=False)})
    assert pool.get("binance") is pool.get("binance")
    assert pool.get("kraken") is not pool.get("binance")
    assert set(pool.statistics()) == {"binance", "kraken"}
    await pool.aclose()


async def test_a_pool_asks_otherwise_from_now_on() -> None:
    """Who has the one that was there goes on with it until it is closed; the others' stay."""
    pool = RestPool({"binance": RestOptions(rest_url="http://a:1")})
    before, other = pool.get("binance"), pool.get("kraken")
    assert pool.change("binance", RestOptions(rest_url="http://b:1")) is before
    assert pool.get("binance") is not before
    assert pool.get("kraken") is other
    assert pool.change("bybit", RestOptions()) is None
    await pool.aclose()


async def test_many_streams_ask_for_markets_as_one(rest_of: Start) -> None:
    """One asks, again and again; when it gives up, all others are told so for a while, and then one asks again."""
    asked: list[str] = []
    well = False

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if not well:
            return web.Response(status=503)
        pair = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1}
        more = {"lot_decimals": 8, "lot": "unit", "fees": [], "fees_maker": [], "ordermin": "1", "tick_size": "0.1"}
        pair |= {"status": "online", "leverage_buy": [], "leverage_sell": [], "aclass_base": "currency", **more}
        found = {"XXBTZUSD": pair} if request.path.endswith("AssetPairs") else {}
        return web.json_response({"error": [], "result": found})

    async def ask(count: int, *waits: float) -> list[Market | BaseException]:
        task = asyncio.gather(*(rest.market(symbol) for _ in range(count)), return_exceptions=True)
        for wait in waits:
            await clock.until_sleeping()
            clock.advance(wait)
        return await task

    clock, symbol = FakeClock(), Symbol.parse("BTC/USD")
    rest = await rest_of(answer, exchange="kraken", clock=clock)
    async with asyncio.timeout(BOUND):
        told = await ask(40, 1.0, 2.0)
        assert {type(one) for one in told} == {ExchangeDown}
        assert "503" in str(told[0]) and "asked again in 5 s" in str(told[39])
        times = len(asked)
        assert times <= 3 * 2  # two lists, three attempts
        clock.advance(4.9)
        assert {type(one) for one in await ask(40)} == {ExchangeDown}
        assert len(asked) == times
        clock.advance(0.1)
        await ask(40, 1.0, 2.0)
        clock.advance(9.9)
        await ask(40)
        assert len(asked) == 2 * times  # ten seconds this time
        well = True
        clock.advance(0.1)
        assert await ask(40) == [Market("XXBTZUSD")] * 40
        assert len(asked) == 2 * times + 2


# ---------------------------------------------------------------- many


async def collect(got: AsyncIterator[Page], starts: list[int]) -> None:
    """Put the starts of pages into *starts*, which keeps them when an error follows."""
    async for page in got:
        starts.append(page.start)  # noqa: PERF401 - a comprehension would lose them


def body_of(request: PageRequest) -> bytes:
    return str(request.cursor).encode()


async def test_pages_come_until_the_pager_is_done() -> None:
    """Every page once, and the position moves with what has come."""
    pager = FakePager(START, 10)
    got = [page async for page in pages(FakeRest(answer=body_of), pager, 4)]
    assert sorted(page.start for page in got) == [START + n * NS for n in range(10)]
    assert pager.done
    assert pager.position == START + 10 * NS


async def test_as_many_are_under_way_as_asked_for_and_come_out_of_order() -> None:
    """With three at once, a slow first page doesn't hold the others up; the position waits for it."""
    answers: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in range(5)]
    rest, pager = FakeRest(*answers), FakePager(START, 5)
    async with aclosing(pages(rest, pager, 3)) as got, asyncio.timeout(BOUND):
        first = asyncio.ensure_future(anext(got))
        await rest.asked.wait()
        answers[1].set_result(b"1")
        assert (await first).start == START + NS
        assert pager.position == START
        answers[3].set_result(b"3")
        assert (await anext(got)).start == START + 3 * NS
        assert len(rest.requests) == 4
        answers[0].set_result(b"0")
        assert (await anext(got)).start == START
        assert pager.position == START + 2 * NS


async def test_a_pager_that_knows_one_page_at_a_time_is_asked_one_by_one() -> None:
    """Concurrency is the pager's to allow: cursors need the page before."""
    rest = FakeRest(answer=body_of)
    got = [page.start async for page in pages(rest, FakePager(START, 6, window=1), 4)]
    assert got == [START + n * NS for n in range(6)]


async def test_a_page_cut_short_is_asked_for_again() -> None:
    """A body that can't be parsed is fetched anew; if it never can be, that is the error."""
    pager = FakePager(START, 2)
    rest = FakeRest(b"0", b"{cut", b"1")
    assert len([page async for page in pages(rest, pager, 1)]) == 2
    rest = FakeRest(b"0", *[b"{cut"] * 3)
    got: list[int] = []
    with pytest.raises(ParseError) as caught:
        await collect(pages(rest, FakePager(START, 2), 1, attempts=3), got)
    assert got == [START]
    assert caught.value.__notes__ == ["covered until 2023-11-14T22:13:21Z"]


async def test_a_failure_comes_after_the_pages_that_came() -> None:
    """What was received before a request failed is yielded; the error says how far all is covered."""
    rest, pager = FakeRest(b"0", b"1", ExchangeDown("fake", "503"), b"3"), FakePager(START, 8)
    starts: list[int] = []
    with pytest.raises(ExchangeDown, match="503") as caught:
        await collect(pages(rest, pager, 4), starts)
    assert starts == [START, START + NS, START + 3 * NS]
    assert caught.value.__notes__ == ["covered until 2023-11-14T22:13:22Z"]


async def test_stopping_early_cancels_what_is_under_way() -> None:
    """A backfill that is cancelled leaves no request behind."""
    never: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in range(3)]
    rest = FakeRest(*never)
    before = asyncio.all_tasks()

    async def backfill() -> None:
        async with aclosing(pages(rest, FakePager(START, 9), 3)) as got:
            async for _ in got:
                pass

    task = asyncio.create_task(backfill())
    async with asyncio.timeout(BOUND):
        await rest.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asyncio.all_tasks() == before
    assert all(future.cancelled() for future in never)
