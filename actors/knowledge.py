"""What is known of each dataset: looked at when something was stored, and all of it now and then.

Files and the notes beside them flow in, a few datasets at a time in a thread; statistics, claims and coverage are kept
ready, and entries flow into ``dccd_datasets``. Who asks for a list gets what is known: no request waits for all files.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
import msgspec

from actors.entries import Entries
from actors.known import REMOVED, entry_of, listed
from actors.links import Links
from actors.mail import GetInventory
from actors.runtime.actor import ActorContext
from dccd.errors import DccdError, StoreError
from dccd.messages import DatasetEntry, Inventory
from dccd.paging import fitting
from dccd.runs import Run
from dccd.store.catalogue import DatasetStats
from dccd.store.coverage import Claims, Coverage, Gap, IntervalSet, Notes, coverage_of
from dccd.symbols import NS, Dataset, is_under

__all__ = ["Knowledge"]

_REFRESH = 2.0
_RESCAN = 60.0
_SAVE = 600.0
_BATCH = 16
"""So many datasets are looked at in a thread at once, and at most for who asks for a list."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    """One dataset, as its files were last looked at: ``at`` in ns, None when only notes are known."""

    stats: DatasetStats = DatasetStats()
    claims: Claims = Claims()
    notes: Notes = Notes()
    coverage: Coverage = Coverage()
    at: int | None = None

    def plus(self, notes: Notes) -> _Known:
        """With these notes, too."""
        both = self.notes.plus(notes)
        return msgspec.structs.replace(self, notes=both, coverage=coverage_of(self.claims, both))


_UNKNOWN = _Known()


class Knowledge:
    """Of all datasets of one ``data_path``; those in ``Links.dirty`` have changed since."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.entries = Entries(links)
        self._known: dict[str, _Known] = {}
        self._to_look: set[str] = set()  # by a listing; what was just stored is in Links.dirty
        self._unsaved: dict[str, Notes] = {}  # what a full disk kept from being noted
        self._looking: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._refreshing = anyio.Lock()
        self._under_way: set[str] = set()  # what was stored before, and is looked at now
        self._seen = links.data_path / ".dccd" / "catalogue.msgpack"
        self._save_at = 0.0

    def __repr__(self) -> str:
        return f"<Knowledge of {len(self._known)} datasets, {len(self._to_refresh())} to refresh>"

    def statistics(self) -> dict[str, Any]:
        """Datasets, how many are to be looked at and to be written to the bus, and their holes."""
        return {
            **self.entries.statistics(),
            "to_refresh": len(self._to_refresh()),
            "gaps": sum(entry.gaps_total for entry in self.links.entries.values()),
        }

    async def open(self, context: ActorContext) -> None:
        """Take over what the bus has, and what an earlier process has seen of the files. Raises BusError."""
        self.context = context
        for entry in await self.entries.open(context):
            # A full disk may have kept from the notes what the bus knows.
            lost = [Gap(g.start, g.end, g.reason) for g in entry.gaps if g.state in ("missing", "repairing")]
            gone = [Gap(g.start, g.end, g.reason) for g in entry.gaps if g.state == "unavailable"]
            if lost or gone:
                self._unsaved[entry.dataset] = Notes(missing=tuple(lost), unavailable=tuple(gone))
        await anyio.to_thread.run_sync(self.links.store.catalogue.load, self._seen)
        await self._list()

    async def close(self) -> None:
        """Leave entries that say what is there, and what was seen of files for the next start."""
        await self.refresh(self.links.dirty)
        await self._save()
        await self.entries.write()

    # ------------------------------------------------------------ what is known

    def names(self, prefix: str = "") -> list[str]:
        """Every dataset of which there is something, or may be, and whose name begins with *prefix*, in order."""
        return sorted(
            name for name in {*self.links.entries, *self._to_refresh(), *self._under_way} if is_under(name, prefix)
        )

    def looked_at(self, name: str) -> int | None:
        """When the files of *name* were last looked at (ns)."""
        return self._known.get(name, _UNKNOWN).at

    def coverage(self, name: str) -> Coverage:
        """What is known of the time of *name*."""
        return self._known.get(name, _UNKNOWN).coverage

    def notes(self, name: str) -> Notes:
        """What is noted of *name*."""
        return self._known.get(name, _UNKNOWN).notes

    def runs(self, name: str) -> list[Run]:
        """The active runs of *name*."""
        return [run for run in self.links.active.values() if run.dataset == name]

    def entry(self, name: str) -> DatasetEntry:
        """The entry of *name* by what is known now; before it was looked at, the one that was."""
        empty = DatasetEntry(dataset=name, host=self.links.host, rows=0, files=0, bytes=0, first_ts=None, last_ts=None)
        entry = msgspec.structs.replace(self.links.entries.get(name, empty), host=self.links.host)
        known = self._known.get(name)
        return entry if known is None else entry_of(entry, known.stats, known.coverage, self.runs(name))

    async def inventory(self, asked: GetInventory) -> Inventory:
        """A page of the list, of what is known: only the few of it that have just changed are looked at before."""
        names = [name for name in self.names(asked.prefix) if name > asked.after]
        page = names[: asked.limit]
        await self.refresh_stale(page)
        found = fitting(map(self._shown, page), asked.room)
        following = found[-1].dataset if len(found) < len(names) else None
        host, path = self.links.host, str(self.links.data_path)
        return Inventory(host=host, data_path=path, datasets=found, next=following)

    def _shown(self, name: str) -> DatasetEntry:
        stream, known = self.links.board.get(name), self._known.get(name, _UNKNOWN)
        entry = self.links.entries.get(name) or self.entry(name)
        age = None if entry.last_ts is None else max(0.0, (self.context.clock.wall_ns() - entry.last_ts) / NS)
        return msgspec.structs.replace(
            listed(entry, None if known.at is None else known.coverage, self.runs(name)),
            live=stream is not None and stream.state == "live",
            age=age,
            looked_at=known.at,
        )

    # ------------------------------------------------------------ notes

    async def note(self, name: str, notes: Notes) -> None:
        """Note *notes* beside the data; what a full disk doesn't take is kept here and in KV, and noted later."""
        async with self._looking[name]:  # a look that began before must not bring back what was known then
            await self._note_locked(name, notes)

    async def _note_locked(self, name: str, notes: Notes) -> None:
        waiting = self._unsaved.pop(name, Notes()).plus(notes)
        self._known[name] = self._known.get(name, _UNKNOWN).plus(waiting)
        try:
            await anyio.to_thread.run_sync(self._write_notes, Dataset.parse(name), waiting)
        except StoreError as exc:
            self.context.log.error("holes not noted beside the data yet", dataset=name, error=str(exc))
            self._unsaved[name] = waiting.plus(self._unsaved.get(name, Notes()))

    def _write_notes(self, dataset: Dataset, notes: Notes) -> None:
        self.links.notes.add(dataset, missing=notes.missing, unavailable=notes.unavailable, doubted=notes.doubted)

    # ------------------------------------------------------------ looking

    def _to_refresh(self) -> set[str]:
        return self.links.dirty | self._to_look

    async def refresh_now_and_then(self) -> None:
        """Look at what has changed, then at what else is to be looked at."""
        clock = self.context.clock
        while True:
            await self.refresh(self.links.dirty)
            await self.refresh(self._to_look)
            if self.links.store.catalogue.unsaved and clock.now() >= self._save_at:
                self._save_at = clock.now() + _SAVE
                await self._save()
            await clock.sleep(_REFRESH)

    async def rescan_now_and_then(self) -> None:
        """Look at all files now and then: somebody may have changed some by hand."""
        while True:
            await self.context.clock.sleep(_RESCAN)
            await self._list()
            await self.refresh(self._to_look)

    async def _list(self) -> None:
        found = await anyio.to_thread.run_sync(self.links.store.datasets)
        self._to_look.update(self.links.entries)
        self._to_look.update(dataset.name for dataset in found)

    async def _save(self) -> None:
        with contextlib.suppress(StoreError):  # it only saves the next start some time
            await anyio.to_thread.run_sync(self.links.store.catalogue.save, self._seen)

    async def refresh(self, names: Iterable[str]) -> None:
        """Look at *names*, as far as they are to be looked at: a few at a time, others may come in between."""
        todo = sorted(names)
        for first in range(0, len(todo), _BATCH):
            async with self._refreshing:
                waiting = self._to_refresh()
                await self.look([name for name in todo[first : first + _BATCH] if name in waiting])

    async def refresh_stale(self, names: Iterable[str]) -> None:
        """Look at those of *names* of which something was just stored, or which never were looked at: who has just
        stored something expects to see it. Where they are many it is left to the next refresh, a moment later."""
        wanted = set(names)
        if not wanted & self._under_way and not self._stale(wanted):
            return  # and waits for nobody who looks at all the rest
        async with self._refreshing:
            if len(stale := self._stale(wanted)) <= _BATCH:
                await self.look(sorted(stale))

    def _stale(self, names: set[str]) -> set[str]:
        return {name for name in names if name in self.links.dirty or self.looked_at(name) is None}

    async def look(self, names: Sequence[str]) -> None:
        """Look at *names* now; those that can't be read stay to be looked at.

        A corrupt file must not end the catalogue. The monitor keeps telling of it; the log does so once.
        """
        if not names:
            return
        before = {name: self._known.get(name) for name in names}
        changed: set[str] = set()
        try:
            async with contextlib.AsyncExitStack() as locks:
                for name in sorted(names):  # in one order, so that nobody waits for who waits for him
                    await locks.enter_async_context(self._looking[name])
                    if name in self._unsaved:
                        await self._note_locked(name, Notes())
                changed = self.links.dirty.intersection(names)
                self._under_way |= changed
                self.links.dirty.difference_update(names)
                found = await anyio.to_thread.run_sync(self._look, names)
                for name, seen in found.items():
                    self._take(name, seen)
            for name, seen in found.items():
                if isinstance(seen, _Known):
                    await self._seen_anew(name, before[name], seen.notes)
        except BaseException:
            self.links.dirty.update(names)  # when it is stopped, they are looked at once more
            raise
        finally:  # not before: a list has those, too, of which there is no entry yet
            self._under_way -= changed
            self._to_look.difference_update(names)

    def _take(self, name: str, seen: _Known | DccdError) -> None:
        if isinstance(seen, _Known):
            self.links.unreadable.pop(name, None)
            self._known[name] = seen.plus(self._unsaved[name]) if name in self._unsaved else seen
            return
        self.links.dirty.add(name)
        if self.links.unreadable.get(name) != str(seen):
            self.links.unreadable[name] = str(seen)
            self.context.log.error("no statistics", dataset=name, error=str(seen))

    def _look(self, names: Sequence[str]) -> dict[str, _Known | DccdError]:
        """What there is of each, or why that can't be told. Runs in a thread."""
        found: dict[str, _Known | DccdError] = {}
        for name in names:
            before, now = self._known.get(name), self.context.clock.wall_ns()
            try:
                stats, claims, notes = self.links.store.look(Dataset.parse(name))
            except DccdError as exc:
                found[name] = exc
                continue
            same = before is not None and (before.claims, before.notes) == (claims, notes)
            coverage = before.coverage if before is not None and same else coverage_of(claims, notes)
            found[name] = _Known(stats, claims, notes, coverage, now)
        return found

    async def _seen_anew(self, name: str, before: _Known | None, noted: Notes) -> None:
        """Tell of what has gone, forget reasons of what is there, and put the entry down."""
        if before is not None and (lost := _vanished(before, self._known[name])):
            # By hand, and perhaps for a reason: it isn't asked for again unless somebody wants it.
            self.context.log.warning("stored data has gone", dataset=name, seconds=round(lost.length / NS, 3))
            await self.note(name, Notes(missing=tuple(Gap(start, end, REMOVED) for start, end in lost)))
        if noted.missing:
            coverage = self.coverage(name)
            there = coverage.verified.union(coverage.empty, coverage.unverified, coverage.purged)
            if noted.missing != noted.without_missing(there).missing:
                with contextlib.suppress(StoreError):  # reasons of what is there do no harm
                    await anyio.to_thread.run_sync(self.links.notes.forget_missing, Dataset.parse(name), there)
        if name not in self.links.entries and self._is_nothing(name):
            del self._known[name]  # somebody asked for what isn't there: a misspelt name is no dataset
        else:
            self.entries.put(self.entry(name))

    def _is_nothing(self, name: str) -> bool:
        """Whether there is nothing of *name*, and nobody is about to bring something."""
        there = msgspec.structs.replace(self._known[name], at=None) != _UNKNOWN
        return not there and not self.runs(name) and name not in self.links.board


def _vanished(before: _Known, now: _Known) -> IntervalSet:
    """What was verified and is now neither that, nor known to be purged or missing for a reason."""
    gone = before.claims.verified.minus(now.claims.verified)
    if not gone:
        return gone
    told = IntervalSet.of(now.notes.missing)
    return gone.minus(IntervalSet(now.notes.purged).union(told))
