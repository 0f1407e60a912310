"""A client's connection over a real socket: its rate, its limits, and what faults do to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dccd.simulator import ManualClock, SimConfig, Simulator
from dccd.simulator.faults import (
    BadChecksum,
    Disconnect,
    Drop,
    Duplicate,
    Malformed,
    RefuseConnection,
    Reorder,
    Silence,
)
from dccd.simulator.kraken.formats import checksum
from dccd.simulator.venues import VENUES
from tests.dccd.simulator.fakes import Futures

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


async def test_pings_are_answered(sim: Simulator) -> None:
    """A client's ping gets its pong."""
    async with client(sim) as it:
        await (await it.ping("hello"))


async def test_no_such_path(sim: Simulator) -> None:
    """404 to the handshake."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(sim.kraken.ws_url + "/v3")
    assert caught.value.response.status_code == 404


async def test_what_is_no_handshake_is_refused(sim: Simulator) -> None:
    """A plain HTTP request to the WebSocket port gets an HTTP error, and the server goes on."""
    host, port = sim.binance.ws_url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 426")
    writer.close()
    async with client(sim):
        pass


async def test_disconnect_in_the_middle(sim: Simulator, clock: ManualClock) -> None:
    """After so many frames, those before it being delivered."""
    async with client(sim) as it:
        injected = sim.faults.inject(Disconnect(skip=10, code=1012, reason="service restart"))
        clock.advance(5)
        got = await receive(it, 10)
        with pytest.raises(ConnectionClosed) as caught:
            await it.recv()
        assert [one["a"] for one in got] == trades(sim, sim.started)[:10]
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1012, "service restart")
        await injected.finished()


async def test_silence_answers_pings_only(sim: Simulator, clock: ManualClock) -> None:
    """What happens meanwhile is lost, and the stream goes on afterwards."""
    async with client(sim) as it:
        sim.faults.inject(Silence(seconds=5))
        clock.advance(2)
        lost = trades(sim, sim.started)
        await (await it.ping())
        await it.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        await (await it.ping())
        clock.advance(3)
        until = sim.clock.now()
        (first,) = await receive(it, 1)
        assert lost and first["a"] > lost[-1]
        clock.advance(1)
        after = trades(sim, until)
        got = [first["a"]]
        while got[-1] < after[-1]:
            got += [one["a"] for one in await receive(it, 1)]
        assert got[-len(after) :] == after


async def test_frames_lost_doubled_swapped_and_broken(sim: Simulator, clock: ManualClock) -> None:
    """One of each, in a known order."""
    async with client(sim) as it:
        for fault in (Drop(), Duplicate(), Reorder(), Malformed(skip=1)):
            sim.faults.inject(fault)
        clock.advance(2)
        ids = trades(sim, sim.started)
        texts = [str(await it.recv()) for _ in range(len(ids))]
        seen = []
        for text in texts:
            try:
                seen.append(json.loads(text)["a"])
            except ValueError:
                seen.append(None)
        a = ids
        # Dropped: the first. Doubled: the second. Swapped: third and fourth. Malformed skipped the fourth.
        assert seen[:6] == [a[1], a[1], a[3], a[2], None, a[5]]
        assert seen[6:] == a[6:]


async def test_what_is_held_back_comes_although_nothing_else_goes_wrong(sim: Simulator, clock: ManualClock) -> None:
    """After the next frame of its stream, whenever that is."""
    async with client(sim, "/ws/btcusdt@depth@100ms") as it:
        sim.faults.inject(Reorder())
        for _ in range(4):
            clock.advance(0.1)
        first = [frame["U"] for frame in await receive(it, 4)]
        assert first == [sorted(first)[n] for n in (1, 0, 2, 3)]


async def test_refused_connections(sim: Simulator) -> None:
    """The handshake gets a status and Retry-After, as often as asked."""
    sim.faults.inject(RefuseConnection(status=429, retry_after=2, count=2))
    for _ in range(2):
        with pytest.raises(InvalidStatus) as caught:
            await connect(sim.binance.ws_url + AGG)
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "2"
    async with client(sim):
        pass


async def test_a_spoilt_checksum(sim: Simulator, clock: ManualClock) -> None:
    """Only book frames have one; Binance's are left alone."""
    request = {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}}
    async with connect(sim.kraken.ws_url + "/v2", compression=None) as it:
        await it.send(json.dumps(request))
        await receive(it, 3)  # status, acknowledgement, snapshot
        sim.faults.inject(BadChecksum(skip=1))
        clock.advance(0.35)
        spoilt = await receive(it, 3)
    book = sim.kraken.truth.order_book("BTC/USD")
    first = book.step(sim.started) + 1
    right = [checksum(*book.levels(step, 10)) for step in range(first, first + 3)]
    same = [frame["data"][0]["checksum"] == crc for frame, crc in zip(spoilt, right, strict=True)]
    assert same == [True, False, True]


