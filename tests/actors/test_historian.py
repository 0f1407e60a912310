"""What leaves the run history and when, on a real bus; and whose runs are said to be interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from actors.control.runbook import RunBook
from actors.historian import Historian, kept_for
from actors.mail import AdoptRun
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from actors.tally import Tally
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket, Entry
from dccd.bus.server import EmbeddedServer
from dccd.bus.streams import ensure_bucket, ensure_streams
from dccd.config import BusConfig, Config, RunsConfig
from dccd.errors import BusUnavailable
from dccd.messages import RunsList
from dccd.runs import Run, RunState, new_run_id
from dccd.store.hosts import note_host
from dccd.store.layout import Layout
from dccd.symbols import NS
from tests.dccd.bus.not_now import not_now
from tests.waiting import until

pytestmark = pytest.mark.anyio

DAY = 86_400.0


def run(number: int, state: RunState = "done", host: str = "alpha") -> Run:
    return Run(
        run_id=new_run_id(number * NS, number), dataset="binance.ohlc.BTC-USDT.1m", state=state, host=host,
        created=number, updated=number, start=0, end=10, position=10,
    )  # fmt: skip


class Ref:
    """An actor that keeps what it is told."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    async def tell(self, message: Any) -> None:
        self.got.append(message)


class Away:
    """A bucket while the bus is away."""

    async def find(self, prefix: str) -> Any:
        raise BusUnavailable("the bus is away")

    async def update(self, key: str, value: bytes, revision: int) -> Any:
        raise BusUnavailable("the bus is away")


class Stage:
    """A history on a bus, and a clock that starts now."""

    def __init__(self, bus: Bus, url: str | None = None, folder: Path | None = None) -> None:
        config = Config(bus=BusConfig(url=url), runs=RunsConfig(keep="10d", keep_failed="20d"))
        self.clock = FakeClock(wall_ns=0)
        self.events: list[Any] = []
        self.runner = Ref()
        self.lost: list[str] = []
        self.links: Any = SimpleNamespace(
            runs=Bucket(bus, subjects.BUCKET_RUNS), active={}, progress={}, recent=[], host="alpha", bus=bus,
            emit=lambda _, event: self.events.append(event), tally=Tally(), clock=self.clock, config=config,
            revisions={}, lost_run=self.lost.append, runner=self.runner, layout=Layout(folder or "nowhere"),
        )  # fmt: skip
        self.book = RunBook(self.links)

    async def put(self, number: int, state: RunState = "done", host: str = "alpha") -> Run:
        """A run on record that has come to *state*."""
        await self.book.create(run(number, "running", host))
        if state != "running":
            await self.book.save(run(number, state, host), announce=False)
        return run(number, state, host)

    async def left(self) -> list[int]:
        """The runs that are there, oldest first."""
        return sorted(one.created for one in (await self.book.list(RunsList(limit=1000))).runs)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    """A bus with the buckets that a historian looks at."""
    server = EmbeddedServer(tmp_path, port=0, on_log=lambda level, text: None)
    async with server, await Bus.open(server.url, "test") as bus:
        await ensure_bucket(bus, subjects.BUCKET_RUNS)
        await ensure_bucket(bus, subjects.BUCKET_HOSTS)
        yield bus


@pytest.mark.parametrize(
    ("key", "state", "deleted", "kept"),
    [
        ("1.backfill.kraken.trades.BTC-USD", "done", False, 10 * DAY),
        ("1.backfill.kraken.trades.BTC-USD", "failed", False, 20 * DAY),
        ("1.backfill.kraken.trades.BTC-USD", "cancelled", False, 20 * DAY),
        ("1.backfill.kraken.trades.BTC-USD", "running", False, None),
        ("1.backfill.kraken.trades.BTC-USD", "queued", False, None),
        ("1.backfill.kraken.trades.BTC-USD", "interrupted", False, None),
        ("active.1", "", False, None),
        ("active.1", "", True, 10 * DAY),
    ],
)
def test_how_long_an_entry_is_kept(key: str, state: str, deleted: bool, kept: float | None) -> None:
    """A run that failed longer than one that is done, and one that isn't over for as long as that lasts."""
    entry = Entry(key, msgspec.json.encode({"state": state}) if state else b"alpha", 1, 0, deleted)
    assert kept_for(entry, RunsConfig(keep="10d", keep_failed="20d")) == kept


