"""Keeps the run history exact and in bounds: the configuration's ages and the hosts that are there flow in; runs that
are old enough leave ``dccd_runs``, and those whose host is gone are said to be interrupted. It also looks how far back
the bus keeps events, for ``dccd.health``.

The bucket is ordered by when its entries were written, so a purge reads from the oldest on to the first that is too
young, a batch at a time, and once more from where it ended the last time for what is kept for a shorter time: it reads
about what it removes, however many runs there are. Markers of deletions go, too.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec

from actors.control.runbook import RunBook
from actors.events_kept import look_at_events
from actors.links import Links
from actors.mail import AdoptRun
from actors.runtime.actor import Actor, run_together
from actors.runtime.exits import ActorError
from dccd import subjects
from dccd.bus.history import hosts_there
from dccd.bus.kv import Entry
from dccd.config import RunsConfig, parse_duration
from dccd.errors import BusError, StoreError
from dccd.runs import ACTIVE, RunState
from dccd.store.hosts import hosts_of
from dccd.symbols import NS

__all__ = ["Historian", "kept_for"]

_PURGE_SECONDS = 3600.0
_LOOK_SECONDS = 5.0
_RETRY_SECONDS = 30.0
_MEASURE_SECONDS = 60.0
_BATCH = 500


class _State(msgspec.Struct):
    state: RunState


def kept_for(entry: Entry, rules: RunsConfig) -> float | None:
    """For how many seconds *entry* is kept after it was written; None for as long as its run isn't over."""
    if entry.deleted:
        return parse_duration(rules.keep)
    if entry.key.startswith(f"{subjects.RUN_MARK}."):
        return None
    state = msgspec.json.decode(entry.value, type=_State).state
    if state in ACTIVE:
        return None
    return parse_duration(rules.keep if state == "done" else rules.keep_failed)


class Historian(Actor):
    """Purges at an interval, and looks every few seconds whose host is gone."""

    def __init__(self, links: Links, *, batch: int = _BATCH) -> None:
        self.links, self._size = links, batch
        self._book = RunBook(links)
        self._looked = 0  # what is left up to this revision is kept for longer, or not over
        self._absent: set[str] = set()
        self._looked_at: float | None = None
        self._orphans: set[str] = set()
        self._purged = 0

    def __repr__(self) -> str:
        return f"<Historian {self._purged} purged, {len(self._orphans)} orphans>"

    def statistics(self) -> dict[str, Any]:
        return {"purged": self._purged, "orphans": len(self._orphans)}

    async def run(self) -> None:
        await run_together(self._purge_now_and_then, self._look_now_and_then, self._measure_now_and_then)

    # ------------------------------------------------------------ what is old

    async def _purge_now_and_then(self) -> None:
        while True:
            wait = _PURGE_SECONDS
            try:
                if count := await self.purge():
                    self.context.log.info("runs purged", runs=count)
            except BusError as exc:
                self.context.log.warning("runs not purged", error=str(exc))
                wait = _RETRY_SECONDS
            await self.context.clock.sleep(wait)

    async def purge(self) -> int:
        """Remove what is old enough by now, for good; returns how much that was. Raises BusError."""
        rules, before = self.links.config.runs, self._purged
        await self._purge_up_to(0, parse_duration(rules.keep_failed), rules)
        self._looked = await self._purge_up_to(self._looked, parse_duration(rules.keep), rules)
        return self._purged - before

    async def _purge_up_to(self, after: int, age: float, rules: RunsConfig) -> int:
        """Remove what may go of what was written after revision *after*, and at least *age* seconds ago; returns the
        revision up to which that is done."""
        bucket, now = self.links.runs, self.links.clock.wall_ns()
        while True:
            batch = await bucket.oldest(self._size, after)
            for entry in batch:
                written = (now - entry.at) / NS
                if written < age:
                    return after
                kept = kept_for(entry, rules)
                if kept is not None and written >= kept:
                    await bucket.remove(entry.key, entry.revision)  # not what it may have become meanwhile
                    self._purged += 1
                after = entry.revision
            if len(batch) < self._size:
                return after

    # ------------------------------------------------------------ how long events are kept

    async def _measure_now_and_then(self) -> None:
        while True:
            try:
                self.links.events_kept = await look_at_events(self.links.bus)
            except BusError as exc:
                if self.links.bus.connected:  # else another check says so
                    self.context.log.warning("not known how long events are kept", error=str(exc))
            await self.context.clock.sleep(_MEASURE_SECONDS)

    # ------------------------------------------------------------ whose host is gone

    async def _look_now_and_then(self) -> None:
        while True:
            try:
                await self.look()
            except BusError as exc:
                self.context.log.debug("not looked for interrupted runs", error=str(exc))
            await self.context.clock.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Say of runs whose host was absent the last time, too, that they are interrupted. Raises BusError.

        Where the bus is our own and their host had our ``data_path``, it is this one under another name, and what they
        have stored is here: then they go on here.
        """
        links = self.links
        begun = links.clock.now()
        await self._say_again(begun)
        marks = await self._book.history.marks()
        others = {id: mark for id, mark in marks.items() if mark.host != links.host}
        for id, mark in marks.items():
            if mark.host == links.host and id not in links.active:
                # It is about to be written, or to go; or this host stood still before it wrote it, and it is another's.
                await self._book.marked(id, mark, left=False)
        hosts = await hosts_there(links.bus) if others else set()
        absent = {mark.host for mark in others.values()} - hosts
        ours = await self._earlier_names() if absent else set()
        # Twice: after the bus was away each needs a moment to say that it is there.
        gone = absent & self._absent
        found = [await self._book.marked(id, mark, left=True) for id, mark in others.items() if mark.host in gone]
        left = [one for one in found if one is not None and one[0].host in gone]
        if left:
            # Once more, after the records: who is back says so before it writes them.
            hosts = await hosts_there(links.bus)
        orphans = set()
        for record, revision in left:
            run = await self._book.orphaned(record, revision, {*hosts, links.host}, links.clock.wall_ns())
            if run is None:
                continue
            orphans.add(run.run_id)
            if run.host in ours and links.runner is not None:
                try:
                    await links.runner.tell(AdoptRun(run))
                except ActorError:
                    pass  # it restarts: the next time
        self._absent, self._orphans = absent, orphans
        self._looked_at = begun  # had it failed, we might have passed for gone

    async def _earlier_names(self) -> set[str]:
        """The names that this host had; none where that can't be told."""
        links = self.links
        if links.config.bus.url is not None:
            return set()
        try:
            return await anyio.to_thread.run_sync(hosts_of, links.layout)
        except StoreError as exc:
            self.context.log.warning("earlier names of this host aren't known", error=str(exc))
            return set()

    async def _say_again(self, now: float) -> None:
        """After a time in which this host may have passed for gone, or that this actor doesn't know of: say of its runs
        how they are."""
        if self._looked_at is None or now - self._looked_at > 2 * _LOOK_SECONDS:
            for run_id in list(self.links.active):
                if not await self._book.say_again(run_id):
                    self.links.lost_run(run_id)
