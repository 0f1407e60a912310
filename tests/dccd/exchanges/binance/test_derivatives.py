"""Funding rates and open interest of Binance's futures, live and past."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.binance import Binance
from dccd.exchanges.paging import SETTLED, STATED
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import NS, Dataset

MS = 1_000_000
T0 = 1_672_515_782_000
DUE = 1_672_531_200_000
HOUR = 3600 * NS
DAY = 24 * HOUR
NOW = 1_700_000_040 * NS
ACK = b'{"result":null,"id":1}'
MARKET = Market("BTCUSDT")


def stream() -> StreamProtocol:
    return Binance().stream(Dataset.parse("binance.funding.BTC-USDT_PERP"), StreamOptions(), MARKET)


def history(name: str, start: int, end: int) -> HistoryPager:
    return Binance().history(Dataset.parse(f"binance.{name}.BTC-USDT_PERP"), start, end, MARKET)


def mark(**fields: object) -> bytes:
    """One markPriceUpdate."""
    data = {"e": "markPriceUpdate", "E": T0, "s": "BTCUSDT", "p": "16541.15", "i": "1", "r": "0.0001", "T": DUE}
    return msgspec.json.encode({"stream": "btcusdt@markPrice@1s", "data": {**data, **fields}})


# ---------------------------------------------------------------- live


def test_announced(frames: Callable[[str], list[bytes]]) -> None:
    """When the rate or the time of its payment changes, with the mark price; other seconds give nothing."""
    protocol, out = stream(), list[Record]()
    assert [protocol.receive(one, 5, out) for one in frames("binance/futures_funding")] == [Subscribed(), *[None] * 4]
    assert out == [
        FundingRate(T0 * MS, 0.0001, 16541.15, 5, DUE * MS),
        FundingRate((T0 + 2000) * MS, -0.000038, 16540.0, 5, DUE * MS),
        FundingRate((T0 + 3000) * MS, -0.000038, 16540.1, 5, 1_672_560_000_000 * MS),
    ]


def test_a_mark_price_comes_each_second_whatever_the_market_does() -> None:
    """So the stream is missed soon when it is dead, not at the next payment."""
    assert stream().beat == 30


def test_overtaken() -> None:
    """An older announcement that comes late is no news."""
    protocol, out = stream(), list[Record]()
    protocol.receive(mark(E=T0 + 1000), 5, out)
    protocol.receive(mark(E=T0, r="0.5"), 5, out)
    assert len(out) == 1


def test_refused() -> None:
    """In Binance's words, when the error is an answer to this stream's request or names nobody."""
    protocol = stream()
    protocol.lane = 3
    error = b'{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":%d}'
    assert protocol.receive(error % 4, 0, []) is None
    assert protocol.receive(error % 3, 0, []) == Refused("Invalid request: invalid stream (code 2)")
    assert stream().receive(b'{"code":2,"msg":"Invalid request"}', 0, []) == Refused(
        "Invalid request (code 2)", permanent=False
    )


@pytest.mark.parametrize(
    "broken",
    [
        mark(r=""), mark(r=None), mark(r="nan"), mark(r="1e9"), mark(p="0"), mark(p=""), mark(p=None), mark(T=-1),
        mark(T=10**16), mark(E=""), mark()[:-1], mark().replace(b'"r":"0.0001",', b""),
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A rate that is missing, as a dated contract's is, or none at all is a ParseError and no 0."""
    protocol, out = stream(), list[Record]()
    with pytest.raises(ParseError):
        protocol.receive(broken, 5, out)
    assert out == []
    protocol.receive(mark(), 5, out)
    assert len(out) == 1


@pytest.mark.parametrize("contract", ["QUARTER", "NEXT_QUARTER"])
@pytest.mark.parametrize("live", [True, False])
def test_dated_contracts_pay_no_funding(contract: str, live: bool) -> None:
    """Which is said before anything is asked of Binance."""
    with pytest.raises(NoCapability, match="no funding of dated contracts"):
        Binance().check(Dataset.parse(f"binance.funding.BTC-USDT_{contract}"), live)


@pytest.mark.parametrize("name", ["trades.BTC-USD_PERP", "orderbook.BTC-USD_QUARTER", "funding.BTC-USD_PERP"])
def test_contracts_margined_in_coin_are_elsewhere(name: str) -> None:
    """Binance serves them by another API: the error names what there is here."""
    dataset = Dataset.parse(f"binance.{name}")
    with pytest.raises(NoCapability, match=r"margined in coin, as BTC/USD:.*as BTC/USDT:") as caught:
        Binance().stream(dataset, StreamOptions(), Market("BTCUSD_PERP"))
    assert caught.value.field == "symbol"
    Binance().check(Dataset.parse("binance.trades.BTC-USD"), live=True)


# ---------------------------------------------------------------- history