async def test_old_runs_leave_the_history_for_good(bus: Bus) -> None:
    """Each at its age, with nothing left of it in the bucket; what isn't over stays, however old it is."""
    stage = Stage(bus)
    states: list[RunState] = ["done", "failed", "running", "cancelled", "done", "interrupted", "queued", "done"]
    for number, state in enumerate(states, 1):
        await stage.put(number, state)
    await stage.links.runs.put("active.old", b"alpha")
    await stage.links.runs.delete("active.old")  # as an older version did it
    now = (await stage.links.runs.oldest(1))[0].at / NS
    historian = Historian(stage.links, batch=3)
    for age, gone in ((9.9, 0), (10.1, 4), (15.0, 0), (20.1, 2), (400.0, 0)):
        await stage.clock.advance(now + age * DAY - stage.clock.now())
        assert await historian.purge() == gone, age
    assert await stage.left() == [3, 6, 7]
    assert len(await stage.links.runs.oldest(100)) == 6  # those, and a mark of each


async def test_a_purge_reads_about_what_it_removes(bus: Bus) -> None:
    """Not what is to stay: neither the young, nor, each time again, what is kept longer."""
    stage = Stage(bus)
    for number in range(1, 101):
        await stage.put(number, "failed" if number % 2 else "done")
    now = (await stage.links.runs.oldest(1))[0].at / NS
    historian = Historian(stage.links, batch=10)
    bucket = stage.links.runs

    async def reads() -> int:
        before = bucket.entries_read
        await historian.purge()
        return int(bucket.entries_read - before)

    await stage.clock.advance(now + DAY)
    assert await reads() <= 20
    await stage.clock.advance(10 * DAY)
    assert 100 <= await reads() <= 120
    assert await stage.left() == list(range(1, 101, 2))
    await stage.put(101)
    assert await reads() <= 20


async def test_what_it_has_become_meanwhile_is_not_removed(bus: Bus) -> None:
    """An entry that was written after it was looked at stays."""
    bucket = Bucket(bus, subjects.BUCKET_RUNS)
    old = await bucket.put("a.b", b"1")
    await bucket.put("a.b", b"2")
    await bucket.remove("a.b", old)
    assert await bucket.get("a.b") is not None


async def say_hello(bus: Bus, host: str) -> None:
    await Bucket(bus, subjects.BUCKET_HOSTS).put(subjects.host_key(host), b"{}")


async def test_a_run_whose_host_is_gone_is_interrupted(bus: Bus) -> None:
    """On the second look, since after the bus was away each host needs a moment; and not those of hosts that are there,
    nor our own."""
    stage = Stage(bus, url="nats://elsewhere:4222")
    for number, host in ((1, "beta"), (2, "gamma"), (3, "alpha")):
        await stage.put(number, "running", host)
    stage.links.active = {}
    await say_hello(bus, "beta")
    historian = Historian(stage.links)
    await historian.look()
    assert len(stage.events) == 3  # as they were made
    await historian.look()
    assert [(event.run.host, event.run.state) for event in stage.events[3:]] == [("gamma", "interrupted")]
    await historian.look()
    assert len(stage.events) == 4
    found = (await stage.book.list(RunsList(state="interrupted"))).runs
    assert [one.created for one in found] == [2]
    assert not stage.runner.got, "on another's bus its rows need not be here"


async def test_a_run_of_an_earlier_name_goes_on_here(bus: Bus, tmp_path: Path) -> None:
    """What it has stored is here; that of a host that had joined our bus is not, and its run waits for it."""
    stage = Stage(bus, folder=tmp_path)
    note_host(Layout(tmp_path), "old-name")
    await stage.put(1, "running", "old-name")
    await stage.put(2, "running", "joined")
    stage.links.active = {}
    historian = Historian(stage.links)
    await historian.look()
    await historian.look()
    (order,) = stage.runner.got
    assert isinstance(order, AdoptRun) and (order.run.created, order.run.state) == (1, "interrupted")


