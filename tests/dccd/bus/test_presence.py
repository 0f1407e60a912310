"""Whether the bus is there: who waits for it, and who is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from dccd.bus.presence import Presence

pytestmark = pytest.mark.anyio


@pytest.fixture
def presence() -> Presence:
    return Presence(structlog.get_logger("test"))


async def test_changes_are_told_until_that_is_ended(presence: Presence) -> None:
    """The first arrival is told to nobody, a loss, a return and the end are; a callback that fails ends nothing."""
    changes: list[bool] = []

    def fail(there: bool) -> None:
        raise ValueError

    presence.on_change(fail)
    remove = presence.on_change(changes.append)
    presence.came()
    assert presence.there and changes == []
    presence.lost()
    assert not presence.there
    presence.back()
    assert presence.there
    remove()
    remove()
    presence.ended("why")
    assert changes == [False, True]
    assert presence.over and not presence.there


@pytest.mark.parametrize("event", ["came", "back", "ended", "closed"])
async def test_who_waits_is_let_go(presence: Presence, event: str) -> None:
    """Whoever waits goes on when the bus is there, and when it never will be."""
    waiting = asyncio.ensure_future(presence.settled(None))
    await asyncio.sleep(0)
    getattr(presence, event)()
    async with asyncio.timeout(60):
        await waiting


async def test_nobody_waits_longer_than_wanted(presence: Presence) -> None:
    """A bus that stays away keeps nobody beyond the time given."""
    async with asyncio.timeout(60):
        await presence.settled(0.001)
    assert not presence.there


@pytest.mark.parametrize(
    ("last_error", "why", "expected"),
    [("", "", "closed by the server"), ("reset", "", "reset"), ("reset", "bad subject", "bad subject")],
)
async def test_why_it_is_over(presence: Presence, last_error: str, why: str, expected: str) -> None:
    """What is known best of the reasons is given."""
    presence.last_error = last_error
    presence.ended(why)
    assert await presence.wait_over() == expected


async def test_what_we_close_ourselves_is_no_fault(presence: Presence) -> None:
    """Nothing is logged of its loss and its end, and there is no reason."""
    presence.came()
    presence.closing = True
    logs: list[Any]
    with capture_logs() as logs:
        presence.lost()
        presence.ended("reset")
        presence.closed()
    assert logs == []
    assert await presence.wait_over() == ""
