"""What becomes of runs while others are away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.control.runner import Runner
from actors.mail import AdoptRun, CancelBackfill, MoveRuns, RunEnded, RunIsAt, RunLost, StartBackfill, StartWhole
from actors.runtime.actor import Actor, ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.runtime.supervisor import Supervisor
from actors.tally import Tally
from dccd.bus.direct import decode_reply
from dccd.config import Config
from dccd.errors import BusUnavailable, Conflict, NoCapability, RequestError
from dccd.runs import Run
from dccd.symbols import Dataset
from tests.dccd.bus.not_now import NOT_NOW

pytestmark = pytest.mark.anyio

TRADES = Dataset.parse("binance.trades.BTC-USDT")
BARS = Dataset.parse("kraken.ohlc.BTC-USD.1m")
BOOK = Dataset.parse("kraken.orderbook.BTC-USD")


class Desk(SimpleNamespace):
    """What a runner takes of the daemon's shared names; the bucket can't now take the puts whose turn is in
    ``refuse``, as JetStream says, and is away for the first ``stuck`` removals."""

    def __init__(self) -> None:
        super().__init__(
            host="alpha",
            config=Config(),
            active={},
            revisions={},
            board={},
            progress={},
            recent=[],
            runs=self,
            emit=lambda *_: None,
            catalogue=SimpleNamespace(tell=self.settled),
            lost_run=lambda run_id: self.runner.tell_nowait(RunLost(run_id)),
            tell_scheduler=lambda _: None,
            tally=Tally(),
            clock=FakeClock(),
            bus=SimpleNamespace(max_payload=1 << 20),
        )
        self.entries: dict[str, bytes] = {}
        self.revised: dict[str, int] = {}
        self.refuse: set[int] = set()
        self.stuck = 0
        self.puts = 0

    async def settled(self, message: Any) -> None: ...

    async def put(self, key: str, value: bytes) -> int:
        self.puts += 1
        if self.puts in self.refuse:
            decode_reply(key, NOT_NOW, dict)  # raises
        self.entries[key], self.revised[key] = value, self.puts
        return self.puts

    async def create(self, key: str, value: bytes) -> int:
        if key in self.entries:
            raise Conflict(key, "it is there")
        return await self.put(key, value)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        if key not in self.entries or self.revised[key] != revision:
            raise Conflict(key, "somebody else was first")
        return await self.put(key, value)

    async def remove(self, key: str, revision: int | None = None) -> None:
        if self.stuck:
            self.stuck -= 1
            raise BusUnavailable("the bus is away")
        self.entries.pop(key, None)

    async def find(self, prefix: str) -> list[Any]:
        found = sorted(item for item in self.entries.items() if item[0].startswith(f"{prefix}."))
        return [SimpleNamespace(key=key, value=value, revision=self.revised[key]) for key, value in found]

    def run(self) -> Run:
        """The one run on record."""
        (value,) = [value for key, value in self.entries.items() if not key.startswith("active.")]
        return msgspec.json.decode(value, type=Run)


class Fetching(Actor):
    """A backfill that goes on until it is told to end, or to crash."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk

    async def run(self) -> None:
        self.desk.orders = anyio.Event()
        await self.desk.orders.wait()
        if self.desk.crash:
            raise OSError("broken")


@asynccontextmanager
async def running(desk: Any, clock: FakeClock, *, resume: bool = True) -> AsyncIterator[tuple[Supervisor, ActorRef]]:
    """A runner beside its supervisor of backfills, which sets a child aside at its first crash: what is above both, and
    the runner."""

    def backfills() -> Actor:
        desk.backfills = DynamicSupervisor(intensity=0, on_excess="give_up")
        return desk.backfills  # type: ignore[no-any-return]  # a namespace

    top = Supervisor(
        [
            ChildSpec("backfills", backfills, type="supervisor"),
            ChildSpec("runner", lambda: Runner(desk, lambda run: Fetching(desk), resume=resume, parallel=2)),
        ]
    )
    async with open_root(top, clock=clock):
        runner = top.whereis("runner")
        assert runner is not None
        yield top, runner


