"""How far back events are kept, on a real bus, and when that is too short."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actors.events_kept import EventsKept, check_events, look_at_events
from actors.links import Links
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import get_batch
from dccd.bus.publisher import Publisher
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import TickLimits, ensure_streams
from dccd.messages import RunLog, RunProgress

DAY = 86_400.0
MIB = 1 << 20


@pytest.mark.parametrize(
    ("seconds", "most", "told"),
    [
        (60.0, None, "kept for 1 min so far"),
        (4 * DAY, ("run.file", 0.9), "kept for 96.0 h so far"),
        (3 * DAY, ("run.file", 0.9), None),
    ],
)
def test_events_that_fall_off_by_their_bytes_are_told(
    seconds: float, most: tuple[str, float] | None, told: str | None
) -> None:
    """When that is in half the time that was asked for, or less: with what fills them, and what helps."""
    check = check_events(EventsKept(MIB, MIB, seconds, 7 * DAY, most))
    assert check.ok is (told is not None)
    if told is not None:
        assert check.detail == told
    else:
        assert "72.0 h only, instead of 168.0 h" in check.detail and "90% of the newest are run.file" in check.detail
        assert "bus.events_max_bytes" in check.detail


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    """A bus with little room for events."""
    server = EmbeddedServer(tmp_path, port=0, on_log=lambda level, text: None)
    async with server, await Bus.open(server.url, "test") as bus:
        await ensure_streams(bus, TickLimits(events_max_bytes=100_000, events_max_age=3600))
        yield bus


@pytest.mark.anyio
async def test_a_noisy_kind_is_found(bus: Bus) -> None:
    """What the stream's own limits are, and which kind it is that fills it."""
    assert (await look_at_events(bus)) == EventsKept(0, 100_000, 0.0, 3600.0)
    async with Publisher(bus, stream=subjects.STREAM_EVENTS) as publisher:
        for number in range(1000):
            event = RunLog(at=number, host="alpha", run_id="r1", level="info", message="x" * 200)
            publisher.offer(subjects.run_event("r1", "log"), msgspec.json.encode(event))
        await publisher.drain()
    kept = await look_at_events(bus)
    assert kept.most == ("run.log", 1.0) and kept.bytes <= 100_000 and kept.seconds < 60
    assert not check_events(kept).ok


@pytest.mark.anyio
async def test_how_far_runs_were_is_forgotten_before_all_else(bus: Bus) -> None:
    """Events of progress go after an hour, so that they don't take the room of others; the stream takes them so."""
    async with Publisher(bus, stream=subjects.STREAM_EVENTS) as publisher:
        links: Any = SimpleNamespace(events=publisher)
        common = {"at": 1, "host": "alpha", "run_id": "r1"}
        progress = RunProgress(**common, dataset="", position=1, start=0, end=2, fraction=0.5, rows=1, rate=1.0)
        Links.emit(links, subjects.run_event("r1", "progress"), progress)
        Links.emit(links, subjects.run_event("r1", "log"), RunLog(**common, level="info", message="x"))
        assert await publisher.drain() == 0
    (first, second) = (await get_batch(bus, subjects.STREAM_EVENTS, 1, 10)).messages
    assert first.headers["Nats-TTL"] == "3600s" and "Nats-TTL" not in second.headers
