"""What there is, and what is missing: the entries of ``dccd_datasets``.

Holes, the ends of runs and notices of stored files flow in; notes beside the data (see ``dccd.store.claims``), entries
(rows, files, bytes, coverage, holes) to the KV bucket, gap events to the bus, and orders for repairs to the runner flow
out. All of an entry can be rebuilt from the files: ``knowledge`` looks at them. What is in an entry, and what is
repaired, is decided in ``known``.
"""

from __future__ import annotations

import contextlib
from typing import Any

import anyio
import msgspec

from actors.knowledge import Knowledge
from actors.known import asked_for, asked_range, left_by, repaired_by, to_repair
from actors.links import Links
from actors.mail import GapFound, GetCoverage, GetInventory, RepairAsked, RepairGaps, RunSettled, StartBackfill
from actors.repairs import together
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError, MailboxFull
from dccd import subjects
from dccd.config import parse_duration
from dccd.errors import BusError, ExchangeError, RequestError, StoreError
from dccd.exchanges.paging import STATED
from dccd.exchanges.registry import get as get_exchange
from dccd.messages import BackfillStarted, Repaired, RepairEntry, StreamGap
from dccd.runs import Run
from dccd.store.coverage import Gap, IntervalSet, Notes
from dccd.store.schema import KEYS
from dccd.symbols import Dataset, DataType

__all__ = ["Catalogue"]

_LOOK = 5.0
_SPACING = 30.0
_RETRY = 300.0
_RETRY_MOST = 6 * 3600.0
_ASKED = "its repair was asked for"