class Payments:
    """``GET /fapi/v1/fundingRate`` of a contract with payments at these times (ms)."""

    def __init__(self, times: list[int]) -> None:
        self.times = times

    def __call__(self, request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "fapiPublicGetFundingRate" and params["symbol"] == "BTCUSDT"
        low, high, limit = (int(params[name]) for name in ("startTime", "endTime", "limit"))
        assert limit == 1000
        found = [ms for ms in self.times if low <= ms <= high][:limit]
        return msgspec.json.encode(
            [{"symbol": "BTCUSDT", "fundingTime": ms, "fundingRate": "-0.00012", "markPrice": "12.5"} for ms in found]
        )


class Statistics:
    """``GET /futures/data/openInterestHist`` of a contract that is listed since *opened* (ns)."""

    def __init__(self, opened: int) -> None:
        self.opened = opened

    def __call__(self, request: PageRequest) -> bytes:
        params = request.params
        assert request.endpoint == "fapiDataGetOpenInterestHist" and params["period"] == "5m"
        low, high, limit = (int(params[name]) for name in ("startTime", "endTime", "limit"))
        assert limit == 500
        times = [ms for ms in range(low + -low % 300_000, high + 1, 300_000) if self.opened <= ms * MS < NOW]
        assert len(times) <= limit, "more than a page holds was asked for"
        values = {"symbol": "BTCUSDT", "sumOpenInterest": "20.5", "sumOpenInterestValue": "410.25"}
        return msgspec.json.encode([{**values, "timestamp": str(ms)} for ms in times])


@given(
    st.lists(st.integers(NOW // MS - 10**10, NOW // MS - 20_000), max_size=3000, unique=True).map(sorted),
    st.integers(1, 12 * 10**9),
)
@settings(max_examples=40)
def test_payments_come_once(backfill: Any, merged: Any, times: list[int], length: int) -> None:
    """From start to end, pages of a thousand, payments at odd milliseconds."""
    start, end = NOW - length * MS, NOW
    done = backfill(history("funding", start, end)).run(Payments(times), NOW)
    assert [record.ts for record in done.records] == [ms * MS for ms in times if ms * MS >= start]
    covered = [(start, max(NOW - STATED, *(ms * MS for ms in [0, *times])))]
    assert merged(done.covered) == ([] if start >= covered[0][1] else covered)


def test_payments_since_the_contract_s_beginning(backfill: Any) -> None:
    """Five years of them, every 8 hours, in six requests; what is asked for ends before ``end``."""
    times = [NOW // MS - n * 8 * 3_600_000 for n in range(5500, 0, -1)]
    done = backfill(history("funding", 0, NOW - DAY)).run(Payments(times), NOW)
    assert len(done.records) == 5500 - 3 and done.requests == 6
    assert done.records[0] == FundingRate(times[0] * MS, -0.00012, 12.5, None, times[0] * MS)


def test_a_payment_without_a_mark_price() -> None:
    """The oldest have none."""
    pager = history("funding", NOW - DAY, NOW)
    (request,) = pager.requests(1)
    rows = [{"fundingTime": NOW // MS - 5000, "fundingRate": "0.0001", "markPrice": ""}]
    assert pager.receive(request, msgspec.json.encode(rows), NOW).records == [
        FundingRate(NOW // MS * MS - 5000 * MS, 0.0001, None, None, NOW // MS * MS - 5000 * MS)
    ]


@given(st.integers(0, 40 * 86_400), st.integers(1, 30 * 86_400), st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_open_interest_comes_once(
    backfill: Any, merged: Any, age: int, length: int, concurrency: int, order: random.Random
) -> None:
    """Every five minutes, of a contract that may be newer than the range; up to the moment."""
    opened, start = NOW - age * NS, NOW - length * NS
    pager = history("open_interest", start, NOW)
    done = backfill(pager).run(Statistics(opened), NOW, concurrency, lambda count: order.randrange(count))
    expected = [ts for ts in range(start + -start % (300 * NS), NOW - SETTLED, 300 * NS) if ts >= opened]
    assert sorted(record.ts for record in done.records) == expected
    assert set(done.records) == {OpenInterest(ts, 20.5, 410.25) for ts in expected}
    until = max([NOW - STATED, *(ts + 1 for ts in expected[-1:])])
    assert merged(done.covered) == ([(start, until)] if start < until else [])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("funding", [{"fundingTime": NOW // MS, "fundingRate": "", "markPrice": "1"}]),
        ("funding", [{"fundingTime": NOW // MS, "fundingRate": "0.1", "markPrice": "0"}]),
        ("funding", [{"fundingTime": NOW // MS, "fundingRate": "0.1", "markPrice": "nan"}]),
        ("funding", [{"fundingTime": NOW // MS - 10**9, "fundingRate": "0.1"}]),
        ("funding", [{"fundingTime": NOW // MS - n, "fundingRate": "0.1"} for n in (1, 2)]),
        ("funding", [{"fundingRate": "0.1"}]),
        ("open_interest", [{"timestamp": 1, "sumOpenInterest": "-1", "sumOpenInterestValue": "1"}]),
        ("open_interest", [{"timestamp": 1, "sumOpenInterest": "1"}]),
        ("open_interest", [{"timestamp": n, "sumOpenInterest": "1", "sumOpenInterestValue": "1"} for n in (2, 1)]),
        ("open_interest", {"code": -1130, "msg": "parameter 'startTime' is invalid."}),
        ("funding", None),
    ],
)
def test_broken_answers(name: str, rows: object) -> None:
    """Without a value, with none that can be, out of order or of another time: a ParseError."""
    pager = history(name, NOW - HOUR, NOW)
    (request,) = pager.requests(1)
    with pytest.raises(ParseError):
        pager.receive(request, msgspec.json.encode(rows), NOW)
    assert not pager.done
