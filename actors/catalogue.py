"""What there is, and what is missing: the entries of ``dccd_datasets``.

Holes and notices of stored files flow in; entries (rows, files, bytes, first and last time, holes) flow out to the KV
bucket, gap events to the bus, and orders for repairs to the runner. The statistics can be rebuilt from the files; the
holes are kept here.
"""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import Any

import anyio
import msgspec

from actors.links import Links
from actors.mail import GapFound, GapSettled, GetInventory, RepairGaps, StartBackfill
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError, MailboxFull
from dccd import subjects
from dccd.errors import BusError, DccdError, ExchangeError, RequestError
from dccd.exchanges.registry import get as get_exchange
from dccd.messages import BackfillStarted, DatasetEntry, GapEntry, Inventory, StreamGap
from dccd.runs import Run
from dccd.store.intervals import IntervalSet
from dccd.symbols import Dataset, DataType

__all__ = ["Catalogue", "add_gap", "settle_gap"]

_REFRESH = 2.0
_LOOK = 5.0
_RETRY = 300.0
_KEEP = 100
_MOST = 1000


def add_gap(gaps: list[GapEntry], start: int, end: int, reason: str, repairable: bool) -> list[GapEntry]:
    """Return *gaps* with one more; one that touches a missing hole of the same kind becomes one with it."""
    state = "missing" if repairable else "unavailable"
    kept = []
    for gap in gaps:
        if gap.state == state and gap.start <= end and start <= gap.end:
            start, end = min(start, gap.start), max(end, gap.end)
        else:
            kept.append(gap)
    kept.append(GapEntry(start=start, end=end, reason=reason, state=state))  # type: ignore[arg-type]  # one of two
    return _bounded(sorted(kept, key=lambda gap: gap.start))


def _bounded(gaps: list[GapEntry]) -> list[GapEntry]:
    """At most so many that an entry fits a message: the nearest of a kind become one, what lies between included.

    A book that is resynchronised some times a day has holes that nobody can repair, for years.
    """
    while len(gaps) > _MOST:
        near = [
            (right.start - left.end, index)
            for index, (left, right) in enumerate(pairwise(gaps))
            if left.state == right.state != "repairing"
        ]
        if not near:
            break
        _, index = min(near)
        left, right = gaps[index : index + 2]
        reason = left.reason if left.reason == right.reason else "several"
        gaps[index : index + 2] = [
            GapEntry(start=left.start, end=max(left.end, right.end), reason=reason, state=left.state)
        ]
    return gaps


def settle_gap(gaps: list[GapEntry], run: Run) -> list[GapEntry]:
    """Return *gaps* after the *run* that was to repair one of them ended.

    What lies before the run's start can't be had any more, as the run's warning says; nor can what the run has told to
    be gone. Of repaired holes the newest are kept, so that one can see what was mended.
    """
    gone = IntervalSet((gap.start, gap.end) for gap in gaps if gap.state == "unavailable")
    settled = []
    for gap in gaps:
        if gap.run_id != run.run_id:
            settled.append(gap)
            continue
        if run.state != "done":
            settled.append(msgspec.structs.replace(gap, state="missing"))
            continue
        if gap.start < run.start:
            reason = gap.reason if run.warning is None else f"{gap.reason}; {run.warning}"
            end = min(run.start, gap.end)
            settled.append(msgspec.structs.replace(gap, end=end, state="unavailable", reason=reason))
        settled += [
            msgspec.structs.replace(gap, start=start, end=end, state="repaired")
            for start, end in gone.gaps(max(gap.start, run.start), gap.end)
        ]
    repaired = [gap for gap in settled if gap.state == "repaired"][-_KEEP:]
    return [gap for gap in settled if gap.state != "repaired" or gap in repaired]


