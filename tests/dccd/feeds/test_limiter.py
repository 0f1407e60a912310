from __future__ import annotations

import asyncio

import pytest

from dccd.feeds.fake import FakeClock
from dccd.feeds.limiter import Limiter
from tests.waiting import Until

pytestmark = pytest.mark.anyio


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def ask(limiter: Limiter, name: str, given: list[str], cost: float = 1.0, urgent: bool = False) -> None:
    async with limiter.turn(cost, urgent):
        given.append(name)


async def test_a_cost_keeps_the_next_request_away_for_as_many_periods() -> None:
    """Requests are spaced by their costs, and the limiter sleeps for exactly that, not in small steps."""
    clock = FakeClock()
    limiter = Limiter(0.5, clock)
    given: list[str] = []
    tasks = [asyncio.create_task(ask(limiter, str(n), given, cost=4.0)) for n in range(3)]
    await clock.until_sleeping()
    assert given == ["0"]
    clock.advance(1.9)
    await settle()
    assert given == ["0"]
    clock.advance(0.1)
    await clock.until_sleeping()
    assert given == ["0", "1"]
    clock.advance(2.0)
    await asyncio.gather(*tasks)
    assert clock.sleeps == [2.0, 2.0]
    assert limiter.statistics()["cost"] == 12.0
    assert limiter.waited == pytest.approx(6.0)


async def test_urgent_requests_overtake_those_that_wait() -> None:
    """What comes last and is urgent has the next turn; the others keep their order."""
    clock = FakeClock()
    limiter = Limiter(1.0, clock)
    given: list[str] = []
    tasks = [asyncio.create_task(ask(limiter, name, given)) for name in "abc"]
    await clock.until_sleeping()
    tasks.append(asyncio.create_task(ask(limiter, "book", given, urgent=True)))
    await settle()
    while len(given) < 4:
        await clock.until_sleeping()
        clock.advance(1.0)
        await settle()
    await asyncio.gather(*tasks)
    assert given == ["a", "book", "b", "c"]


async def test_only_so_many_are_in_flight_but_urgent_ones_need_no_place() -> None:
    """With no rate limit, places in flight bound the requests; a released place goes to the next one."""
    limiter = Limiter(0.0, FakeClock(), in_flight=2)
    await limiter.acquire(1.0)
    await limiter.acquire(1.0)
    third = asyncio.create_task(limiter.acquire(1.0))
    await limiter.acquire(1.0, urgent=True)
    await settle()
    assert not third.done()
    assert limiter.statistics()["in_flight"] == 2
    limiter.release(urgent=True)
    await settle()
    assert not third.done()
    limiter.release()
    await third
    told = {"waiting": 0, "in_flight": 2, "slots": 2, "cost": 4.0, "period": 0.0, "waited": 0.0, "paused_for": 0.0}
    assert limiter.statistics() == told


async def test_a_pause_holds_everybody_even_without_a_rate_limit() -> None:
    """After the exchange said to wait, nobody has a turn before that, urgent or not."""
    clock = FakeClock()
    limiter = Limiter(0.0, clock)
    limiter.pause(30.0)
    assert limiter.paused_for == limiter.statistics()["paused_for"] == 30.0
    given: list[str] = []
    tasks = [asyncio.create_task(ask(limiter, "a", given)), asyncio.create_task(ask(limiter, "b", given, urgent=True))]
    await clock.until_sleeping()
    clock.advance(29.0)
    await settle()
    assert given == []
    clock.advance(1.0)
    await asyncio.gather(*tasks)
    assert given == ["b", "a"]


async def test_one_that_gives_up_waiting_costs_nobody_a_turn() -> None:
    """A cancelled request leaves the queue, and the next one has the turn."""
    clock = FakeClock()
    limiter = Limiter(1.0, clock)
    await limiter.acquire(1.0)
    first, second = (asyncio.create_task(limiter.acquire(1.0)) for _ in range(2))
    await clock.until_sleeping()
    first.cancel()
    clock.advance(1.0)
    await second
    assert clock.sleeps == [1.0]
    assert limiter.cost == 2.0


async def test_one_that_gives_up_as_its_turn_comes_gives_its_place_back(until: Until) -> None:
    """Cancelled between being given the turn and taking it, a request leaves no place occupied."""
    clock = FakeClock()
    limiter = Limiter(1.0, clock, in_flight=2)
    await limiter.acquire(1.0)
    waiting = asyncio.create_task(limiter.acquire(1.0))
    await clock.until_sleeping()
    clock.advance(1.0)
    await until(lambda: limiter.statistics()["in_flight"] == 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.statistics()["in_flight"] == 1


async def test_closing_cancels_those_who_wait() -> None:
    """Nobody waits for a limiter that is closed."""
    clock = FakeClock()
    limiter = Limiter(1.0, clock)
    await limiter.acquire(1.0)
    waiting = asyncio.create_task(limiter.acquire(1.0))
    await clock.until_sleeping()
    limiter.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