async def test_what_nobody_is_at_is_interrupted_before_it_goes_on() -> None:
    """A daemon that starts after a crash says so of its runs, on record, and then resumes them; not another host's."""
    desk: Any = Desk()
    states: list[str] = []
    for number, host in enumerate(("alpha", "alpha", "beta")):
        run = Run(
            run_id=f"r{number}",
            dataset="" if number == 1 else TRADES.name,  # a run of the whole store likewise
            operation="storage.sync" if number == 1 else "backfill",
            state=("running", "queued", "running")[number],  # type: ignore[arg-type]  # a test
            host=host,
            created=0,
            updated=0,
            start=0,
            end=10,
            position=5,
        )
        await desk.put(f"active.r{number}", host.encode())
        await desk.put(f"r{number}.{run.job}", msgspec.json.encode(run))
    desk.emit = lambda subject, event: (
        states.append(f"{event.run.run_id} {event.run.state}") if "status" in subject else 0
    )
    async with running(desk, FakeClock()) as (_, runner):
        await runner.ask(CancelBackfill("none"))  # answered once all have their turn
        assert states[:2] == ["r0 interrupted", "r1 interrupted"]
        assert states[2:] == ["r0 queued", "r1 queued", "r0 running", "r1 running"]
        assert [(run.position, run.resumed) for run in desk.active.values()] == [(5, 1), (5, 1)]
        assert [line.level for line in desk.active["r0"].log] == ["warning", "info"]
        assert msgspec.json.decode(desk.entries[f"r2.backfill.{TRADES}"], type=Run).state == "running"


async def test_a_run_whose_host_is_gone_goes_on_here() -> None:
    """As the same run, of this host from then on; told twice, it goes on once."""
    desk: Any = Desk()
    lost = Run(
        run_id="r1", dataset=TRADES.name, state="interrupted", host="beta", created=0, updated=0, start=0, end=10,
        position=5, rows=3,
    )  # fmt: skip
    await desk.put("active.r1", b"beta")
    await desk.put(f"r1.{lost.job}", msgspec.json.encode(lost))
    async with running(desk, FakeClock()) as (_, runner):
        for _ in range(2):
            await runner.ask(AdoptRun(lost))
        run = desk.active["r1"]
        assert (run.state, run.host, run.position, run.resumed) == ("running", "alpha", 5, 1)
        assert desk.entries["active.r1"] == b"alpha"


async def test_a_run_of_another_host_is_not_cancelled_here() -> None:
    """Whoever is at it must stop; one whose host is gone is over at once."""
    desk: Any = Desk()
    other = Run(
        run_id="r1",
        dataset=TRADES.name,
        state="running",
        host="beta",
        created=0,
        updated=0,
        start=0,
        end=10,
        position=5,
    )
    await desk.put(f"r1.{other.job}", msgspec.json.encode(other))
    async with running(desk, FakeClock()) as (_, runner):
        assert await runner.ask(CancelBackfill("r1")) == RunIsAt("beta")
        await desk.put(f"r1.{other.job}", msgspec.json.encode(msgspec.structs.replace(other, state="interrupted")))
        assert (await runner.ask(CancelBackfill("r1"))).state == "cancelled"


async def test_who_fetches_a_run_that_is_another_s_by_now_is_stopped_when_the_runner_comes_back() -> None:
    """While it was away nobody heard that the run was lost."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (top, runner):
        run = (await runner.ask(ORDER)).run
        await top.terminate_child("runner")
        await desk.put(f"{run.run_id}.{run.job}", msgspec.json.encode(msgspec.structs.replace(run, host="beta")))
        await top.restart_child("runner")
        assert not desk.backfills.nodes() and not desk.active
        assert desk.run().host == "beta"


async def test_a_run_that_was_said_to_be_lost_and_is_ours_goes_on() -> None:
    """What is on record counts, not what was said."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (_, runner):
        run = (await runner.ask(ORDER)).run
        await runner.ask(RunLost(run.run_id))
        assert list(desk.active) == [node.id for node in desk.backfills.nodes()] == [run.run_id]


ORDER = StartBackfill(dataset=TRADES, start="2023-11-14", end="2023-11-14T01:00", trigger="request")


