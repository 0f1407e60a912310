"""Past funding rates and open interest of Bybit's contracts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest
from dccd.exchanges.bybit import Bybit
from dccd.exchanges.paging import SETTLED, STATED
from dccd.records import FundingRate, OpenInterest
from dccd.symbols import NS, Dataset

MS = 10**6
HOUR = 3600 * NS
DAY = 24 * HOUR
NOW = 1_700_000_040 * NS


def history(name: str, start: int, end: int) -> HistoryPager:
    return Bybit().history(Dataset.parse(f"bybit.{name}.BTC-USDT_PERP"), start, end, Market("BTCUSDT"))


def body(rows: object, **fields: object) -> bytes:
    result = {"category": "linear", "list": rows} | fields
    return msgspec.json.encode({"retCode": 0, "retMsg": "OK", "result": result, "time": 1})


def exchange(opened: int, step: int) -> Callable[[PageRequest], bytes]:
    """Bybit with rates or interest each *step* ns, and daily bars, from *opened* on: newest first, both ends count."""

    def answer(request: PageRequest) -> bytes:
        params = request.params
        daily = request.endpoint == "publicGetV5MarketKline"
        names = ("start", "end") if daily else ("startTime", "endTime")
        start, end = (int(params[name]) * MS for name in names)
        every = DAY if daily else step
        first = max(start + -start % every, opened - opened % every if daily else opened + -opened % every)
        times = [ts // MS for ts in reversed(range(first, min(end, NOW) + 1, every))]
        assert len(times) <= int(params["limit"]) == 200, "more than a page holds was asked for"
        assert params["category"] == "linear" and params["symbol"] == "BTCUSDT"
        if daily:
            return body([[str(ts), "1", "1", "1", "1", "1", "1"] for ts in times], symbol="BTCUSDT")
        if request.endpoint == "publicGetV5MarketFundingHistory":
            return body(
                [{"symbol": "BTCUSDT", "fundingRate": "-0.00012", "fundingRateTimestamp": str(ts)} for ts in times]
            )
        assert request.endpoint == "publicGetV5MarketOpenInterest" and params["intervalTime"] == "5min"
        return body([{"openInterest": "12.5", "timestamp": str(ts)} for ts in times], symbol="BTCUSDT")

    return answer


@pytest.mark.parametrize(("name", "step"), [("funding", 8 * HOUR), ("funding", HOUR), ("open_interest", 300 * NS)])
@given(
    age=st.integers(0, 60 * 86_400),
    length=st.integers(1, 60 * 86_400),
    concurrency=st.integers(1, 3),
    order=st.randoms(use_true_random=False),
)
def test_everything_once(backfill, merged, name, step, age, length, concurrency, order) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """From start to end, of a market that may have begun in between, up to the moment."""
    opened, start = NOW - age * NS, NOW - length * NS
    done = backfill(history(name, start, NOW)).run(
        exchange(opened, step), NOW, concurrency, lambda count: order.randrange(count)
    )
    expected = [ts for ts in range(start + -start % step, NOW - SETTLED, step) if ts >= opened]
    assert sorted(record.ts for record in done.records) == expected
    until = max([NOW - STATED, *(ts + 1 for ts in expected[-1:])])
    assert merged(done.covered) == ([(start, until)] if start < until else [])


@pytest.mark.parametrize(("name", "step"), [("funding", 8 * HOUR), ("open_interest", 300 * NS)])
def test_from_the_beginning(backfill, name, step) -> None:  # type: ignore[no-untyped-def]  # fixtures
    """From 1970 on: daily bars find the first one, two hundred a request."""
    opened = NOW - 3 * HOUR
    done = backfill(history(name, 0, NOW)).run(exchange(opened, step), NOW)
    assert all(record.ts >= opened for record in done.records)
    assert done.requests < 15


def test_records() -> None:
    """A rate is due when it is paid; open interest comes without its value."""
    assert receive(
        "funding", [{"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": "1700000000000"}]
    ) == [FundingRate(1700000000 * NS, 0.0001, None, None, 1700000000 * NS)]
    assert receive("open_interest", [{"openInterest": "3.5", "timestamp": "1700000000000"}]) == [
        OpenInterest(1700000000 * NS, 3.5, None, None)
    ]


def receive(name: str, rows: object, **fields: object) -> list[object]:
    pager = history(name, NOW - HOUR, NOW)
    return list(pager.receive(pager.requests(1)[0], body(rows, **fields), NOW + HOUR).records)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("funding", [{"symbol": "ETHUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": "5"}]),
        ("funding", [{"symbol": "BTCUSDT", "fundingRate": "", "fundingRateTimestamp": "5"}]),
        ("funding", [{"symbol": "BTCUSDT", "fundingRateTimestamp": "5"}]),
        ("funding", [{"symbol": "BTCUSDT", "fundingRate": "1", "fundingRateTimestamp": "5"}] * 2),
        ("open_interest", [{"openInterest": "-1", "timestamp": "5"}]),
        ("open_interest", [{"timestamp": "5"}]),
        ("open_interest", None),
    ],
)
def test_broken_answers(name: str, rows: object) -> None:
    """Of another market, without a value, twice at one time: a ParseError."""
    with pytest.raises(ParseError):
        receive(name, rows)


def test_real_answer(captures: Path) -> None:
    """Real rates, oldest first."""
    raw = (captures / "payloads" / "bybit" / "http_get_funding_history.json").read_bytes()
    pager = history("funding", 1_709_800_000 * NS, 1_709_891_680 * NS)
    page = pager.receive(pager.requests(1)[0], raw, 1_709_891_700 * NS)
    read = json.loads(raw)["result"]["list"]
    assert page.records == [
        FundingRate(
            int(row["fundingRateTimestamp"]) * MS,
            float(row["fundingRate"]),
            due_ts=int(row["fundingRateTimestamp"]) * MS,
        )
        for row in reversed(read)
    ]
    assert len(page.records) == 2
