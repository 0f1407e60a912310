"""How often the record of a run under way is written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.control.keeping import RecordKeeper
from actors.runtime.clock import FakeClock
from dccd.errors import BusUnavailable, Conflict
from dccd.runs import Run

pytestmark = pytest.mark.anyio

RUN = Run(
    run_id="r1", dataset="kraken.trades.BTC-USD", state="running", host="alpha", created=0, updated=0, start=0, end=100,
    position=0,
)  # fmt: skip


class Peer:
    max_payload = 1 << 20


class Desk(SimpleNamespace):
    """A bucket that refuses as long as ``away``, and in which each record is ``theirs`` if that is given."""

    def __init__(self) -> None:
        super().__init__(clock=FakeClock(), active={"r1": RUN}, revisions={"r1": 1}, runs=self, away=False, bus=Peer())
        self.positions: list[int] = []
        self.theirs: Run | None = None
        self.lost: list[str] = []
        self.position = 0

    async def update(self, key: str, value: bytes, revision: int) -> int:
        if self.away:
            raise BusUnavailable("away")
        if self.theirs is not None:
            raise Conflict(key, "somebody else was first")
        self.positions.append(msgspec.json.decode(value, type=Run).position)
        return revision + 1

    async def find(self, prefix: str) -> list[Any]:
        return [SimpleNamespace(value=msgspec.json.encode(self.theirs), revision=9)]

    def lost_run(self, run_id: str) -> None:
        self.lost.append(run_id)

    def current(self) -> Run:
        return msgspec.structs.replace(RUN, position=self.position, updated=self.clock.wall_ns())


async def test_at_most_a_write_a_second() -> None:
    """However often it moves on; and none when nothing has changed but the time."""
    desk: Any = Desk()
    keeper = RecordKeeper(desk, RUN, desk.current)
    async with anyio.create_task_group() as group:
        group.start_soon(keeper.keep)
        await desk.clock.advance(0)
        for position in range(1, 25):
            desk.position = position
            await desk.clock.advance(0.125)
        await desk.clock.advance(10)
        group.cancel_scope.cancel()
    assert desk.positions == [8, 16, 24]
    assert keeper.writes == 3


async def test_what_the_bus_did_not_take_is_written_the_next_time() -> None:
    """A bus that is away ends nothing."""
    desk: Any = Desk()
    told: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(RecordKeeper(desk, RUN, desk.current).keep, lambda: told.append(desk.position))
        await desk.clock.advance(0)
        desk.position, desk.away = 5, True
        await desk.clock.advance(1)
        desk.away = False
        await desk.clock.advance(1)
        group.cancel_scope.cancel()
    assert desk.positions == [5]
    assert told == [5, 5]


async def test_that_the_run_is_another_host_s_is_told_until_it_is_heard() -> None:
    """Nothing is written of it any more."""
    desk: Any = Desk()
    desk.theirs = msgspec.structs.replace(RUN, host="beta")
    async with anyio.create_task_group() as group:
        group.start_soon(RecordKeeper(desk, RUN, desk.current).keep)
        await desk.clock.advance(0)
        desk.position = 5
        await desk.clock.advance(1)
        await desk.clock.advance(1)
        group.cancel_scope.cancel()
    assert (desk.lost, desk.positions) == (["r1", "r1"], [])
