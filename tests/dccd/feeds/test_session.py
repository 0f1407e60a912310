from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from dccd.errors import BadSymbol, ExchangeDown, NoCapability, SubscriptionRefused
from dccd.feeds.fake import START, FakeClock, FakeExchange, FakeFrame, FakeRest
from dccd.feeds.pool import SocketPool
from dccd.feeds.session import (
    Batch,
    Broke,
    Connected,
    Hole,
    Item,
    Live,
    Lost,
    Session,
    SessionSettings,
    Silent,
    Unparsed,
)
from dccd.feeds.timing import Backoff, Clock
from dccd.symbols import NS, Dataset
from tests.waiting import Until

pytestmark = pytest.mark.anyio

Serve = Callable[..., Awaitable[str]]
BOUND = 30.0
TRADES = Dataset.make("fake", "trades", "BTC/USD")
BOOK = Dataset.make("fake", "orderbook", "BTC/USD")


def session(
    url: str,
    *,
    dataset: Dataset = TRADES,
    rest: FakeRest | None = None,
    clock: Clock | None = None,
    exchange: FakeExchange | None = None,
    **settings: Any,
) -> Session:
    exchange, clock = exchange or FakeExchange(), clock or FakeClock()
    return Session(
        exchange,
        dataset,
        rest=rest or FakeRest(),
        sockets=SocketPool(exchange, ws_url=url, clock=clock),
        clock=clock,
        settings=SessionSettings(**{"backoff": Backoff(initial=1.0, jitter=0.0), **settings}),
        chance=lambda: 0.0,
    )


async def take(items: AsyncGenerator[Item, None], count: int) -> list[Item]:
    """The next *count* items."""
    async with asyncio.timeout(BOUND):
        return [await anext(items) for _ in range(count)]


async def take_after(items: AsyncGenerator[Item, None], clock: FakeClock, seconds: float, count: int) -> list[Item]:
    """The next *count* items, once the session sleeps and *seconds* have gone by."""
    taking = asyncio.ensure_future(take(items, count))
    async with asyncio.timeout(BOUND):
        await clock.until_sleeping()
    clock.advance(seconds)
    return await taking


async def take_as_time_goes_by(items: AsyncGenerator[Item, None], clock: FakeClock, count: int) -> list[Item]:
    """The next *count* items, second after second; only where nothing is on its way over the network."""
    taking = asyncio.ensure_future(take(items, count))
    while not taking.done():
        asleep = asyncio.ensure_future(clock.until_sleeping())
        await asyncio.wait([asleep, taking], return_when=asyncio.FIRST_COMPLETED)
        asleep.cancel()
        if not taking.done():
            clock.advance(1.0)
    return taking.result()


def kinds(items: list[Item]) -> list[type]:
    return [type(item) for item in items]


async def test_a_stream_s_life(serving: Serve) -> None:
    """Subscribed and confirmed, its records come; after a clean close it is back by itself, with the hole told."""
    paths: list[str] = []

    async def handler(peer: ServerConnection) -> None:
        assert peer.request is not None
        paths.append(peer.request.path)
        assert await peer.recv() == "subscribe BTC/USD"
        await peer.send(FakeFrame(ok=True).encode())
        await peer.send(FakeFrame(trades=[START - 10 + len(paths)]).encode())
        await peer.close(1001, "maintenance")

    clock = FakeClock()
    stream = session(await serving(handler), clock=clock)
    async with aclosing(stream.run()) as items:
        assert await take(items, 2) == [Connected(START), Live(START)]
        (batch,) = await take(items, 1)
        assert isinstance(batch, Batch)
        assert [record.ts for record in batch.records] == [START - 9]
        (lost,) = await take(items, 1)
        assert lost == Lost(START, "maintenance (1001)", 1.0)
        assert not stream.statistics()["live"]
        again = await take_after(items, clock, 1.0, 4)
        assert again[:3] == [
            Connected(START + NS),
            Live(START + NS),
            Hole(START - 9, START - 7, "maintenance (1001)"),
        ]
        assert isinstance(again[3], Batch)
        assert stream.statistics()["connects"] == 2
        assert "fake.trades.BTC-USD live=True" in repr(stream)
    assert paths == ["/fake?a=1", "/fake?a=1"]
    assert clock.sleeping == 0


