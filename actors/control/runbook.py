"""The run history: records in the KV bucket ``dccd_runs``, and the events that go with them.

A run's key is ``<run_id>.<job>``; beside it, ``active.<run_id>`` marks those that aren't over, so that a daemon finds
them after a crash without reading the history. The mark is made before the record and removed after its last state.
"""

from __future__ import annotations

import msgspec

from actors.links import Links
from dccd import subjects
from dccd.bus.kv import Bucket
from dccd.errors import RequestError
from dccd.messages import Runs, RunsList, RunStatus
from dccd.runs import ACTIVE, Run
from dccd.symbols import Dataset

__all__ = ["RunBook"]

_MARK = "active"
_PAGE = 200
_SCAN = 20_000


class RunBook:
    """Reads and writes runs. ``links.active`` holds the latest record of those that aren't over."""

    def __init__(self, links: Links) -> None:
        self.links = links

    @property
    def _bucket(self) -> Bucket:
        return self.links.runs

    async def create(self, run: Run) -> None:
        """Put a new run on record."""
        await self._bucket.put(f"{_MARK}.{run.run_id}", b"1")
        await self.save(run)

    async def save(self, run: Run, *, announce: bool = True) -> None:
        """Write *run* as it is now; *announce* sends its status as an event."""
        await self._bucket.put(subjects.run_key(run.run_id, run.job), msgspec.json.encode(run))
        if run.state in ACTIVE:
            self.links.active[run.run_id] = run
        else:
            self.links.active.pop(run.run_id, None)
            self.links.progress.pop(run.run_id, None)
            self.links.recent.append(run)
            await self._bucket.delete(f"{_MARK}.{run.run_id}")
        if announce:
            event = RunStatus(at=run.updated, host=self.links.host, run=run)
            self.links.emit(subjects.run_event(run.run_id, "status"), event)

    async def get(self, run_id: str) -> Run:
        """Return one run. Raises RequestError 404."""
        if run_id in self.links.active:
            return self.links.active[run_id]
        run = await self._read(run_id)
        if run is None:
            raise RequestError(404, "no_run", f"there is no run {run_id}; dccd.runs.list has them", "run_id")
        return run

    async def unfinished(self) -> list[Run]:
        """The runs that were not over when the daemon was last seen, oldest first."""
        runs = []
        for mark in sorted(await self._bucket.find(_MARK), key=lambda entry: entry.key):
            run = await self._read(mark.key.removeprefix(f"{_MARK}."))
            if run is not None and run.state in ACTIVE:
                runs.append(run)
            else:
                await self._bucket.delete(mark.key)
        return runs

    async def _read(self, run_id: str) -> Run | None:
        found = await self._bucket.find(run_id)
        return msgspec.json.decode(found[-1].value, type=Run) if found else None

    async def list(self, query: RunsList) -> Runs:
        """Return the runs that *query* asks for, the last changed first. Reads no more of the history than it must.

        A filter that few runs fit ends after some thousands looked at; ``next`` then goes on from there. It is a
        revision of the bucket, so that pages stay what they were while runs change.
        """
        # A run's key has five tokens (id, operation, three of the dataset), or three (storage.migrate); a mark has two.
        pattern = "*.*.>" if query.dataset is None else f"*.*.{Dataset.parse(query.dataset).name}"
        filtered = query.state is not None or query.host is not None
        size = max(query.limit, _PAGE) if filtered else query.limit
        runs: list[Run] = []
        before, looked = await self._revision(query.before), 0
        while looked < _SCAN:
            page = await self._bucket.newest(size, pattern, before)
            for entry in page:
                before = entry.revision
                run = msgspec.json.decode(entry.value, type=Run)
                if query.state in (None, run.state) and query.host in (None, run.host):
                    runs.append(run)
                    if len(runs) == query.limit:
                        return Runs(runs=runs, next=str(before))
            if len(page) < size:
                return Runs(runs=runs)
            looked += len(page)
        return Runs(runs=runs, next=str(before))

    async def _revision(self, cursor: str | None) -> int | None:
        if cursor is None or cursor.isdecimal():
            return None if cursor is None else int(cursor)
        # Who has a list of runs but not its `next` names the last of them.
        found = await self._bucket.find(cursor)
        if not found:
            raise RequestError(400, "malformed", f"{cursor!r} is neither the next of a page nor a run", "before")
        return found[-1].revision