async def test_the_past_of_an_exchange_that_has_closed_needs_a_server() -> None:
    """No run is made where none is named."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (_, runner):
        dataset = Dataset.parse("bitmex.trades.BTC-USD_PERP")
        answer = await runner.ask(msgspec.structs.replace(ORDER, dataset=dataset))
        assert isinstance(answer, NoCapability)
        assert answer.field == "exchange" and "exchanges.bitmex.rest_url" in str(answer)
        assert not desk.entries


async def test_a_book_over_rest_has_no_place_beside_a_stream() -> None:
    """422 while a stream of the same book runs, with what to do; other books, and other data of it, are taken."""
    desk: Any = Desk()
    desk.board = dict.fromkeys([BOOK.name, TRADES.name])
    async with running(desk, FakeClock()) as (_, runner):
        answer = await runner.ask(StartBackfill(dataset=BOOK, start="2023-11-14", end=None, trigger="request"))
        assert isinstance(answer, RequestError)
        assert (answer.code, answer.reason, answer.field) == (422, "stream_runs", "data_type")
        assert "stop it to take one" in str(answer) and not desk.entries
        other = Dataset.parse("kraken.orderbook.ETH-USD")
        for dataset in (other, TRADES):
            started = await runner.ask(StartBackfill(dataset=dataset, start="2023-11-14", end=None, trigger="request"))
            assert started.run.dataset == dataset.name
        del desk.board[BOOK.name]
        assert (await runner.ask(StartBackfill(dataset=BOOK, start="2023-11-14", end=None, trigger="request"))).run


async def test_a_cancel_that_comes_too_late_harms_nothing() -> None:
    """The run has ended, the word of it is on its way: 409, and then it is done."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (_, runner):
        run = (await runner.ask(ORDER)).run
        child = desk.backfills.whereis(run.run_id)
        desk.crash = False
        desk.orders.set()
        await child.wait()
        answer = await runner.ask(CancelBackfill(run.run_id))
        assert isinstance(answer, RequestError)
        assert answer.code == 409
        await runner.ask(RunEnded(msgspec.structs.replace(run, state="done", position=run.end)))
        assert runner.alive
    assert desk.run().state == "done"
    assert len(desk.entries) == 1, "the mark of an active run is left"


async def test_a_run_that_could_not_start_with_the_bus_away_starts_when_asked_again() -> None:
    """It is queued, not taken for running, and keeps no other from its turn."""
    desk: Any = Desk()
    desk.refuse = {3}  # mark, queued, running
    async with running(desk, FakeClock()) as (_, runner):
        assert (await runner.ask(ORDER)).run.state == desk.run().state == "queued"
        assert not desk.backfills.nodes()
        started = await runner.ask(ORDER)
        assert (started.run.state, started.already_running) == ("running", True)
        assert [child.id for child in desk.backfills.nodes()] == [started.run_id]


async def test_the_end_of_a_run_waits_for_the_bus() -> None:
    """Who follows it must not wait for ever."""
    desk: Any = Desk()
    clock = FakeClock()
    async with running(desk, clock) as (_, runner):
        run = (await runner.ask(ORDER)).run
        desk.refuse = {desk.puts + 1, desk.puts + 2}
        runner.tell_nowait(RunEnded(msgspec.structs.replace(run, state="failed", error="no")))
        await clock.advance(0.5)
        assert desk.run().state == "running"
        await clock.advance(0.5)
        assert desk.run().state == "failed"


@pytest.mark.parametrize("queued", [False, True])
async def test_what_is_cancelled_with_the_bus_away_is_cancelled_when_it_is_back(queued: bool) -> None:
    """Nobody is at it any more: it must not stand there as running, or queued, until somebody asks."""
    desk: Any = Desk()
    clock = FakeClock()
    async with running(desk, clock) as (_, runner):
        runs = [(await runner.ask(msgspec.structs.replace(ORDER, start=f"2023-11-1{n}"))).run for n in range(3)]
        run = runs[2 if queued else 0]
        assert run.state == ("queued" if queued else "running")
        desk.refuse = {desk.puts + 1, desk.puts + 2}
        runner.tell_nowait(CancelBackfill(run.run_id))
        await clock.advance(0.5)
        assert f"active.{run.run_id}" in desk.entries
        await clock.advance(0.5)
        assert f"active.{run.run_id}" not in desk.entries
        states = {key.split(".")[0]: msgspec.json.decode(value, type=Run).state
                  for key, value in desk.entries.items() if not key.startswith("active.")}  # fmt: skip
        assert states[run.run_id] == "cancelled"
        assert sorted(states.values()) == ["cancelled", "running", "running"]


async def test_an_end_that_is_put_on_record_twice_is_counted_once() -> None:
    """With the bus away between the record and its mark."""
    desk: Any = Desk()
    clock = FakeClock()
    async with running(desk, clock) as (_, runner):
        run = (await runner.ask(ORDER)).run
        desk.stuck = 2
        runner.tell_nowait(RunEnded(msgspec.structs.replace(run, state="failed", error="no")))
        await clock.advance(0.5)
        await clock.advance(0.5)
        assert desk.run().state == "failed" and not desk.stuck
        assert [one.state for one in desk.recent] == ["failed"]
        assert sum(desk.tally.runs.values()) == 1


