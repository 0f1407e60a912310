"""What there is, and what is missing: the entries of ``dccd_datasets``.

Holes, the ends of runs and notices of stored files flow in; notes beside the data (see ``dccd.store.claims``), entries
(rows, files, bytes, coverage, holes) to the KV bucket, gap events to the bus, and orders for repairs to the runner flow
out. All of an entry can be rebuilt from the files. What is in an entry, and what is repaired, is decided in ``known``.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from functools import partial
from typing import Any

import anyio
import msgspec

from actors.known import REMOVED, asked_for, asked_range, entry_of, left_by, repaired_by, to_repair
from actors.links import Links
from actors.mail import GapFound, GetCoverage, GetInventory, RepairAsked, RepairGaps, RunSettled, StartBackfill
from actors.repairs import together
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError, MailboxFull
from dccd import subjects
from dccd.config import parse_duration
from dccd.errors import BusError, DccdError, ExchangeError, RequestError, StoreError
from dccd.exchanges.registry import get as get_exchange
from dccd.messages import BackfillStarted, DatasetEntry, Inventory, Repaired, RepairEntry, StreamGap
from dccd.runs import Run
from dccd.store.catalogue import DatasetStats
from dccd.store.coverage import Claims, Coverage, Gap, IntervalSet, Notes, coverage_of
from dccd.store.schema import KEYS
from dccd.symbols import NS, Dataset, DataType

__all__ = ["Catalogue"]

_REFRESH = 2.0
_LOOK = 5.0
_SPACING = 30.0
_RESCAN = 60.0
_RETRY = 300.0
_RETRY_MOST = 6 * 3600.0
_ASKED = "its repair was asked for"


class _Known(msgspec.Struct, frozen=True):
    """One dataset, as last looked at."""

    stats: DatasetStats = DatasetStats()
    claims: Claims = Claims()
    notes: Notes = Notes()


class Catalogue(Actor):
    """Keeps an entry a dataset, in memory and in KV."""

    mailbox_size = 4096  # it and the runner tell each other things: a full mailbox of either would hold up both

    def __init__(self, links: Links) -> None:
        self.links = links
        self._entries = links.entries
        self._known: dict[str, _Known] = {}
        self._unsaved: dict[str, Notes] = {}  # what a full disk kept from being noted
        self._looking: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._writing = anyio.Lock()
        self._refreshing = anyio.Lock()
        self._retry_at: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._seen = links.data_path / ".dccd" / "catalogue.msgpack"

    def __repr__(self) -> str:
        return f"<Catalogue {len(self._entries)} datasets, {len(self.links.dirty)} to refresh>"

    def statistics(self) -> dict[str, Any]:
        gaps = [gap for entry in self._entries.values() for gap in entry.gaps if gap.state != "repaired"]
        return {"datasets": len(self._entries), "to_refresh": len(self.links.dirty), "gaps": len(gaps)}

    async def on_start(self) -> None:
        for item in await self.links.datasets.all():
            known = msgspec.json.decode(item.value, type=DatasetEntry)
            self._entries[known.dataset] = known
            # A full disk may have kept from the notes what the bus knows.
            lost = [Gap(g.start, g.end, g.reason) for g in known.gaps if g.state in ("missing", "repairing")]
            gone = [Gap(g.start, g.end, g.reason) for g in known.gaps if g.state == "unavailable"]
            if lost or gone:
                self._unsaved[known.dataset] = Notes(missing=tuple(lost), unavailable=tuple(gone))
        store = self.links.store
        await anyio.to_thread.run_sync(store.catalogue.load, self._seen)
        found = await anyio.to_thread.run_sync(store.datasets)
        self.links.dirty.update(self._entries)
        self.links.dirty.update(dataset.name for dataset in found)
        self.links.catalogue = self.context.ref

    async def run(self) -> None:
        await run_together(self._refresh_now_and_then, self._rescan_now_and_then, self._repair_now_and_then, self.serve)

    async def on_stop(self) -> None:
        """Leave entries that say what is there: the archiver has written its last segments before."""
        await self._refresh_dirty()
        with contextlib.suppress(StoreError):  # it only saves the next start some time
            await anyio.to_thread.run_sync(self.links.store.catalogue.save, self._seen)

    async def on_message(self, message: Any) -> Any:
        match message:
            case GapFound():
                await self._found(message)
            case RepairGaps(dataset):
                await self._repair(dataset)
            case RepairAsked():
                return await self._repair_asked(message)
            case RunSettled(run):
                await self._settled(run)
            case GetInventory(prefix):
                await self._refresh_dirty()  # who has just stored something expects to see it
                return self._inventory(prefix)
            case GetCoverage(dataset):
                await self._refresh_dirty()
                return self._coverage(dataset.name), self._runs(dataset.name)
        return None

    # ------------------------------------------------------------ holes

    async def _found(self, gap: GapFound) -> None:
        name = gap.dataset.name
        repairable = not gap.gone and self._repairable(gap.dataset)
        told = (Gap(gap.start, gap.end, gap.reason),)
        doubted = () if gap.doubted is None else (gap.doubted,)
        await self._note(
            name,
            Notes(missing=told, doubted=doubted) if repairable else Notes(unavailable=told, doubted=doubted),
        )
        await self._keep(self._entry(name))
        now = self.context.clock.wall_ns()
        event = StreamGap(at=now, host=self.links.host, dataset=name, start=gap.start, end=gap.end, reason=gap.reason)
        self.links.emit(subjects.stream_event(gap.dataset, "gap"), event)
        self.context.log.warning("gap", dataset=name, seconds=round((gap.end - gap.start) / 1e9, 3), reason=gap.reason)
        if repairable and KEYS[gap.dataset.data_type] == "TS":
            # The later written of two counts: what came live must be on disk before what is fetched.
            wait = parse_duration(self.links.config.storage.flush_interval) + _LOOK
            self._not_before[name] = max(self._not_before.get(name, 0.0), self.context.clock.now() + wait)
        elif repairable:
            # Not at once: the collector waits for this answer, and the runner may be slow. Nor may this wait for room
            # in the actor's own mailbox: then the hole is found missing a little later.
            with contextlib.suppress(MailboxFull):
                self.context.ref.tell_nowait(RepairGaps(gap.dataset))

    async def _note(self, name: str, notes: Notes) -> None:
        """Note *notes* beside the data; what a full disk doesn't take is kept here and in KV, and noted later."""
        async with self._looking[name]:  # a look that began before must not bring back what was known then
            await self._note_locked(name, notes)

    async def _note_locked(self, name: str, notes: Notes) -> None:
        waiting = self._unsaved.pop(name, Notes()).plus(notes)
        known = self._known.get(name, _Known())
        self._known[name] = msgspec.structs.replace(known, notes=known.notes.plus(waiting))
        try:
            await anyio.to_thread.run_sync(self._write_notes, Dataset.parse(name), waiting)
        except StoreError as exc:
            self.context.log.error("holes not noted beside the data yet", dataset=name, error=str(exc))
            self._unsaved[name] = waiting.plus(self._unsaved.get(name, Notes()))

    def _write_notes(self, dataset: Dataset, notes: Notes) -> None:
        self.links.notes.add(dataset, missing=notes.missing, unavailable=notes.unavailable, doubted=notes.doubted)

    async def _settled(self, run: Run) -> None:
        """A run of a dataset is over: what it leaves is noted with the reason, and asked for again after a while."""
        name = run.dataset
        if run.state == "done" and self._known.get(name, _Known()).notes.doubted:
            with contextlib.suppress(StoreError):  # it stays doubted, and is fetched once more
                forget = partial(self.links.notes.forget_doubted, Dataset.parse(name), *asked_range(run))
                await anyio.to_thread.run_sync(forget)
        await self._refresh_safely(name)
        if run.trigger != "gap":
            if run.state != "done" and (left := left_by(run, self._coverage(name))):
                await self._note(name, Notes(missing=tuple(left)))
            await self._keep(self._entry(name))
            return
        start, end = asked_range(run)
        if run.state == "done" and start < run.start:
            # The runner clamped it: what lies before can't be had any more, as the run's warning says.
            reason = "; ".join(part for part in (run.reason, run.warning) if part)
            await self._note(name, Notes(unavailable=(Gap(start, min(run.start, end), reason),)))
        coverage = self._coverage(name)
        missing = IntervalSet((gap.start, gap.end) for gap in coverage.missing).within(start, end)
        if run.state != "done" or missing:
            self._later(name)
        else:
            self._failures.pop(name, None)
        repaired = repaired_by(run, coverage) if run.state == "done" else []
        entry = self._entry(name)
        await self._keep(msgspec.structs.replace(entry, gaps=[*repaired, *entry.gaps]))

    def _later(self, name: str) -> None:
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        wait = min(_RETRY * 2 ** min(failures - 1, 20), _RETRY_MOST)
        self._retry_at[name] = self.context.clock.now() + wait

    def _repairable(self, dataset: Dataset) -> bool:
        # The past of a book can't be asked for: its history is one snapshot, of now.
        if dataset.data_type is DataType.ORDERBOOK:
            return False
        try:
            get_exchange(dataset.exchange).check(dataset, live=False)
        except ExchangeError:
            return False
        return True

    async def _repair(self, dataset: Dataset, *, at_once: bool = False) -> list[RepairEntry]:
        """Order a backfill of just each missing interval, as many at once as are sensible; return what was ordered.
        *at_once*: also of holes that aren't over."""
        name = dataset.name
        done: list[RepairEntry] = []
        clock = self.context.clock
        if clock.now() < self._not_before.get(name, 0.0) or any(run.state == "queued" for run in self._runs(name)):
            return done  # holes upon holes are ordered together, and the runner's queue doesn't grow
        wanted = together(to_repair(self._coverage(name), self._runs(name))[0], clock.wall_ns(), at_once=at_once)
        if wanted:
            self._not_before[name] = clock.now() + _SPACING
        for gap in wanted:
            order = StartBackfill(dataset=dataset, start=gap.start, end=gap.end, trigger="gap", reason=gap.reason)
            entry = RepairEntry(dataset=name, start=gap.start, end=gap.end, reason=gap.reason)
            try:
                started: BackfillStarted = await self.links.ask_runner(order)
            except (ActorError, BusError, TimeoutError) as exc:
                self.context.log.warning("no repair yet", dataset=name, why=str(exc))
                break  # the runner restarts, or the bus is away: asked again soon
            except (RequestError, ExchangeError) as exc:
                if isinstance(exc, RequestError) and exc.code == 503:
                    break  # it has not started yet
                # Beyond what the exchange serves: asking again is no use.
                self.context.log.warning("gap can't be repaired", dataset=name, why=str(exc))
                gone = Gap(gap.start, gap.end, f"{gap.reason}; {exc}")
                await self._note(name, Notes(unavailable=(gone,)))
                done.append(msgspec.structs.replace(entry, why=str(exc)))
            else:
                done.append(msgspec.structs.replace(entry, run_id=started.run_id))
        await self._keep(self._entry(name))
        return done

    async def _repair_asked(self, asked: RepairAsked) -> Repaired:
        """Note what somebody wants repaired, so that all of it follows by itself, and order the first of it."""
        await self._refresh_dirty()
        repairs: list[RepairEntry] = []
        waiting = 0
        for name in sorted(self._entries):
            if not _matches(name, asked.prefix):
                continue
            gaps = asked_for(self._coverage(name), asked.start, asked.end, asked.unavailable)
            dataset = Dataset.parse(name)
            if asked.dry_run or not self._repairable(dataset):
                why = None if asked.dry_run else "its past can't be asked for"
                repairs += [
                    RepairEntry(dataset=name, start=gap.start, end=gap.end, reason=gap.reason, why=why) for gap in gaps
                ]
            elif gaps:
                await self._want(dataset, gaps)
                ordered = await self._repair(dataset, at_once=True)
                known = {repair.run_id for repair in ordered}
                repairs += ordered + [one for one in self._under_way(name, gaps) if one.run_id not in known]
                waiting += to_repair(self._coverage(name), self._runs(name))[1]
        return Repaired(repairs=repairs, waiting=waiting)

    def _under_way(self, name: str, gaps: list[Gap]) -> list[RepairEntry]:
        wanted = IntervalSet((gap.start, gap.end) for gap in gaps)
        found = []
        for run in self._runs(name):
            start, end = asked_range(run)
            if run.trigger == "gap" and wanted.within(start, end):
                entry = RepairEntry(dataset=name, start=start, end=end, reason=run.reason or "", run_id=run.run_id)
                found.append(entry)
        return found

    async def _want(self, dataset: Dataset, gaps: list[Gap]) -> None:
        def forget() -> None:
            self.links.notes.forget_missing(dataset, IntervalSet((gap.start, gap.end) for gap in gaps))
            for gap in gaps:
                self.links.notes.forget_unavailable(dataset, gap.start, gap.end)

        await anyio.to_thread.run_sync(forget)
        await self._refresh_safely(dataset.name)
        reasons = [gap if gap.reason.startswith(_ASKED) else Gap(gap.start, gap.end, _why(gap)) for gap in gaps]
        await self._note(dataset.name, Notes(missing=tuple(reasons)))
        self._retry_at.pop(dataset.name, None)
        self._not_before.pop(dataset.name, None)
        self._failures.pop(dataset.name, None)

    async def _repair_now_and_then(self) -> None:
        """Look for holes whose repair failed, or was never ordered since the daemon was killed in between."""
        clock = self.context.clock
        while True:
            await clock.sleep(_LOOK)
            for name in list(self._known):
                if clock.now() < max(self._retry_at.get(name, 0.0), self._not_before.get(name, 0.0)):
                    continue
                if to_repair(self._coverage(name), self._runs(name))[0]:
                    await self.context.ref.tell(RepairGaps(Dataset.parse(name)))

    def _runs(self, name: str) -> list[Run]:
        return [run for run in self.links.active.values() if run.dataset == name]

    # ------------------------------------------------------------ statistics

    async def _refresh_now_and_then(self) -> None:
        """Read the statistics of changed datasets from their files' footers, a thread's work."""
        while True:
            await self._refresh_dirty()
            await self.context.clock.sleep(_REFRESH)

    async def _rescan_now_and_then(self) -> None:
        """Look at all files now and then: somebody may have changed some by hand."""
        while True:
            await self.context.clock.sleep(_RESCAN)
            found = await anyio.to_thread.run_sync(self.links.store.datasets)
            self.links.dirty.update(self._entries)
            self.links.dirty.update(dataset.name for dataset in found)

    async def _refresh_dirty(self) -> None:
        async with self._refreshing:  # what another has begun to refresh is awaited, too
            dirty = sorted(self.links.dirty)
            self.links.dirty.clear()
            for name in dirty:
                try:
                    await self._refresh(name)
                except DccdError as exc:
                    # A corrupt file must not end the catalogue. The monitor keeps telling of it; the log does so once.
                    if self.links.unreadable.get(name) != str(exc):
                        self.links.unreadable[name] = str(exc)
                        self.context.log.error("no statistics", dataset=name, error=str(exc))
                    self.links.dirty.add(name)
                else:
                    self.links.unreadable.pop(name, None)

    async def _refresh_safely(self, name: str) -> None:
        """Refresh one dataset now; where it can't be read it stays to be refreshed."""
        try:
            await self._refresh(name)
        except DccdError:
            self.links.dirty.add(name)

    async def _refresh(self, name: str) -> None:
        dataset = Dataset.parse(name)
        async with self._looking[name]:
            if name in self._unsaved:
                await self._note_locked(name, Notes())
            stats, claims, notes = await anyio.to_thread.run_sync(self.links.store.look, dataset)
            before = self._known.get(name)
            unsaved = self._unsaved.get(name, Notes())
            self._known[name] = known = _Known(stats, claims, notes.plus(unsaved))
        if before is not None and (lost := _vanished(before, known)):
            # By hand, and perhaps for a reason: it isn't asked for again unless somebody wants it.
            self.context.log.warning("stored data has gone", dataset=name, seconds=round(lost.length / NS, 3))
            await self._note(name, Notes(missing=tuple(Gap(start, end, REMOVED) for start, end in lost)))
        coverage = self._coverage(name)
        there = coverage.verified.union(coverage.empty, coverage.unverified, coverage.purged)
        if notes.missing != notes.without_missing(there).missing:
            with contextlib.suppress(StoreError):  # reasons of what is there do no harm
                await anyio.to_thread.run_sync(self.links.notes.forget_missing, dataset, there)
        await self._keep(self._entry(name))

    def _coverage(self, name: str) -> Coverage:
        known = self._known.get(name)
        return Coverage() if known is None else coverage_of(known.claims, known.notes)

    async def _keep(self, entry: DatasetEntry) -> None:
        """Remember *entry*, here and in KV; with the bus away, wait until it is back."""
        self._entries[entry.dataset] = entry
        while True:
            try:
                # One at a time, and what holds now: an attempt that waited for the bus must not bring back an entry
                # from before a hole was found.
                async with self._writing:
                    latest = self._entries[entry.dataset]
                    await self.links.datasets.put(latest.dataset, msgspec.json.encode(latest))
                return
            except BusError as exc:
                self.context.log.warning("catalogue waits for the bus", error=str(exc))
                await self.context.clock.sleep(0.5)

    def _entry(self, name: str) -> DatasetEntry:
        """The entry of *name* by what is known now; before it was looked at, the one that was."""
        empty = DatasetEntry(dataset=name, host=self.links.host, rows=0, files=0, bytes=0, first_ts=None, last_ts=None)
        entry = msgspec.structs.replace(self._entries.get(name, empty), host=self.links.host)
        known = self._known.get(name)
        return entry if known is None else entry_of(entry, known.stats, self._coverage(name), self._runs(name))

    def _inventory(self, prefix: str) -> Inventory:
        board, now = self.links.board, self.context.clock.wall_ns()
        listed = [
            msgspec.structs.replace(
                entry,
                live=name in board and board[name].state == "live",
                age=_age(entry, now),
                gaps=[gap for gap in self._entry(name).gaps if gap.state != "repaired"],
            )
            for name, entry in sorted(self._entries.items())
            if _matches(name, prefix)
        ]
        return Inventory(host=self.links.host, data_path=str(self.links.data_path), datasets=listed)


def _matches(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(f"{prefix}.")


def _age(entry: DatasetEntry, now: int) -> float | None:
    return None if entry.last_ts is None else max(0.0, (now - entry.last_ts) / NS)


def _why(gap: Gap) -> str:
    return f"{_ASKED} ({gap.reason})" if gap.reason else _ASKED


def _vanished(before: _Known, now: _Known) -> IntervalSet:
    """What was verified and is now neither that, nor known to be purged or missing for a reason."""
    told = IntervalSet((gap.start, gap.end) for gap in now.notes.missing)
    return before.claims.verified.minus(now.claims.verified.union(IntervalSet(now.notes.purged), told))
