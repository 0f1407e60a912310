"""Past bars, funding rates, open interest and the present book of Kraken Futures."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest
from dccd.symbols import NS, Dataset, format_time, parse_span

MS = 10**6
MINUTE, HOUR, DAY = 60 * NS, 3600 * NS, 86_400 * NS
NOW = 1_764_000_017 * NS
LIMIT = 2000


def history(name: str, start: int, end: int, market: Market = Market("PF_XBTUSD")) -> HistoryPager:  # noqa: B008  # frozen
    return KrakenFutures().history(Dataset.parse(f"krakenfutures.{name}"), start, end, market)


def candle(ts: int, **fields: object) -> dict[str, object]:
    prices = {"open": "100", "high": "103.5", "low": "99", "close": "101", "volume": "12.5"}
    return {"time": ts // MS} | prices | fields


def candles(rows: list[dict[str, object]], more: bool = False) -> bytes:
    return msgspec.json.encode({"candles": rows, "more_candles": more})


def exchange(opened: int) -> Callable[[PageRequest], bytes]:
    """Charts from *opened* on: both ends count, a page holds 2000."""

    def answer(request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "chartsGetPriceTypeSymbolInterval" and params["symbol"] == "PF_XBTUSD"
        what, _, query = str(params["interval"]).partition("?")
        if params["price_type"] == "analytics":
            assert what == "open-interest" and set(params) == {"price_type", "symbol", "interval"}
            asked = {name: int(values[0]) for name, values in parse_qs(query).items()}
            start, end, every = asked["since"] * NS, asked["to"] * NS, asked["interval"] * NS
        else:
            assert params["price_type"] == "trade" and not query
            start, end, every = int(params["from"]) * NS, int(params["to"]) * NS, parse_span(what) * NS
        first = max(start + -start % every, opened - opened % every)
        times = list(range(first, min(end, NOW) + 1, every))
        more, times = len(times) > LIMIT, times[:LIMIT]
        if params["price_type"] == "trade":
            return candles([candle(ts) for ts in times], more)
        data = [["7.5", "8", "7", "7.75"] for _ in times]
        result = {"timestamp": [ts // NS for ts in times], "more": more, "data": data}
        return msgspec.json.encode({"result": result, "errors": []})

    return answer


def test_the_requests() -> None:
    """Ends are in seconds and inclusive."""
    (request,) = history("ohlc.BTC-USD_PERP.5m", 1_700_000_100 * NS, 1_700_000_700 * NS).requests(1)
    ends = {"from": 1_700_000_100, "to": 1_700_000_699}
    assert request.params == {"price_type": "trade", "symbol": "PF_XBTUSD", "interval": "5m", **ends}
    (request,) = history("open_interest.BTC-USD_PERP", 1_700_000_100 * NS, 1_700_000_700 * NS).requests(1)
    query = "open-interest?since=1700000100&interval=300&to=1700000699"
    assert request.params == {"price_type": "analytics", "symbol": "PF_XBTUSD", "interval": query}


def test_bars() -> None:
    """As they are; the one that may be open is left out."""
    opens = [NOW - NOW % MINUTE - n * MINUTE for n in (2, 1, 0)]
    pager = history("ohlc.BTC-USD_PERP.1m", opens[0], NOW)
    page = pager.receive(pager.requests(1)[0], candles([candle(ts) for ts in opens]), NOW)
    assert page.records == [Bar(ts, 100.0, 103.5, 99.0, 101.0, 12.5) for ts in opens[:2]]
    assert (page.start, page.end, pager.done) == (opens[0], opens[2], True)


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("ohlc.BTC-USD_PERP.1m", MINUTE),
        ("ohlc.BTC-USD_QUARTER.12h", 12 * HOUR),
        ("open_interest.BTC-USD_PERP", 5 * MINUTE),
    ],
)
@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(0, 20 * DAY),
    length=st.integers(1, 20 * DAY),
    opened=st.integers(-5 * DAY, 25 * DAY),
    concurrency=st.integers(1, 4),
)
def test_every_one(
    backfill: Callable[..., object],
    merged: Callable[..., object],
    name: str,
    every: int,
    start: int,
    length: int,
    opened: int,
    concurrency: int,
) -> None:
    """Each once, in pages asked for side by side, wherever the market begins."""
    base = NOW - 60 * DAY
    start, opened = base + start, base + opened
    end = start + length
    run = backfill(history(name, start, end)).run(exchange(opened), NOW, concurrency)  # type: ignore[attr-defined]  # the class Backfill
    first = max(start, opened - opened % every)
    assert sorted(record.ts for record in run.records) == list(range(first + -first % every, end, every))
    assert merged(run.covered) == [(start, end)]


def test_from_the_beginning(backfill: Callable[..., object]) -> None:
    """Years before a market are skipped by its daily bars, the open interest's, too."""
    for name in ("ohlc.BTC-USD_PERP.1m", "open_interest.BTC-USD_PERP"):
        run = backfill(history(name, 0, NOW)).run(exchange(NOW - 3 * DAY), NOW)  # type: ignore[attr-defined]  # the class Backfill
        assert run.requests < 12 and run.records[0].ts < NOW - 3 * DAY + 5 * MINUTE and run.covered[0][0] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Invalid instrument",
        b'{"candles":[]}',
        candles([candle(NOW - HOUR, high="98")]),
        candles([candle(NOW - HOUR, open="0")]),
        candles([candle(NOW - HOUR), candle(NOW - 2 * HOUR)]),
        candles([candle(NOW - HOUR)], more=True),
    ],
)
def test_what_are_no_bars(body: bytes) -> None:
    """A ParseError: also when an answer is cut off where it need not be."""
    pager = history("ohlc.BTC-USD_PERP.1m", NOW - 2 * HOUR, NOW - HOUR)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, body, NOW)
    assert not pager.done and pager.position == NOW - 2 * HOUR


