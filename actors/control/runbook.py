"""The run history: records in the KV bucket ``dccd_runs``, and the events that go with them.

A run's key is ``<run_id>.<job>``; beside it, ``active.<run_id>`` marks those that aren't over, so that a daemon finds
them after a crash without reading the history. What the two say together, :mod:`actors.control.ownership` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec

from actors.control.ownership import is_said, judge, may_claim, may_close, may_write
from actors.links import Links
from dccd import subjects
from dccd.bus.history import Mark, RunHistory
from dccd.bus.kv import Bucket
from dccd.errors import BusUnavailable, Conflict
from dccd.messages import RunLog, Runs, RunsList, RunStatus
from dccd.runs import ACTIVE, Level, LogLine, Run, with_line

__all__ = ["RunBook"]

_NAMELESS = "1"
"""What a mark of an older version holds, which named no host."""


class RunBook:
    """Reads and writes runs. ``links.active`` holds the latest record of those of this host that aren't over,
    ``links.revisions`` the revision at which this host has written, or found, each."""

    def __init__(self, links: Links) -> None:
        self.links = links

    @property
    def _bucket(self) -> Bucket:
        return self.links.runs

    async def create(self, run: Run) -> None:
        """Put a new run on record."""
        await self.mark(run)
        await self.save(run)

    async def mark(self, run: Run) -> None:
        """Mark *run* as one that isn't over, and as its host's."""
        await self._bucket.put(subjects.run_mark(run.run_id), run.host.encode())

    async def save(self, run: Run, *, announce: bool = True) -> bool:
        """Write *run* as it is now; *announce* sends its status as an event. False when it is over by now, or another
        host's: then nothing is written."""
        if not await self._put(run):
            return False
        await self._saved(run, announce=announce)
        return True

    async def claim(self, run: Run, since: str, line: LogLine) -> bool:
        """Write *run* as one of this host, as *line*, its last, says; *since* is the host that had it. False when it is
        over by now, or another's. After BusUnavailable: do it again."""
        run = msgspec.structs.replace(run, host=self.links.host)
        written = await self._swap(run, lambda found: may_claim(found, self.links.host, since))
        if written is None and since == self.links.host:
            await self.mark(run)  # the bus has lost its store
            if not await self._put(run):
                return False
        elif not written:
            return False
        elif since != self.links.host:
            await self.mark(run)
        self._announce_line(run.run_id, line)
        await self._saved(run)
        return True

    async def close(self, run: Run) -> bool:
        """Write the end of *run*, whose host has left it. False when that one, or another, was first."""
        if not await self._swap(run, lambda found: may_close(found, run.host)):
            return False
        await self._saved(run)
        return True

    async def say_again(self, run_id: str) -> bool:
        """Write record and mark of a run under way once more: others may have taken this host for gone. False when
        they have gone on with it, or ended it: the mark isn't ours any more, either."""
        run = self.links.active.get(run_id)
        if run is not None and not await self._put(run, again=True):
            return run_id not in self.links.active
        if run_id in self.links.active:
            await self.mark(self.links.active[run_id])
        return True

    async def note(self, run: Run) -> bool:
        """Write how far a run under way is; nothing of one that is over. False when others have gone on with it, or
        ended it."""
        if run.run_id not in self.links.active:
            return True
        self.links.active[run.run_id] = run
        return await self._put(run)

    def forget(self, run_id: str) -> None:
        """It is over, or another host's."""
        for known in (self.links.active, self.links.progress, self.links.revisions):
            known.pop(run_id, None)

    def say(self, run_id: str, level: Level, message: str) -> None:
        """A line of a run's log: an event, and in its record as soon as that is next written."""
        line = LogLine(self.links.clock.wall_ns(), level, message)
        run = self.links.active.get(run_id)
        if run is not None:
            self.links.active[run_id] = with_line(run, line)
        self._announce_line(run_id, line)

    async def orphaned(self, run: Run, revision: int, hosts: set[str], now: int) -> Run | None:
        """Say on record that *run*, at *revision*, is interrupted, as its host isn't among *hosts*; returns it
        when it is."""
        if run.host in hosts:
            return None
        if run.state == "interrupted":
            return run
        told = with_line(run, LogLine(now, "warning", f"interrupted: its host {run.host} isn't there any more"))
        run = msgspec.structs.replace(told, state="interrupted", updated=now)
        key = subjects.run_key(run.run_id, run.job)
        try:
            await self._bucket.update(key, msgspec.json.encode(run), revision)
        except Conflict:
            return None  # it is there after all, or another host was first
        self._announce(run)
        return run

    async def marked(self, run_id: str, mark: Mark, *, left: bool) -> tuple[Run, int] | None:
        """The record of a run that isn't over, and its revision; puts right what its *mark* says."""
        found = await self.history.find(run_id)
        verdict = judge(mark.host, found and found[0], left=left)
        if verdict == "remove":
            await self._bucket.remove(subjects.run_mark(run_id), mark.revision)
            return None
        if verdict == "move" and found is not None:
            with suppress(Conflict):  # it has just been moved, or removed
                await self._bucket.update(subjects.run_mark(run_id), found[0].host.encode(), mark.revision)
        return found

    async def get(self, run_id: str) -> Run:
        """Return one run. Raises RequestError 404."""
        if run_id in self.links.active:
            return self.links.active[run_id]
        return await self.history.get(run_id)

    async def unfinished(self) -> list[Run]:
        """The runs of this host that were not over when it was last seen, oldest first."""
        runs = []
        # All of them: a kill may have come between a record that is ours and its mark.
        for run_id, mark in (await self.history.marks()).items():
            found = await self.marked(run_id, mark, left=mark.host in (self.links.host, _NAMELESS))
            if found is not None and found[0].host == self.links.host:
                runs.append(found[0])
                self.links.revisions[run_id] = found[1]
        return runs

    async def restored(self, known: dict[str, Run]) -> list[Run]:
        """Put those of *known*, which aren't over, on record again that nothing is known of there: the bus has lost
        its store. Returns them."""
        lost = [run for run_id, run in known.items() if await self.history.find(run_id) is None]
        for run in lost:
            await self.mark(run)
            await self._put(run)
        return lost

    async def list(self, query: RunsList) -> Runs:
        """Return the runs that *query* asks for, the last changed first; see :class:`RunHistory`."""
        return await self.history.list(query)

    @property
    def history(self) -> RunHistory:
        """What reads them."""
        return RunHistory(self._bucket, self.links.bus.max_payload)

    async def _swap(self, run: Run, allowed: Callable[[Run], bool]) -> bool | None:
        """Write *run* over its record as long as that is *allowed*; says whether it was, None when there is none."""
        while found := await self.history.find(run.run_id):
            if not allowed(found[0]):
                return False
            with suppress(Conflict):  # then what it has become decides
                await self._write(run, found[1])
                return True
        return None

    async def _put(self, run: Run, *, again: bool = False) -> bool:
        """Write *run* if nobody has written its record since this host did, or what it has become is its own yet; but
        *again* not over what this host itself has written meanwhile."""
        known = revision = self.links.revisions.get(run.run_id, 0)
        while True:
            with suppress(Conflict):
                await self._write(run, revision)
                return True
            found = await self.history.find(run.run_id)
            if found is not None and is_said(found[0], run):
                return True
            if found is not None and not may_write(found[0], run):
                if found[1] <= known:  # of a cluster any server answers, also one that lags
                    raise BusUnavailable(f"run {run.run_id}: the bus has what was on record before")
                return False
            if found is not None and again and found[0].state != "interrupted":
                return True
            revision = 0 if found is None else found[1]

    async def _write(self, run: Run, revision: int) -> None:
        """Write *run* over its record at *revision*; 0: there is none. Raises Conflict."""
        key, value = subjects.run_key(run.run_id, run.job), msgspec.json.encode(run)
        bucket = self._bucket
        written = await (bucket.update(key, value, revision) if revision else bucket.create(key, value))
        self.links.revisions[run.run_id] = written

    async def _saved(self, run: Run, *, announce: bool = True) -> None:
        """What follows once *run* is on record."""
        if run.state in ACTIVE:
            self.links.active[run.run_id] = run
        else:
            self.forget(run.run_id)
            await self._bucket.remove(subjects.run_mark(run.run_id))
            # Once all is done: with the bus away it is done again.
            self.links.recent.append(run)
            self.links.tally.runs[run.operation, run.trigger, run.state] += 1
        if announce:
            self._announce(run)

    def _announce_line(self, run_id: str, line: LogLine) -> None:
        event = RunLog(at=line.at, host=self.links.host, run_id=run_id, level=line.level, message=line.message)
        self.links.emit(subjects.run_event(run_id, "log"), event)

    def _announce(self, run: Run) -> None:
        event = RunStatus(at=run.updated, host=self.links.host, run=run.brief)
        self.links.emit(subjects.run_event(run.run_id, "status"), event)