async def test_a_host_that_was_away_says_again_how_its_runs_are(bus: Bus) -> None:
    """Others may have said of them that they are interrupted."""
    stage = Stage(bus)
    mine = await stage.put(1, "running")
    historian = Historian(stage.links)
    await historian.look()
    other = Stage(bus)
    other.links.host = "beta"
    found = await other.book.history.find(mine.run_id)
    assert found is not None and await other.book.orphaned(*found, {"beta"}, 5) is not None
    await other.links.runs.remove(subjects.run_mark(mine.run_id))
    await stage.clock.advance(5)
    await historian.look()
    assert (await other.book.history.get(mine.run_id)).state == "interrupted"
    bucket, stage.links.runs = stage.links.runs, Away()
    for _ in range(3):  # each soon after the other
        await stage.clock.advance(5)
        with pytest.raises(BusUnavailable):
            await historian.look()
    stage.links.runs = bucket
    await historian.look()
    assert (await other.book.history.get(mine.run_id)).state == "running"
    assert (await other.book.history.marks())[mine.run_id].host == "alpha"


async def test_a_mark_of_ours_beside_another_s_run_is_put_right(bus: Bus) -> None:
    """This host stood still between a record and its mark; while the other's host is there, nobody else would."""
    stage = Stage(bus)
    theirs = await stage.put(1, "running", "beta")
    await stage.put(2, "running", "alpha")
    await stage.links.runs.put(subjects.run_mark(theirs.run_id), b"alpha")
    await stage.links.runs.put(subjects.run_mark("new"), b"alpha")  # its record is about to be written
    del stage.links.active[theirs.run_id]
    await Historian(stage.links).look()
    marks = await stage.book.history.marks()
    assert sorted(mark.host for mark in marks.values()) == ["alpha", "alpha", "beta"]
    assert marks[theirs.run_id].host == "beta"


async def test_that_a_run_is_another_s_by_now_is_told(bus: Bus) -> None:
    """A host that was away finds out, though nothing is to be written of the run."""
    stage = Stage(bus)
    mine = await stage.put(1, "running")
    await stage.links.runs.put(subjects.run_key(mine.run_id, mine.job), msgspec.json.encode(run(1, "running", "beta")))
    await Historian(stage.links).look()
    assert stage.lost == [mine.run_id]


async def test_a_host_that_is_back_while_it_is_looked_at_keeps_its_runs(bus: Bus) -> None:
    """It says that it is there before it goes on with them: who looked for it before that looks again."""
    stage = Stage(bus)
    lost = await stage.put(1, "running", "beta")
    stage.links.active = {}
    historian = Historian(stage.links)
    await historian.look()

    class Meanwhile(Bucket):
        async def find(self, prefix: str) -> list[Entry]:
            if prefix == lost.run_id:
                await say_hello(bus, "beta")
            return await super().find(prefix)

    stage.links.runs = Meanwhile(bus, subjects.BUCKET_RUNS)
    await historian.look()
    assert (await stage.book.history.get(lost.run_id)).state == "running"


async def test_why_it_is_not_known_how_long_events_are_kept_is_logged(bus: Bus) -> None:
    """The bus refuses, as there is no stream of them: that it is away is told elsewhere, this isn't."""
    stage = Stage(bus)
    with capture_logs() as logged:
        async with open_root(Historian(stage.links), clock=stage.clock), asyncio.timeout(60):
            while 60.0 not in stage.clock.deadlines:  # it has looked, and waits for the next time
                await bus.barrier()
    told = [one for one in logged if one["event"] == "not known how long events are kept"]
    assert len(told) == 1 and "not found" in told[0]["error"]


@pytest.mark.parametrize("form", ["json", "status"])
async def test_that_events_cannot_be_measured_now_is_told(tmp_path: Path, form: str) -> None:
    """While the bus is there nobody else says so, and it measures on; while it is away a check of its own does."""
    told = "not known how long events are kept"
    server = EmbeddedServer(tmp_path, port=0, on_log=lambda level, text: None)
    async with server, not_now(server.url, form) as bus:
        await ensure_streams(bus)
        stage = Stage(bus)
        stage.links.events_kept = None
        bus.refuses = "STREAM.INFO.DCCD_EVENTS"
        with capture_logs() as logs:
            async with open_root(Historian(stage.links), clock=stage.clock):
                await until(lambda: told in [line["event"] for line in logs])
                bus.refuses = None
                await stage.clock.advance(60)
                await until(lambda: stage.links.events_kept is not None)
                bus.refuses, bus.refused = "STREAM.INFO.DCCD_EVENTS", []
                await bus.aclose()
                logs.clear()
                await stage.clock.advance(60)
                await until(lambda: bus.refused)
                await stage.clock.settle()
        assert told not in [line["event"] for line in logs]
