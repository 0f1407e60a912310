"""The run history: records in the KV bucket ``dccd_runs``, and the events that go with them.

A run's key is ``<run_id>.<job>``; beside it, ``active.<run_id>`` marks those that aren't over, so that a daemon finds
them after a crash without reading the history. The mark is made before the record and removed after its last state.
"""

from __future__ import annotations

import msgspec

from actors.links import Links
from dccd import subjects
from dccd.bus.history import RunHistory
from dccd.bus.kv import Bucket
from dccd.errors import Conflict
from dccd.messages import RunLog, Runs, RunsList, RunStatus
from dccd.runs import ACTIVE, Level, LogLine, Run, with_line

__all__ = ["RunBook"]


class RunBook:
    """Reads and writes runs. ``links.active`` holds the latest record of those of this host that aren't over."""

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

    async def save(self, run: Run, *, announce: bool = True) -> None:
        """Write *run* as it is now; *announce* sends its status as an event."""
        await self._put(run)
        if run.state in ACTIVE:
            self.links.active[run.run_id] = run
        else:
            self.links.active.pop(run.run_id, None)
            self.links.progress.pop(run.run_id, None)
            await self._bucket.remove(subjects.run_mark(run.run_id))
            # Once all is done: with the bus away it is done again.
            self.links.recent.append(run)
            self.links.tally.runs[run.operation, run.trigger, run.state] += 1
        if announce:
            self._announce(run)

    async def note(self, run: Run) -> None:
        """Write how far a run under way is; nothing of one that is over."""
        if run.run_id in self.links.active:
            self.links.active[run.run_id] = run
            await self._put(run)

    def say(self, run_id: str, level: Level, message: str) -> None:
        """A line of a run's log: an event, and in its record as soon as that is next written."""
        at = self.links.clock.wall_ns()
        run = self.links.active.get(run_id)
        if run is not None:
            self.links.active[run_id] = with_line(run, LogLine(at, level, message))
        event = RunLog(at=at, host=self.links.host, run_id=run_id, level=level, message=message)
        self.links.emit(subjects.run_event(run_id, "log"), event)

    async def orphaned(self, run_id: str, hosts: set[str], now: int) -> Run | None:
        """Say on record that run *run_id* is interrupted, as its host isn't among *hosts*; returns it when it is."""
        found = await self.history.find(run_id)
        if found is None or found[0].state not in ACTIVE:
            await self._bucket.remove(subjects.run_mark(run_id))
            return None
        run, revision = found
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

    async def get(self, run_id: str) -> Run:
        """Return one run. Raises RequestError 404."""
        if run_id in self.links.active:
            return self.links.active[run_id]
        return await self.history.get(run_id)

    async def unfinished(self) -> list[Run]:
        """The runs of this host that were not over when it was last seen, oldest first."""
        runs = []
        for run_id, host in (await self.history.marks()).items():
            if host not in (self.links.host, "1"):  # "1": a mark of an older version, which named no host
                continue
            found = await self.history.find(run_id)
            if found is None or found[0].state not in ACTIVE:
                await self._bucket.remove(subjects.run_mark(run_id))
            elif found[0].host == self.links.host:
                runs.append(found[0])
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

    async def _put(self, run: Run) -> None:
        await self._bucket.put(subjects.run_key(run.run_id, run.job), msgspec.json.encode(run))

    def _announce(self, run: Run) -> None:
        event = RunStatus(at=run.updated, host=self.links.host, run=run.brief)
        self.links.emit(subjects.run_event(run.run_id, "status"), event)
