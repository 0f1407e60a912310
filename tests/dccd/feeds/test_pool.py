"""Many streams on few connections: what is one's own stays one's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from dccd.errors import ExchangeDown, RateLimited, SocketClosed, SubscriptionRefused
from dccd.exchanges.base import Connections, Market, StreamOptions
from dccd.feeds.fake import START, FakeClock, FakeExchange, FakeFrame, FakeRest
from dccd.feeds.pool import Line, SocketPool, SocketPools, rebase
from dccd.feeds.session import Batch, Hole, Item, Lost, Session, SessionSettings
from dccd.feeds.shared import LAG, QUEUE_BYTES
from dccd.feeds.timing import Backoff
from dccd.symbols import NS, Dataset
from tests.waiting import Until

pytestmark = pytest.mark.anyio

Serve = Callable[..., Awaitable[str]]
BOUND = 30.0
SETTINGS = SessionSettings(backoff=Backoff(initial=1.0, jitter=0.0), ping_after=1e9)


class Peer:
    """One connection as the exchange sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.heard: list[str] = []
        self.code: int | None = None

    async def send(self, *frames: FakeFrame | str) -> None:
        for frame in frames:
            await self.socket.send(frame if isinstance(frame, str) else frame.encode())


class Venue:
    """An exchange that confirms every subscription but those it is *mute* about, and keeps what it heard."""

    def __init__(self, mute: set[str] | None = None) -> None:
        self.peers: list[Peer] = []
        self.mute = mute or set()

    async def __call__(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        self.peers.append(peer)
        try:
            async for text in socket:
                assert isinstance(text, str)
                peer.heard.append(text)
                word, _, topic = text.partition(" ")
                if word == "subscribe" and topic not in self.mute:
                    await peer.send(FakeFrame(to=topic, ok=True))
        except ConnectionClosed:
            pass  # some tests cut it off
        peer.code = socket.close_code

    def heard(self) -> list[list[str]]:
        return [peer.heard for peer in self.peers]


class Listener:
    """A session, and all that it has said."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.items: list[Item] = []
        self.error: Exception | None = None
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with aclosing(self.session.run()) as items:
                async for item in items:
                    self.items.append(item)
        except Exception as exc:
            self.error = exc

    @property
    def times(self) -> list[int]:
        return [record.ts - START for item in self.items if isinstance(item, Batch) for record in item.records]

    @property
    def live(self) -> bool:
        return bool(self.session.statistics()["live"])

    def said(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class House:
    """One pool, its clock, and sessions on it."""

    def __init__(self, url: str, exchange: FakeExchange | None = None, rest: FakeRest | None = None) -> None:
        self.exchange = exchange or FakeExchange()
        self.clock = FakeClock()
        self.pool = SocketPool(self.exchange, ws_url=url, clock=self.clock)
        self.rest = rest or FakeRest()
        self.listeners: list[Listener] = []

    def listen(self, base: str = "BTC", data_type: str = "trades", **settings: Any) -> Listener:
        session = Session(
            self.exchange,
            Dataset.make("fake", data_type, f"{base}/USD"),
            rest=self.rest,
            sockets=self.pool,
            clock=self.clock,
            settings=SessionSettings(backoff=SETTINGS.backoff, ping_after=1e9, **settings),
            chance=lambda: 0.0,
        )
        self.listeners.append(Listener(session))
        return self.listeners[-1]

    def stream(self, base: str = "BTC") -> Any:
        return self.exchange.stream(Dataset.make("fake", "trades", f"{base}/USD"), StreamOptions(), Market("X"))

    async def join(self, base: str = "BTC") -> Line:
        line = await self.pool.join(self.stream(base), asyncio.Event())
        line.send(line.protocol.subscribe())
        return line


@asynccontextmanager
async def house(url: str, exchange: FakeExchange | None = None, rest: FakeRest | None = None) -> AsyncIterator[House]:
    it = House(url, exchange, rest)
    async with asyncio.timeout(BOUND):
        yield it
        await asyncio.gather(*(listener.stop() for listener in it.listeners))
        await it.pool.aclose()
        assert it.pool.statistics()["connections"] == []


def limits(**some: Any) -> FakeExchange:
    return FakeExchange(
        Connections(**{"topics": 100, "messages": 1e9, "opens": 1000.0, "opens_per_second": 1000.0, **some})
    )


NAMES = [f"N{chr(65 + i // 26)}{chr(65 + i % 26)}" for i in range(50)]


async def test_fifty_streams_share_one_socket(serving: Serve, until: Until) -> None:
    """Each has a lane of its own, its own subscription, and its own records; one end closes nothing but itself."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        listeners = [it.listen(name) for name in NAMES]
        await until(lambda: all(one.live for one in listeners))
        (peer,) = venue.peers
        assert sorted(peer.heard) == sorted(f"subscribe {name}/USD" for name in NAMES)
        for number, name in enumerate(NAMES):
            await peer.send(FakeFrame(to=f"{name}/USD", trades=[START + number]))
        await until(lambda: all(one.times for one in listeners))
        assert [one.times for one in listeners] == [[number] for number in range(50)]
        lanes = [one.session.statistics()["line"]["lane"] for one in listeners]
        assert sorted(lanes) == list(range(1, 51))
        told = it.pool.statistics()
        assert (told["opens"], told["messages"]) == (1, 100)
        assert told["bytes"] > 0


async def test_what_is_for_all_reaches_all_and_what_is_for_nobody_is_counted(serving: Serve, until: Until) -> None:
    """Also when a topic comes that no stream here has."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        one, two = it.listen("BTC"), it.listen("ETH")
        await until(lambda: one.live and two.live)
        (peer,) = venue.peers
        await peer.send(FakeFrame(to="", trades=[START]), FakeFrame(to="DOGE/USD", trades=[START + 1]))
        await peer.send(FakeFrame(trades=[START + 2]))
        await until(lambda: one.times and two.times)
        assert (one.times, two.times) == ([2], [2])
        (shared,) = it.pool.statistics()["connections"]
        assert (shared["dropped"], shared["unclaimed"], shared["stranger"]) == (1, 1, "DOGE/USD")


async def test_one_stream_s_trouble_is_not_the_others(serving: Serve, until: Until) -> None:
    """A refusal for good, one that may pass, frames that are none, breaks: the other goes on on its connection."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        well = it.listen("BTC")
        names = ["ETH", "XRP", "LTC", "ADA"]
        refused, later, bad, broken = [it.listen(name) for name in names]
        await until(lambda: all(one.live for one in it.listeners))
        peer = venue.peers[0]
        await peer.send(
            FakeFrame(to="ETH/USD", refused="no such pair"),
            FakeFrame(to="XRP/USD", refused="rate limit", permanent=False),
            '{"to":"LTC/USD","trades":"none"}',
            FakeFrame(to="ADA/USD", broken="reconnect", since=START),
            FakeFrame(to="BTC/USD", trades=[START + 1]),
        )
        await until(lambda: refused.error and later.said(Lost) and broken.said(Lost) and well.times)
        assert isinstance(refused.error, SubscriptionRefused)
        assert bad.live
        await peer.send(FakeFrame(to="LTC/USD", trades=[START + 3]), FakeFrame(to="BTC/USD", trades=[START + 2]))
        await until(lambda: len(well.times) == 2 and bad.times)
        assert not well.said(Lost)
        assert not bad.said(Lost)
        # Only a subscription that stands is ended; and that once it is clear that not all are leaving.
        it.clock.advance(0.2)
        await until(lambda: "unsubscribe ADA/USD" in peer.heard)
        assert [text for text in peer.heard if text.startswith("unsubscribe")] == ["unsubscribe ADA/USD"]
        # They come back on another connection, both on the same.
        it.clock.advance(1.0)
        await until(lambda: later.live and broken.live)
        assert sorted(venue.peers[1].heard) == ["subscribe ADA/USD", "subscribe XRP/USD"]


async def test_a_subscription_that_nobody_confirms_is_tried_on_another_connection(serving: Serve, until: Until) -> None:
    """The connection on which it was dead stays with those for whom it lives."""
    venue = Venue(mute={"ETH/USD"})
    async with house(await serving(venue)) as it:
        well, mute = it.listen("BTC"), it.listen("ETH", confirm_timeout=3.0)
        await until(lambda: well.live and "subscribe ETH/USD" in venue.peers[0].heard)
        for _ in range(5):
            await it.clock.until_sleeping(2)
            it.clock.advance(1.0)
        await until(lambda: mute.said(Lost))
        assert "no confirmation" in mute.said(Lost)[0].reason
        venue.mute.clear()
        it.clock.advance(1.0)
        await until(lambda: mute.live)
        assert venue.peers[1].heard == ["subscribe ETH/USD"]
        assert not well.said(Lost)
        # After a while, the first one is as good as any.
        await mute.stop()
        it.clock.advance(400.0)
        again = it.listen("ETH")
        await until(lambda: again.live)
        assert len(venue.peers) == 2


async def test_a_subscription_that_is_dead_among_living_ones_is_found_out(serving: Serve, until: Until) -> None:
    """Messages for others keep the connection alive; REST has records that the stream should have had."""
    venue = Venue()
    rest = FakeRest(answer=lambda request: str(request.cursor).encode())
    async with house(await serving(venue), rest=rest) as it:
        well, dead = it.listen("BTC"), it.listen("ETH")
        await until(lambda: well.live and dead.live)
        second = 0
        while not dead.said(Lost):
            second += 1
            it.clock.advance(1.0)
            await venue.peers[0].send(FakeFrame(to="BTC/USD", trades=[START + second]))
            await until(lambda: len(well.times) == second)  # noqa: B023
            await it.clock.until_sleeping(2 - len(dead.said(Lost)))
        assert "the exchange has new records" in dead.said(Lost)[0].reason
        assert 30 <= second <= 45
        it.clock.advance(1.0)
        await until(lambda: dead.live)
        assert not well.said(Lost)
        assert venue.peers[1].heard == ["subscribe ETH/USD"]


async def test_the_same_topic_twice_takes_two_connections(serving: Serve, until: Until) -> None:
    """Funding and open interest often are one topic: what is for one must not end up with the other."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        one, two, three = it.listen("BTC"), it.listen("BTC", "open_interest"), it.listen("ETH")
        await until(lambda: one.live and two.live and three.live)
        assert sorted(venue.heard()) == [["subscribe BTC/USD"], ["subscribe BTC/USD", "subscribe ETH/USD"]]


async def test_a_connection_takes_so_many_topics(serving: Serve, until: Until) -> None:
    """Those who find no place open another."""
    venue = Venue()
    async with house(await serving(venue), limits(topics=2)) as it:
        listeners = [it.listen(name) for name in NAMES[:5]]
        await until(lambda: all(one.live for one in listeners))
        assert sorted(len(heard) for heard in venue.heard()) == [1, 2, 2]


async def test_subscriptions_are_sent_at_the_exchange_s_pace(serving: Serve, until: Until) -> None:
    """Two messages a second, not both at once; the time to confirm begins when a subscription is really sent."""
    venue = Venue(mute={f"{name}/USD" for name in NAMES[:10]})
    async with house(await serving(venue), limits(messages=2.0)) as it:
        listeners = [it.listen(name, confirm_timeout=3.0) for name in NAMES[:10]]
        for sent in range(1, 9):
            await until(lambda: len(venue.peers) == 1 and len(venue.peers[0].heard) == sent)  # noqa: B023
            # A timer for each, and the sender.
            await it.clock.until_sleeping(11)
            assert not any(one.said(Lost) for one in listeners)
            it.clock.advance(0.5)
        await until(lambda: any(one.said(Lost) for one in listeners))
        lost = [one for one in listeners if one.said(Lost)]
        assert [one.session.dataset.symbol.base for one in lost] == NAMES[:2]


async def test_connections_are_opened_at_the_exchange_s_pace(serving: Serve, until: Until) -> None:
    """Two a minute; meanwhile whoever comes waits for the one that is due, and takes no turn."""
    venue = Venue()
    async with house(await serving(venue), limits(topics=2, opens=2.0)) as it:
        listeners = [it.listen(name) for name in NAMES[:6]]
        await until(lambda: sum(one.live for one in listeners) == 4)
        await it.clock.until_sleeping(5)
        it.clock.advance(59.0)
        assert len(venue.peers) == 2
        await it.clock.until_sleeping(5)
        it.clock.advance(1.0)
        await until(lambda: len(venue.peers) == 3)
        await until(lambda: len(venue.peers[2].heard) == 2)


async def test_connections_are_opened_some_a_second(serving: Serve, until: Until) -> None:
    """A minute's worth of them at once is what exchanges ban addresses for."""
    venue = Venue()
    async with house(await serving(venue), limits(topics=1, opens_per_second=2.0)) as it:
        listeners = [it.listen(name) for name in NAMES[:5]]
        await until(lambda: sum(one.live for one in listeners) == 2)
        await it.clock.until_sleeping(3)
        assert len(venue.peers) == 2
        it.clock.advance(1.0)
        await until(lambda: sum(one.live for one in listeners) == 4)


async def test_what_may_be_sent_is_one_limit_where_it_counts_by_address(serving: Serve, until: Until) -> None:
    """Three connections may not say three times as much."""
    venue = Venue()
    async with house(await serving(venue), limits(topics=1, messages=2.0, by_address=True)) as it:
        listeners = [it.listen(name) for name in NAMES[:3]]
        for sent in (1, 2):
            await until(lambda: sum(one.live for one in listeners) == sent)  # noqa: B023
            await until(lambda: len(venue.peers) == 3)
            # A timer for each, and the connection whose turn it is to send.
            await it.clock.until_sleeping(4)
            assert sum(map(len, venue.heard())) == sent
            it.clock.advance(0.5)
        await until(lambda: all(one.live for one in listeners))


async def test_connections_that_share_a_limit_take_turns(serving: Serve, until: Until) -> None:
    """None waits until the others have said all: an exchange closes a connection on which nothing is said for long."""
    venue = Venue()
    async with house(await serving(venue), limits(topics=4, messages=2.0, by_address=True)) as it:
        for name in NAMES[:8]:
            it.listen(name)
        for sent in range(1, 7):
            await until(lambda: len(venue.peers) == 2 and sum(map(len, venue.heard())) == sent)  # noqa: B023
            # A timer for each, and the connection whose turn it is to send.
            await it.clock.until_sleeping(9)
            it.clock.advance(0.5)
            assert max(map(len, venue.heard())) - min(map(len, venue.heard())) <= 2
        assert min(map(len, venue.heard())) >= 2


async def test_a_lost_connection_is_a_hole_of_each_and_they_come_back_together(serving: Serve, until: Until) -> None:
    """All are told why; one of them opens the next connection, the others join it."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        listeners = [it.listen(name) for name in NAMES]
        await until(lambda: all(one.live for one in listeners))
        for name in NAMES:
            await venue.peers[0].send(FakeFrame(to=f"{name}/USD", trades=[START + 1]))
        await venue.peers[0].socket.close(1001, "maintenance")
        await until(lambda: all(one.said(Lost) for one in listeners))
        assert {one.said(Lost)[0].reason for one in listeners} == {"maintenance (1001)"}
        assert all(one.times == [1] for one in listeners)
        await it.clock.until_sleeping(50)
        it.clock.advance(1.0)
        await until(lambda: all(one.live for one in listeners))
        assert [len(heard) for heard in venue.heard()] == [50, 50]
        for name in NAMES:
            await venue.peers[1].send(FakeFrame(to=f"{name}/USD", trades=[START + 9]))
        await until(lambda: all(one.said(Hole) for one in listeners))
        assert {one.said(Hole)[0] for one in listeners} == {Hole(START + 1, START + 10, "maintenance (1001)")}
        told = it.pool.statistics()
        (now,) = told["connections"]
        # What the lost connection has read stays counted: a subscription and a trade of each stream, as on this one.
        assert (now["socket"]["messages"], told["messages"]) == (100, 200)
        assert told["bytes"] > now["socket"]["bytes"]


async def test_who_waits_for_a_connection_shares_its_failure() -> None:
    """One attempt for all that wanted it at the time; each has its own backoff then."""
    async with house("ws://127.0.0.1:1") as it:
        listeners = [it.listen(name) for name in NAMES]
        await it.clock.until_sleeping(50)
        assert all(len(one.said(Lost)) == 1 for one in listeners)
        assert (it.pool.statistics()["opens"], it.pool.statistics()["failed"]) == (1, 1)


async def test_many_streams_try_no_more_often_than_one() -> None:
    """Their backoffs differ; who comes too early is told what the last attempt was, and when the next one may be."""
    async with house("ws://127.0.0.1:1") as it:
        chances = iter([number / 50 for number in range(50)] * 1000)
        for name in NAMES:
            it.listeners.append(
                Listener(
                    Session(
                        it.exchange,
                        Dataset.make("fake", "trades", f"{name}/USD"),
                        rest=it.rest,
                        sockets=it.pool,
                        clock=it.clock,
                        chance=lambda: next(chances),
                    )
                )
            )
        for _ in range(600):
            await it.clock.until_sleeping(50)
            it.clock.advance(0.5)
        opens = it.pool.statistics()["opens"]
        assert 10 <= opens <= 7 + 300 / 30


async def test_an_address_that_is_told_to_wait_waits(serving: Serve, until: Until) -> None:
    """Retry-After of one attempt is for all of this host's streams, also those that come later."""
    asked: list[str] = []

    def refuse(peer: ServerConnection, request: Request) -> Response:
        asked.append(request.path)
        return Response(429, "Too Many Requests", Headers({"Retry-After": "30", "Content-Length": "0"}), b"")

    async with house(await serving(Venue(), process_request=refuse)) as it:
        first = it.listen("BTC")
        await until(lambda: first.said(Lost))
        it.clock.advance(10.0)
        second = it.listen("ETH")
        await until(lambda: second.said(Lost))
        assert (first.said(Lost)[0].retry_in, second.said(Lost)[0].retry_in) == (30.0, 20.0)
        assert len(asked) == 1


async def test_messages_that_the_router_misses_end_the_connection_for_all(serving: Serve, until: Until) -> None:
    """Nobody knows whose they were: a hole of each, after what had come before."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        one, two = it.listen("BTC"), it.listen("ETH")
        await until(lambda: one.live and two.live)
        await venue.peers[0].send(FakeFrame(to="BTC/USD", trades=[START + 1]), FakeFrame(lost=True))
        await until(lambda: one.said(Lost) and two.said(Lost))
        assert one.times == [1]
        assert {other.said(Lost)[0].reason for other in (one, two)} == {"messages 5 to 7 are missing (1006)"}
        await until(lambda: venue.peers[0].code == 1000)
        await it.clock.until_sleeping(2)
        it.clock.advance(1.0)
        await until(lambda: one.live and two.live)
        await venue.peers[1].send(FakeFrame(trades=[START + 5]))
        await until(lambda: one.said(Hole) and two.said(Hole))
        assert len(venue.peers) == 2


async def test_who_falls_behind_is_cut_off(serving: Serve, until: Until) -> None:
    """It holds the others up for some seconds, then it gets what had come, and its end; the others go on."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        slow, quick = await it.join("BTC"), await it.join("ETH")
        await until(lambda: quick.inbox.queued)
        (peer,) = venue.peers
        big = FakeFrame(to="BTC/USD", trades=[START]).encode() + " " * 60_000
        for _ in range(12):
            await peer.send(big)
        await until(lambda: slow.inbox.queued >= QUEUE_BYTES)
        assert it.pool.statistics()["connections"][0]["paused"]
        await peer.send(FakeFrame(to="ETH/USD", trades=[START]))
        assert quick.take()  # its confirmation
        # Nobody is to blame for silence while nothing is read.
        it.clock.advance(5.0)
        assert (quick.last_read, quick.last_frame) == (5.0, 5.0)
        for _ in range(LAG):
            await it.clock.until_sleeping(1)
            assert it.pool.statistics()["connections"][0]["streams"] == 2
            it.clock.advance(1.0)
        await until(lambda: quick.inbox.queued)
        assert slow.take()
        with pytest.raises(SocketClosed, match="fell behind the connection that it shares"):
            slow.take()
        it.clock.advance(1.0)
        await until(lambda: peer.heard[-1] == "unsubscribe BTC/USD")
        (shared,) = it.pool.statistics()["connections"]
        assert (shared["streams"], shared["cut_off"], shared["paused"]) == (1, 1, False)
        # It doesn't come back to the connection that it held up.
        assert (await it.join("BTC"))._host is not quick._host


async def test_who_takes_late_but_does_is_not_cut_off(serving: Serve, until: Until) -> None:
    """Reading goes on as soon as it takes, and so it does where all are late."""
    venue = Venue()
    async with house(await serving(venue)) as it:
        slow, other = await it.join("BTC"), await it.join("ETH")
        (peer,) = venue.peers
        big = FakeFrame(trades=[START]).encode() + " " * 60_000
        for _ in range(12):
            await peer.send(big)
        await until(lambda: it.pool.statistics()["connections"][0]["paused"])
        for _ in range(2 * LAG):
            await it.clock.until_sleeping(1)
            it.clock.advance(1.0)
        assert slow.take()
        assert it.pool.statistics()["connections"][0]["paused"]
        assert other.take()
        (shared,) = it.pool.statistics()["connections"]
        assert (shared["streams"], shared["cut_off"], shared["paused"]) == (2, 0, False)
        await peer.send(FakeFrame(to="ETH/USD"))
        await until(lambda: other.inbox.queued)


async def test_the_exchange_s_own_ping_is_sent_by_the_connection(serving: Serve, until: Until) -> None:
    """After what opens it, every so often; its answer is nobody's."""
    venue = Venue()
    exchange = FakeExchange(
        Connections(topics=9, messages=1e9, opens=9.0, ping="ping", ping_every=20.0), opening=("hello",)
    )
    async with house(await serving(venue), exchange) as it:
        await it.join("BTC")
        await it.join("ETH")
        for _ in range(2):
            await it.clock.until_sleeping(1)
            it.clock.advance(20.0)
        (peer,) = venue.peers
        await until(lambda: len(peer.heard) == 5)
        assert peer.heard == ["hello", "subscribe BTC/USD", "subscribe ETH/USD", "ping", "ping"]


async def test_a_dead_connection_ends_for_all_and_is_pinged_once(serving: Serve, until: Until) -> None:
    """All see the same silence: one ping for all of them, and whoever gives up first ends it for the others."""
    pings: list[bytes] = []

    class Deaf(Venue):
        async def __call__(self, socket: ServerConnection) -> None:
            socket.ping_interval = None
            await super().__call__(socket)

    venue = Deaf()
    async with house(await serving(venue)) as it:
        one, two = await it.join("BTC"), await it.join("ETH")
        await until(lambda: one.inbox.queued and two.inbox.queued)
        host: Any = one._host
        send = host._socket.ping
        host._socket.ping = lambda: (pings.append(b""), send())
        it.clock.advance(25.0)
        one.ping()
        two.ping()
        assert pings == [b""]
        one.give_up("no answer to a ping for 20 s")
        assert one.take()
        assert two.take()
        for line in (one, two):
            with pytest.raises(SocketClosed, match="no answer to a ping"):
                line.take()
        assert it.pool.statistics()["connections"] == []


async def test_a_market_that_expires_is_looked_up_anew(serving: Serve, until: Until) -> None:
    """The contract's end is a loss with that reason; the next one is what the symbol then means."""
    venue = Venue()
    rest = FakeRest()
    rest.markets = [
        ExchangeDown("fake", "502"),
        RateLimited("fake", "429", 7.0),
        Market("BTCUSD_1", expires=START + 60 * NS),
        Market("BTCUSD_2", expires=START + 900 * NS),
    ]
    async with house(await serving(venue), FakeExchange(named=False), rest) as it:
        one = it.listen("BTC")
        await until(lambda: len(one.said(Lost)) == 1)
        it.clock.advance(1.0)
        await until(lambda: len(one.said(Lost)) == 2)
        assert one.said(Lost)[1].retry_in == 7.0
        it.clock.advance(7.0)
        await until(lambda: one.live)
        await it.clock.until_sleeping(1)
        it.clock.advance(52.0)
        await until(lambda: len(one.said(Lost)) == 3)
        assert one.said(Lost)[2].reason == "the contract has expired"
        assert len(rest.markets) == 1
        await it.clock.until_sleeping(1)
        it.clock.advance(4.0)
        await until(lambda: one.live)
        assert rest.markets == []
        assert not venue.peers[0].heard[1:]


async def test_what_a_rollover_costs_is_a_hole_though_the_next_contract_s_ids_are_lower(
    serving: Serve, until: Until
) -> None:
    """Ids that follow each other prove something of one contract only."""
    rest = FakeRest()
    rest.markets = [Market("BTCUSD_1", expires=START + 60 * NS), Market("BTCUSD_2", expires=START + 900 * NS)]
    exchange, venue = FakeExchange(named=False), Venue()
    exchange.consecutive_trade_ids = True
    async with house(await serving(venue), exchange, rest) as it:
        one = it.listen("BTC")
        await until(lambda: one.live)
        await venue.peers[0].send(FakeFrame(to="BTC/USD", trades=[START + 5]))
        await until(lambda: one.times == [5])
        await it.clock.until_sleeping(1)
        it.clock.advance(60.0)
        await until(lambda: one.said(Lost))
        await it.clock.until_sleeping(1)
        it.clock.advance(1.0)
        await until(lambda: one.live)
        # The fake's ids are its times: this one is the lower.
        await venue.peers[1].send(FakeFrame(to="BTC/USD", trades=[START + 4]))
        await until(lambda: len(one.times) == 2)
        assert [hole.reason for hole in one.said(Hole)] == ["the contract has expired"]


async def test_who_is_stopped_unsubscribes_while_others_go_on(serving: Serve, until: Until) -> None:
    """And is out at once; whoever had not subscribed yet says nothing."""
    venue = Venue()
    async with house(await serving(venue), limits(messages=2.0)) as it:
        first, second = await it.join("BTC"), await it.join("ETH")
        await it.clock.until_sleeping(1)
        it.clock.advance(0.5)
        await until(lambda: not second.unsent)
        third = await it.join("XRP")
        assert third.unsent == 1
        await third.aclose()
        await first.aclose()
        await first.aclose()
        with pytest.raises(SocketClosed, match="closed by us"):
            while True:
                first.take()
        await it.clock.until_sleeping(1)
        it.clock.advance(0.5)
        (peer,) = venue.peers
        await until(lambda: len(peer.heard) == 3)
        assert peer.heard == ["subscribe BTC/USD", "subscribe ETH/USD", "unsubscribe BTC/USD"]
        await second.aclose()
        await until(lambda: peer.code == 1000)


async def test_when_all_stop_the_connection_closes_and_nobody_unsubscribes(serving: Serve, until: Until) -> None:
    """Two hundred at once."""
    venue = Venue()
    async with house(await serving(venue), limits(topics=1000)) as it:
        lines = await asyncio.gather(*(it.join(f"{a}{b}") for a in NAMES[:20] for b in NAMES[:10]))
        await until(lambda: len(venue.peers[0].heard) == 200)
        await asyncio.gather(*(line.aclose() for line in lines))
        await until(lambda: venue.peers[0].code == 1000)
        assert len(venue.peers[0].heard) == 200
        assert it.clock.sleeping == 0


async def test_closing_the_pool_ends_all_at_once(serving: Serve, until: Until) -> None:
    """Streams that are still there, or wait for a connection, are told; nobody can join any more."""
    venue = Venue()
    url = await serving(venue)
    async with asyncio.timeout(BOUND):
        it = House(url, limits(topics=1, opens=2.0))
        lines = [await it.join("BTC"), await it.join("ETH")]
        waiting = asyncio.create_task(it.join("XRP"))
        await it.clock.until_sleeping(1)
        await it.pool.aclose()
        with pytest.raises(SocketClosed, match="closed by us"):
            await waiting
        for line in lines:
            with pytest.raises(SocketClosed, match="closed by us"):
                while True:
                    line.take()
            await line.aclose()
        with pytest.raises(SocketClosed, match="closed by us"):
            await it.join("XRP")
        await until(lambda: [peer.code for peer in venue.peers] == [1000, 1000])
        assert "connections=0" in repr(it.pool)
        assert it.clock.sleeping == 0


async def test_who_gives_up_waiting_for_a_connection_leaves_nothing(raw_serving: Serve, until: Until) -> None:
    """The last one that waits ends the attempt."""
    held = asyncio.Event()
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.set()
        await reader.read()
        writer.close()
        ended.set()

    async with house(await raw_serving(silent)) as it:
        tasks = [asyncio.create_task(it.join(name)) for name in NAMES[:3]]
        await held.wait()
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        assert len(it.pool.statistics()["connections"]) == 1
        for task in tasks[1:]:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * 3
        assert it.pool.statistics()["connections"] == []
        await ended.wait()


async def test_one_pool_an_exchange(serving: Serve) -> None:
    """With the URL that is configured for it."""
    venue = Venue()
    exchange = FakeExchange()
    pools = SocketPools({"fake": await serving(venue) + "/"}, clock=FakeClock())
    assert pools.get(exchange) is pools.get(FakeExchange())
    protocol = exchange.stream(Dataset.make("fake", "trades", "BTC/USD"), StreamOptions(), Market("X"))
    async with asyncio.timeout(BOUND):
        line = await pools.get(exchange).join(protocol, asyncio.Event())
        assert venue.peers[0].socket.request is not None
        assert venue.peers[0].socket.request.path == "/fake?a=1"
        assert "fake" in pools.statistics()
        assert "<Line 1 BTC/USD of <Shared ws://127.0.0.1:" in repr(line)
        await pools.aclose()


async def test_another_url_is_of_those_who_ask_from_now_on(serving: Serve) -> None:
    """The pool that there was is handed over, to be closed when nobody has a line of it."""
    first, second = Venue(), Venue()
    exchange = FakeExchange()
    pools = SocketPools({"fake": await serving(first) + "/"}, clock=FakeClock())
    protocol = exchange.stream(Dataset.make("fake", "trades", "BTC/USD"), StreamOptions(), Market("X"))
    async with asyncio.timeout(BOUND):
        await pools.get(exchange).join(protocol, asyncio.Event())
        before = pools.change("fake", await serving(second) + "/")
        assert before is not None
        await pools.get(exchange).join(protocol, asyncio.Event())
        assert (len(first.peers), len(second.peers)) == (1, 1)
        await before.aclose()
        assert pools.change("other", None) is None
        await pools.aclose()


@pytest.mark.parametrize(
    ("url", "base", "wanted"),
    [
        ("wss://ws.example:9443/ws?a=1", None, "wss://ws.example:9443/ws?a=1"),
        ("wss://ws.example:9443/ws?a=1", "ws://127.0.0.1:5", "ws://127.0.0.1:5/ws?a=1"),
        ("wss://ws.example/v5/public", "wss://proxy.example/okx/", "wss://proxy.example/okx/v5/public"),
        ("wss://ws.example", "ws://127.0.0.1:5", "ws://127.0.0.1:5"),
    ],
)
def test_a_url_may_be_put_elsewhere(url: str, base: str | None, wanted: str) -> None:
    """Scheme, host and port are replaced, the path goes after the base's."""
    assert rebase(url, base) == wanted
