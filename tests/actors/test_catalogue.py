"""What the catalogue keeps of holes and claims, also while the bus or the runner is away."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.catalogue import Catalogue
from actors.mail import GapFound, GetCoverage, GetInventory, RepairAsked, RepairGaps, RunSettled
from actors.monitor import check_store
from actors.runtime.actor import ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from dccd.errors import BusUnavailable, CorruptFile, RequestError
from dccd.messages import DatasetEntry, GapEntry
from dccd.store.catalogue import DatasetStats
from dccd.store.claims import read_notes
from dccd.store.coverage import Claims, Gap, Notes
from dccd.store.reader import Store
from dccd.symbols import NS, Dataset
from tests.actors.desk import DATASET, Desk, a_run


async def found(ref: ActorRef, start: int = 10, end: int = 20) -> None:
    await ref.ask(GapFound(DATASET, start, end, "lost"))
    await ref.ask(RepairGaps(DATASET))  # what it has told itself comes before this


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, "repairing"),
        (BusUnavailable("away"), "missing"),
        (TimeoutError(), "missing"),
        (RequestError(503, "not_now", "starting"), "missing"),
        (RequestError(422, "no_capability", "too old"), "unavailable"),
    ],
)
async def test_only_a_refusal_makes_a_hole_unavailable(tmp_path: Path, answer: Exception | None, state: str) -> None:
    """What can't be ordered at this moment is ordered later."""
    desk: Any = Desk(tmp_path, answer)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await found(ref)
        assert desk.states() == [state]


@pytest.mark.anyio
async def test_holes_upon_holes_cost_a_repair_now_and_then(tmp_path: Path) -> None:
    """Not one each: what is found soon after an order is ordered with all else later, and nothing is left out."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        found_at: list[int] = []
        for _ in range(100):
            found_at.append(clock.wall_ns())
            await found(ref, clock.wall_ns() - NS, clock.wall_ns())
            await clock.advance(1.0)
        await clock.advance(60.0)
    assert 3 <= len(desk.orders) <= 5
    assert all(any(order.start < at <= order.end for order in desk.orders) for at in found_at)


@pytest.mark.anyio
async def test_no_repair_is_ordered_while_one_waits_its_turn(tmp_path: Path) -> None:
    """The runner's queue would grow without bound."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await found(ref)
        desk.active["r1"] = a_run(10, 20, state="queued")
        await clock.advance(100.0)
        await found(ref, 20, 40)
        assert len(desk.orders) == 1
        desk.active["r1"] = a_run(10, 20)
        await ref.ask(RepairGaps(DATASET))
        assert len(desk.orders) == 2


@pytest.mark.anyio
async def test_a_bar_is_repaired_once_the_one_that_came_live_is_on_disk(tmp_path: Path) -> None:
    """Of both the later written counts."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    bars = Dataset.parse("binance.ohlc.BTC-USDT.1m")
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await ref.ask(GapFound(bars, clock.wall_ns() - 60 * NS, clock.wall_ns(), "lost"))
        await clock.advance(5.0)
        assert not desk.orders
        await clock.advance(10.0)
        await ref.ask(GetInventory())
        assert len(desk.orders) == 1


@pytest.mark.anyio
async def test_what_is_gone_is_repaired_by_nobody(tmp_path: Path) -> None:
    """A repair has found that out; another one would find out the same, for ever."""
    desk: Any = Desk(tmp_path)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GapFound(DATASET, 10, 20, "not served", gone=True))
        await ref.ask(RepairGaps(DATASET))
        assert desk.states() == ["unavailable"]


@pytest.mark.anyio
async def test_a_write_that_waited_for_the_bus_brings_back_no_entry_without_the_hole(tmp_path: Path) -> None:
    """What is on record at last is what was known last."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        desk.away = away = anyio.Event()
        desk.store_trades(5, 10)
        await clock.advance(2.0)
        with anyio.fail_after(10):
            await desk.waiting.wait()  # statistics are on their way, from before the hole
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(found, ref)
                await clock.settle()
                away.set()
                await clock.settle()
            await clock.advance(0.5)
            await ref.ask(GetInventory())
    assert desk.kept[-1].rows == 1
    assert [g.start for g in desk.kept[-1].gaps] == [10]


