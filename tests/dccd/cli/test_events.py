"""``dccd events``: a line an event, JSON for scripts, and a clean end with Ctrl-C."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.publisher import Publisher
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_streams
from dccd.client.fake import FakeDaemon
from dccd.symbols import Dataset

if TYPE_CHECKING:
    from tests.dccd.cli.conftest import Command

pytestmark = pytest.mark.anyio

DAY = 1_704_067_200_000_000_000
DATASET = Dataset.parse("kraken.trades.BTC-USD")


async def publish(server: EmbeddedServer, *events: tuple[str, m.Event | bytes]) -> None:
    """Store events."""
    async with await Bus.open(server.url, "test") as bus:
        await ensure_streams(bus)
        async with Publisher(bus, stream=subjects.STREAM_EVENTS) as publisher:
            for subject, event in events:
                publisher.offer(subject, event if isinstance(event, bytes) else msgspec.json.encode(event))
            assert await publisher.drain() == 0


def gap(number: int) -> tuple[str, m.Event]:
    event = m.StreamGap(
        at=DAY, host="alpha", dataset=DATASET.name, start=DAY, end=DAY + 5_000_000_000, reason=f"gap {number}"
    )
    return subjects.stream_event(DATASET, "gap"), event


async def test_the_newest_are_printed(dccd: Command, daemon: FakeDaemon, server: EmbeddedServer) -> None:
    """Twenty by default, a line each; what isn't known, too."""
    await publish(
        server, *(gap(number) for number in range(30)), ("dccd.events.new", b'{"kind": "new", "at": 5, "x": 1}')
    )
    done = await dccd("events")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) == 20
    assert lines[0] == (
        "2024-01-01T00:00:00.000Z  alpha  stream.gap      kraken.trades.BTC-USD "
        "2024-01-01 00:00:00 … 2024-01-01 00:00:05 (5.0s): gap 11"
    )
    assert lines[-1].split() == ["1970-01-01T00:00:00.000Z", "new", '{"x":1}']
    done = await dccd("events", "--kind", "stream.gap", "-n", "2", "--json")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [(one["seq"], one["event"]["reason"]) for one in found] == [(29, "gap 28"), (30, "gap 29")]
    done = await dccd("events", "--after", "29", "--stream", "kraken", "--json")
    assert [json.loads(line)["seq"] for line in done.out.splitlines()] == [30]


@pytest.mark.parametrize(
    "words",
    [["--since", "1h", "-n", "3"], ["--since", "soon"], ["--run", "r", "--stream", "kraken"], ["--kind", "run.>"]],
    ids=str,
)
async def test_what_can_not_be_is_2(
    words: list[str], dccd: Command, daemon: FakeDaemon, server: EmbeddedServer
) -> None:
    """With a line that says why."""
    await publish(server)
    done = await dccd("events", *words)
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()[-1]) > 10


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_following_ends_when_told(
    sign: signal.Signals, code: int, dccd: Command, daemon: FakeDaemon, server: EmbeddedServer
) -> None:
    """What comes is printed at once; Ctrl-C leaves no traceback."""
    await publish(server, gap(1))
    process = await dccd.start("events", "--follow", "--stream", DATASET.name)
    assert process.stdout is not None
    assert b"gap 1" in await process.stdout.readline()
    await publish(server, gap(2))
    assert b"gap 2" in await process.stdout.readline()
    process.send_signal(sign)
    done = await dccd.finish(process)
    assert (done.code, done.out) == (code, "")
    assert "Traceback" not in done.err and len(done.err.splitlines()) <= 1


async def test_what_there_is_nothing_of_is_said(dccd: Command, daemon: FakeDaemon, server: EmbeddedServer) -> None:
    """To people, and on stderr; a kind that doesn't exist is wrong usage, which lists those that do."""
    async with await Bus.open(server.url, "test") as bus:
        await ensure_streams(bus)
    done = await dccd("events", "--run", "018f")
    assert (done.code, done.out, done.err) == (0, "", "no such events are kept\n")
    assert (await dccd("events", "--run", "018f", "--json")).err == ""
    done = await dccd("events", "--kind", "run.state")
    assert done.code == 2
    assert "run.status" in done.err and "stream.gap" in done.err