async def test_nobody_there_is_tried_again_ever_later() -> None:
    """A refused connection is a loss with growing waits, for ever."""
    clock = FakeClock()
    async with aclosing(session("ws://127.0.0.1:1", clock=clock).run()) as items:
        losses = await take(items, 1)
        for seconds in (1.0, 2.0, 4.0):
            losses += await take_after(items, clock, seconds, 1)
    assert kinds(losses) == [Lost] * 4
    assert [loss.retry_in for loss in losses if isinstance(loss, Lost)] == [1.0, 2.0, 4.0, 8.0]


async def test_a_subscription_refused_for_good_ends_the_session(serving: Serve) -> None:
    """The exchange's words are raised, and the socket is closed."""
    closed = asyncio.Event()

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(refused="Currency pair not supported FOO/BAR").encode())
        await peer.wait_closed()
        closed.set()

    async with aclosing(session(await serving(handler)).run()) as items:
        assert kinds(await take(items, 1)) == [Connected]
        with pytest.raises(SubscriptionRefused, match="Currency pair not supported FOO/BAR"):
            await take(items, 1)
    async with asyncio.timeout(BOUND):
        await closed.wait()


async def test_a_socket_that_sends_nothing_is_replaced(serving: Serve) -> None:
    """It answers pings, so TCP and WebSocket are well; the watchdog closes it all the same and connects anew."""
    connections = 0

    async def handler(peer: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await peer.wait_closed()

    clock = FakeClock()
    async with aclosing(session(await serving(handler), clock=clock, ping_after=1e9).run()) as items:
        said = await take(items, 2)
        said += await take_as_time_goes_by(items, clock, 1)
        said += await take_after(items, clock, 1.0, 1)
    assert kinds(said) == [Connected, Live, Lost, Connected]
    assert said[2] == Lost(said[2].at, "no frame for 30 s", 1.0)  # type: ignore[union-attr]  # checked above
    assert connections == 2


async def test_a_snapshot_is_fetched_while_frames_go_on(serving: Serve, until: Until) -> None:
    """The REST request doesn't hold the frames up; it is urgent; its body's records come when it does."""
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    rest = FakeRest(answer)

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await peer.send(FakeFrame(want=True).encode())
        await until(rest.asked.is_set)
        await peer.send(FakeFrame(book=[START + 1]).encode())
        await peer.wait_closed()

    async with aclosing(session(await serving(handler), dataset=BOOK, rest=rest).run()) as items:
        said = await take(items, 3)
        assert kinds(said) == [Connected, Live, Batch]
        answer.set_result(b"77")
        (batch,) = await take(items, 1)
    assert isinstance(batch, Batch)
    assert batch.records[0].ts == 77
    assert rest.urgent == [True]


async def test_a_snapshot_that_can_t_be_had_costs_the_connection_only(serving: Serve) -> None:
    """When REST is down the session begins anew after its backoff; a symbol that isn't listed is an error."""

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await peer.send(FakeFrame(want=True).encode())
        await peer.wait_closed()

    clock = FakeClock()
    rest = FakeRest(ExchangeDown("fake", "502 Bad Gateway"), b"5", BadSymbol("fake", "Invalid symbol."))
    url = await serving(handler)
    async with aclosing(session(url, dataset=BOOK, rest=rest, clock=clock).run()) as items:
        said = [*await take(items, 3), *await take_after(items, clock, 1.0, 4)]
        assert kinds(said) == [Connected, Live, Lost, Connected, Live, Hole, Batch]
        assert isinstance(said[2], Lost)
        assert "502 Bad Gateway" in said[2].reason
    async with aclosing(session(url, dataset=BOOK, rest=rest).run()) as items:
        with pytest.raises(BadSymbol):
            await take(items, 3)


async def test_a_break_is_mended_on_the_socket(serving: Serve) -> None:
    """The frames that mend it are sent, and the hole ends with the first record after."""
    heard: list[str] = []

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True, book=[START]).encode())
        await peer.send(FakeFrame(broken="resubscribe", since=START).encode())
        heard.extend([str(await peer.recv()), str(await peer.recv())])
        await peer.send(FakeFrame(ok=True, book=[START + 8]).encode())
        await peer.wait_closed()

    async with aclosing(session(await serving(handler), dataset=BOOK).run()) as items:
        said = await take(items, 6)
    assert kinds(said) == [Connected, Batch, Live, Broke, Hole, Batch]
    assert said[4] == Hole(START, START + 8, "a gap")
    assert heard == ["unsubscribe BTC/USD", "subscribe BTC/USD"]