@pytest.mark.anyio
async def test_a_corrupt_file_is_on_the_health_report_until_it_is_mended(tmp_path: Path) -> None:
    """Nobody else may ever read it; the statistics are looked at again and again."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    corrupt = True

    def look(_: Dataset) -> tuple[DatasetStats, Claims, Notes]:
        if corrupt:
            raise CorruptFile(Path("x.parquet"), "cut off")
        return DatasetStats(rows=7), Claims(), Notes()

    desk.store.look = look
    desk.dirty.add(DATASET.name)
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await ref.ask(GetInventory())
        check = check_store(desk.unreadable)
        assert not check.ok
        assert "x.parquet: cut off" in check.detail
        corrupt = False
        with anyio.fail_after(10):
            while not check_store(desk.unreadable).ok:  # a thread looks at it
                await clock.advance(2.0)
                await ref.ask(GetInventory())
    assert desk.kept[-1].rows == 7


@pytest.mark.anyio
async def test_a_hole_is_noted_beside_the_data(tmp_path: Path) -> None:
    """A daemon that finds only the files knows what they miss, and why."""
    desk: Any = Desk(tmp_path, TimeoutError())
    desk.store_trades(5, 10)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await found(ref)
    assert Store(tmp_path).coverage(DATASET).missing == (Gap(10, 20, "lost"),)
    later: Any = Desk(tmp_path, TimeoutError())
    async with open_root(Catalogue(later), clock=FakeClock()) as ref:
        await ref.ask(GetInventory())
        assert [(g.start, g.end, g.reason, g.state) for g in later.gaps()] == [(10, 20, "lost", "missing")]
        assert later.entries[DATASET.name].coverage == round(5 / 15, 6)


@pytest.mark.anyio
async def test_what_only_the_bus_knows_is_noted(tmp_path: Path) -> None:
    """A hole that a full disk kept from the notes comes there from the entry in KV."""
    desk: Any = Desk(tmp_path, TimeoutError())
    hole = GapEntry(start=10, end=20, reason="disconnect", state="repairing", run_id="gone")
    entry = DatasetEntry(
        dataset=DATASET.name, host="alpha", rows=0, files=0, bytes=0, first_ts=None, last_ts=None, gaps=[hole]
    )

    async def find(prefix: str) -> list[Any]:
        assert prefix == "alpha."
        return [SimpleNamespace(value=msgspec.json.encode(entry))]

    desk.find = find
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GetInventory())
        assert desk.states() == ["missing"]
    assert read_notes(desk.store.layout, DATASET).missing == (Gap(10, 20, "disconnect"),)


@pytest.mark.anyio
async def test_a_repaired_hole_is_closed_by_what_was_stored(tmp_path: Path) -> None:
    """The run's word isn't enough: what the files claim by then is repaired, the rest stays missing."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(5, 10)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await found(ref)
        assert desk.states() == ["repairing"]
        desk.store_trades(10, 16)
        ended = msgspec.structs.replace(desk.active.pop("r1"), state="done")
        await ref.ask(RunSettled(ended))
        assert sorted((g.start, g.end, g.state) for g in desk.gaps()) == [(10, 16, "repaired"), (16, 20, "missing")]
    assert read_notes(desk.store.layout, DATASET).missing == (Gap(16, 20, "lost"),)


@pytest.mark.anyio
async def test_what_an_exchange_serves_no_more_is_unavailable(tmp_path: Path) -> None:
    """The runner clamped the run: the part before its start is gone for good, and says why."""
    desk: Any = Desk(tmp_path)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await found(ref)
        desk.store_trades(15, 20)
        run = desk.active.pop("r1")
        await ref.ask(RunSettled(msgspec.structs.replace(run, state="done", start=15, warning="nothing before")))
        gaps = sorted((g.start, g.end, g.state, g.reason) for g in desk.gaps())
        assert gaps == [(10, 15, "unavailable", "lost; nothing before"), (15, 20, "repaired", "lost")]


