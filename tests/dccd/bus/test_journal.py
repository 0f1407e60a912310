"""Pages of events, at the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumers import create_consumer
from dccd.bus.direct import api
from dccd.bus.journal import WAITING, EventLog
from dccd.bus.publisher import Publisher
from dccd.bus.streams import ensure_streams
from dccd.errors import BusUnavailable, RequestError
from tests.dccd.bus.not_now import NotNow
from tests.waiting import Until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def streams(bus: Bus) -> None:
    """The streams exist."""
    await ensure_streams(bus)


@pytest.fixture
def log(bus: Bus) -> EventLog:
    return EventLog(bus, "here")


async def publish(bus: Bus, *numbers: int, run: str = "r1", kind: str = "log", pad: int = 0) -> None:
    """Store an event of run *run* for each of *numbers*."""
    async with Publisher(bus, stream=subjects.STREAM_EVENTS) as publisher:
        for number in numbers:
            body = {"kind": f"run.{kind}", "number": number, "pad": "x" * pad}
            publisher.offer(subjects.run_event(run, kind), msgspec.json.encode(body))
        assert await publisher.drain() == 0


def numbers(page: m.JournalPage) -> list[int]:
    return [entry.event["number"] for entry in page.events]


async def test_pages_to_the_end(bus: Bus, log: EventLog) -> None:
    """Each event once and in order, whatever the pages' size; the last page says that it is the last."""
    await publish(bus, *range(25))
    found: list[int] = []
    after = None
    while True:
        page = await log.read(m.Journal(after=after, limit=10))
        found += numbers(page)
        assert page.pending == 25 - len(found)
        after = page.next
        if not page.pending:
            break
    assert found == list(range(25)) and after == 25
    page = await log.read(m.Journal(after=after))
    assert (page.events, page.next, page.pending, page.host) == ([], 25, 0, "here")
    await publish(bus, 25)
    page = await log.read(m.Journal(after=after))
    entry = page.events[0]
    assert (numbers(page), entry.seq, entry.subject) == ([25], 26, "dccd.events.run.r1.log") and entry.at > 1.7e18


@pytest.mark.parametrize(
    ("ask", "found"),
    [
        ({"run": "r1"}, [0, 2, 4]),
        ({"kinds": ["run.status"]}, [1, 3]),
        ({"kinds": ["run"], "limit": 2}, [0, 1]),
        ({"run": "r2", "kinds": ["run.log", "run.status"]}, [1, 3]),
        ({"subject": "dccd.events.run.*.status"}, [1, 3]),
        ({"run": "nobody"}, []),
        ({"last": 2}, [3, 4]),
        ({"last": 0}, []),
        ({"last": 2, "kinds": ["run.log"]}, [2, 4]),
        ({"since": "2009-01-01"}, [0, 1, 2, 3, 4]),
        ({"since": 9_000_000_000_000_000_000}, []),
        ({"after": 3}, [3, 4]),
    ],
    ids=str,
)
async def test_filters_and_places_to_begin(bus: Bus, log: EventLog, ask: dict[str, Any], found: list[int]) -> None:
    """By run, kind or subject; from a time, behind an event, or the newest; nothing else."""
    for number in range(5):
        of_one = number % 2 == 0
        await publish(bus, number, run="r1" if of_one else "r2", kind="log" if of_one else "status")
    assert numbers(await log.read(m.Journal(**ask))) == found


async def test_one_that_is_waited_for(bus: Bus, log: EventLog) -> None:
    """It comes as soon as it is there, not before its like, and waiting goes on from where the page before ended."""
    await publish(bus, 0)
    page = await log.read(m.Journal(last=1))
    waiting = asyncio.ensure_future(log.read(m.Journal(run="r1", after=page.next, wait=20)))
    await publish(bus, 1, run="other")
    await publish(bus, 2, 3)
    async with asyncio.timeout(60):
        page = await waiting
    found = numbers(page)
    if found == [2]:  # the other wasn't there yet
        found += numbers(await log.read(m.Journal(run="r1", after=page.next)))
    assert found == [2, 3]
    assert numbers(await log.read(m.Journal(after=page.next, run="r1", wait=0.01))) in ([], [3])


async def test_nothing_is_left_behind(bus: Bus, log: EventLog, until: Until) -> None:
    """A page's consumer and subscription are gone with it, also when who has asked has gone before."""
    await publish(bus, 0)
    before = len(bus.client._subs)
    await log.read(m.Journal())
    waiting = asyncio.ensure_future(log.read(m.Journal(after=1, wait=20)))
    await until(lambda: "1 wait" in repr(log))
    waiting.cancel()
    await asyncio.wait({waiting})
    async with asyncio.timeout(60):  # nobody waits for the server to have deleted it
        while (await api(bus, f"CONSUMER.NAMES.{subjects.STREAM_EVENTS}", None, dict))["consumers"]:
            pass
    assert len(bus.client._subs) <= before + 1  # of requests
    assert "0 wait" in repr(log)


async def test_nobody_is_waited_for(bus: Bus, log: EventLog, until: Until) -> None:
    """When the daemon stops, who waits is answered at once, and who would has no more than there is."""
    await publish(bus, 0)
    waiting = asyncio.ensure_future(log.read(m.Journal(after=1, wait=30)))
    await until(lambda: "1 wait" in repr(log))
    log.release()
    async with asyncio.timeout(60):
        assert (await waiting).events == []
        assert (await log.read(m.Journal(after=1, wait=30))).events == []
        assert numbers(await log.read(m.Journal(wait=30))) == [0]


