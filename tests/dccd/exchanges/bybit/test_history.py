"""Past bars, the newest trades and the present book of Bybit."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.bybit import Bybit
from dccd.exchanges.paging import SETTLED
from dccd.records import Bar, BookSnapshot, Trade
from dccd.symbols import NS, Dataset

MS = 10**6
MINUTE = 60 * NS
DAY = 86_400
NOW = 1_700_000_040 * NS


def history(name: str, start: int, end: int) -> HistoryPager:
    return Bybit().history(Dataset.parse(f"bybit.{name}"), start, end, Market("BTCUSDT"))


def body(rows: object, **fields: object) -> bytes:
    result = {"category": "linear", "symbol": "BTCUSDT", "list": rows} | fields
    return msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1})


def kline(ts: int, volume: str = "1") -> list[str]:
    return [str(ts // MS), "2", "4", "1", "3", volume, "2.5"]


def market(opened: int) -> Callable[[PageRequest], bytes]:
    """Bybit with a bar a minute and one a day from *opened* on: both ends count, newest first, the limit kept."""

    def answer(request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetV5MarketKline"
        params = request.params
        span = {"1": 60, "D": DAY}[str(params["interval"])] * NS
        start, end, limit = (int(params[name]) * MS for name in ("start", "end", "limit"))
        first = max(start + -start % span, opened - opened % span)
        times = range(first, min(end, NOW) + 1, span)
        return body([kline(ts) for ts in reversed(times)][: limit // MS])

    return answer


@given(age=st.integers(1, 5 * DAY), length=st.integers(2, 3000), concurrency=st.integers(1, 3))
def test_every_bar_once(backfill, merged, age, length, concurrency) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """Of a market that may have begun in between; the bar that is open is left out."""
    opened = (NOW - age * NS) // MINUTE * MINUTE
    start = NOW - length * MINUTE
    pager = history("ohlc.BTC-USDT.1m", start, NOW)
    done = backfill(pager).run(market(opened), NOW + NS, concurrency)
    expected = [ts for ts in range(start, NOW, MINUTE) if opened <= ts and ts + MINUTE <= NOW + NS - SETTLED]
    assert sorted(bar.ts for bar in done.records) == expected
    assert merged(done.covered)[0][0] == start


def test_from_the_beginning(backfill) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """From 1970 on: daily bars of thousands of days find the first one."""
    opened = NOW - 3 * 3600 * NS
    done = backfill(history("ohlc.BTC-USDT_PERP.1m", 0, NOW)).run(market(opened), NOW + 100 * NS)
    assert min(bar.ts for bar in done.records) == opened // MINUTE * MINUTE
    assert done.requests < 10


def test_the_category_is_asked_for() -> None:
    """As BTCUSDT is on both."""
    for symbol, category in (("BTC-USDT", "spot"), ("BTC-USDT_PERP", "linear"), ("BTC-USDT_QUARTER", "linear")):
        for data_type in (f"ohlc.{symbol}.1h", f"trades.{symbol}", f"orderbook.{symbol}"):
            (request,) = history(data_type, NOW - 3600 * NS, NOW).requests(1)
            assert request.params["category"] == category
            assert request.params["symbol"] == "BTCUSDT"


def test_bars_keep_the_turnover(backfill) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """Volume in base, turnover in quote asset; nobody counts the trades."""
    pager = history("ohlc.BTC-USDT.1m", NOW - MINUTE, NOW)
    done = backfill(pager).run(lambda request: body([kline(NOW - MINUTE, "7")]), NOW + MINUTE)
    assert done.records == [Bar(NOW - MINUTE, 2.0, 4.0, 1.0, 3.0, 7.0, 2.5)]


# ---------------------------------------------------------------- trades


def trade(tid: str, ms: int, **fields: object) -> dict[str, object]:
    return {"execId": tid, "symbol": "BTCUSDT", "price": "1.5", "size": "2", "side": "Sell", "time": str(ms)} | fields


def test_the_newest_trades() -> None:
    """One page, oldest first; it begins after the oldest one's millisecond, which may be cut off."""
    now = NOW // MS
    pager = history("trades.BTC-USDT_PERP", NOW - 3600 * NS, NOW)
    (request,) = pager.requests(4)
    assert request.params["limit"] == 1000
    found = [trade("c", now - 20_000), trade("b", now - 30_000, side="Buy"), trade("a", now - 30_000)]
    page = pager.receive(request, body(found), NOW)
    first = NOW - 30 * NS
    assert page.records == [
        Trade(first, 1.5, 2.0, "sell", "a"),
        Trade(first, 1.5, 2.0, "buy", "b"),
        Trade(NOW - 20 * NS, 1.5, 2.0, "sell", "c"),
    ]
    assert (page.start, page.end) == (first + MS, NOW - SETTLED)
    assert pager.done and pager.position == NOW - SETTLED and pager.requests(1) == []


def test_spot_has_sixty_trades() -> None:
    """Less than that is a refusal's limit."""
    assert history("trades.BTC-USDT", 0, NOW).requests(1)[0].params["limit"] == 60