@contextlib.asynccontextmanager
async def numbered(clock: ManualClock, total: int | None = None) -> AsyncIterator[tuple[Simulator, ClientConnection]]:
    """A client of an exchange that numbers all frames of a connection, subscribed to two streams."""
    config = SimConfig(exchanges=("futures",), rate=20, history=1, total=total, contracts=("A/B:perp", "C/D:perp"))
    async with (
        Simulator(config, clock) as sim,
        connect(sim.exchanges["futures"].ws_url + "/", compression=None, max_queue=None) as it,
    ):
        await it.send('{"method":"SUBSCRIBE","params":["ab@aggTrade","cd@aggTrade"],"id":1}')
        assert json.loads(await it.recv()) == [1, "", {"result": None, "id": 1}]
        yield sim, it


async def test_what_is_lost_leaves_a_hole_in_the_connections_numbers(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are numbered before a fault has them: dropped, doubled, swapped, and lost in a silence."""
    monkeypatch.setitem(VENUES, "futures", Futures)
    async with numbered(clock) as (sim, it):
        for fault in (Drop(), Duplicate(), Reorder(symbol="A/B:perp"), BadChecksum(symbol="A/B:perp")):
            sim.faults.inject(fault)
        clock.advance(2)
        await it.send("ping")
        texts = []
        while (text := str(await it.recv())) != "pong":
            texts.append(text)
        got = [json.loads(text) for text in texts]
        assert [frame[0] for frame in got[:5]] == [3, 3, 5, 4, 6]
        assert got[3][2]["q"].startswith("9") is False and got[2][2]["q"].startswith("9")
        last = got[-1][0]
        assert [frame[0] for frame in got[4:]] == list(range(6, last + 1))
        assert {frame[1] for frame in got} == {"ab@aggTrade", "cd@aggTrade"}
        sim.faults.inject(Silence(seconds=2))
        clock.advance(1)
        clock.advance(2)
        (after,) = await receive(it, 1)
        assert after[0] > last + 10


async def test_a_benchmark_of_frames_that_are_wrapped(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers without a hole, and each stream's trades to the last."""
    monkeypatch.setitem(VENUES, "futures", Futures)
    async with numbered(clock, total=3000) as (_, it):
        got = await receive(it, 6000)
    assert [frame[0] for frame in got] == list(range(2, 6002))
    for name in ("ab@aggTrade", "cd@aggTrade"):
        ids = [frame[2]["a"] for frame in got if frame[1] == name]
        assert len(ids) == 3000 and ids == list(range(ids[0], ids[0] + 3000))


async def test_who_asks_too_much_is_cut_off(clock: ManualClock) -> None:
    """With limits on, Binance ends a connection that sends more than five messages a second."""
    async with Simulator(SimConfig(exchanges=("binance",), limits=True), clock) as sim, client(sim) as it:
        for n in range(6):
            await it.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": n}))
        answers = []
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                answers.append(await it.recv())
        assert len(answers) == 5 and caught.value.rcvd is not None and caught.value.rcvd.code == 1008


async def test_benchmark_mode_sends_all_as_fast_as_taken(clock: ManualClock) -> None:
    """Every number once and in order, on all streams, to a client that reads in its own time."""
    total = 20_000
    config = SimConfig(exchanges=("binance",), rate=1000, total=total)
    async with Simulator(config, clock) as sim:
        path = "/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade"
        async with client(sim, path) as it:
            got: dict[str, list[int]] = {"BTCUSDT": [], "ETHUSDT": []}
            for _ in range(2 * total):
                data = json.loads(await it.recv())["data"]
                got[data["s"]].append(data["a"])
            for symbol, ids in (("BTC/USDT", got["BTCUSDT"]), ("ETH/USDT", got["ETHUSDT"])):
                first = sim.binance.truth.last_id(symbol, sim.started - 1) + 1
                assert ids == list(range(first, first + total))
            await (await it.ping())
            assert sim.binance.hub.statistics()["frames_sent"] == 2 * total


async def test_a_client_that_never_reads_is_dropped(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: the exchange lets go of who takes nothing."""
    monkeypatch.setattr("dccd.simulator.peer._SLOW_CLIENT", 100_000)
    assert isinstance(sim.clock, ManualClock)
    host, port = sim.binance.ws_url.removeprefix("ws://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(handshake(AGG))
    await sim.binance.subscribed("BTC/USDT", "trades")
    hub = sim.binance.hub
    for _ in range(2000):
        sim.clock.advance(60)
        if hub.slow_clients:
            break
    assert hub.slow_clients == 1
    await hub.until(lambda: hub.statistics()["clients"] == 0)
    writer.close()


async def test_it_pings_and_drops_who_does_not_answer(
    sim: Simulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Binance's pings: a client that answers stays, one that doesn't is closed."""
    monkeypatch.setattr(sim.binance.venue, "ping_interval", 0.0)
    monkeypatch.setattr("dccd.simulator.peer._PONG_TIMEOUT", 0.0)
    host, port = sim.binance.ws_url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(handshake("/ws"))
    await reader.readuntil(b"\r\n\r\n")
    clock.advance(0.1)
    opcode, size = await reader.readexactly(2)
    assert opcode == 0x89  # a ping frame
    await reader.readexactly(size)
    clock.advance(0.1)
    opcode, size = await reader.readexactly(2)
    assert opcode == 0x88 and b"Pong timeout" in await reader.readexactly(size)
    writer.close()
