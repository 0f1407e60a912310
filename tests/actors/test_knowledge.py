"""What is listed of what is stored: without waiting for all files, without opening any, and of any number."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.catalogue import Catalogue
from actors.mail import GetInventory
from actors.runtime.actor import ActorRef
from actors.runtime.clock import FakeClock
from actors.runtime.root import open_root
from dccd.errors import CorruptFile
from dccd.messages import DatasetEntry, GapEntry, Inventory
from dccd.store.coverage import IntervalSet
from dccd.store.fold import fold
from dccd.store.writer import SegmentWriter
from dccd.symbols import Dataset
from tests.actors.desk import DATASET, Counted, Desk, trades


def many(desk: Any, count: int) -> list[str]:
    """Make *count* datasets, each a copy of one file, without telling anybody."""
    desk.store_trades(0, 10)
    desk.dirty.clear()
    fold(desk.store.layout, DATASET, "1970-01-01", force=True)
    base = desk.store.layout.base_path(DATASET, "1970-01-01")
    names = [f"binance.trades.C{n:04d}-USDT" for n in range(count)]
    for name in names:
        folder = desk.store.layout.folder(Dataset.parse(name))
        folder.mkdir(parents=True)
        shutil.copyfile(base, folder / base.name)
    base.unlink()
    return names


async def looked_at_all(ref: ActorRef) -> Inventory:
    """The list, once the background has looked at everything."""
    with anyio.fail_after(30):
        while True:
            page = await ref.ask(GetInventory())
            if all(entry.looked_at is not None for entry in page.datasets):
                return page  # type: ignore[no-any-return]  # what an actor answers is untyped


@pytest.mark.anyio
async def test_a_list_is_of_what_is_known_and_opens_no_file(tmp_path: Path) -> None:
    """A file that somebody changed is found by looking at all of them, later, and only that one is opened."""
    desk: Any = Desk(tmp_path)
    names = many(desk, 50)
    desk.kept.clear()
    clock = FakeClock()
    seen = desk.store.catalogue
    async with open_root(Catalogue(desk), clock=clock) as ref:
        page = await looked_at_all(ref)
        assert [entry.dataset for entry in page.datasets] == names
        assert {entry.rows for entry in page.datasets} == {1}
        assert seen.opened == 50
        with anyio.fail_after(30):
            while len(desk.kept) < 50:  # the bus has them a little later
                await anyio.lowlevel.checkpoint()
        desk.store.layout.base_path(Dataset.parse(names[7]), "1970-01-01").unlink()
        desk.store.look = counted = Counted(desk.store.look)
        assert await ref.ask(GetInventory()) == page
        assert counted.calls == 0
        desk.store.look = counted.look
        SegmentWriter(desk.store.layout, "test").write(
            Dataset.parse(names[7]), trades(5), covered=IntervalSet([(0, 10)])
        )
        await clock.advance(61.0)
        with anyio.fail_after(30):
            while (await ref.ask(GetInventory("binance.trades.C0007-USDT"))).datasets[0].rows != 5:
                pass
        assert seen.opened == 51
    assert [entry.dataset for entry in desk.kept[50:]] == [names[7]]


@pytest.mark.anyio
async def test_what_was_seen_of_files_outlives_a_kill(tmp_path: Path) -> None:
    """It is kept once all was looked at, not only by a stop."""
    desk: Any = Desk(tmp_path)
    many(desk, 20)
    clock = FakeClock()
    async with open_root(Catalogue(desk), clock=clock) as ref:
        await looked_at_all(ref)
        with anyio.fail_after(30):
            while not (tmp_path / ".dccd" / "catalogue.msgpack").exists():
                await anyio.lowlevel.checkpoint()
        later: Any = Desk(tmp_path)
        async with open_root(Catalogue(later), clock=FakeClock()) as other:
            await looked_at_all(other)
    assert later.store.catalogue.opened == 0


@pytest.mark.anyio
async def test_an_inventory_comes_in_pages(tmp_path: Path) -> None:
    """By number, by the room in a message, and never an empty one before the end."""
    desk: Any = Desk(tmp_path)
    names = many(desk, 40)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        whole = await looked_at_all(ref)
        assert whole.next is None
        first = await ref.ask(GetInventory(limit=15))
        assert ([e.dataset for e in first.datasets], first.next) == (names[:15], names[14])
        rest = await ref.ask(GetInventory(after=first.next))
        assert ([e.dataset for e in rest.datasets], rest.next) == (names[15:], None)
        assert (await ref.ask(GetInventory(limit=25, after=first.next))).next is None
        small = await ref.ask(GetInventory(room=2000))
        assert 2 < len(small.datasets) < 20
        assert len(msgspec.json.encode(small.datasets)) <= 2001
        assert small.next == small.datasets[-1].dataset
        assert [e.dataset for e in (await ref.ask(GetInventory(room=1))).datasets] == names[:1]


@pytest.mark.anyio
async def test_what_was_not_looked_at_yet_is_listed_as_it_was(tmp_path: Path) -> None:
    """A dataset whose files can't be read, or whose turn hasn't come, isn't left out."""
    desk: Any = Desk(tmp_path)
    entry = DatasetEntry(
        dataset="binance.trades.A-B", host="other", rows=9, files=1, bytes=1, first_ts=1, last_ts=2,
        gaps=[GapEntry(start=1, end=2, reason="lost")],
    )  # fmt: skip

    def look(_: Dataset) -> Any:
        raise CorruptFile(Path("x.parquet"), "cut off")

    async def find(prefix: str) -> list[Any]:
        return [SimpleNamespace(value=msgspec.json.encode(entry))]

    desk.find, desk.store.look = find, look
    desk.store_trades(0, 10)
    async with open_root(Catalogue(desk), clock=FakeClock()) as ref:
        first, second = (await ref.ask(GetInventory())).datasets
    assert (first.dataset, first.rows, first.looked_at, first.gaps_total) == ("binance.trades.A-B", 9, None, 1)
    assert (second.dataset, second.rows, second.looked_at) == (DATASET.name, 0, None)
