"""The REST ports over real sockets: answers, faults, statistics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from dccd.simulator import ManualClock, Simulator
from dccd.simulator.faults import HttpError, HttpMalformed, HttpReset, HttpSlow

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client; no test waits longer than this."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        yield session


async def test_answers_have_status_type_and_headers(sim: Simulator, http: aiohttp.ClientSession) -> None:
    """JSON, with Binance's count of weight."""
    async with http.get(sim.binance.rest_url + "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=2") as answer:
        assert answer.status == 200 and answer.content_type == "application/json"
        assert answer.headers["x-mbx-used-weight-1m"] == "2"
        assert len(await answer.json()) == 2
    async with http.get(sim.binance.rest_url + "/api/v3/klines") as answer:
        assert answer.status == 400 and (await answer.json())["code"] == -1102
    assert sim.binance.statistics()["requests"] == {"/api/v3/klines": 2}
    assert sim.binance.statistics()["answers"] == {"200": 1, "400": 1}


async def test_errors_on_demand(sim: Simulator, http: aiohttp.ClientSession) -> None:
    """A status with Retry-After, for the path asked for, as often as asked."""
    url = sim.kraken.rest_url + "/0/public/"
    injected = sim.faults.inject(HttpError(exchange="kraken", path="/Trades", status=429, retry_after=3, count=2))
    for _ in range(2):
        async with http.get(url + "Trades?pair=XBTUSD") as answer:
            assert answer.status == 429 and answer.headers["Retry-After"] == "3"
            assert await answer.json() == {"error": ["EGeneral:Too many requests"]}
        async with http.get(url + "Time") as answer:
            assert answer.status == 200
    assert injected.done
    async with http.get(url + "Trades?pair=XBTUSD") as answer:
        assert answer.status == 200


async def test_slow_answers_wait_for_market_time(
    sim: Simulator, http: aiohttp.ClientSession, clock: ManualClock
) -> None:
    """The answer comes when the time has gone by, and not before."""
    injected = sim.faults.inject(HttpSlow(seconds=30))
    request = asyncio.create_task(http.get(sim.binance.rest_url + "/api/v3/time"))
    await injected.struck()
    await asyncio.sleep(0)  # the turn in which the answer goes to sleep
    assert clock.sleeping == 1
    clock.advance(29)
    assert clock.sleeping == 1 and not request.done()
    clock.advance(1)
    async with await request as answer:
        assert (await answer.json())["serverTime"] == clock.now() // 10**6


async def test_resets_and_broken_bodies(sim: Simulator, http: aiohttp.ClientSession) -> None:
    """A connection closed without an answer, and JSON cut off."""
    sim.faults.inject(HttpReset())
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.post(sim.binance.rest_url + "/api/v3/time")
    sim.faults.inject(HttpMalformed())
    async with http.get(sim.binance.rest_url + "/api/v3/exchangeInfo") as answer:
        text = await answer.text()
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(text)


async def test_other_methods_are_refused(sim: Simulator, http: aiohttp.ClientSession) -> None:
    """Only GET."""
    async with http.delete(sim.binance.rest_url + "/api/v3/time") as answer:
        assert answer.status == 405