class Catalogue(Actor):
    """Keeps an entry a dataset, in memory and in KV."""

    mailbox_size = 4096  # it and the runner tell each other things: a full mailbox of either would hold up both

    def __init__(self, links: Links) -> None:
        self.links = links
        self._entries = links.entries
        self._writing = anyio.Lock()
        self._refreshing = anyio.Lock()
        self._retry_at: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Catalogue {len(self._entries)} datasets, {len(self.links.dirty)} to refresh>"

    def statistics(self) -> dict[str, Any]:
        gaps = [gap for entry in self._entries.values() for gap in entry.gaps if gap.state != "repaired"]
        return {"datasets": len(self._entries), "to_refresh": len(self.links.dirty), "gaps": len(gaps)}

    async def on_start(self) -> None:
        for entry in await self.links.datasets.all():
            known = msgspec.json.decode(entry.value, type=DatasetEntry)
            self._entries[known.dataset] = known
        found = await anyio.to_thread.run_sync(self.links.store.datasets)
        self.links.dirty.update(dataset.name for dataset in found)
        self.links.catalogue = self.context.ref

    async def run(self) -> None:
        await run_together(self._refresh_now_and_then, self._repair_now_and_then, self.serve)

    async def on_stop(self) -> None:
        """Leave entries that say what is there: the archiver has written its last segments before."""
        await self._refresh_dirty()

    async def on_message(self, message: Any) -> Any:
        match message:
            case GapFound():
                await self._found(message)
            case RepairGaps(dataset):
                await self._repair(dataset)
            case GapSettled(run):
                await self._settled(run)
            case GetInventory(prefix):
                await self._refresh_dirty()  # who has just stored something expects to see it
                return self._inventory(prefix)
        return None

    # ------------------------------------------------------------ holes

    async def _found(self, gap: GapFound) -> None:
        name = gap.dataset.name
        repairable = not gap.gone and self._repairable(gap.dataset)
        entry = self._entry(name)
        gaps = add_gap(entry.gaps, gap.start, gap.end, gap.reason, repairable)
        await self._keep(msgspec.structs.replace(entry, gaps=gaps))
        now = self.context.clock.wall_ns()
        event = StreamGap(at=now, host=self.links.host, dataset=name, start=gap.start, end=gap.end, reason=gap.reason)
        self.links.emit(subjects.stream_event(gap.dataset, "gap"), event)
        self.context.log.warning("gap", dataset=name, seconds=round((gap.end - gap.start) / 1e9, 3), reason=gap.reason)
        if repairable:
            # Not at once: the collector waits for this answer, and the runner may be slow. Nor may this wait for room
            # in the actor's own mailbox: then the hole is found missing a little later.
            with contextlib.suppress(MailboxFull):
                self.context.ref.tell_nowait(RepairGaps(gap.dataset))

    async def _settled(self, run: Run) -> None:
        entry = self._entry(run.dataset)
        if run.state != "done":
            self._retry_at[run.dataset] = self.context.clock.now() + _RETRY
        await self._keep(msgspec.structs.replace(entry, gaps=settle_gap(entry.gaps, run)))

    def _repairable(self, dataset: Dataset) -> bool:
        # The past of a book can't be asked for: its history is one snapshot, of now.
        if dataset.data_type is DataType.ORDERBOOK:
            return False
        try:
            get_exchange(dataset.exchange).check(dataset, live=False)
        except ExchangeError:
            return False
        return True

    async def _repair(self, dataset: Dataset) -> None:
        """Order a backfill of just each missing interval."""
        entry = self._entry(dataset.name)
        gaps = list(entry.gaps)
        for index, gap in enumerate(gaps):
            if gap.state != "missing":
                continue
            order = StartBackfill(dataset=dataset, start=gap.start, end=gap.end, trigger="gap", reason=gap.reason)
            try:
                started: BackfillStarted = await self.links.ask_runner(order)
            except (ActorError, BusError, TimeoutError) as exc:
                self.context.log.warning("no repair yet", dataset=dataset.name, why=str(exc))
                break  # the runner restarts, or the bus is away: asked again soon
            except (RequestError, ExchangeError) as exc:
                if isinstance(exc, RequestError) and exc.code == 503:
                    break  # it has not started yet
                # Beyond what the exchange serves: asking again is no use.
                self.context.log.warning("gap can't be repaired", dataset=dataset.name, why=str(exc))
                gaps[index] = msgspec.structs.replace(gap, state="unavailable")
            else:
                gaps[index] = msgspec.structs.replace(gap, state="repairing", run_id=started.run_id)
        await self._keep(msgspec.structs.replace(self._entry(dataset.name), gaps=gaps))

    async def _repair_now_and_then(self) -> None:
        """Look for holes whose repair failed, or was never ordered since the daemon was killed in between."""
        clock = self.context.clock
        while True:
            await clock.sleep(_LOOK)
            for name, entry in list(self._entries.items()):
                gaps = [
                    msgspec.structs.replace(gap, state="missing") if self._abandoned(gap) else gap for gap in entry.gaps
                ]
                if gaps != entry.gaps:
                    self._entries[name] = msgspec.structs.replace(entry, gaps=gaps)
                if any(gap.state == "missing" for gap in gaps) and clock.now() >= self._retry_at.get(name, 0.0):
                    await self.context.ref.tell(RepairGaps(Dataset.parse(name)))

    def _abandoned(self, gap: GapEntry) -> bool:
        """Whether a hole counts as under repair while no run repairs it."""
        return gap.state == "repairing" and gap.run_id not in self.links.active

    # ------------------------------------------------------------ statistics

    async def _refresh_now_and_then(self) -> None:
        """Read the statistics of changed datasets from their files' footers, a thread's work."""
        while True:
            await self._refresh_dirty()
            await self.context.clock.sleep(_REFRESH)

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

    async def _refresh(self, name: str) -> None:
        stats = await anyio.to_thread.run_sync(self.links.store.stats, Dataset.parse(name))
        entry = self._entry(name)
        fresh = msgspec.structs.replace(
            entry,
            host=self.links.host,
            rows=stats.rows,
            files=stats.files,
            bytes=stats.bytes,
            first_ts=stats.first_ts,
            last_ts=stats.last_ts,
        )
        if fresh != entry:
            await self._keep(fresh)

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
        empty = DatasetEntry(dataset=name, host=self.links.host, rows=0, files=0, bytes=0, first_ts=None, last_ts=None)
        return self._entries.get(name, empty)

    def _inventory(self, prefix: str) -> Inventory:
        board = self.links.board
        listed = [
            msgspec.structs.replace(
                entry,
                live=name in board and board[name].state == "live",
                gaps=[gap for gap in entry.gaps if gap.state != "repaired"],
            )
            for name, entry in sorted(self._entries.items())
            if name == prefix or name.startswith(f"{prefix}." if prefix else "")
        ]
        return Inventory(host=self.links.host, data_path=str(self.links.data_path), datasets=listed)
