"""Turns to open connections."""

from __future__ import annotations

import asyncio

import pytest

from dccd.exchanges.base import Connections
from dccd.feeds.fake import FakeClock
from dccd.feeds.turns import Turns

pytestmark = pytest.mark.anyio


async def test_so_many_a_second_and_a_minute() -> None:
    """Whoever comes too early waits for just as long as it takes."""
    clock = FakeClock()
    turns = Turns(Connections(topics=1, messages=1.0, opens=3.0, opens_per_second=2.0), clock)
    assert await turns.take() and await turns.take()
    third = asyncio.create_task(turns.take())
    await clock.until_sleeping()
    clock.advance(1.0)
    assert await third
    fourth = asyncio.create_task(turns.take())
    await clock.until_sleeping()
    clock.advance(58.9)
    assert clock.sleeping == 1
    clock.advance(0.1)
    assert await fourth
    assert clock.sleeps == [1.0, 59.0]
    assert repr(turns) == "<Turns given=4>"


async def test_what_isn_t_wanted_any_more_takes_no_turn() -> None:
    """It was given up while it waited: the next one need not wait for it."""
    clock = FakeClock()
    turns = Turns(Connections(topics=1, messages=1.0, opens=100.0, opens_per_second=1.0), clock)
    await turns.take()
    second = asyncio.create_task(turns.take(lambda: False))
    third = asyncio.create_task(turns.take(lambda: True))
    await clock.until_sleeping()
    clock.advance(1.0)
    assert (await second, await third, turns.given) == (False, True, 2)
