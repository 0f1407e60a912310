"""The arithmetic of holes, and what the actor keeps of them while the bus or the runner is away."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.catalogue import Catalogue, add_gap, settle_gap
from actors.mail import GapFound, GetInventory, RepairGaps
from actors.monitor import check_store
from actors.runtime.actor import ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from dccd.errors import BusUnavailable, CorruptFile, RequestError
from dccd.messages import DatasetEntry, GapEntry
from dccd.runs import Run
from dccd.store.catalogue import DatasetStats
from dccd.symbols import Dataset

DATASET = Dataset.parse("binance.trades.BTC-USDT")


def gap(start: int, end: int, state: str = "missing", run_id: str | None = None) -> GapEntry:
    return GapEntry(start=start, end=end, reason="lost", state=state, run_id=run_id)  # type: ignore[arg-type]  # a test


def run(start: int, end: int, state: str = "done", run_id: str = "r1") -> Run:
    return Run(
        run_id=run_id,
        dataset="binance.trades.BTC-USDT",
        state=state,  # type: ignore[arg-type]  # a test
        trigger="gap",
        host="h",
        created=0,
        updated=0,
        start=start,
        end=end,
        position=end,
    )


def test_holes_that_touch_become_one() -> None:
    """Two disconnects in a row are one interval to repair."""
    gaps = add_gap([gap(10, 20)], 20, 30, "again", repairable=True)
    assert [(g.start, g.end, g.state) for g in gaps] == [(10, 30, "missing")]


def test_a_hole_under_repair_stays_apart() -> None:
    """What a run fetches already isn't made larger under its hands."""
    gaps = add_gap([gap(10, 20, "repairing", "r1")], 15, 30, "again", repairable=True)
    assert [(g.start, g.end, g.state) for g in gaps] == [(10, 20, "repairing"), (15, 30, "missing")]


def test_what_no_exchange_serves_is_unavailable_at_once() -> None:
    """The past of an order book can't be asked for."""
    assert add_gap([], 1, 2, "lost", repairable=False)[0].state == "unavailable"


def test_a_repair_that_is_done_closes_its_hole_only() -> None:
    """Other holes of the dataset stay as they are."""
    settled = settle_gap([gap(10, 20, "repairing", "r1"), gap(30, 40)], run(10, 20))
    assert [(g.start, g.state) for g in settled] == [(10, "repaired"), (30, "missing")]


def test_a_repair_that_failed_leaves_the_hole_missing() -> None:
    """It is asked for again later."""
    assert settle_gap([gap(10, 20, "repairing", "r1")], run(10, 20, "failed"))[0].state == "missing"


def test_what_the_exchange_no_longer_serves_of_a_hole_is_unavailable() -> None:
    """The runner clamped the run: the part before its start is gone for good."""
    settled = settle_gap([gap(10, 20, "repairing", "r1")], run(15, 20))
    assert [(g.start, g.end, g.state) for g in settled] == [(10, 15, "unavailable"), (15, 20, "repaired")]


def test_what_a_repair_has_told_to_be_gone_is_not_repaired() -> None:
    """All around it is."""
    settled = settle_gap([gap(10, 20, "repairing", "r1"), gap(12, 14, "unavailable")], run(10, 20))
    assert [(g.start, g.end, g.state) for g in sorted(settled, key=lambda g: g.start)] == [
        (10, 12, "repaired"), (12, 14, "unavailable"), (14, 20, "repaired")
    ]  # fmt: skip


def test_an_unavailable_hole_says_why() -> None:
    """In the words of the run that couldn't repair it."""
    ended = msgspec.structs.replace(run(20, 20), warning="it was another contract")
    (settled,) = settle_gap([gap(10, 20, "repairing", "r1")], ended)
    assert (settled.start, settled.end, settled.state) == (10, 20, "unavailable")
    assert settled.reason == "lost; it was another contract"