@pytest.mark.anyio
async def test_a_failed_repair_is_asked_for_ever_more_seldom(tmp_path: Path) -> None:
    """Again after five minutes, then after ten, so that an exchange isn't asked for nothing."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await found(ref)
        for wait, number in ((300, 1), (600, 2)):
            await ref.ask(RunSettled(msgspec.structs.replace(desk.active.pop(f"r{number}"), state="failed")))
            await clock.advance(wait - 10)
            await ref.ask(GetInventory())
            assert len(desk.orders) == number
            await clock.advance(20)
            await ref.ask(GetInventory())
            assert len(desk.orders) == number + 1


@pytest.mark.anyio
async def test_the_newest_holes_are_asked_for_first_and_not_all_at_once(tmp_path: Path) -> None:
    """What an exchange forgets soonest isn't kept waiting, and the queue stays short."""
    desk: Any = Desk(tmp_path)
    desk.notes.add(DATASET, missing=[Gap(n * 100 * NS, (n * 100 + 10) * NS, f"lost {n}") for n in range(20)])
    desk.dirty.add(DATASET.name)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await ref.ask(GetInventory())
        await ref.ask(RepairGaps(DATASET))
        assert [order.start for order in desk.orders] == [n * 100 * NS for n in range(19, 11, -1)]
        await ref.ask(RepairGaps(DATASET))
        assert len(desk.orders) == 8
        desk.active.clear()
        await clock.advance(31.0)
        await ref.ask(RepairGaps(DATASET))
        assert len(desk.orders) == 16


@pytest.mark.anyio
async def test_what_nobody_asked_for_is_repaired_when_somebody_does(tmp_path: Path) -> None:
    """By itself only what a stream or a backfill missed is asked for; on request all of it, and it is remembered."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 10 * NS)
    desk.store_trades(100 * NS, 110 * NS)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GetInventory())
        await ref.ask(RepairGaps(DATASET))
        assert desk.orders == []
        only_told = await ref.ask(RepairAsked(DATASET, dry_run=True))
        assert [(r.start, r.end, r.run_id) for r in only_told.repairs] == [(10 * NS, 100 * NS, None)]
        assert desk.orders == []
        done = await ref.ask(RepairAsked(DATASET, start=50 * NS))
        assert [(r.start, r.end, r.run_id) for r in done.repairs] == [(50 * NS, 100 * NS, "r1")]
    noted = Gap(50 * NS, 100 * NS, "its repair was asked for (never asked)")
    assert read_notes(desk.store.layout, DATASET).missing == (noted,)


@pytest.mark.anyio
async def test_what_was_unavailable_is_asked_for_again_on_request(tmp_path: Path) -> None:
    """Exchanges come to serve what they did not, and people know of it."""
    desk: Any = Desk(tmp_path)
    desk.notes.add(DATASET, unavailable=[Gap(10, 20, "too old")])
    desk.dirty.add(DATASET.name)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        assert not (await ref.ask(RepairAsked(DATASET))).repairs
        (repair,) = (await ref.ask(RepairAsked(DATASET, unavailable=True))).repairs
        assert (repair.start, repair.end, repair.run_id) == (10, 20, "r1")


@pytest.mark.anyio
async def test_a_failed_backfill_leaves_an_honest_hole(tmp_path: Path) -> None:
    """What it had asked for and not got is missing, for its reason; what a cancel leaves isn't asked for by itself."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 10)
    desk.notes.add(DATASET, asked=[(0, 50)])
    run = msgspec.structs.replace(a_run(0, 50), trigger="request", rows=1, position=10, error="page refused")
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(RunSettled(msgspec.structs.replace(run, state="cancelled")))
        assert [(g.start, g.end, g.reason) for g in desk.gaps()] == [(10, 50, "its backfill was cancelled")]
        await ref.ask(RepairGaps(DATASET))
        assert desk.orders == []
    other: Any = Desk(tmp_path / "other")
    other.store_trades(0, 10)
    other.notes.add(DATASET, asked=[(0, 50)])
    async with open_root(Catalogue(other), clock=FakeClock()) as ref:
        await ref.ask(RunSettled(msgspec.structs.replace(run, state="failed")))
        assert [(g.start, g.end, g.reason) for g in other.gaps()] == [(10, 50, "its backfill failed: page refused")]
        await ref.ask(RepairGaps(DATASET))
        assert len(other.orders) == 1


@pytest.mark.anyio
async def test_files_changed_by_hand_are_noticed(tmp_path: Path) -> None:
    """What a removed file held is missing within a minute, and isn't asked for before somebody wants it."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 10)
    desk.store_trades(10, 20)
    desk.store_trades(20, 30)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await ref.ask(GetInventory())
        assert desk.gaps() == []
        segment = max(desk.store.layout.segment_dir(DATASET, "1970-01-01").iterdir())
        segment.unlink()
        await clock.advance(61.0)
        with anyio.fail_after(10):
            while not desk.gaps():  # a thread looks for it
                await ref.ask(GetInventory())
        assert [(g.start, g.end, g.state) for g in desk.gaps()] == [(20, 30, "missing")]
        assert desk.orders == []


@pytest.mark.anyio
async def test_the_coverage_of_a_dataset(tmp_path: Path) -> None:
    """Who asks gets the states of all time, and the runs that are under way."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 10)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await found(ref)
        coverage, runs = await ref.ask(GetCoverage(DATASET))
        assert [(s.start, s.end, s.state) for s in coverage.stretches()] == [(0, 10, "verified"), (10, 20, "missing")]
        assert [run.run_id for run in runs] == ["r1"]