async def test_so_many_wait(bus: Bus, log: EventLog, until: Until) -> None:
    """More than that are told to try again; what needn't wait is answered all the same."""
    await publish(bus, 0)
    waiting = [asyncio.ensure_future(log.read(m.Journal(after=1, wait=20))) for _ in range(WAITING)]
    await until(lambda: f"{WAITING} wait" in repr(log))
    with pytest.raises(RequestError) as told:
        await log.read(m.Journal(after=1, wait=20))
    assert (told.value.code, told.value.reason) == (503, "busy")
    assert numbers(await log.read(m.Journal(wait=20))) == [0]
    await publish(bus, 1)
    async with asyncio.timeout(20):
        assert [numbers(page) for page in await asyncio.gather(*waiting)] == [[1]] * WAITING


async def test_a_page_has_its_size(bus: Bus) -> None:
    """Of large events a page has fewer, of one that is larger than a page that one, and none is left out."""
    log = EventLog(bus, "here", room=2500)
    await publish(bus, *range(4), pad=900)
    await publish(bus, 4, pad=5000)
    await publish(bus, 5, 6, pad=900)
    found: list[list[int]] = []
    after = 0
    while page := await log.read(m.Journal(after=after)):
        found.append(numbers(page))
        after = page.next
        if not page.pending:
            break
    assert found == [[0, 1], [2, 3], [4], [5, 6]]
    assert numbers(await log.read(m.Journal(last=7))) == [5, 6]


async def test_what_is_no_event_is_passed_over(bus: Bus, log: EventLog) -> None:
    """Somebody's bytes on a subject of events end nothing."""
    async with Publisher(bus, stream=subjects.STREAM_EVENTS) as publisher:
        for body in (b"oops", b"[1]", b"\xff", b"", b'{"kind": "run.log", "number": 7}'):
            publisher.offer("dccd.events.run.r1.log", body)
        assert await publisher.drain() == 0
    assert numbers(await log.read(m.Journal(limit=1))) == [7]


async def test_what_followed_is_gone(bus: Bus, log: EventLog) -> None:
    """Who goes on behind an event is told when the next ones have fallen off, and only then."""
    await publish(bus, *range(5))
    await api(bus, f"STREAM.PURGE.{subjects.STREAM_EVENTS}", {"seq": 4}, dict)
    assert numbers(await log.read(m.Journal(after=3))) == [3, 4]
    with pytest.raises(RequestError) as told:
        await log.read(m.Journal(after=2))
    assert (told.value.code, told.value.reason) == (404, "gone")


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        ({"after": 1, "last": 1}, "since"),
        ({"since": "soon"}, "since"),
        ({"subject": "dccd.ticks.>"}, "filters"),
        ({"subject": "dccd.events.>", "run": "r1"}, "subject"),
        ({"run": "r1", "stream": "binance"}, "stream"),
        ({"kinds": ["run.>"]}, "kind"),
    ],
    ids=str,
)
async def test_what_can_not_be(log: EventLog, ask: dict[str, Any], field: str) -> None:
    """A filter that nothing could pass would look like silence."""
    with pytest.raises(RequestError) as told:
        await log.read(m.Journal(**ask))
    assert (told.value.code, told.value.field) == (400, field)


async def test_no_stream(bus: Bus, log: EventLog) -> None:
    """Said, and not waited for."""
    await api(bus, f"STREAM.DELETE.{subjects.STREAM_EVENTS}", None, dict)
    with pytest.raises(RequestError) as told:
        await log.read(m.Journal(wait=20))
    assert (told.value.code, told.value.reason) == (404, "no_stream")


async def test_a_consumer_that_is_gone_is_no_end(bus: Bus, log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server has forgotten what reads a page, it isn't known that there is nothing: none is passed over."""
    await publish(bus, *range(3))

    async def lost(bus: Bus, stream: str, name: str, *args: Any, **how: Any) -> Any:
        made = await create_consumer(bus, stream, name, *args, **how)
        await api(bus, f"CONSUMER.DELETE.{stream}.{name}", None, dict)
        return made

    monkeypatch.setattr("dccd.bus.journal.create_consumer", lost)
    with pytest.raises(BusUnavailable):
        await log.read(m.Journal())


async def test_no_more_than_are_asked_for(bus: Bus, log: EventLog, until: Until) -> None:
    """The one that was waited for counts, too."""
    await publish(bus, 0)
    waiting = asyncio.ensure_future(log.read(m.Journal(after=1, limit=1, wait=20)))
    await until(lambda: "1 wait" in repr(log))
    await publish(bus, 1, 2, 3)
    async with asyncio.timeout(60):
        page = await waiting
    assert (numbers(page), page.next) == ([1], 2)
    assert numbers(await log.read(m.Journal(after=2, wait=20))) in ([2], [2, 3])


async def test_behind_an_event_that_there_is_not(bus: Bus, log: EventLog) -> None:
    """In a stream that was made anew numbers begin at 1: who goes on behind one of before is told, and doesn't wait."""
    await publish(bus, *range(5))
    assert (await log.read(m.Journal(after=5))).next == 5
    with pytest.raises(RequestError) as told:
        await log.read(m.Journal(after=6, wait=20))
    assert (told.value.code, told.value.reason, told.value.field) == (404, "gone", "after")


@pytest.mark.parametrize("refuses", ["STREAM.INFO", "CONSUMER.CREATE"])
async def test_a_page_that_cannot_be_read_now(refusing: NotNow, refuses: str) -> None:
    """The bus is away, for who asks: not a stream that isn't there, and no empty page."""
    await ensure_streams(refusing)
    refusing.refuses = refuses
    with pytest.raises(BusUnavailable):
        await EventLog(refusing, "here").read(m.Journal())