class Catalogue(Actor):
    """Keeps an entry a dataset, in memory and in KV."""

    mailbox_size = 4096  # it and the runner tell each other things: a full mailbox of either would hold up both

    def __init__(self, links: Links) -> None:
        self.links = links
        self._known = Knowledge(links)
        self._retry_at: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Catalogue {self._known!r}>"

    def statistics(self) -> dict[str, Any]:
        return self._known.statistics()

    async def on_start(self) -> None:
        await self._known.open(self.context)
        self.links.catalogue = self.context.ref

    async def run(self) -> None:
        known = self._known
        await run_together(
            known.refresh_now_and_then,
            known.rescan_now_and_then,
            known.entries.write_now_and_then,
            self._repair_now_and_then,
            self.serve,
        )

    async def on_stop(self) -> None:
        """Leave entries that say what is there: the archiver has written its last segments before."""
        await self._known.close()

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
            case GetInventory():
                return await self._known.inventory(message)
            case GetCoverage(dataset):
                await self._known.refresh_stale([dataset.name])
                return self._known.coverage(dataset.name), self._known.runs(dataset.name)
        return None

    # ------------------------------------------------------------ holes

    async def _found(self, gap: GapFound) -> None:
        name = gap.dataset.name
        repairable = not gap.gone and self._repairable(gap.dataset)
        told = (Gap(gap.start, gap.end, gap.reason),)
        doubted = () if gap.doubted is None else (gap.doubted,)
        await self._known.note(
            name,
            Notes(missing=told, doubted=doubted) if repairable else Notes(unavailable=told, doubted=doubted),
        )
        await self._at_least_once(name)
        await self._known.entries.keep(self._known.entry(name))
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

    async def _settled(self, run: Run) -> None:
        """A run of a dataset is over: what it leaves is noted with the reason, and asked for again after a while."""
        name = run.dataset
        await self._known.look([name])
        if run.state == "done" and self._known.notes(name).doubted:
            await self._fetched_again(run)
        if run.trigger != "gap":
            if run.state != "done" and (left := left_by(run, self._known.coverage(name))):
                await self._known.note(name, Notes(missing=tuple(left)))
            await self._known.entries.keep(self._known.entry(name))
            return
        start, end = asked_range(run)
        if run.state == "done" and start < run.start:
            # The runner clamped it: what lies before can't be had any more, as the run's warning says.
            reason = "; ".join(part for part in (run.reason, run.warning) if part)
            await self._known.note(name, Notes(unavailable=(Gap(start, min(run.start, end), reason),)))
        coverage = self._known.coverage(name)
        missing = IntervalSet.of(coverage.missing).within(start, end)
        if run.state != "done" or missing:
            self._later(name)
        else:
            self._failures.pop(name, None)
        repaired = repaired_by(run, coverage) if run.state == "done" else []
        entry = self._known.entry(name)
        await self._known.entries.keep(msgspec.structs.replace(entry, gaps=[*repaired, *entry.gaps]))

    async def _fetched_again(self, run: Run) -> None:
        """What *run* had isn't doubted any more. What it couldn't have stays so: the old claim would hide it."""
        name = run.dataset
        gone = IntervalSet.of(self._known.notes(name).unavailable)
        had = IntervalSet(gone.gaps(run.start, min(run.position, run.end)))
        with contextlib.suppress(StoreError):  # it stays doubted, and is fetched once more
            await anyio.to_thread.run_sync(self.links.notes.forget_doubted, Dataset.parse(name), had)
        await self._known.look([name])

    async def _at_least_once(self, name: str) -> None:
        """What is missing, and the entry, can be told of what was looked at."""
        if self._known.looked_at(name) is None:
            await self._known.look([name])

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
        await self._at_least_once(name)
        if clock.now() < self._not_before.get(name, 0.0) or any(
            run.state == "queued" for run in self._known.runs(name)
        ):
            return done  # holes upon holes are ordered together, and the runner's queue doesn't grow
        until = clock.wall_ns()
        if dataset.data_type in (DataType.FUNDING, DataType.OPEN_INTEREST):
            # Exchanges publish these some minutes later: a run would keep its place among the repairs until then.
            until -= STATED
        wanted = together(to_repair(self._known.coverage(name), self._known.runs(name))[0], until, at_once=at_once)
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
                await self._known.note(name, Notes(unavailable=(gone,)))
                done.append(msgspec.structs.replace(entry, why=str(exc)))
            else:
                done.append(msgspec.structs.replace(entry, run_id=started.run_id))
        await self._known.entries.keep(self._known.entry(name))
        return done

    async def _repair_asked(self, asked: RepairAsked) -> Repaired:
        """Note what somebody wants repaired of a dataset, so that all of it follows by itself, and order the first."""
        dataset, name = asked.dataset, asked.dataset.name
        await self._known.refresh([name])
        gaps = asked_for(self._known.coverage(name), asked.start, asked.end, asked.unavailable)
        if asked.dry_run or not self._repairable(dataset):
            why = None if asked.dry_run else "its past can't be asked for"
            return Repaired(
                repairs=[RepairEntry(dataset=name, start=g.start, end=g.end, reason=g.reason, why=why) for g in gaps]
            )
        if not gaps:
            return Repaired(repairs=[])
        await self._want(dataset, gaps)
        ordered = await self._repair(dataset, at_once=True)
        known = {repair.run_id for repair in ordered}
        under_way = [one for one in self._under_way(name, gaps) if one.run_id not in known]
        waiting = to_repair(self._known.coverage(name), self._known.runs(name))[1]
        return Repaired(repairs=ordered + under_way, waiting=waiting)

    def _under_way(self, name: str, gaps: list[Gap]) -> list[RepairEntry]:
        wanted = IntervalSet.of(gaps)
        found = []
        for run in self._known.runs(name):
            start, end = asked_range(run)
            if run.trigger == "gap" and wanted.within(start, end):
                entry = RepairEntry(dataset=name, start=start, end=end, reason=run.reason or "", run_id=run.run_id)
                found.append(entry)
        return found

    async def _want(self, dataset: Dataset, gaps: list[Gap]) -> None:
        wanted = IntervalSet.of(gaps)

        def forget() -> None:
            self.links.notes.forget_missing(dataset, wanted)
            self.links.notes.forget_unavailable(dataset, wanted)

        await anyio.to_thread.run_sync(forget)
        await self._known.look([dataset.name])
        reasons = [gap if gap.reason.startswith(_ASKED) else Gap(gap.start, gap.end, _why(gap)) for gap in gaps]
        await self._known.note(dataset.name, Notes(missing=tuple(reasons)))
        self._retry_at.pop(dataset.name, None)
        self._not_before.pop(dataset.name, None)
        self._failures.pop(dataset.name, None)

    async def _repair_now_and_then(self) -> None:
        """Look for holes whose repair failed, or was never ordered since the daemon was killed in between."""
        clock = self.context.clock
        while True:
            await clock.sleep(_LOOK)
            for name in list(self.links.entries):
                wait = max(self._retry_at.get(name, 0.0), self._not_before.get(name, 0.0))
                if clock.now() < wait or not self._known.coverage(name).missing:
                    continue
                if to_repair(self._known.coverage(name), self._known.runs(name))[0]:
                    await self.context.ref.tell(RepairGaps(Dataset.parse(name)))


def _why(gap: Gap) -> str:
    return f"{_ASKED} ({gap.reason})" if gap.reason else _ASKED
