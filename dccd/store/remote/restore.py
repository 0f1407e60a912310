"""A store, or a part of one, from its copy.

Manifests flow in; files flow out to where they were, each checked by its hash and durable before it has its name. A
period that is being restored is put together beside the store, and moved there under the fold's lock. Where the store
has files of that period by now, those that hold what the remote has are left as they are; what they lack is added.

Steps, for tests: ``fetched`` after each file, ``place`` before a period is moved to its place, ``placed`` after,
``noted``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import polars as pl

from dccd.errors import RemoteMissing
from dccd.store.claims import NoteBook, coverage_folder
from dccd.store.coverage import Interval, IntervalSet, Notes
from dccd.store.files import Step, locked, make_folder, no_step, os_errors, sync_folder, write_durably
from dccd.store.layout import Layout, period_bounds, segment_name
from dccd.store.merge import merged, unified_schema
from dccd.store.parquet import Footer, OpenFile, write_parquet
from dccd.store.remote.base import Remote, Wait, checked, patiently, waiting
from dccd.store.remote.local import Hashes, remotes_folder, snapshot, store_id
from dccd.store.remote.manifest import Entry, Owner, outlived, owner_key
from dccd.store.remote.sync import Progress, using
from dccd.store.remote.verify import manifests, noted, noted_there
from dccd.symbols import Dataset, DataType

__all__ = ["Restored", "fetch", "purged_intervals", "restore"]

_WRITER = "restored"


class Restored(msgspec.Struct, frozen=True):
    """What was brought back: files, bytes and periods; and periods that weren't, and why."""

    files: int = 0
    bytes: int = 0
    periods: int = 0
    problems: tuple[str, ...] = ()


def restore(
    layout: Layout,
    remote: Remote,
    host: str,
    *,
    ours: bool = True,
    datasets: Collection[Dataset] | None = None,
    start: int | None = None,
    end: int | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
    wait: Wait | None = None,
    step: Step = no_step,
) -> Restored:
    """Bring back the periods of *datasets* (all by default) that have a part in ``[start, end)`` ns (all of time).

    *host* is the folder on the remote; *ours*: this store goes on with it. Then an empty store becomes the one that
    was copied, and periods that aren't brought back are noted as purged, so that readers still find them. Raises
    RemoteAway, RemoteDamaged (that file is not restored, those before it are), RemoteMissing where there is nothing of
    *host*, StoreFull, StoreLocked, Stopped.
    """
    wait = wait or waiting()
    with using(layout, remote, wait):
        _inherit(layout, remote, host, ours, wait)
        found = [
            (dataset, period, list(entries))
            for dataset, _, manifest in manifests(remote, host, datasets, wait)
            for period, entries in groupby(manifest.files, key=lambda entry: entry.period)
        ]
        wanted = [part for part in found if _overlaps(part[1], start, end)]
        work = _Restore(layout, remote, host, tell, wait, step, sum(e.size for _, _, es in wanted for e in es))
        for dataset, period, entries in wanted:
            work.period(dataset, period, entries)
        work.tidy()
        for dataset in noted_there(remote, host, datasets, wait):
            notes = noted(remote, host, dataset, wait)
            left = [(p, es) for d, p, es in found if d == dataset and not _overlaps(p, start, end)]
            if not ours:  # what isn't brought back from another's folder isn't looked for there later
                notes, left = msgspec.structs.replace(notes, purged=()), []
            _take_notes(layout, dataset, notes, left)
            step("noted")
        return work.result


def fetch(
    remote: Remote, entry: Entry, path: Path, wait: Wait, tell: Callable[[int], None] = lambda size: None
) -> None:
    """Write an entry's object to *path*, checked and durable. Raises RemoteAway, RemoteMissing, RemoteDamaged,
    StoreFull, Stopped."""

    def write(file: BinaryIO) -> None:
        for piece in checked(remote, entry.key, entry.size, entry.sha256, wait):
            file.write(piece)
            tell(len(piece))

    write_durably(path, "remote", write)


def purged_intervals(entries: Iterable[Entry]) -> list[Interval]:
    """What is to be noted as purged when the files of *entries* are gone: what they claim, and where their rows
    begin and end, so that no row is without a note of its period."""
    found: list[Interval] = []
    for entry in entries:
        found += [*entry.verified, *entry.unverified]
        found += [(ts, ts + 1) for ts in (entry.first_ts, entry.last_ts) if ts is not None]
    return list(IntervalSet(found))


def forget_purged(layout: Layout, dataset: Dataset, period: str) -> None:
    """What was purged of *period* is back, whoever noted that it was."""
    for path in sorted(coverage_folder(layout, dataset).glob("[!.]*.json")):
        NoteBook(layout, path.stem).forget_purged(dataset, [period_bounds(period)])


def _inherit(layout: Layout, remote: Remote, host: str, ours: bool, wait: Wait) -> None:
    """Make an empty store the one that was copied: its next sync goes on there."""
    try:
        owner = msgspec.json.decode(patiently(lambda: b"".join(remote.read(owner_key(host))), wait), type=Owner)
    except msgspec.MsgspecError:
        return
    except RemoteMissing:
        raise RemoteMissing(remote.name, f"{host}/, where a sync of host {host} would have left its files") from None
    if ours and store_id(layout, None) is None:
        store_id(layout, owner.store)


def _overlaps(period: str, start: int | None, end: int | None) -> bool:
    low, high = period_bounds(period)
    return (end is None or low < end) and (start is None or high > start)


