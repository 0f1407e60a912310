"""Tests of what reaches the KV bucket of the datasets, and when."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from actors.entries import Entries
from actors.runtime.clock import FakeClock
from dccd.errors import BusUnavailable
from dccd.messages import DatasetEntry
from dccd.store.hosts import note_host
from dccd.store.layout import Layout

pytestmark = pytest.mark.anyio


class Bucket:
    """KV in memory. ``away``: so many puts fail; ``most`` were under way at once; ``others``: of other hosts."""

    def __init__(self, *entries: DatasetEntry, others: tuple[DatasetEntry, ...] = ()) -> None:
        self.stored, self.others = list(entries), others
        self.away = self.running = self.most = 0

    async def find(self, prefix: str) -> list[Any]:
        found = [one for one in (*self.stored, *self.others) if f"{one.host}." == prefix]
        return [SimpleNamespace(value=msgspec.json.encode(entry)) for entry in found]

    async def put(self, key: str, value: bytes) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await anyio.lowlevel.checkpoint()
        self.running -= 1
        if self.away:
            self.away -= 1
            raise BusUnavailable("away")
        self.stored.append(msgspec.json.decode(value, type=DatasetEntry))
        assert f"h.{self.stored[-1].dataset}" == key


def an_entry(name: str, rows: int = 1, host: str = "h") -> DatasetEntry:
    return DatasetEntry(dataset=name, host=host, rows=rows, files=1, bytes=1, first_ts=0, last_ts=1)


async def opened(bucket: Bucket, clock: FakeClock, folder: Path | None = None) -> Entries:
    links: Any = SimpleNamespace(entries={}, datasets=bucket, host="h", layout=Layout(folder or "nowhere"))
    context: Any = SimpleNamespace(clock=clock, log=SimpleNamespace(warning=lambda *_, **__: None))
    entries = Entries(links)
    await entries.open(context)
    return entries


async def test_only_what_says_anything_new_is_written() -> None:
    """What the bus has already isn't sent again, however often it is looked at."""
    bucket = Bucket(an_entry("a"), an_entry("b"))
    entries = await opened(bucket, FakeClock())
    assert list(entries.all) == ["a", "b"]
    for name in "abc":
        entries.put(an_entry(name))
    assert entries.statistics() == {"datasets": 3, "to_write": 1}
    await entries.write()
    entries.put(an_entry("a", rows=2))
    await entries.write()
    entries.put(an_entry("a", rows=2))
    await entries.write()
    assert bucket.stored[2:] == [an_entry("c"), an_entry("a", rows=2)]
    assert repr(entries) == "<Entries 3, 0 to write>"


async def test_what_is_of_another_host_is_left_alone(tmp_path: Path) -> None:
    """But of one that had the same folder: what it knew is true here, where nothing newer is known."""
    others = tuple(an_entry(name, 5, host) for host in ("former", "elsewhere") for name in (f"of-{host}", "a"))
    bucket = Bucket(an_entry("a"), others=others)
    note_host(Layout(tmp_path), "former")
    entries = await opened(bucket, FakeClock(), tmp_path)
    assert entries.all == {"a": an_entry("a"), "of-former": an_entry("of-former", 5)}
    entries.put(entries.all["of-former"])
    await entries.write()
    assert bucket.stored[1:] == [an_entry("of-former", 5)]


async def test_many_are_written_several_at_a_time() -> None:
    """A thousand datasets don't wait a thousand times for the bus, nor does the bus get a thousand at once."""
    bucket = Bucket()
    entries = await opened(bucket, FakeClock())
    for n in range(100):
        entries.put(an_entry(f"d{n}"))
    await entries.write()
    assert len(bucket.stored) == 100
    assert 2 < bucket.most <= 16


async def test_what_the_bus_does_not_take_is_written_later_as_it_is_then() -> None:
    """Of two that wait for the bus, the last word is on record."""
    bucket, clock = Bucket(), FakeClock()
    entries = await opened(bucket, clock)
    bucket.away = 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(entries.keep, an_entry("a"))
        await clock.settle()
        entries.put(an_entry("a", rows=2))
        await clock.settle()
        assert bucket.stored == []
        await clock.advance(0.5)
    assert bucket.stored == [an_entry("a", rows=2)]


async def test_changes_are_written_as_they_come() -> None:
    """Nobody waits for it."""
    bucket, clock = Bucket(), FakeClock()
    entries = await opened(bucket, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(entries.write_now_and_then)
        for rows in (1, 2):
            entries.put(an_entry("a", rows))
            await clock.settle()
            assert bucket.stored[-1].rows == rows
        tasks.cancel_scope.cancel()
