"""Pages through ccxt of exchanges that make different things of ``since``: all that is served comes once, and no more
than that counts as covered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, Page, PageRequest
from dccd.exchanges.paging import SETTLED
from dccd.exchanges.unified import Features
from dccd.exchanges.unified.history import BarPager, DepthPager, FundingPager, InterestPager, TradePager
from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest, Record, Trade
from dccd.symbols import NS

MS = 1_000_000
T0 = 1_700_000_000 * NS
NOW = T0 + 10_000 * NS
MARKET = Market("BTC/USDT")

Row = dict[str, Any]
Answer = Callable[[PageRequest], Any]


def row(ts: int, n: int | None = None, price: float = 100.0, **more: Any) -> Row:
    """One of ccxt's trades."""
    return {"timestamp": ts // MS, "price": price, "amount": 0.5, "side": "buy", "id": n and str(n), **more}


TRADES = [row(T0 + n // 3 * NS, n) for n in range(1, 1001)]
"""A thousand trades, three in each millisecond that has some, a second apart."""


def since(request: PageRequest) -> int | None:
    """In ms."""
    value = request.params.get("since")
    return None if value is None else int(value)


def oldest_first(rows: list[Row], size: int, *, exclusive: bool = False) -> Answer:
    """An exchange that serves the oldest records at or after ``since`` (*exclusive*: after it)."""

    def answer(request: PageRequest) -> list[Row]:
        at = since(request)
        if at is None:
            return rows[-size:]
        return [one for one in rows if one["timestamp"] >= at + exclusive][:size]

    return answer


def newest_only(rows: list[Row], size: int) -> Answer:
    """One that serves the newest records, of which ccxt leaves out those before ``since``."""
    return lambda request: [one for one in rows[-size:] if one["timestamp"] >= (since(request) or 0)]


def newest_since(rows: list[Row], size: int) -> Answer:
    """One that serves the newest records, more of them when it is asked for ``since``."""
    return lambda request: [one for one in rows if one["timestamp"] >= (since(request) or 0)][
        -(size if since(request) is None else 3 * size) :
    ]


def walk(pager: HistoryPager, answer: Answer, now: int = NOW, most: int = 1000) -> list[Page]:
    """All pages."""
    pages = []
    for _ in range(most):
        requests = pager.requests(4)
        if not requests:
            break
        pages += [pager.receive(request, msgspec.json.encode(answer(request)), now) for request in requests]
    assert pager.done
    return pages


def records(pages: list[Page]) -> list[Record]:
    """Of all pages, in order."""
    return [record for page in pages for record in page.records]


def uncovered(pages: list[Page], start: int, end: int) -> list[tuple[int, int]]:
    """What of ``[start, end)`` no page covers."""
    holes, at = [], start
    for page in sorted(pages, key=lambda page: page.start):
        if page.start > at:
            holes.append((at, page.start))
        at = max(at, page.end)
    return holes if at >= end else [*holes, (at, end)]


def ids(pages: list[Page]) -> list[int]:
    """The trades' numbers."""
    return [int(record.tid or 0) for record in records(pages) if isinstance(record, Trade)]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("size", [7, 50, 2000])
def test_oldest_first(size: int, exclusive: bool) -> None:
    """Each trade comes once, also where several share a page's last millisecond, and all is covered."""
    start, end = T0 + 10 * NS, T0 + 300 * NS
    pages = walk(TradePager("x", MARKET, start, end), oldest_first(TRADES, size, exclusive=exclusive))
    wanted = [one for one in TRADES if start <= one["timestamp"] * MS < end]
    if exclusive and size != 2000:
        wanted = wanted[3:]  # such an exchange doesn't give those of `start` itself...
        assert uncovered(pages, start, end) in ([], [(start, T0 + 11 * NS)])
    else:
        assert uncovered(pages, start, end) == []
    assert ids(pages) == [int(one["id"]) for one in wanted]


def test_the_newest_page_may_be_enough() -> None:
    """What it reaches back to isn't asked for again."""
    pages = walk(TradePager("x", MARKET, T0 + 320 * NS, NOW), newest_only(TRADES, 100))
    assert len(pages) == 1
    assert ids(pages) == list(range(960, 1001))
    assert uncovered(pages, T0 + 320 * NS, NOW - SETTLED) == []


@pytest.mark.parametrize("behaviour", [newest_only, newest_since])
def test_an_exchange_that_serves_the_newest_only_says_so(behaviour: Callable[[list[Row], int], Answer]) -> None:
    """The pages begin where what was served begins: nothing before counts as covered, nor as empty."""
    pages = walk(TradePager("x", MARKET, T0, NOW), behaviour(TRADES, 100))
    got = ids(pages)
    assert got == list(range(got[0], 1001)) and len(got) in (100, 300)
    begin = next(one["timestamp"] for one in TRADES if one["id"] == str(got[0])) * MS
    assert uncovered(pages, T0, NOW - SETTLED) == [(T0, begin)]


def test_a_first_trade_long_after_the_start() -> None:
    """It may be the market's first or the oldest that is kept: what lies before isn't covered."""
    early = T0 - 86_400 * NS
    pages = walk(TradePager("x", MARKET, early, NOW), oldest_first(TRADES, 50))
    assert ids(pages) == list(range(1, 1001))
    assert uncovered(pages, early, NOW - SETTLED) == [(early, T0)]


def test_identical_prints_without_ids_are_all_kept() -> None:
    """As many as there are, also where a page ends between them."""
    rows = [row(T0 + n // 5 * NS, None, price=100.0 + n // 5 % 2) for n in range(200)]
    pages = walk(TradePager("x", MARKET, T0, NOW), oldest_first(rows, 13))
    assert len(records(pages)) == 200


def test_more_than_a_page_in_one_millisecond() -> None:
    """What can't be asked for is left out of what is covered, and the rest still comes."""
    rows = [row(T0, n) for n in range(1, 31)] + [row(T0 + n * NS, n) for n in range(31, 100)]
    pages = walk(TradePager("x", MARKET, T0, NOW), oldest_first(rows, 20))
    assert ids(pages) == [*range(1, 21), *range(31, 100)]
    ((since, until),) = uncovered(pages, T0, NOW - SETTLED)
    assert (since, until - since) == (T0, MS)


def test_no_trades_at_all() -> None:
    """An empty market is covered, by one request."""
    pages = walk(TradePager("x", MARKET, T0, NOW), lambda request: [])
    assert (len(pages), uncovered(pages, T0, NOW - SETTLED)) == (1, [])


def test_contracts_become_base_asset() -> None:
    """ccxt counts the amounts of contracts in contracts."""
    for market, amount in ((Market("x", 0.001), 0.0005), (Market("x", 100.0, inverse=True), 0.5)):
        (trade,) = records(walk(TradePager("x", market, T0, NOW), lambda request: [row(T0 - NS), row(T0 + NS)]))
        assert isinstance(trade, Trade) and trade.amount == pytest.approx(amount)


@pytest.mark.parametrize(
    "wrong",
    [{"amount": None}, {"amount": 0}, {"price": None}, {"price": "nan"}, {"timestamp": None}, {"side": "up"}],
)
def test_what_is_missing_is_no_trade(wrong: Row) -> None:
    """A null amount is no 0."""
    pager = TradePager("x", MARKET, T0, NOW)
    (request,) = pager.requests(1)
    body = msgspec.json.encode([row(T0, 1, **wrong)] if "price" not in wrong else [{**row(T0, 1), **wrong}])
    with pytest.raises(ParseError):
        pager.receive(request, body, NOW)
    assert not pager.done
    pager.receive(request, msgspec.json.encode([row(T0 - NS, 1)]), NOW)
    assert pager.done


# ---------------------------------------------------------------- bars

FEATURES = Features(id="x", methods=frozenset(), kinds=frozenset(), timeframes={60: "1m", 86_400: "1d"}, page=100)
SPANS = {"1m": 60, "1d": 86_400}


def bars_of(first: int, last: int, span: int, *, but: range = range(0)) -> list[list[Any]]:
    """Bars that open from *first* to *last* (ns), without those whose number is in *but*."""
    return [
        [ts // MS, 1.0, 2.0, 0.5, 1.5, float(n)]
        for n, ts in enumerate(range(first - first % (span * NS), last, span * NS))
        if n not in but
    ]


def windows(first: int, last: int, size: int, asked: list[PageRequest], *, but: range = range(0)) -> Answer:
    """An exchange that serves the bars of the window of *size* bars that begins at ``since``."""

    def answer(request: PageRequest) -> list[list[Any]]:
        asked.append(request)
        span = SPANS[str(request.params["timeframe"])]
        rows = bars_of(first, last, span, but=but if span == 60 else range(0))
        at = since(request)
        if at is None:
            return rows[-size:]
        return [one for one in rows if at <= one[0] < at + size * span * 1000]

    return answer


def test_windows_of_bars_from_the_beginning() -> None:
    """Where a market begins is found by days; then each bar comes once; the open one doesn't."""
    asked: list[PageRequest] = []
    pages = walk(BarPager(FEATURES, MARKET, 60, 0, NOW), windows(T0, NOW, 100, asked))
    got = [record.ts for record in records(pages) if isinstance(record, Bar)]
    first = T0 - T0 % (60 * NS)
    assert got == list(range(first, NOW - SETTLED - 60 * NS + 1, 60 * NS))
    assert len(asked) < 90
    assert uncovered(pages, 0, got[-1]) == [(0, first)]


def test_a_quiet_market_whose_windows_are_empty() -> None:
    """Bars that nobody traded for are nowhere: the pages go on behind them, and they count as covered."""
    asked: list[PageRequest] = []
    start = T0 - T0 % (60 * NS)
    pages = walk(
        BarPager(FEATURES, MARKET, 60, start, NOW + 1000 * 60 * NS),
        windows(T0, NOW + 1000 * 60 * NS, 100, asked, but=range(20, 700)),
        now=NOW + 1000 * 60 * NS,
    )
    got = [(record.ts - start) // (60 * NS) for record in records(pages)]
    assert got == [*range(20), *range(700, got[-1] + 1)] and got[-1] > 1100
    assert uncovered(pages, start, start + got[-1] * 60 * NS) == []


def test_bars_of_an_exchange_that_serves_the_newest_only() -> None:
    """As of Kraken: the newest hundred, whatever is asked for."""

    def answer(request: PageRequest) -> list[list[Any]]:
        span = SPANS[str(request.params["timeframe"])]
        return [one for one in bars_of(T0, NOW, span)[-100:] if one[0] >= (since(request) or 0)]

    start = NOW - 150 * 60 * NS
    pages = walk(BarPager(FEATURES, MARKET, 60, start, NOW), answer)
    got = records(pages)
    assert len(got) == 99
    assert uncovered(pages, start, got[-1].ts) == [(start, got[0].ts)]


def test_a_bar_that_is_none() -> None:
    """Its high is below its low."""
    pager = BarPager(FEATURES, MARKET, 60, T0, NOW)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, msgspec.json.encode([[T0 // MS, 1.0, 0.5, 2.0, 1.0, 1.0]]), NOW)


# ---------------------------------------------------------------- the rest


def test_funding_and_open_interest() -> None:
    """Rates that were paid, and amounts."""
    rates = [{"timestamp": (T0 + n * 8 * 3600 * NS) // MS, "fundingRate": n / 1e5} for n in range(100)]
    later = T0 + 100 * 8 * 3600 * NS
    pages = walk(FundingPager("x", MARKET, T0, later), oldest_first(rates, 10), now=later)
    assert records(pages) == [
        FundingRate(one["timestamp"] * MS, one["fundingRate"], due_ts=one["timestamp"] * MS) for one in rates
    ]
    held = [{"timestamp": (T0 + n * 3600 * NS) // MS, "openInterestAmount": 1.0 + n} for n in range(100)]
    pages = walk(InterestPager("x", MARKET, T0, later), oldest_first(held, 10), now=later)
    assert records(pages) == [OpenInterest(one["timestamp"] * MS, one["openInterestAmount"]) for one in held]


@pytest.mark.parametrize("rate", ["1e9", "-1000", '"0.1%"', "null", '"nan"'])
def test_what_is_no_rate(rate: str) -> None:
    """A number beyond all bounds is none, either."""
    pager = FundingPager("x", MARKET, T0, NOW)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, f'[{{"timestamp": {T0 // MS}, "fundingRate": {rate}}}]'.encode(), NOW)


@pytest.mark.parametrize("kind", [FundingPager, InterestPager])
def test_what_is_not_published_yet_is_not_covered(kind: type[FundingPager | InterestPager]) -> None:
    """Half a minute after its time a value that isn't there may still come."""
    pager = kind("x", MARKET, T0 - 100 * NS, T0 + 60 * NS)
    (request,) = pager.requests(1)
    assert pager.receive(request, b"[]", T0 + 30 * NS).end <= T0


def test_the_book_of_now() -> None:
    """Both sides, best first; without a time, it is that when it came."""
    pager = DepthPager("x", Market("x", 0.1))
    (request,) = pager.requests(1)
    body = {"bids": [[99, 1], [99.5, 2]], "asks": [[101, 3], [100, 4]], "timestamp": None, "nonce": 7}
    page = pager.receive(request, msgspec.json.encode(body), NOW)
    assert page.records == [
        BookSnapshot(NOW, 7, [(99.5, 0.2), (99.0, 0.1)], [(100.0, 0.4), (101.0, pytest.approx(0.3))], NOW)
    ]
    assert pager.done


def test_contracts_that_are_no_amount() -> None:
    """Of trades and books alike."""
    market = Market("x", inverse=True)
    trades, book = TradePager("x", market, T0, NOW), DepthPager("x", market)
    for pager, body in ((trades, [row(T0, price=1e-307)]), (book, {"bids": [[1e-307, 5]], "asks": []})):
        (request,) = pager.requests(1)
        with pytest.raises(ParseError, match="no amount"):
            pager.receive(request, msgspec.json.encode(body), NOW)
        assert not pager.done