def test_open_interest() -> None:
    """The first value of each five minutes."""
    start = NOW - NOW % HOUR - HOUR
    pager = history("open_interest.BTC-USD_PERP", start, start + 15 * MINUTE)
    page = pager.receive(pager.requests(1)[0], exchange(0)(pager.request(start, start + 15 * MINUTE, 300)), NOW)  # type: ignore[attr-defined]  # of its class
    assert page.records == [OpenInterest(start + n * 5 * MINUTE, 7.5) for n in range(3)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"result":{"timestamp":[1],"more":false,"data":[]},"errors":[]}',
        b'{"result":{"timestamp":[1],"more":false,"data":[["1","2","1"]]},"errors":[]}',
        b'{"result":{"timestamp":[1],"more":true,"data":[["1","2","1","2"]]},"errors":[]}',
        b'{"errors":[{"type":"Invalid arguments","field":"interval"}]}',
    ],
)
def test_what_is_no_open_interest(body: bytes) -> None:
    """As many values as times, and an answer that isn't cut off."""
    pager = history("open_interest.BTC-USD_PERP", NOW - HOUR, NOW)
    with pytest.raises(ParseError):
        pager.receive(pager.requests(1)[0], body, NOW)


def rates(*rows: tuple[int, float]) -> bytes:
    found = [{"timestamp": format_time(ts), "fundingRate": 1e9, "relativeFundingRate": rate} for ts, rate in rows]
    return msgspec.json.encode({"rates": found, "result": "success", "serverTime": "2025-11-24T16:00:17.000Z"})


HOURS = [NOW - NOW % HOUR - n * HOUR for n in (3, 2, 1, 0)]


def test_funding() -> None:
    """The fractions of our range, in whatever order they come."""
    pager = history("funding.BTC-USD_PERP", HOURS[1], NOW)
    (request,) = pager.requests(1)
    assert (request.endpoint, request.params) == ("publicGetHistoricalfundingrates", {"symbol": "PF_XBTUSD"})
    page = pager.receive(request, rates(*[(ts, ts / 1e30) for ts in reversed(HOURS)]), NOW)
    assert page.records == [FundingRate(ts, ts / 1e30) for ts in HOURS[1:]]
    assert (page.start, pager.done) == (HOURS[1], True)
    assert page.end == max(HOURS[3] + 1, NOW - 300 * NS) == pager.position


def test_funding_of_before_what_is_kept() -> None:
    """What was earlier can't be had; of a younger market there wasn't any."""
    for first, covered in ((NOW - 366 * DAY, NOW - 366 * DAY), (NOW - 200 * DAY, NOW - 800 * DAY)):
        pager = history("funding.BTC-USD_PERP", NOW - 800 * DAY, NOW)
        page = pager.receive(pager.requests(1)[0], rates((first, 0.1), (NOW - HOUR, 0.2)), NOW)
        assert page.start == covered and len(page.records) == 2


def test_no_funding_asked_for() -> None:
    """Of an empty range nothing."""
    pager = history("funding.BTC-USD_PERP", NOW, NOW)
    assert pager.done and pager.requests(1) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"result":"error","errors":[{"code":11,"message":"Argument invalid: symbol"}]}',
        rates((HOURS[0], 0.1), (HOURS[0], 0.2)),
        rates((HOURS[0], 10_000.0)),
        rates((HOURS[0], 0.1)).replace(b"T", b" ").replace(b"Z", b"z"),
    ],
)
def test_what_are_no_rates(body: bytes) -> None:
    """A ParseError, and the page is asked for again."""
    pager = history("funding.BTC-USD_PERP", HOURS[0], NOW)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, body, NOW)
    assert not pager.done


BOOK = (
    b'{"result":"success","orderBook":{"bids":[[99,2],[100,1],[98,0]],"asks":[[102,4],[101,3]]},'
    b'"serverTime":"2025-11-24T16:00:16.500Z"}'
)


def test_the_book() -> None:
    """Both sides, best first, at Kraken's time."""
    pager = history("orderbook.BTC-USD_PERP", NOW - 1, NOW)
    (request,) = pager.requests(1)
    assert (request.endpoint, request.params) == ("publicGetOrderbook", {"symbol": "PF_XBTUSD"})
    page = pager.receive(request, BOOK, NOW)
    bids, asks = [(100.0, 1.0), (99.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)]
    assert page.records == [BookSnapshot(1_764_000_016_500 * MS, NOW, bids, asks, NOW)] and pager.done


def test_the_book_in_dollars() -> None:
    """Contracts of an inverse market come to base asset."""
    pager = history("orderbook.BTC-USD_PERP", NOW - 1, NOW, Market("PI_XBTUSD", inverse=True))
    page = pager.receive(pager.requests(1)[0], BOOK, NOW)
    (book,) = page.records
    assert isinstance(book, BookSnapshot) and book.bids == [(100.0, 0.01), (99.0, 2 / 99)]


@pytest.mark.parametrize("bad", [(b"[99,2]", b"[100,2]"), (b"16.500Z", b"16.500"), (b"[102,4]", b"[0,4]")])
def test_what_is_no_book(bad: tuple[bytes, bytes]) -> None:
    """A price twice, no time, no price."""
    pager = history("orderbook.BTC-USD_PERP", NOW - 1, NOW)
    with pytest.raises(ParseError):
        pager.receive(pager.requests(1)[0], BOOK.replace(*bad), NOW)
