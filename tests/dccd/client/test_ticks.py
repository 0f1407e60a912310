"""The live feed, against a real bus."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.server import EmbeddedServer
from dccd.client import Client, tick_sources
from dccd.client.fake import FakeDaemon
from dccd.errors import IdentityError
from dccd.records import Bar, BookDelta, BookSnapshot, Record, Trade

pytestmark = pytest.mark.anyio

TRADES = "binance.trades.BTC-USDT"


def trade(number: int) -> Trade:
    return Trade(ts=number, price=number / 3, amount=0.5, side="buy", tid=str(number), recv_ts=number + 1)


@pytest.mark.parametrize(
    ("dataset", "data_type", "span", "record"),
    [
        (TRADES, "trades", None, trade(7)),
        (
            "binance.ohlc.BTC-USDT.1m",
            "ohlc",
            "1m",
            Bar(ts=1, open=1, high=2, low=0.5, close=1.5, volume=3, closed=False),
        ),
        ("binance.orderbook.BTC-USDT", "orderbook", None, BookSnapshot(ts=1, seq=2, bids=[(1.0, 2.0)], asks=[])),
        ("binance.orderbook.BTC-USDT", "orderbook", None, BookDelta(ts=1, seq=3, bids=[], asks=[(3.0, 0.0)])),
    ],
)
async def test_records_arrive_typed(
    client: Client, daemon: FakeDaemon, dataset: str, data_type: str, span: str | None, record: Record
) -> None:
    """Each data type arrives as its struct, equal to what was published."""
    async with asyncio.timeout(60), client.ticks("binance", "btc-usdt", data_type, span) as ticks:
        await daemon.tick(dataset, record)
        async for got in ticks:
            assert got == record
            break


async def test_batches_are_messages(client: Client, daemon: FakeDaemon) -> None:
    """``batches`` gives what one message held; iterating gives the same records one by one, in order."""
    sent = [[trade(1), trade(2)], [trade(3)]]
    async with (
        asyncio.timeout(60),
        client.ticks("binance", "BTC/USDT") as one,
        client.ticks("binance", "BTC/USDT") as all_,
    ):
        for batch in sent:
            await daemon.tick(TRADES, *batch)
        batches = one.batches()
        assert [await anext(batches), await anext(batches)] == sent
        await batches.aclose()
        seen = []
        async for record in all_:
            seen.append(record)
            if len(seen) == 3:
                break
        assert seen == [r for batch in sent for r in batch]


async def test_only_the_dataset_asked_for_arrives(client: Client, daemon: FakeDaemon) -> None:
    """A neighbour whose name begins alike isn't mixed in."""
    async with asyncio.timeout(60), client.ticks("binance", "BTC/USDT") as ticks:
        await daemon.tick("binance.trades.BTC-USDT_PERP", trade(1))
        await daemon.tick(TRADES, trade(2))
        assert await anext(aiter(ticks.batches())) == [trade(2)]


async def test_iteration_ends_with_the_client(server: EmbeddedServer, daemon: FakeDaemon) -> None:
    """Closing the client ends the loop instead of leaving it to wait for ever."""
    async with asyncio.timeout(60):
        client = await Client(server.url).__aenter__()
        ticks = client.ticks("binance", "BTC/USDT")
        await ticks.open()
        await daemon.tick(TRADES, trade(1))
        seen = []
        async for record in ticks:
            seen.append(record)
            await client.aclose()
    assert seen == [trade(1)]


async def test_a_message_that_is_no_tick_is_counted(client: Client, server: EmbeddedServer, daemon: FakeDaemon) -> None:
    """Somebody else's bytes on the subject end nothing."""
    async with (
        asyncio.timeout(60),
        await Bus.open(server.url, "other") as bus,
        client.ticks("binance", "BTC/USDT") as ticks,
    ):
        await bus.publish(f"{subjects.TICKS}.{TRADES}", b"hello")
        await bus.barrier()
        await daemon.tick(TRADES, trade(1))
        assert await anext(aiter(ticks.batches())) == [trade(1)]
        assert ticks.unparsed == 1


async def test_what_a_slow_reader_misses_is_counted(
    client: Client, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the room for unread messages the newest are dropped, counted, and those held stay in order."""
    monkeypatch.setattr(tick_sources, "_AHEAD", 3)
    async with asyncio.timeout(60), client.ticks("binance", "BTC/USDT") as ticks:
        for number in range(5):
            await daemon.tick(TRADES, trade(number))
        async with client.ticks("binance", "ETH/USDT") as last:
            # Messages of one publisher reach a subscriber in order: with this one here, so are the others.
            await daemon.tick("binance.trades.ETH-USDT", trade(0))
            await anext(last.batches())
        batches = ticks.batches()
        assert [(await anext(batches))[0].tid for _ in range(3)] == ["0", "1", "2"]
        assert ticks.lost == 2


async def test_what_is_held_for_nobody_is_bounded(
    client: Client, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A consumer that never reads has so many bytes here and no more, whatever is published."""
    monkeypatch.setattr(tick_sources, "_AHEAD_BYTES", 1000)
    async with asyncio.timeout(60), client.ticks("binance", "BTC/USDT") as stuck:
        async with client.ticks("binance", "BTC/USDT") as other:
            batches = other.batches()
            for number in range(100):
                await daemon.tick(TRADES, trade(number))
                await anext(batches)
        held = sum(len(message.data) for message in stuck._source._arrived)  # type: ignore[attr-defined]
        assert 900 < held <= 1000
        assert stuck.lost > 80


async def test_an_interruption_is_counted(
    tmp_path: object, client: Client, daemon: FakeDaemon, server: EmbeddedServer
) -> None:
    """When the server dies and comes back, the feed goes on and says that it was interrupted."""
    async with asyncio.timeout(20), client.ticks("binance", "BTC/USDT") as ticks:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        async with EmbeddedServer(server.data_dir, port=server.port, on_log=lambda level, text: None) as again:
            await client.bus.wait_connected(10)
            async with await Bus.open(again.url, "publisher") as bus:
                await client.bus.barrier()
                await FakeDaemon(bus).tick(TRADES, trade(9))
                assert await anext(aiter(ticks.batches())) == [trade(9)]
            assert ticks.interruptions == 1
            await client.aclose()


async def test_a_feed_of_nothing_is_refused(client: Client) -> None:
    """What is no dataset is refused before anything is asked."""
    with pytest.raises(IdentityError):
        client.ticks("binance", "nonsense")
    with pytest.raises(IdentityError):
        client.ticks("binance", "BTC/USDT", "ohlc")  # bars of no span