@pytest.mark.parametrize("found", [[], [trade("a", NOW // MS + 5)]])
def test_what_is_not_there_any_more_is_not_covered(found: list[dict[str, object]]) -> None:
    """A range before the oldest trade, or of a market that has none, is covered by nothing."""
    pager = history("trades.BTC-USDT", NOW - NS, NOW)
    page = pager.receive(pager.requests(1)[0], body(found), NOW + 60 * NS)
    assert page.records == [] and page.start == page.end == NOW
    assert pager.done


def test_an_empty_range() -> None:
    """Nothing is asked for."""
    pager = history("trades.BTC-USDT", NOW, NOW)
    assert pager.done and pager.requests(1) == []


# ---------------------------------------------------------------- book


def test_the_book_of_now() -> None:
    """Best level first on both sides, at the matching engine's time."""
    for symbol, limit in (("BTC-USDT", 200), ("BTC-USDT_PERP", 500)):
        pager = history(f"orderbook.{symbol}", NOW - 1, NOW)
        (request,) = pager.requests(1)
        assert request.params["limit"] == limit
        result = {"s": "BTCUSDT", "b": [["1", "2"], ["1.5", "3"]], "a": [["3", "1"], ["2", "4"]], "ts": 1700000000123,
                  "u": 18, "seq": 5, "cts": 1700000000120}  # fmt: skip
        page = pager.receive(request, msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": result}), NOW)
        assert page.records == [
            BookSnapshot(1700000000120 * MS, 18, [(1.5, 3.0), (1.0, 2.0)], [(2.0, 4.0), (3.0, 1.0)], NOW)
        ]


# ---------------------------------------------------------------- errors

ERROR = b'{"retCode":10001,"retMsg":"params error: Symbol Is Invalid","result":{},"retExtInfo":{},"time":1}'


@pytest.mark.parametrize("name", ["ohlc.BTC-USDT.1m", "trades.BTC-USDT", "orderbook.BTC-USDT"])
@pytest.mark.parametrize(
    "broken",
    [
        b"", b"{}", b"null", b'{"retCode":0,"retMsg":"OK","result":null}', b'{"retCode":0,"retMsg":"OK","result":{}}',
        body(None), body([[]]), body([{}]), body([], symbol="ETHUSDT", s="ETHUSDT"), body([kline(-MS)]),
        body([["1", "2", "1", "1", "3", "1", "1"]]), body([kline(MS), kline(2 * MS)]), body([kline(MS), kline(MS)]),
        body([trade("a", 5, price="0")]), body([trade("a", 5, symbol="ETHUSDT")]), body([trade("", 5)]),
    ],
)  # fmt: skip
def test_broken_answers(name: str, broken: bytes) -> None:
    """A ParseError, after which the same page can be asked for again."""
    pager = history(name, NOW - MINUTE, NOW)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, broken, NOW)
    assert not pager.done


@pytest.mark.parametrize("name", ["ohlc.BTC-USDT.1m", "trades.BTC-USDT", "orderbook.BTC-USDT", "funding.BTC-USDT_PERP"])
def test_errors_are_in_bybits_words(name: str) -> None:
    """With their number."""
    pager = history(name, NOW - MINUTE, NOW)
    with pytest.raises(ParseError, match=r"Symbol Is Invalid \(10001\)"):
        pager.receive(pager.requests(1)[0], ERROR, NOW)


# ---------------------------------------------------------------- real answers


def test_real_answers(captures: Path) -> None:
    """Real bars, trades and book, whatever is read of them by hand."""
    folder = captures / "payloads" / "bybit"

    def run(name: str, file: str) -> tuple[list[object], dict[str, object]]:
        raw = (folder / file).read_bytes()
        pager = history(name, 1_600_000_000 * NS, 1_709_891_680 * NS)
        if "ohlc" in name:
            pager = history(name, 1_709_891_000 * NS, 1_709_891_740 * NS)
        page = pager.receive(pager.requests(1)[0], raw, 1_709_899_999 * NS)
        return list(page.records), json.loads(raw)["result"]

    bars, read = run("ohlc.BTC-USDT_PERP.1m", "http_get_klines_linear.json")
    assert bars == [Bar(int(row[0]) * MS, *(float(Decimal(part)) for part in row[1:])) for row in read["list"]]
    trades, read = run("trades.BTC-USDT_PERP", "http_get_trades_recent.json")
    assert trades == [
        Trade(int(t["time"]) * MS, float(t["price"]), float(t["size"]), t["side"].lower(), t["execId"])
        for t in read["list"]
    ]
    book, read = run("orderbook.BTC-USDT_PERP", "http_get_orderbook.json")
    sides = [[(float(Decimal(p)), float(Decimal(a))) for p, a in read[side]] for side in "ba"]
    assert book == [BookSnapshot(1709891679000 * MS, 1234567, *sides, 1_709_899_999 * NS)]
    assert (len(bars), len(trades), len(book)) == (1, 1, 1)


def test_every_capture_is_named(captures: Path) -> None:
    """Of what is there, only lists of instruments (ccxt reads those) are nothing that we collect."""
    files = {path.name for path in (captures / "payloads" / "bybit").iterdir()}
    instruments = {"http_get_instruments_linear.json", "http_get_instruments_spot.json"}
    tested = {
        "http_get_funding_history.json", "http_get_klines_linear.json", "http_get_orderbook.json",
        "http_get_trades_recent.json", "ws_kline.json", "ws_orderbook_delta.json", "ws_orderbook_snapshot.json",
        "ws_public_trade.json", "ws_subscription_ack.json", "ws_subscription_failure.json",
    }  # fmt: skip
    assert files == instruments | tested