@pytest.mark.anyio
async def test_to_ask_for_what_is_not_there_makes_no_dataset(tmp_path: Path) -> None:
    """A misspelt name isn't listed from then on; what comes of it later is."""
    desk: Any = Desk(tmp_path)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        coverage, runs = await ref.ask(GetCoverage(DATASET))
        assert (coverage.stretches(), runs) == ([], [])
        assert (await ref.ask(GetInventory())).datasets == [] and not desk.entries
        desk.store_trades(0, 10)
        assert (await ref.ask(GetCoverage(DATASET)))[0].verified
        assert [entry.dataset for entry in (await ref.ask(GetInventory())).datasets] == [str(DATASET)]


@pytest.mark.anyio
async def test_what_was_claimed_too_early_and_is_not_served_stays_a_hole(tmp_path: Path) -> None:
    """A repair that the exchange answers in part clears the doubts of that part only."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 40)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GetInventory())
        await ref.ask(GapFound(DATASET, 10, 30, "late word", doubted=(10, 30)))
        await ref.ask(RepairGaps(DATASET))
        desk.notes.add(DATASET, unavailable=[Gap(25, 30, "not served")])  # as the backfill finds out
        clamped = msgspec.structs.replace(desk.active.pop("r1"), start=15, state="done", warning="from 15 on")
        await ref.ask(RunSettled(clamped))
        coverage, _ = await ref.ask(GetCoverage(DATASET))
        gone = [(gap.start, gap.end) for gap in coverage.unavailable]
        assert list(coverage.verified) == [(0, 10), (15, 25), (30, 40)]
        assert (gone, coverage.missing) == ([(10, 15), (25, 30)], ())


@pytest.mark.anyio
async def test_what_was_claimed_too_early_is_fetched_again(tmp_path: Path) -> None:
    """A hole that is found late counts against what was claimed, until a repair has been there."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 30)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GetInventory())
        await ref.ask(GapFound(DATASET, 10, 20, "late word", doubted=(10, 20)))
        await ref.ask(RepairGaps(DATASET))
        assert [(g.start, g.end, g.state) for g in desk.gaps()] == [(10, 20, "repairing")]
        await ref.ask(RunSettled(msgspec.structs.replace(desk.active.pop("r1"), state="done")))
        assert [(g.start, g.end, g.state) for g in desk.gaps()] == [(10, 20, "repaired")]
        coverage, _ = await ref.ask(GetCoverage(DATASET))
        assert coverage.missing == ()


@pytest.mark.anyio
async def test_what_is_published_late_is_asked_for_when_it_is(tmp_path: Path) -> None:
    """A run that waits for it would keep its place among the repairs, which others need."""
    desk: Any = Desk(tmp_path)
    clock = FakeClock()
    funding = Dataset.parse("binance.funding.BTC-USDT_PERP")
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await ref.ask(GapFound(funding, clock.wall_ns() - 60 * NS, clock.wall_ns(), "lost"))
        await clock.advance(200.0)
        await ref.ask(GetInventory())
        assert desk.orders == []
        with anyio.fail_after(10):
            while not desk.orders:
                await clock.advance(10.0)
                await ref.ask(GetInventory())
        assert clock.now() >= 300.0


@pytest.mark.anyio
async def test_a_run_that_ended_early_clears_no_doubt_beyond(tmp_path: Path) -> None:
    """What was too new for it wasn't fetched again."""
    desk: Any = Desk(tmp_path)
    desk.store_trades(0, 30)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GetInventory())
        await ref.ask(GapFound(DATASET, 10, 30, "late word", doubted=(10, 30)))
        await ref.ask(RepairGaps(DATASET))
        run = msgspec.structs.replace(desk.active.pop("r1"), state="done", position=20)
        await ref.ask(RunSettled(run))
        coverage, _ = await ref.ask(GetCoverage(DATASET))
        assert [(gap.start, gap.end) for gap in coverage.missing] == [(20, 30)]
