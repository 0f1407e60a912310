"""A stage for supervisors: actors that do what the test says, everything they did in one list, time standing still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from actors.runtime.actor import Actor, ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.events import ActorEvent
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.runtime.supervision import BaseSupervisor


class Puppet(Actor):
    """Lives until the test ends it; what it does at each step is written on the stage."""

    def __init__(self, stage: Stage, id: str) -> None:
        self.stage, self.id = stage, id
        self.over = anyio.Event()
        self.error: BaseException | None = None

    async def on_start(self) -> None:
        self.stage.log.append(f"starting {self.id}")
        if (gate := self.stage.gates.get(self.id)) is not None:
            await gate.wait()
        if self.stage.failing_starts.get(self.id, 0) > 0:
            self.stage.failing_starts[self.id] -= 1
            raise self.stage.start_error
        self.stage.actors[self.id] = self
        self.stage.log.append(f"start {self.id}")

    async def run(self) -> None:
        while True:
            try:
                await self.over.wait()
                break
            except asyncio.CancelledError:
                if self.id not in self.stage.deaf or self.stage.mercy.is_set():
                    raise
                self.stage.swallowed += 1
        if self.error is not None:
            raise self.error

    async def on_stop(self) -> None:
        if (gate := self.stage.stop_gates.get(self.id)) is not None:
            self.stage.log.append(f"stopping {self.id}")
            await gate.wait()
        self.stage.log.append(f"stop {self.id}")


class Stage:
    """``gates``: on_start waits for them; ``stop_gates``: on_stop does; ``failing_starts``: how many starts fail yet;
    ``deaf``: ids that swallow their cancellation until ``mercy`` is set."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log: list[str] = []
        self.events: list[ActorEvent] = []
        self.actors: dict[str, Puppet] = {}
        self.gates: dict[str, anyio.Event] = {}
        self.stop_gates: dict[str, anyio.Event] = {}
        self.failing_starts: dict[str, int] = {}
        self.start_error: BaseException = ConnectionError("no route to host")
        self.deaf: set[str] = set()
        self.mercy = anyio.Event()
        self.swallowed = 0

    def spec(self, id: str, **options: Any) -> ChildSpec:
        return ChildSpec(id, lambda: Puppet(self, id), **options)

    def specs(self, ids: str, **options: Any) -> list[ChildSpec]:
        """One spec for each letter."""
        return [self.spec(id, **options) for id in ids]

    @asynccontextmanager
    async def open(self, root: Actor | ChildSpec, **options: Any) -> AsyncIterator[ActorRef]:
        # The bound is real time, so that a hang is a failure and not a hang.
        with anyio.fail_after(20):
            async with open_root(root, clock=self.clock, observer=self.events.append, **options) as ref:
                yield ref

    @asynccontextmanager
    async def leaving(self, root: Actor | ChildSpec, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
        """Open *root*, leave its block, and yield the task that waits for the stop meanwhile."""

        async def stay() -> None:
            async with self.open(root, **options):
                opened.set()
                await leave.wait()

        opened, leave = anyio.Event(), anyio.Event()
        task = asyncio.create_task(stay())
        await opened.wait()
        leave.set()
        await self.clock.settle()
        yield task
        with anyio.fail_after(20):
            await task

    def end_soon(self, id: str, error: BaseException | None = None) -> None:
        """Let *id* return, or raise *error*, at its next turn."""
        self.actors[id].error = error
        self.actors[id].over.set()

    async def end(self, id: str, error: BaseException | None = None) -> None:
        """Let *id* return, or raise *error*, and let all that follows from it happen."""
        self.end_soon(id, error)
        await self.clock.settle()

    async def crash(self, id: str) -> None:
        await self.end(id, RuntimeError(f"{id} broke"))

    async def statuses(self, supervisor: BaseSupervisor) -> dict[str, str]:
        """The status of each child, by ``which_children``."""
        return {child.id: child.status for child in await supervisor.which_children()}

    def kinds(self, id: str) -> list[str]:
        """What the observer was told of *id*."""
        return [event.kind for event in self.events if event.path[-1] == id]

    def reasons(self, id: str) -> list[str | None]:
        """Why *id* has exited, each time."""
        return [event.reason for event in self.events if event.path[-1] == id and event.kind == "exited"]

    def new(self) -> str:
        """The log since the last call."""
        log, self.log = self.log, []
        return ", ".join(line for line in log if not line.startswith("starting"))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    # Else the event loop waits for the deaf when it is closed: as asyncio.run would.
    stage.mercy.set()
    for actor in stage.actors.values():
        actor.over.set()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What the runtime logged."""
    with capture_logs() as captured:
        yield captured