async def test_runs_are_taken_over_and_moved_when_the_bus_is_back() -> None:
    """Away in the middle of it: the runner goes on, and no run is left as nobody's."""
    desk: Any = Desk()
    clock = FakeClock()
    lost = Run(run_id="r1", dataset=BARS.name, state="interrupted", host="beta", created=0, updated=0, start=0, end=10,
               position=5)  # fmt: skip
    await desk.put("active.r1", b"beta")
    await desk.put(f"r1.{lost.job}", msgspec.json.encode(lost))
    async with running(desk, clock) as (_, runner):
        run = (await runner.ask(ORDER)).run
        desk.refuse = {desk.puts + 2, desk.puts + 6}  # queued, mark; queued, mark, running; queued
        for order in (AdoptRun(lost), MoveRuns(("binance",))):
            runner.tell_nowait(order)
            await clock.advance(0.5)
            await clock.advance(0.5)
        assert runner.alive and desk.puts == 13
        adopted, moved = desk.active["r1"], desk.active[run.run_id]
        assert [(one.state, one.host, one.resumed) for one in (adopted, moved)] == [("running", "alpha", 1)] * 2
        assert [len(one.log) for one in (adopted, moved)] == [1, 1]
        assert desk.entries["active.r1"] == b"alpha"


async def test_a_run_that_the_bus_has_lost_goes_on() -> None:
    """With its mark: what is known here is put on record again."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (_, runner):
        run = (await runner.ask(ORDER)).run
        desk.entries.clear()
        await runner.ask(MoveRuns(("binance",)))
        assert (desk.run().state, desk.run().resumed) == ("running", 1)
        assert desk.entries[f"active.{run.run_id}"] == b"alpha"


@pytest.mark.parametrize("whole", [False, True])
async def test_what_another_host_has_cancelled_is_not_gone_on_with(whole: bool) -> None:
    """While it waited to be asked for: the same question begins another run."""
    desk: Any = Desk()
    order: Any = StartWhole(operation="storage.sync", options={}, trigger="request") if whole else ORDER
    async with running(desk, FakeClock()) as (_, runner):
        run = (await runner.ask(order)).run
    desk.active.clear()
    async with running(desk, FakeClock(), resume=False) as (_, runner):
        assert desk.active[run.run_id].state == "interrupted"
        cancelled = msgspec.structs.replace(run, state="cancelled")
        await desk.put(f"{run.run_id}.{run.job}", msgspec.json.encode(cancelled))
        started = await runner.ask(order)
        assert started.run_id != run.run_id and not started.already_running
        assert list(desk.active) == [started.run_id]


async def test_what_waits_starts_when_the_bus_is_back() -> None:
    """A run that couldn't be started with the bus away is, though nobody asks for another."""
    desk: Any = Desk()
    clock = FakeClock()
    async with running(desk, clock) as (_, runner):
        # The mark and the queued run are written; that it runs is not, twice.
        desk.refuse = {desk.puts + 3, desk.puts + 4}
        assert (await runner.ask(ORDER)).run.state == desk.run().state == "queued"
        await clock.advance(0.5)
        await clock.advance(0.5)
        assert desk.run().state == "running"


async def test_a_run_that_was_set_aside_meanwhile_goes_on_when_the_runner_comes_back() -> None:
    """Its child is known and doesn't run: that must not end the runner again and again."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (top, runner):
        run = (await runner.ask(ORDER)).run
        await top.terminate_child("runner")
        child = desk.backfills.whereis(run.run_id)
        desk.crash = True
        desk.orders.set()
        await child.wait()
        assert [node.status for node in desk.backfills.nodes()] == ["gave_up"]
        await top.restart_child("runner")
        runner = top.whereis("runner")
        assert runner is not None
        assert (await runner.ask(ORDER)).run_id == run.run_id
        assert [node.status for node in desk.backfills.nodes()] == ["running"]


async def test_a_repair_does_not_wait_for_long_backfills() -> None:
    """At most so many run at once of each kind; who waits starts when one of its kind ends."""
    desk: Any = Desk()
    async with running(desk, FakeClock()) as (_, runner):
        days = [
            msgspec.structs.replace(ORDER, start=f"2023-11-0{day}", end=f"2023-11-0{day + 1}") for day in range(1, 7)
        ]
        runs = [(await runner.ask(day)).run for day in days[:3]]
        repairs = [(await runner.ask(msgspec.structs.replace(day, trigger="gap"))).run for day in days[3:]]
        assert [run.state for run in (*runs, *repairs)] == ["running", "running", "queued"] * 2
        await runner.ask(RunEnded(msgspec.structs.replace(runs[0], state="failed")))
        assert [desk.active[run.run_id].state for run in (runs[2], repairs[2])] == ["running", "queued"]