async def test_a_bad_frame_never_ends_the_stream(serving: Serve) -> None:
    """What can't be parsed is told of with a sample; the records around it come."""

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await peer.send("<html>")
        await peer.send(FakeFrame(trades=[START]).encode())
        await peer.wait_closed()

    async with aclosing(session(await serving(handler)).run()) as items:
        said = await take(items, 5)
    assert {Connected, Live, Unparsed, Hole, Batch} == set(kinds(said))


async def test_a_silent_subscription_is_checked_against_rest_and_replaced(serving: Serve) -> None:
    """The connection lives, records don't come, but REST has some: a new connection."""

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await peer.wait_closed()

    class Chatty(FakeExchange):
        """Its watchdog never fires."""

        def stream(self, *args: Any) -> Any:
            protocol = super().stream(*args)
            protocol.heartbeat = 1e9
            return protocol

    clock = FakeClock()
    rest = FakeRest(answer=lambda request: str(request.cursor).encode())
    stream = session(await serving(handler), rest=rest, clock=clock, exchange=Chatty(), ping_after=1e9)
    async with aclosing(stream.run()) as items:
        said = [*await take(items, 2), *await take_as_time_goes_by(items, clock, 2)]
    assert kinds(said) == [Connected, Live, Silent, Lost]
    assert isinstance(said[3], Lost)
    assert "the exchange has new records" in said[3].reason


async def test_a_consumer_that_lags_stops_the_reading(serving: Serve, until: Until) -> None:
    """While nothing is taken of the session, nothing is read; the exchange is held back, and then all arrives."""
    count = 4_000
    padding = " " * 2_000

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await until(lambda: live)
        for number in range(count):
            await peer.send(FakeFrame(trades=[START + number]).encode() + padding)
        await peer.wait_closed()

    live: list[Item] = []
    stream = session(await serving(handler))
    async with aclosing(stream.run()) as items:
        live += await take(items, 2)
        await until(lambda: stream.statistics()["line"]["connection"]["paused"])
        assert stream.statistics()["line"]["queued_bytes"] < 1_000_000
        times: list[int] = []
        batches = 0
        while len(times) < count:
            (batch,) = await take(items, 1)
            assert isinstance(batch, Batch)
            times += [record.ts for record in batch.records]
            batches += 1
    assert times == [START + number for number in range(count)]
    assert batches < count / 10


async def test_cancelling_closes_the_socket_cleanly(serving: Serve) -> None:
    """A consumer cancelled in mid-stream leaves no task and no socket: the exchange gets a close frame."""
    codes: asyncio.Queue[int | None] = asyncio.Queue()

    async def handler(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(FakeFrame(ok=True).encode())
        await peer.send(FakeFrame(want=True).encode())
        await peer.wait_closed()
        codes.put_nowait(peer.close_code)

    never: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    live = asyncio.Event()

    async def consume(url: str) -> None:
        async with aclosing(session(url, dataset=BOOK, rest=FakeRest(never)).run()) as items:
            async for item in items:
                if isinstance(item, Live):
                    live.set()

    tasks = asyncio.all_tasks()
    url = await serving(handler)
    task = asyncio.create_task(consume(url))
    async with asyncio.timeout(BOUND):
        await live.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await codes.get() == 1000
    left = {other.get_name() for other in asyncio.all_tasks() - tasks}
    assert not [name for name in left if "timer of" in name]


async def test_what_the_exchange_doesn_t_have_is_an_error_at_once() -> None:
    """NoCapability comes from the exchange before anything is opened."""
    funding = Dataset.make("fake", "funding", "BTC/USD")
    async with aclosing(session("ws://127.0.0.1:1", dataset=funding).run()) as items:
        with pytest.raises(NoCapability):
            await take(items, 1)
