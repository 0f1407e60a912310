"""Who waits to hear that a subject is refused."""

from __future__ import annotations

import asyncio

import pytest

from dccd.bus.faults import Forbidden
from dccd.bus.refusals import Refusals
from dccd.errors import BusRefused

pytestmark = pytest.mark.anyio


async def test_all_who_wait_for_the_subject_are_told() -> None:
    """Each by its own spelling, whatever case the server's answer has; who waits for another subject isn't."""
    refusals = Refusals()
    with refusals.of("Dccd.A") as one, refusals.of("dccd.a") as two, refusals.of("dccd.b") as other:
        assert refusals.tell(Forbidden("publish", "dccd.a"))
        with pytest.raises(BusRefused, match=r"publish to Dccd\.A"):
            await one
        with pytest.raises(BusRefused, match=r"publish to dccd\.a"):
            await two
        assert not other.done()


async def test_nobody_waits() -> None:
    """It is said that nobody was told: whoever has heard the refusal logs it."""
    refusals = Refusals()
    with refusals.of("a"):
        assert not refusals.tell(Forbidden("subscription", "b"))
    assert not refusals.tell(Forbidden("subscription", "a"))


async def test_a_second_refusal_is_no_error() -> None:
    """Two messages to one subject are refused twice, and the future is told once."""
    refusals = Refusals()
    with refusals.of("a") as refused:
        for _ in range(2):
            assert refusals.tell(Forbidden("Subscription", "a"))
        with pytest.raises(BusRefused, match="subscribe to a"):
            await refused


async def test_nothing_is_left_behind() -> None:
    """After the block nothing is kept, however it ends, and who waited on is let go."""
    refusals = Refusals()
    with pytest.raises(ZeroDivisionError), refusals.of("a"), refusals.of("a") as refused, refusals.of("b"):
        assert len(refusals) == 2
        raise ZeroDivisionError
    assert len(refusals) == 0
    with pytest.raises(asyncio.CancelledError):
        await refused