def test_old_repaired_holes_are_forgotten() -> None:
    """An entry stays small however often a stream was mended."""
    many = [gap(n, n + 1, "repaired", f"old{n}") for n in range(0, 1000, 2)]
    assert len(settle_gap([*many, gap(5000, 5001, "repairing", "r1")], run(5000, 5001))) == 100


def test_an_entry_fits_a_message_however_many_holes_there_are() -> None:
    """The nearest become one; all that was missing still lies inside one of them."""
    holes = [(n * 1000 + n % 7, n * 1000 + n % 7 + 10) for n in range(1500)]
    gaps: list[GapEntry] = []
    for start, end in holes:
        gaps = add_gap(gaps, start, end, f"lost at {start}", repairable=False)
    assert len(gaps) == 1000
    assert all(any(g.start <= start and end <= g.end for g in gaps) for start, end in holes)
    assert gaps == sorted(gaps, key=lambda g: g.start)


class Desk(SimpleNamespace):
    """What a catalogue takes of the daemon's shared names. ``refuse``: how the runner answers."""

    def __init__(self, refuse: Exception | None = None) -> None:
        super().__init__(
            host="alpha", data_path=Path("data"), entries={}, dirty=set(), board={}, active={}, datasets=self,
            store=SimpleNamespace(datasets=list, stats=lambda _: DatasetStats(rows=7)), emit=lambda *_: None,
            unreadable={},
        )  # fmt: skip
        self.refuse = refuse
        self.kept: list[DatasetEntry] = []
        self.away: anyio.Event | None = None
        self.waiting = anyio.Event()

    async def all(self) -> list[Any]:
        return []

    async def put(self, key: str, value: bytes) -> None:
        away, self.away = self.away, None
        if away is not None:
            self.waiting.set()
            await away.wait()
            raise BusUnavailable("away")
        self.kept.append(msgspec.json.decode(value, type=DatasetEntry))

    async def ask_runner(self, order: Any) -> Any:
        if self.refuse is not None:
            raise self.refuse
        return SimpleNamespace(run_id="r1")

    def states(self) -> list[str]:
        return [g.state for g in self.entries[DATASET.name].gaps]


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
async def test_only_a_refusal_makes_a_hole_unavailable(answer: Exception | None, state: str) -> None:
    """What can't be ordered at this moment is ordered later."""
    desk: Any = Desk(answer)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await found(ref)
        assert desk.states() == [state]


@pytest.mark.anyio
async def test_what_is_gone_is_repaired_by_nobody() -> None:
    """A repair has found that out; another one would find out the same, for ever."""
    desk: Any = Desk()
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        await ref.ask(GapFound(DATASET, 10, 20, "not served", gone=True))
        await ref.ask(RepairGaps(DATASET))
        assert desk.states() == ["unavailable"]


@pytest.mark.anyio
async def test_a_write_that_waited_for_the_bus_brings_back_no_entry_without_the_hole() -> None:
    """What is on record at last is what was known last."""
    desk: Any = Desk()
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        desk.away = away = anyio.Event()
        desk.dirty.add(DATASET.name)
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
    assert desk.kept[-1].rows == 7
    assert [g.start for g in desk.kept[-1].gaps] == [10]


@pytest.mark.anyio
async def test_a_corrupt_file_is_on_the_health_report_until_it_is_mended() -> None:
    """Nobody else may ever read it; the statistics are looked at again and again."""
    desk: Any = Desk()
    clock = FakeClock()
    corrupt = True

    def stats(_: Dataset) -> DatasetStats:
        if corrupt:
            raise CorruptFile(Path("x.parquet"), "cut off")
        return DatasetStats(rows=7)

    desk.store.stats = stats
    desk.dirty.add(DATASET.name)
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await ref.ask(GetInventory())
        check = check_store(desk.unreadable)
        assert not check.ok
        assert "x.parquet: cut off" in check.detail
        corrupt = False
        await clock.advance(2.0)
        await ref.ask(GetInventory())
        assert check_store(desk.unreadable).ok
    assert desk.kept[-1].rows == 7
