"""The simulator's own requests: faults and the truth for other processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from dccd.records import Bar, BookSnapshot, FundingRate, OpenInterest, Trade
from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.simulator.faults import HttpError
from dccd.simulator.venues import VENUES
from dccd.symbols import NS
from tests.dccd.simulator.fakes import Futures

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http(sim: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of Binance's REST port."""
    async with asyncio.timeout(20), aiohttp.ClientSession(sim.binance.rest_url) as session:
        yield session


async def ask(http: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    async with http.request(method, f"/_sim/{path}", json=body) as answer:
        return answer.status, await answer.read()


async def test_faults_come_and_go(sim: Simulator, http: aiohttp.ClientSession) -> None:
    """Injected, listed, lifted one by one or all."""
    status, body = await ask(http, "POST", "faults", {"kind": "httperror", "status": 503, "count": 0})
    assert status == 200
    assert json.loads(body)[0]["id"] == 1
    assert sim.faults.active[0].fault == HttpError(status=503, count=0)
    async with http.get("/api/v3/ping") as answer:
        assert answer.status == 503
    await ask(http, "POST", "faults", [{"kind": "drop"}, {"kind": "silence", "exchange": "kraken"}])
    listed = json.loads((await ask(http, "GET", "faults"))[1])
    assert [(one["id"], one["hits"], one["fault"]["kind"]) for one in listed] == [
        (1, 1, "httperror"),
        (2, 0, "drop"),
        (3, 0, "silence"),
    ]
    assert json.loads((await ask(http, "DELETE", "faults/2"))[1]) == {"lifted": 1}
    assert json.loads((await ask(http, "DELETE", "faults"))[1]) == {"lifted": 2}
    assert not sim.faults.active


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "faults", {"kind": "drop", "often": 1}, 400, "often"),
        ("POST", "faults", {"kind": "drop", "count": -1}, 400, "negative"),
        ("POST", "faults", 7, 400, "Expected `object`"),
        ("DELETE", "faults/x", None, 400, "whole number"),
        ("GET", "truth/trades?symbol=NO/PE&start=0&end=1", None, 404, "not listed"),
        ("GET", "truth/trades?symbol=BTC/USDT&start=0", None, 400, "end must be"),
        ("GET", "truth/trades?symbol=BTC/USDT&first=1&last=99999999", None, 400, "at most"),
        ("GET", "truth/moods?symbol=BTC/USDT", None, 404, "trades, bars, book"),
        ("GET", "truth/funding?symbol=BTC/USDT&start=0&end=1", None, 400, "spot"),
        ("GET", "truth/open_interest?symbol=BTC/USDT&at=0", None, 400, "spot"),
        ("GET", "truth/trades?symbol=;&start=0&end=1", None, 400, "no symbol"),
        ("PUT", "status", None, 404, "no such request"),
    ],
)
async def test_wrong_requests_say_what_is_wrong(
    http: aiohttp.ClientSession, method: str, path: str, body: Any, status: int, words: str
) -> None:
    """Status and words."""
    got, answer = await ask(http, method, path, body)
    assert got == status and words in json.loads(answer)["error"], answer


async def test_the_truth_is_told_as_records(sim: Simulator, http: aiohttp.ClientSession) -> None:
    """Trades, bars and books, the same as in this process."""
    start, end = sim.started - 60 * NS, sim.started
    truth = sim.binance.truth
    path = f"truth/trades?symbol=BTC-USDT&start={start}&end={end}"
    trades = msgspec.json.decode((await ask(http, "GET", path))[1], type=list[Trade])
    assert trades == truth.trades("BTC/USDT", start, end) and trades
    path = f"truth/trades?symbol=BTC/USDT&first={trades[0].tid}&last={trades[-1].tid}"
    assert msgspec.json.decode((await ask(http, "GET", path))[1], type=list[Trade]) == trades
    path = f"truth/bars?symbol=BTC/USDT&span=5m&start={start - 3600 * NS}&end={end}"
    bars = msgspec.json.decode((await ask(http, "GET", path))[1], type=list[Bar])
    assert bars == truth.bars("BTC/USDT", 300, start - 3600 * NS, end) and len(bars) == 13
    path = f"truth/book?symbol=BTC/USDT&at={end}&depth=3"
    book = msgspec.json.decode((await ask(http, "GET", path))[1], type=BookSnapshot)
    assert book == truth.book("BTC/USDT", end, 3)


async def test_the_truth_about_contracts(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Funding and open interest, as records; what is asked of a dated contract or too much of any."""
    monkeypatch.setitem(VENUES, "futures", Futures)
    config = SimConfig(exchanges=("futures",), history=3)
    async with Simulator(config, clock) as sim, aiohttp.ClientSession(sim.exchanges["futures"].rest_url) as http:
        truth, start, end = sim.exchanges["futures"].truth, sim.started - 10 * 3600 * NS, sim.started
        path = f"truth/funding?symbol=BTC/USDT:perp&start={start}&end={end}"
        paid = msgspec.json.decode((await ask(http, "GET", path))[1], type=list[FundingRate])
        assert paid == truth.funding("BTC/USDT:perp", start, end) and len(paid) == 10
        path = f"truth/funding?symbol=BTC/USDT:next_quarter&start={start}&end={end}"
        assert (await ask(http, "GET", path))[1] == b"[]"
        path = f"truth/open_interest?symbol=BTC-USDT_PERP&at={end}"
        now = msgspec.json.decode((await ask(http, "GET", path))[1], type=OpenInterest)
        assert now == truth.open_interest("BTC/USDT:perp", end)
        path = f"truth/open_interest?symbol=BTC-USDT_PERP&span=1h&start={start}&end={end}"
        rows = msgspec.json.decode((await ask(http, "GET", path))[1], type=list[OpenInterest])
        assert rows == truth.open_interests("BTC/USDT:perp", 3600, start, end) and len(rows) == 10
        assert rows[-1] == truth.open_interest("BTC/USDT:perp", rows[-1].ts)
        status, body = await ask(http, "GET", f"truth/open_interest?symbol=BTC-USDT_PERP&span=1s&start=0&end={end}")
        assert status == 400 and b"at most" in body


async def test_status(http: aiohttp.ClientSession) -> None:
    """Who is connected and what was asked."""
    await (await http.get("/api/v3/ping")).read()
    status = json.loads((await ask(http, "GET", "status"))[1])
    assert status["exchange"] == "binance" and status["clients"] == 0 and status["requests"] == {"/api/v3/ping": 1}
