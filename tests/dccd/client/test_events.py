"""Events from the past into the present, on a real nats-server that is killed meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.publisher import Publisher
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import TickLimits, ensure_streams
from dccd.client import Client, StoredEvent, events
from dccd.client.fake import FakeDaemon
from dccd.errors import BusUnavailable, IdentityError, RequestError, TicksGone
from dccd.runs import LogLine, Run
from dccd.symbols import Dataset

pytestmark = pytest.mark.anyio

BTC = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("kraken.ohlc.BTC-USD.1m")


@pytest.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[Bus]:
    """A connection of whoever publishes; the streams exist."""
    async with await Bus.open(server.url, "publisher") as bus:
        await ensure_streams(bus)
        yield bus


def log(number: int, run_id: str = "r1") -> m.RunLog:
    return m.RunLog(at=number, host="alpha", run_id=run_id, level="info", message=str(number))


def gap(dataset: Dataset = BTC) -> m.StreamGap:
    return m.StreamGap(at=1, host="alpha", dataset=dataset.name, start=1, end=2, reason="disconnect")


async def publish(bus: Bus, *events: tuple[str, Any]) -> None:
    """Store events on their subjects."""
    async with Publisher(bus, stream=subjects.STREAM_EVENTS) as publisher:
        for subject, event in events:
            publisher.offer(subject, event if isinstance(event, bytes) else msgspec.json.encode(event))
        assert await publisher.drain() == 0


def logs(*numbers: int, run_id: str = "r1") -> list[tuple[str, Any]]:
    return [(subjects.run_event(run_id, "log"), log(number, run_id)) for number in numbers]


async def take(events: AsyncGenerator[Any, None], count: int) -> list[Any]:
    """The next *count* of *events*."""
    with anyio.fail_after(20):
        return [await anext(events) for _ in range(count)]


async def all_of(events: AsyncGenerator[StoredEvent, None]) -> list[Any]:
    """The events themselves, to their end."""
    with anyio.fail_after(20):
        return [stored.event async for stored in events]


async def test_what_was_missed_comes_first_and_then_what_happens(bus: Bus, client: Client) -> None:
    """All that is kept, in order and numbered, and then live."""
    await publish(bus, *logs(*range(1000)))
    async with aclosing(client.events(since="1h", follow=True)) as events:
        past = await take(events, 1000)
        assert [stored.event.message for stored in past] == [str(number) for number in range(1000)]
        assert [stored.seq for stored in past] == list(range(1, 1001))
        assert past[0].kind == "run.log" and past[0].at > 1.7e18 and past[0].subject == "dccd.events.run.r1.log"
        await publish(bus, *logs(1000, 1001))
        assert [stored.event for stored in await take(events, 2)] == [log(1000), log(1001)]


async def test_without_follow_it_ends(bus: Bus, client: Client) -> None:
    """With what there is, and at once when there is nothing."""
    began = asyncio.get_running_loop().time()
    assert await all_of(client.events()) == []
    await publish(bus, *logs(1, 2))
    assert await all_of(client.events()) == [log(1), log(2)]
    assert await all_of(client.events(run="r2")) == []
    assert await all_of(client.events(last=1)) == [log(2)]
    assert await all_of(client.events(last=0)) == []
    assert await all_of(client.events(after=1)) == [log(2)]
    assert await all_of(client.events(after=2)) == []
    assert await all_of(client.events(since="now")) == []
    assert asyncio.get_running_loop().time() - began < 4


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"run": "r1"}, ["run.log"]),
        ({"run": "r1", "kind": "run.status"}, []),
        ({"kind": "run"}, ["run.log", "run.log"]),
        ({"kind": ["run.log", "run"]}, ["run.log", "run.log"]),
        ({"kind": ["run.log", "actor"]}, ["run.log", "run.log", "actor"]),
        ({"stream": BTC.name}, ["stream.gap", "stream.status"]),
        ({"stream": "kraken"}, ["stream.gap"]),
        ({"stream": "kraken", "kind": "stream.gap"}, ["stream.gap"]),
        ({"kind": "stream.gap"}, ["stream.gap", "stream.gap"]),
        ({"kind": "weather.rain"}, ["weather.rain"]),
        ({"kind": "weather"}, ["weather.rain", "weather.sun"]),
    ],
    ids=str,
)
async def test_filters(filters: dict[str, Any], expected: list[str], bus: Bus, client: Client) -> None:
    """By run, by stream or the beginning of its name, by kind: also what no version of today knows."""
    await publish(
        bus,
        *logs(1),
        *logs(2, run_id="r2"),
        (subjects.stream_event(BTC, "gap"), gap()),
        (subjects.stream_event(BARS, "gap"), gap(BARS)),
        (subjects.stream_event(BTC, "status"), m.StreamChanged(at=1, host="a", dataset=BTC.name, state="live")),
        (subjects.actor_event("exited"), m.ActorChanged(at=1, host="a", path="x", change="exited")),
        ("dccd.events.weather.rain", b'{"kind": "weather.rain", "at": 1, "host": "a"}'),
        ("dccd.events.weather.sun", b'{"kind": "weather.sun", "at": 1, "host": "a"}'),
    )
    found = [stored.kind async for stored in client.events(**filters)]
    assert found == expected
    newest = [stored.kind async for stored in client.events(**filters, last=1)]
    assert newest == expected[-1:]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"run": "r1", "stream": BTC.name}, "stream"),
        ({"run": "r1", "kind": "stream.gap"}, "kind"),
        ({"run": "*"}, "run"),
        ({"kind": "run.>"}, "kind"),
        ({"since": "1h", "after": 3}, "since"),
        ({"since": "soon"}, "since"),
    ],
    ids=str,
)
async def test_what_can_not_be_is_refused(wrong: dict[str, Any], field: str, client: Client) -> None:
    """A filter that nothing could pass would look like silence."""
    with pytest.raises(IdentityError) as refused:
        await all_of(client.events(**wrong))
    assert refused.value.field == field


async def test_what_is_not_understood_is_given_as_it_is(bus: Bus, client: Client) -> None:
    """Kinds of newer daemons as plain values; what is no JSON object, which no daemon sends, is passed over."""
    await publish(
        bus,
        ("dccd.events.run.r1.log", b'{"kind": "run.log", "at": 1, "host": "a", "run_id": "r1", "level": "loud"}'),
        ("dccd.events.run.r1.log", b"oops"),
        ("dccd.events.run.r1.log", b"[1]"),
        ("dccd.events.run.r1.odd", b'{"kind": "run.odd", "at": 1, "host": "a", "more": [1]}'),
    )
    found = [(stored.kind, stored.event) async for stored in client.events()]
    assert found == [
        ("run.log", {"kind": "run.log", "at": 1, "host": "a", "run_id": "r1", "level": "loud"}),
        ("run.odd", {"kind": "run.odd", "at": 1, "host": "a", "more": [1]}),
    ]


async def test_nobody_to_ask(server: EmbeddedServer, bus: Bus) -> None:
    """Without a daemon nothing is delivered, and that is said."""
    async with Client(server.url) as client:
        with pytest.raises(BusUnavailable, match="Is a daemon running"):
            await all_of(client.events())


async def test_the_newest_of_many(bus: Bus, client: Client) -> None:
    """However many others there are in between; and going on, none that came meanwhile is left out."""
    for number in range(20):
        await publish(bus, *logs(*range(100), run_id="busy"), *logs(number))
    found = [stored.event async for stored in client.events(run="r1", last=5)]
    assert found == [log(number) for number in range(15, 20)]
    async with aclosing(client.events(run="r1", last=0, follow=True)) as events:
        coming = asyncio.create_task(anext(events))  # type: ignore[arg-type]  # a coroutine at run time
        await client.bus.barrier()
        for _ in range(50):  # until it has begun, which nothing tells
            await publish(bus, *logs(99))
            if coming.done():
                break
        assert (await coming).event == log(99)


async def test_the_server_is_killed_while_following(tmp_path: Path) -> None:
    """kill -9, three times, while events are published: each comes once and in order, and none is left out."""
    folder = tmp_path / "nats"
    server = EmbeddedServer(folder, port=0, on_log=lambda level, text: None)
    await server.start()
    found: list[int] = []
    total, kills = 900, 3

    async def killed(server: EmbeddedServer) -> EmbeddedServer:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await server.wait()
        await server.stop()
        server = EmbeddedServer(folder, port=0, on_log=lambda level, text: None)
        await server.start()
        return server

    try:
        async with (
            await Bus.open(server.url, "publisher") as bus,
            FakeDaemon(bus),
            Client(server.url) as client,
        ):
            await ensure_streams(bus)
            async with Publisher(bus, stream=subjects.STREAM_EVENTS, deadline=1.0) as publisher:
                published = enough = 0
                with anyio.fail_after(60):
                    async with aclosing(client.events(since="1h", follow=True)) as events:
                        for kill in range(kills + 1):
                            for number in range(published, published + total // (kills + 1)):
                                publisher.offer(subjects.run_event("r1", "log"), msgspec.json.encode(log(number)))
                            published += total // (kills + 1)
                            enough = published - 50 if kill < kills else published
                            while len(found) < enough:
                                found.append(int((await anext(events)).event.message))  # type: ignore[union-attr]
                            if kill < kills:
                                server = await killed(server)
        assert found == list(range(published))
    finally:
        await server.stop()


async def test_a_place_that_has_fallen_off_is_an_error(server: EmbeddedServer, client: Client) -> None:
    """Who goes on after an event learns that the next ones are gone, instead of missing them in silence."""
    async with await Bus.open(server.url, "publisher") as bus:
        await ensure_streams(bus, TickLimits(events_max_bytes=20_000))
        await publish(bus, *logs(*range(1000)))
        with pytest.raises(TicksGone, match="DCCD_EVENTS begins at"):
            await all_of(client.events(after=3))
        assert (await all_of(client.events()))[-1] == log(999)


# ---------------------------------------------------------------- of one run


async def texts(found: AsyncGenerator[m.RunLog | m.RunStatus, None]) -> list[str]:
    with anyio.fail_after(20):
        return [event.message if isinstance(event, m.RunLog) else event.run.state async for event in found]


async def test_the_log_of_a_run_goes_on_to_its_end(bus: Bus, client: Client, daemon: FakeDaemon) -> None:
    """Lines and states, first those of before, and it ends with the run."""
    run = daemon.new_run(BTC.name)
    line = m.RunLog(at=run.updated, host="fake", run_id=run.run_id, level="warning", message="slow")
    await daemon.change(run, state="running")
    await daemon.emit(line)
    async with aclosing(client.logs(run.run_id, follow=True)) as found:
        first = await take(found, 2)
        assert [type(event).__name__ for event in first] == ["RunStatus", "RunLog"]
        await daemon.emit(msgspec.structs.replace(line, message="slower"))
        await daemon.change(run, state="failed", updated=run.updated + 5)
        assert await texts(found) == ["slower", "failed"]
    assert await texts(client.logs(run.run_id)) == ["running", "slow", "slower", "failed"]
    assert await texts(client.logs(run.run_id, last=1, follow=True)) == ["failed"]
    assert await texts(client.logs(run.run_id, last=0, follow=True)) == ["failed"]


async def test_what_the_bus_has_forgotten_is_in_the_record(bus: Bus, client: Client, daemon: FakeDaemon) -> None:
    """The end of its log, before the first that the bus still has; of an old run all that there is."""
    lines = [LogLine(1, "info", "one"), LogLine(2, "info", "two"), LogLine(3, "info", "three")]
    run = daemon.new_run(BTC.name, state="done", log=lines)
    assert await texts(client.logs(run.run_id, follow=True)) == ["one", "two", "three", "done"]
    await daemon.emit(m.RunLog(at=3, host="fake", run_id=run.run_id, level="info", message="three"))
    assert await texts(client.logs(run.run_id)) == ["one", "two", "three", "done"]


async def test_an_end_whose_event_is_lost_is_found_all_the_same(bus: Bus, client: Client, daemon: FakeDaemon) -> None:
    """When nothing comes the run is asked for; an unknown one is 404; nobody to ask is an error after a while."""
    run = daemon.new_run(BTC.name)
    async with aclosing(client.logs(run.run_id, follow=True, poll=0.1)) as found:
        assert await texts_of(found, 1) == ["running"]
        await daemon.change(run, announce=False, state="done")
        assert await texts(found) == ["done"]
    with pytest.raises(RequestError, match="no run"):
        await texts(client.logs("018cc251-f400-7000-8000-000000000099"))
    run = daemon.new_run(BTC.name)
    async with aclosing(client.logs(run.run_id, follow=True, poll=0.1, patience=3.0)) as found:
        assert await texts_of(found, 1) == ["running"]
        await daemon.__aexit__()
        with pytest.raises(BusUnavailable):
            await texts(found)


async def test_one_answer_that_does_not_come_ends_no_quiet_log(
    bus: Bus, client: Client, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience begins with the last answer, however long ago the last event was."""
    run, asking, asked = daemon.new_run(BTC.name), client._run, itertools.count(1)

    async def answer(run_id: str, timeout: float | None = None) -> Run:
        number = next(asked)
        if number == 3:
            raise RequestError(503, "stopping", "this host is stopping")
        if number == 5:
            raise BusUnavailable("nobody answers")
        if number == 6:
            await daemon.change(run, announce=False, state="done")
        return await asking(run_id)

    monkeypatch.setattr(client, "_run", answer)
    # 20 s go by each time that it is looked at.
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=itertools.count(0, 20).__next__))
    assert await texts(client.logs(run.run_id, follow=True, poll=0.01, patience=60.0)) == ["running", "done"]
    assert next(asked) == 7


async def texts_of(found: AsyncGenerator[m.RunLog | m.RunStatus, None], count: int) -> list[str]:
    return [event.message if isinstance(event, m.RunLog) else event.run.state for event in await take(found, count)]
