"""Funding and open interest of OKX's contracts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import HistoryPager, Market, PageRequest, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.okx import Okx
from dccd.records import FundingRate, OpenInterest, Record
from dccd.symbols import NS, Dataset

MS = 1_000_000
T0 = 1_696_436_730_000
DUE = 1_696_464_000_000 * MS
HOUR = 3600 * NS
START = 1_600_002_000 * NS  # a full hour
SWAP = Market("BTC-USDT-SWAP", 0.01)


def stream(data_type: str) -> StreamProtocol:
    return Okx().stream(Dataset.parse(f"okx.{data_type}.BTC-USDT_PERP"), StreamOptions(), SWAP)


def pager(data_type: str, start: int, end: int) -> HistoryPager:
    return Okx().history(Dataset.parse(f"okx.{data_type}.BTC-USDT_PERP"), start, end, SWAP)


def test_announced_funding(frames: Callable[[str], list[bytes]]) -> None:
    """Whenever the rate changes, with the time when it is due."""
    made = stream("funding")
    out: list[Record] = []
    assert [made.receive(one, 5, out) for one in frames("okx/funding")] == [Subscribed(), None, None, None]
    assert out == [
        FundingRate(T0 * MS, 0.0001875391284828, None, 5, DUE),
        FundingRate((T0 + 120_000) * MS, -0.00002, None, 5, DUE),
    ]


def test_open_interest(frames: Callable[[str], list[bytes]]) -> None:
    """In base asset and in USD, as OKX counts it itself."""
    made = stream("open_interest")
    out: list[Record] = []
    assert [made.receive(one, 5, out) for one in frames("okx/interest")] == [Subscribed(), None, None]
    assert out == [
        OpenInterest(T0 * MS, 22161.1301000000309, 610358725.54769270396321, 5),
        OpenInterest((T0 + 3000) * MS, 22161.0, 610355000.5, 5),
    ]


@pytest.mark.parametrize(
    ("data_type", "channel", "data"),
    [
        ("funding", "funding-rate", {"fundingRate": "", "fundingTime": "1", "ts": "1"}),
        ("funding", "funding-rate", {"fundingRate": "nan", "fundingTime": "1", "ts": "1"}),
        ("funding", "funding-rate", {"fundingRate": "0.1", "ts": "1"}),
        ("open_interest", "open-interest", {"oi": "1", "oiUsd": "1", "ts": "1"}),
        ("open_interest", "open-interest", {"oi": "1", "oiCcy": "-1", "oiUsd": "1", "ts": "1"}),
        ("open_interest", "open-interest", {"oi": "1", "oiCcy": "inf", "oiUsd": "1", "ts": "1"}),
    ],
)
def test_broken_frames_change_nothing(data_type: str, channel: str, data: dict[str, str]) -> None:
    """A value that is missing or none is a ParseError."""
    out: list[Record] = []
    with pytest.raises(ParseError):
        frame = {"arg": {"channel": channel, "instId": "BTC-USDT-SWAP"}, "data": [data]}
        stream(data_type).receive(msgspec.json.encode(frame), 5, out)
    assert out == []


class Payments:
    """``GET /api/v5/public/funding-rate-history`` of a contract with a payment each *every* hours."""

    def __init__(self, every: int, count: int) -> None:
        self.times = [START // MS + n * every * 3_600_000 for n in range(count)]

    def __call__(self, request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetPublicFundingRateHistory"
        params = request.params
        assert params["instId"] == "BTC-USDT-SWAP"
        times = [ms for ms in self.times if int(params["before"]) < ms < int(params["after"])]
        rows = [
            {"formulaType": "withRate", "fundingRate": "0.5", "fundingTime": str(ms), "instId": "BTC-USDT-SWAP",
             "instType": "SWAP", "method": "current_period", "realizedRate": f"-0.000{ms // 3_600_000 % 1000:03}"}
            for ms in times[::-1][: int(params["limit"])]
        ]  # fmt: skip
        return msgspec.json.encode({"code": "0", "msg": "", "data": rows})


@pytest.mark.parametrize("every", [1, 8])
def test_paid_rates(backfill: Callable[..., Any], merged: Callable[..., Any], every: int) -> None:
    """The rate that was paid, not the one predicted, at the time of payment; several windows at once."""
    payments = Payments(every, 400)
    end = START + 350 * every * HOUR
    run = backfill(pager("funding", START + 1, end)).run(payments, end + 1000 * HOUR, 4, lambda count: count - 1)
    records = sorted(run.records, key=lambda record: record.ts)
    assert [record.ts for record in records] == [ms * MS for ms in payments.times[1:350]]
    hour = payments.times[1] // 3_600_000 % 1000
    assert records[0] == FundingRate(payments.times[1] * MS, -hour / 1_000_000, None, None, payments.times[1] * MS)
    assert merged(run.covered) == [(START + 1, end)]


def test_a_payment_just_now(backfill: Callable[..., Any]) -> None:
    """What may not be in the history yet isn't taken for covered."""
    run = backfill(pager("funding", START, START + 100 * HOUR)).run(Payments(1, 3), START + 2 * HOUR + NS)
    assert [record.ts for record in run.records] == [START, START + HOUR]
    assert run.pager.position < START + 2 * HOUR


