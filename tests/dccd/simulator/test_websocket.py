"""The WebSocket ports over real sockets: rates, faults, ends; market time moves only when told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.simulator.faults import (
    Disconnect,
)
from dccd.simulator.websocket import Hub

pytestmark = pytest.mark.anyio

AGG = "/ws/btcusdt@aggTrade"


@pytest.fixture(autouse=True)
async def bound() -> AsyncIterator[None]:
    """No test waits longer than this."""
    async with asyncio.timeout(20):
        yield


@contextlib.asynccontextmanager
async def client(sim: Simulator, path: str = AGG) -> AsyncIterator[ClientConnection]:
    """A client of Binance, subscribed."""
    async with connect(sim.binance.ws_url + path, compression=None, ping_interval=None, max_queue=None) as it:
        await sim.binance.hub.until(lambda: sim.binance.hub.statistics()["clients"] >= 1)
        yield it


def handshake(path: str) -> bytes:
    """For a client that is no WebSocket client afterwards."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
    ).encode()


async def receive(it: ClientConnection, count: int) -> list[Any]:
    return [json.loads(await it.recv()) for _ in range(count)]


def trades(sim: Simulator, since: int) -> list[int]:
    """Ids of Binance's BTC/USDT trades since then."""
    truth = sim.binance.truth
    return list(range(truth.last_id("BTC/USDT", since) + 1, truth.last_id("BTC/USDT", sim.clock.now()) + 1))


async def test_what_is_due_arrives(sim: Simulator, clock: ManualClock) -> None:
    """All trades of the time that went by, in order, to each client."""
    async with client(sim) as one, client(sim) as two:
        await sim.binance.subscribed("BTC/USDT", "trades", clients=2)
        clock.advance(3)
        ids = trades(sim, sim.started)
        for it in (one, two):
            assert [trade["a"] for trade in await receive(it, len(ids))] == ids


@pytest.mark.parametrize(("clean", "code"), [(True, 1001), (False, None)])
async def test_disconnect_at_once(sim: Simulator, clean: bool, code: int | None) -> None:
    """A close frame, or a reset without one; new connections are fine."""
    async with client(sim) as it:
        injected = sim.faults.inject(Disconnect(exchange="binance", clean=clean))
        with pytest.raises(ConnectionClosed) as caught:
            await it.recv()
        assert (caught.value.rcvd.code if caught.value.rcvd else None) == code
        assert injected.done and injected.hits == 1
    async with client(sim):
        pass


async def test_disconnect_strikes_only_its_symbol(sim: Simulator, clock: ManualClock) -> None:
    """A connection with another subscription stays."""
    async with client(sim, "/ws/ethusdt@aggTrade") as other, client(sim) as it:
        await sim.binance.subscribed("BTC/USDT", "trades")
        sim.faults.inject(Disconnect(symbol="BTC/USDT", data_type="trades"))
        with pytest.raises(ConnectionClosed):
            await it.recv()
        clock.advance(1)
        assert json.loads(await other.recv())["s"] == "ETHUSDT"


async def test_stopping_ends_connections_cleanly(clock: ManualClock) -> None:
    """Clients get a close frame, and the port is free again."""
    sim = Simulator(SimConfig(), clock)
    await sim.start()
    async with client(sim) as it:
        stopping = asyncio.create_task(sim.stop())
        with pytest.raises(ConnectionClosed) as caught:
            await it.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1001
        await stopping
    with pytest.raises(OSError):
        await connect(sim.binance.ws_url + AGG)


async def test_hubs_say_what_they_are(sim: Simulator) -> None:
    """A useful repr."""
    assert isinstance(sim.binance.hub, Hub) and "binance" in repr(sim.binance.hub)
