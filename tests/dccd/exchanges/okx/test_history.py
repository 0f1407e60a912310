"""Past bars and the present book of OKX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.okx import Okx
from dccd.records import Bar, BookSnapshot
from dccd.symbols import NS, Dataset

MINUTE = 60 * NS
MS = 1_000_000
T0 = 1_600_000_020 * NS
SWAP = Market("BTC-USDT-SWAP", 0.01)


def pager(start: int, end: int, name: str = "okx.ohlc.BTC-USDT.1m", market: Market | None = None) -> HistoryPager:
    return Okx().history(Dataset.parse(name), start, end, market or Market("BTC-USDT"))


class Candles:
    """``GET /api/v5/market/history-candles`` of a market with a bar each minute (or day) from *first* to *last*."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.bars: list[str] = []

    def __call__(self, request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetMarketHistoryCandles"
        before, after, bar = (request.params[name] for name in ("before", "after", "bar"))
        self.bars.append(str(bar))
        step = {"1m": 60_000, "1Dutc": 86_400_000}[str(bar)]
        oldest = self.first // MS - self.first // MS % step
        times = [ms for ms in range(oldest, self.last // MS + 1, step) if int(before) < ms < int(after)]
        newest = times[::-1][: int(request.params["limit"])]
        rows = [[str(ms), "2", "4", "1", "3", "10", "20", "30", str(int(ms != times[-1]))] for ms in newest]
        return msgspec.json.encode({"code": "0", "msg": "", "data": rows})


def minutes(run: Any) -> list[int]:
    return sorted((bar.ts - T0) // MINUTE for bar in run.records)


def test_closed_bars_of_the_range(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """In windows of 300, in any order; the range's bars and no others."""
    run = backfill(pager(T0 + 3 * MINUTE, T0 + 1000 * MINUTE))
    run.run(Candles(T0, T0 + 2000 * MINUTE), T0 + 2000 * MINUTE, 3, lambda count: count - 1)
    assert minutes(run) == list(range(3, 1000))
    assert merged(run.covered) == [(T0 + 3 * MINUTE, T0 + 1000 * MINUTE)]
    first = min(run.records, key=lambda bar: bar.ts)
    assert first == Bar(T0 + 3 * MINUTE, 2.0, 4.0, 1.0, 3.0, 10.0, 30.0)


def test_contracts_have_their_volume_in_base_asset(backfill: Callable[..., Any]) -> None:
    """OKX gives it beside that in contracts."""
    made = pager(T0, T0 + MINUTE, "okx.ohlc.BTC-USDT_PERP.1m", SWAP)
    run = backfill(made).run(Candles(T0, T0 + 20 * MINUTE), T0 + 20 * MINUTE)
    assert run.records == [Bar(T0, 2.0, 4.0, 1.0, 3.0, 20.0, 30.0)]


def test_the_open_bar_is_left_out(backfill: Callable[..., Any]) -> None:
    """What is covered ends where it begins."""
    run = backfill(pager(T0, T0 + 100 * MINUTE)).run(Candles(T0, T0 + 10 * MINUTE), T0 + 10 * MINUTE + 15 * NS)
    assert minutes(run) == list(range(10))
    assert run.pager.position == T0 + 10 * MINUTE


def test_a_market_that_did_not_exist_yet(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Bars of a day find its beginning; OKX had nothing before 2017."""
    candles = Candles(T0, T0 + 2000 * MINUTE)
    run = backfill(pager(0, T0 + 100 * MINUTE)).run(candles, T0 + 2000 * MINUTE)
    assert minutes(run) == list(range(100))
    assert merged(run.covered) == [(0, T0 + 100 * MINUTE)]
    assert candles.bars.count("1Dutc") == 5
    assert run.requests < 15


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}', b'{"code":"0","msg":""}',
        b'{"code":"0","data":[["1600000020000","0","1","1","1","1","1","1","1"]]}',
        b'{"code":"0","data":[["1600000020000","1","1","1","1","1","1","1"]]}',
        b'{"code":"0","data":[["1","1","1","1","1","1","1","1","1"],["2","1","1","1","1","1","1","1","1"]]}',
        b'{"code":"0","data":[["1600000020000","1","0.5","1","1","1","1","1","1"]]}',
    ],
)  # fmt: skip
def test_broken_bodies(body: bytes) -> None:
    """A body that isn't one market's bars is a ParseError, and the page can be asked for again."""
    made = pager(T0, T0 + MINUTE)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, T0 + 20 * MINUTE)
    assert not made.done
    made.receive(request, Candles(T0, T0 + 20 * MINUTE)(request), T0 + 20 * MINUTE)
    assert made.done


def test_errors_are_in_okx_words() -> None:
    """Should one come with status 200."""
    made = pager(T0, T0 + MINUTE)
    with pytest.raises(ParseError, match=r"Instrument ID does not exist \(code 51001\)"):
        made.receive(made.requests(1)[0], b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}', T0)


def test_the_present_book() -> None:
    """Best first on both sides, at OKX's time, with its number; sizes of contracts in base asset."""
    levels = {
        "asks": [["11", "7", "0", "1"], ["12", "1", "0", "1"]],
        "bids": [["10", "3", "0", "1"], ["9", "2", "0", "1"]],
    }
    body = msgspec.json.encode({"code": "0", "msg": "", "data": [{**levels, "ts": "1600000020123", "seqId": 99}]})
    made = pager(0, 1, "okx.orderbook.BTC-USDT")
    (request,) = made.requests(1)
    assert request == PageRequest("publicGetMarketBooks", {"instId": "BTC-USDT", "sz": 400})
    page = made.receive(request, body, 5)
    bids, asks = [(10.0, 3.0), (9.0, 2.0)], [(11.0, 7.0), (12.0, 1.0)]
    assert page.records == [BookSnapshot(1_600_000_020_123 * MS, 99, bids, asks, 5)]
    assert made.done
    made = pager(0, 1, "okx.orderbook.BTC-USDT_PERP", SWAP)
    (snapshot,) = made.receive(made.requests(1)[0], body.replace(b',"seqId":99', b""), 5).records
    assert snapshot == BookSnapshot(
        1_600_000_020_123 * MS, 5, [(10.0, 0.03), (9.0, 0.02)], [(11.0, 0.07), (12.0, 0.01)], 5
    )
    with pytest.raises(ParseError):
        pager(0, 1, "okx.orderbook.BTC-USDT").receive(request, b'{"code":"0","data":[]}', 5)
