"""Who is there: entries that run out, events that are told once, and two daemons that go by one id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.hosts import Hosts, last_up, silent
from actors.links import Neighbours
from actors.monitor import check_hosts
from actors.runtime.clock import SystemClock
from actors.runtime.root import open_root
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams, host_events
from dccd.messages import HostChanged, HostEntry

pytestmark = pytest.mark.anyio

BEAT = 0.02
TTL = 0.2
"""Here the bucket's is longer: a test takes an entry away itself."""


def test_nobody_is_silent_before_the_bus_was_steady() -> None:
    """After it was away all have to come back first; then whoever isn't there is gone."""
    assert silent({"a", "b", "c"}, {"b"}, steady=5.9, ttl=6.0) == []
    assert silent({"a", "b", "c"}, {"b", "d"}, steady=6.0, ttl=6.0) == ["a", "c"]


def test_what_is_remembered_is_who_came_and_did_not_go() -> None:
    """A word of an instance that was before the last one doesn't count."""

    def said(id: str, instance: str, change: Any) -> HostChanged:
        return HostChanged(at=1, host="x", id=id, instance=instance, change=change, reason="started")

    events = [said("a", "1", "up"), said("b", "1", "up"), said("b", "1", "down")]
    assert last_up(events) == {"a": "1"}
    assert last_up([*events, said("a", "2", "up"), said("a", "1", "down")]) == {"a": "2"}


class Site:
    """A bus, and the shared names of the hosts on it."""

    def __init__(self, bus: Bus, path: Path) -> None:
        self.bus, self.path = bus, path
        self.hosts = Bucket(bus, subjects.BUCKET_HOSTS)
        self.running: dict[str, Any] = {}

    @asynccontextmanager
    async def host(self, id: str, neighbours: Neighbours | None = None, ttl: float = TTL) -> AsyncIterator[Any]:
        """A host that beats, and at the end falls silent, unless ``stopping`` was set."""
        clock = SystemClock()
        links: Any = SimpleNamespace(
            host=id, bus=self.bus, hosts=self.hosts, clock=clock, data_path=self.path, version="4.0.0", started=1,
            board={"s": 1}, active={}, neighbours=neighbours or Neighbours(), stopping=False,
            service="answers",
        )  # fmt: skip
        async with open_root(Hosts(links, beat=BEAT, ttl=ttl), clock=clock):
            yield links

    async def entry(self, id: str) -> HostEntry | None:
        found = await self.hosts.get(subjects.host_key(id))
        return None if found is None else msgspec.json.decode(found[0], type=HostEntry)

    async def beats(self, id: str, count: int) -> None:
        """Wait until *id* has written its entry so many times more."""
        with anyio.fail_after(20):
            async with aclosing(self.hosts.watch(subjects.host_key(id))) as entries:
                async for entry in entries:
                    count -= entry is not None and not entry.deleted
                    if count < 0:
                        return

    async def vanish(self, id: str) -> None:
        """Take away the entry of one that has fallen silent, as the bus does after a while."""
        await self.hosts.delete(subjects.host_key(id))

    async def said(self) -> list[tuple[str, str, str]]:
        """All that was told so far: id, change, reason."""
        events = [msgspec.json.decode(stored.data, type=HostChanged) for stored in await host_events(self.bus)]
        return [(event.id, event.change, event.reason) for event in events]

    @asynccontextmanager
    async def hearing(self) -> AsyncIterator[Any]:
        """What who listens live hears, as it comes."""
        send, receive = anyio.create_memory_object_stream[HostChanged](100)

        async def take(message: Any) -> None:
            send.send_nowait(msgspec.json.decode(message.data, type=HostChanged))

        subscription = await self.bus.subscribe(subjects.host_event("*", "*"), take)
        await self.bus.barrier()
        with anyio.fail_after(20), send, receive:
            yield receive
        await subscription.unsubscribe()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    server = EmbeddedServer(tmp_path / "nats", port=0, on_log=lambda level, text: None)
    async with server, await Bus.open(server.url, "hosts") as bus:
        await ensure_streams(bus)
        yield Site(bus, tmp_path)


async def test_a_host_is_there_as_long_as_it_says_so(site: Site) -> None:
    """Its entry is new each beat; up, once it answers, and down are told once each, and nothing is left of it."""
    async with site.host("alpha") as alpha:
        alpha.service = None
        first = await site.entry("alpha")
        assert first is not None and (first.id, first.streams, first.format) == ("alpha", 1, 1)
        await site.beats("alpha", 5)
        last = await site.entry("alpha")
        assert last is not None and last.at > first.at and last.instance == first.instance
        assert await site.said() == []  # nothing of it answers yet
        alpha.service = "answers"
        await site.beats("alpha", 3)
        alpha.stopping = True
    assert await site.entry("alpha") is None
    assert await site.said() == [("alpha", "up", "started"), ("alpha", "down", "stopped")]