@pytest.mark.parametrize("concurrency", [1, 4])
def test_rates_that_okx_keeps_no_more(
    backfill: Callable[..., Any], merged: Callable[..., Any], concurrency: int
) -> None:
    """What lies before the first one is covered only where that is so young that the contract began with it."""
    payments, start, end = Payments(8, 200), START - 500 * HOUR, START + 700 * HOUR
    for first_age, covered in ((84 * 24 * HOUR, START), (70 * 24 * HOUR, start)):
        run = backfill(pager("funding", start, end)).run(payments, START + first_age, concurrency)
        assert [record.ts for record in sorted(run.records, key=lambda record: record.ts)] == [
            START + n * 8 * HOUR for n in range(88)
        ]
        assert merged(run.covered) == [(covered, end)]
        assert run.pager.position == end


def test_no_rate_at_all(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Long ago that proves nothing; lately it does."""
    for age, covered in ((89 * 24 * HOUR, []), (70 * 24 * HOUR, [(START, START + 150 * HOUR)])):
        run = backfill(pager("funding", START, START + 150 * HOUR)).run(Payments(8, 0), START + age, 4)
        assert (run.records, merged(run.covered)) == ([], covered)
        assert run.pager.position == START + 150 * HOUR


class Interests:
    """``GET /api/v5/rubik/stat/contracts/open-interest-history``: a value each five minutes, up to *last* (ms)."""

    def __init__(self, last: int) -> None:
        self.last = last

    def __call__(self, request: PageRequest) -> bytes:
        assert request.endpoint == "publicGetRubikStatContractsOpenInterestHistory"
        params = request.params
        assert (params["instId"], params["period"]) == ("BTC-USDT-SWAP", "5m")
        times = [
            ms for ms in range(START // MS, self.last + 1, 300_000) if int(params["begin"]) < ms < int(params["end"])
        ]
        rows = [[str(ms), "700", "7.5", "450000.25"] for ms in times[::-1][: int(params["limit"])]]
        return msgspec.json.encode({"code": "0", "msg": "", "data": rows})


def test_past_open_interest(backfill: Callable[..., Any], merged: Callable[..., Any]) -> None:
    """Each five minutes, but for those that haven't gone by."""
    now = START + 30 * HOUR + 299 * NS
    run = backfill(pager("open_interest", START, START + 100 * HOUR)).run(Interests(now // MS), now, 2)
    assert [record.ts for record in run.records] == [START + n * 300 * NS for n in range(360)]
    assert run.records[0] == OpenInterest(START, 7.5, 450000.25)
    assert merged(run.covered) == [(START, START + 30 * HOUR)]


@pytest.mark.parametrize("data_type", ["funding", "open_interest"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}', b'{"code":"0","data":[[]]}',
        b'{"code":"0","data":[{"realizedRate":"","fundingTime":"1600002000000"}]}',
        b'{"code":"0","data":[["1600002000000","1","","1"]]}', b'{"code":"0","data":[["1600002000000","1","-1","1"]]}',
    ],
)  # fmt: skip
def test_broken_bodies(data_type: str, body: bytes) -> None:
    """A body that isn't what was asked for is a ParseError, and the page can be asked for again."""
    made = pager(data_type, START, START + HOUR)
    (request,) = made.requests(1)
    with pytest.raises(ParseError):
        made.receive(request, body, START + 100 * HOUR)
    made.receive(request, b'{"code":"0","msg":"","data":[]}', START + 100 * HOUR)
    assert made.done