def _take_notes(layout: Layout, dataset: Dataset, notes: Notes, left: list[tuple[str, list[Entry]]]) -> None:
    here = IntervalSet(period_bounds(period) for period in layout.periods(dataset))
    purged = IntervalSet([*notes.purged, *chain.from_iterable(purged_intervals(entries) for _, entries in left)])
    NoteBook(layout, _WRITER).add(
        dataset,
        asked=notes.asked,
        empty=notes.empty,
        purged=purged.minus(here),
        unavailable=notes.unavailable,
        missing=notes.missing,
    )


class _Restore:
    """One restore under way."""

    def __init__(
        self,
        layout: Layout,
        remote: Remote,
        host: str,
        tell: Callable[[Progress], None],
        wait: Wait,
        step: Step,
        all_bytes: int,
    ) -> None:
        self.layout, self.remote, self.host = layout, remote, host
        self._tell, self._wait, self._step = tell, wait, step
        self._hashes = Hashes(layout)
        self._beside = remotes_folder(layout) / f"restoring-{remote.name}"
        self.tidy()
        self._progress = Progress(all_bytes=all_bytes)
        self.result = Restored()

    def tidy(self) -> None:
        """Remove what a restore that was killed had fetched: nobody else is at it, since we hold the remote's lock."""
        shutil.rmtree(self._beside, ignore_errors=True)

    def period(self, dataset: Dataset, period: str, entries: list[Entry]) -> None:
        with snapshot(self.layout, self.host, dataset, period, self._hashes, self._wait) as files:
            local = [file.entry for file in files]
        lacking, _ = outlived(entries, local, Notes())
        self._told(bytes=sum(entry.size for entry in entries) - sum(entry.size for entry in lacking))
        if lacking and dataset.data_type is DataType.ORDERBOOK and _mingle(local, lacking, entries):
            # A row of a book is a row: which of them are twins can't be told.
            problem = f"{dataset} {period}: the store has other rows of this time; move its files away to restore it"
            self.result = msgspec.structs.replace(self.result, problems=(*self.result.problems, problem))
            return
        fetched = []
        for entry in lacking:
            path = self._beside / f"{entry.sha256}.parquet"
            patiently(lambda entry=entry, path=path: self._fetch(entry, path), self._wait)  # type: ignore[misc]  # bound now
            fetched.append((entry, path))
            self._step("fetched")
        with locked(self.layout.lock_path(dataset), wait=True):
            self._step("place")
            for entry, path in fetched:
                self._place(dataset, entry, path)
        self._step("placed")
        forget_purged(self.layout, dataset, period)
        if fetched:
            done = self.result
            self.result = msgspec.structs.replace(
                done,
                files=done.files + len(fetched),
                bytes=done.bytes + sum(entry.size for entry in lacking),
                periods=done.periods + 1,
            )

    def _fetch(self, entry: Entry, path: Path) -> None:
        got = 0

        def tell(size: int) -> None:
            nonlocal got
            got += size
            self._told(bytes=size)

        try:
            fetch(self.remote, entry, path, self._wait, tell)
        except Exception:
            self._told(bytes=-got)
            raise
        self._told(files=1)

    def _place(self, dataset: Dataset, entry: Entry, path: Path) -> None:
        base = self.layout.base_path(dataset, entry.period)
        if entry.level is None and not base.exists():
            target = base
        elif entry.level is None:
            _as_segment(self.layout, dataset, entry, path)
            path.unlink()
            return
        else:
            target = self.layout.segment_dir(dataset, entry.period, entry.level) / f"{entry.name}.parquet"
        with os_errors(target):
            make_folder(target.parent)
            os.rename(path, target)
            sync_folder(target.parent)

    def _told(self, **fields: int) -> None:
        old = self._progress
        self._progress = msgspec.structs.replace(old, **{n: getattr(old, n) + v for n, v in fields.items()})
        self._tell(self._progress)


def _mingle(local: list[Entry], lacking: list[Entry], entries: list[Entry]) -> bool:
    """Whether files of the store that the remote doesn't know have rows of the times that *lacking* are of."""
    known = {entry.key for entry in entries}
    times = [(e.first_ts, e.last_ts) for e in local if e.key not in known]
    return any(
        low is not None and high is not None and e.first_ts is not None and e.last_ts is not None
        and low <= e.last_ts and e.first_ts <= high
        for low, high in times
        for e in lacking
    )  # fmt: skip


def _as_segment(layout: Layout, dataset: Dataset, entry: Entry, path: Path) -> None:
    """Write the rows of a base as a segment beside the base that there is: the next fold makes one of both."""
    file = OpenFile(path)
    try:
        written_at = path.stat().st_mtime_ns if file.footer is None else file.footer.written_at
        schema = unified_schema(dataset.data_type, [file])

        def footer(first: int, last: int) -> Footer:
            old = file.footer
            claimed = old is not None and old.covered is not None
            return Footer(
                kind="segment",
                writer=_WRITER,
                written_at=written_at,
                first_ts=first,
                last_ts=last,
                bus=() if old is None else old.bus,
                covered=entry.verified if claimed else None,
                unverified=entry.unverified if claimed else (),
            )

        def tables() -> Iterator[Any]:
            for frame in merged(dataset.data_type, [file]):
                yield frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)

        def write(out: BinaryIO) -> None:
            write_parquet(out, tables(), schema, footer, level=3)

        # Named by its content, so that a restore that is repeated adds nothing.
        name = segment_name(f"{_WRITER}.{entry.sha256[:16]}", 0, written_at, file.rows)
        write_durably(layout.segment_dir(dataset, entry.period) / f"{name}.parquet", _WRITER, write)
    finally:
        file.close()
