"""Reading the run history in the KV bucket ``dccd_runs``: a query flows in, a page of runs flows out.

A run's key is ``<run_id>.<job>``, and the bucket is ordered by when an entry was written, so that a page of the newest
reads the end of the bucket only. Beside it, ``active.<run_id>`` marks those that aren't over; its value is their host.
"""

from __future__ import annotations

import re

import msgspec

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.kv import Bucket, Entry
from dccd.errors import IdentityError, RequestError
from dccd.messages import Runs, RunsList
from dccd.runs import Run, RunState, Trigger
from dccd.symbols import NS, Dataset, parse_time

__all__ = ["Mark", "RunHistory", "hosts_there"]

_PAGE = 200
_SCAN = 20_000
"""How many entries are looked through for one page."""
_SKEW = 60 * NS
"""How far a host's clock may be from the bus's."""
_ENVELOPE = 4096
_NAME = re.compile(r"[-_a-zA-Z0-9]+(\.[-_a-zA-Z0-9]+)*")


class _Head(msgspec.Struct):
    """What is asked of a run before it is read whole."""

    state: RunState
    host: str
    trigger: Trigger = "request"
    operation: str = "backfill"
    dataset: str = ""
    created: int = 0
    updated: int = 0


class Mark(msgspec.Struct, frozen=True):
    """What says that a run isn't over: the host that it names, at a revision."""

    host: str
    revision: int


class RunHistory:
    """The history in *bucket*; *room* bytes of JSON are what a page may have."""

    def __init__(self, bucket: Bucket, room: int = 1 << 20) -> None:
        self.bucket, self.room = bucket, room

    def __repr__(self) -> str:
        return f"<RunHistory {self.bucket.name}>"

    async def get(self, run_id: str) -> Run:
        """Return one run. Raises RequestError 404."""
        found = await self.find(run_id)
        if found is None:
            raise RequestError(404, "no_run", f"there is no run {run_id}; dccd.runs.list has them", "run_id")
        return found[0]

    async def find(self, run_id: str) -> tuple[Run, int] | None:
        """The run on record and its revision, or None."""
        found = await self._entries(run_id)
        return (msgspec.json.decode(found[-1].value, type=Run), found[-1].revision) if found else None

    async def _entries(self, run_id: str) -> list[Entry]:
        # What the marks begin with has the form of an id, and is none.
        return [] if run_id == subjects.RUN_MARK else await self.bucket.find(run_id)

    async def marks(self) -> dict[str, Mark]:
        """The ids of the runs that aren't over, oldest first, and the mark of each."""
        marks = sorted(await self.bucket.find(subjects.RUN_MARK), key=lambda mark: mark.key)
        return {mark.key.partition(".")[2]: Mark(mark.value.decode(), mark.revision) for mark in marks}

    async def list(self, query: RunsList) -> Runs:
        """Return the runs that *query* asks for, the last changed first. Reads no more of the history than it must.

        A filter that few runs fit ends after some thousands looked at; ``next`` then goes on from there. It is a
        revision of the bucket, so that pages stay what they were while runs change. Raises RequestError 400.
        """
        pattern, states = _pattern(query), _states(query)
        since, until = _time(query.since, "since"), _time(query.until, "until")
        asked = [states, query.host, query.trigger, since, until]
        if query.job is not None:  # else the keys that are looked at are those
            asked += [query.operation, query.dataset]
        filtered = any(one is not None for one in asked)
        size = max(query.limit, _PAGE) if filtered else query.limit
        runs: list[Run] = []
        before, looked, room = await self._revision(query.before), 0, self.room - _ENVELOPE
        while looked < _SCAN:
            page = await self.bucket.newest(size, pattern, before)
            for entry in page:
                if since is not None and entry.at < since - _SKEW:
                    return Runs(runs=runs)  # all that follows was written before that
                if filtered and not _fits(_HEAD.decode(entry.value), query, states, since, until):
                    before = entry.revision
                    continue
                run = _RUN.decode(entry.value)
                room -= len(entry.value if not run.log else msgspec.json.encode(run.brief)) + 1
                if room < 0 and runs:
                    return Runs(runs=runs, next=str(before))
                before = entry.revision
                runs.append(run.brief)
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
        found = await self._entries(cursor)
        if not found:
            raise RequestError(400, "malformed", f"{cursor!r} is neither the next of a page nor a run", "before")
        return found[-1].revision


_HEAD = msgspec.json.Decoder(_Head)
_RUN = msgspec.json.Decoder(Run)


def _fits(head: _Head, query: RunsList, states: set[str] | None, since: int | None, until: int | None) -> bool:
    return (
        (states is None or head.state in states)
        and query.host in (None, head.host)
        and query.trigger in (None, head.trigger)
        and query.operation in (None, head.operation)
        and query.dataset in (None, head.dataset)
        and (since is None or head.updated >= since)
        and (until is None or head.created < until)
    )


async def hosts_there(bus: Bus) -> set[str]:
    """The hosts that say that they are there."""
    entries = await Bucket(bus, subjects.BUCKET_HOSTS).all(subjects.host_key("*"))
    return {entry.key.partition(".")[2] for entry in entries}


def _pattern(query: RunsList) -> str:
    """The keys that are looked at. A run's has five tokens (id, operation, three or four of the dataset), or three
    (storage.migrate); a mark has two."""
    try:
        dataset = None if query.dataset is None else Dataset.parse(query.dataset).name
    except IdentityError as exc:
        raise RequestError(400, "malformed", str(exc), exc.field) from exc
    for field, value in (("job", query.job), ("operation", query.operation)):
        if value is not None and not _NAME.fullmatch(value):
            raise RequestError(400, "malformed", f"{value[:80]!r} is no name of a {field}", field)
    if query.job is not None:
        return f"*.{query.job}"
    if dataset is not None:
        return f"*.{query.operation or '*'}.{dataset}"
    if query.operation is None:
        return "*.*.>"
    return f"*.{query.operation}" if "." in query.operation else f"*.{query.operation}.>"


def _states(query: RunsList) -> set[str] | None:
    if query.state is None:
        return None
    return {query.state} if isinstance(query.state, str) else set(query.state)


def _time(value: str | int | None, field: str) -> int | None:
    if value is None:
        return None
    try:
        return parse_time(value, field)
    except IdentityError as exc:
        raise RequestError(400, "malformed", str(exc), exc.field) from exc