async def test_an_actor_that_is_restarted_is_no_host_that_comes_and_goes(site: Site) -> None:
    """Nobody hears of it, and nobody takes it for a second daemon."""
    neighbours = Neighbours()
    for _ in range(3):
        async with site.host("alpha", neighbours):
            await site.beats("alpha", 5)
    assert await site.said() == [("alpha", "up", "started")]
    assert neighbours.double is None


async def test_who_falls_silent_is_told_once_by_one_of_the_others(site: Site) -> None:
    """Also to those who listen live, however many hosts notice."""
    async with site.host("alpha"), site.host("beta"), site.host("gamma"):
        async with site.host("delta"):
            for id in ("alpha", "beta", "gamma"):
                await site.beats(id, 3)
        async with site.hearing() as heard:
            await site.vanish("delta")
            event = await heard.receive()
            assert (event.id, event.change, event.reason) == ("delta", "down", "silent")
            assert event.host in ("alpha", "beta", "gamma")
            for id in ("alpha", "beta", "gamma"):
                await site.beats(id, 10)
            assert heard.statistics().current_buffer_used == 0
    assert (await site.said()).count(("delta", "down", "silent")) == 1


async def test_who_said_goodbye_is_not_told_silent(site: Site) -> None:
    """The others see that it did."""
    async with site.host("alpha"):
        async with site.host("beta") as beta:
            await site.beats("alpha", 3)
            beta.stopping = True
        await site.beats("alpha", 20)
    assert [one for one in await site.said() if one[0] == "beta"] == [
        ("beta", "up", "started"),
        ("beta", "down", "stopped"),
    ]


async def test_who_comes_later_tells_of_who_was_killed_when_nobody_looked(site: Site) -> None:
    """By the events that are kept."""
    async with site.host("alpha"):
        await site.beats("alpha", 3)
    await site.vanish("alpha")
    async with site.hearing() as heard, site.host("beta"):
        assert [(event.id, event.change) for event in (await heard.receive(), await heard.receive())] == [
            ("beta", "up"),
            ("alpha", "down"),
        ]


@pytest.mark.parametrize("gone", [True, False], ids=["its entry has run out", "its entry is still there"])
async def test_one_that_was_killed_and_starts_again_says_so_itself(site: Site, gone: bool) -> None:
    """First that the one before is down, then that it is up: the last word is the truth."""
    async with site.host("alpha"):
        await site.beats("alpha", 3)
    if gone:
        await site.vanish("alpha")
    async with site.hearing() as heard, site.host("alpha") as alpha:
        assert [(event.change, event.reason) for event in (await heard.receive(), await heard.receive())] == [
            ("down", "silent"),
            ("up", "started"),
        ]
        assert alpha.neighbours.double is None


async def test_one_that_was_taken_for_dead_comes_back(site: Site) -> None:
    """A process that stood still for longer than its entry lives is another instance then."""
    async with site.host("alpha") as alpha:
        before = alpha.neighbours.instance
        async with site.hearing() as heard:
            await site.vanish("alpha")
            event = await heard.receive()
        assert (event.change, event.reason, event.id) == ("up", "back", "alpha")
        assert event.instance == alpha.neighbours.instance != before


async def test_two_daemons_of_one_id_notice_each_other(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are unhealthy, and say who the other is; when one is gone the other is well again."""
    async with site.host("alpha") as first:
        async with site.host("alpha") as second:
            with anyio.fail_after(20):
                while first.neighbours.double is None or second.neighbours.double is None:
                    await site.beats("alpha", 1)
            check = check_hosts(second.neighbours)
            assert not check.ok
            assert "goes by this host's id, too: alpha" in check.detail and str(site.path) in check.detail
            second.stopping = True
        with anyio.fail_after(20):
            while first.neighbours.double is not None:
                await site.beats("alpha", 1)
        assert check_hosts(first.neighbours).ok
        await site.beats("alpha", 3)
        assert (await site.said())[-1] == ("alpha", "up", "back")
    assert "two daemons with one id" in "".join(capsys.readouterr())  # the tests before may have set where logs go
    assert ("alpha", "down", "silent") not in await site.said()
