"""A copy of the store to a remote, as far as the remote lacks it.

A listing of the store flows in; objects flow out, then the manifests that name them, then removals of what the
manifests don't name any more. What was copied is remembered by the marks of the listing, so that a sync of nothing new
costs that listing; what isn't remembered (another process, a crash) is found out from the manifests, by hash.

Steps, for tests: ``uploaded`` after each object, ``manifest`` before and ``named`` after each manifest, ``removed``
after the removals that follow, ``remembered``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path

import msgspec

from dccd.errors import CorruptFile, RemoteMissing, RemoteTaken, Stopped, StoreLocked
from dccd.store.claims import noted_datasets, read_notes
from dccd.store.coverage import Notes
from dccd.store.files import Step, locked, no_step, token, write_durably
from dccd.store.layout import Layout
from dccd.store.remote.base import ATTEMPTS, Remote, Wait, chunks, patiently, waiting
from dccd.store.remote.local import (
    Hashes,
    LocalFile,
    marks,
    notes_mark,
    period_mark,
    remotes_folder,
    snapshot,
    store_id,
    stored_bytes,
)
from dccd.store.remote.manifest import (
    Entry,
    Manifest,
    Owner,
    decoded,
    manifest_key,
    notes_key,
    outlived,
    owner_key,
    year_of,
)
from dccd.symbols import Dataset

__all__ = ["Progress", "SyncResult", "forget", "last_synced", "load_manifest", "next_manifest", "own", "sync", "using"]

_BATCH_BYTES = 256 * 2**20
_BATCH_FILES = 128
_WORKERS = 4
_TURNS, _TURN_SECONDS = 600, 1.0


class Progress(msgspec.Struct, frozen=True):
    """How far work on a remote is: files that are done, and bytes of so many."""

    files: int = 0
    bytes: int = 0
    all_bytes: int = 0


class SyncResult(msgspec.Struct, frozen=True):
    """What a sync did: files and bytes uploaded, objects removed, and what it couldn't copy and why."""

    files: int = 0
    bytes: int = 0
    removed: int = 0
    problems: tuple[str, ...] = ()


class _Seen(msgspec.Struct):
    """What was copied when it was last looked at: marks by dataset and period, and those of notes."""

    host: str = ""
    url: str = ""
    periods: dict[str, dict[str, str]] = {}
    notes: dict[str, str] = {}
    at: int | None = None


def sync(
    layout: Layout,
    remote: Remote,
    host: str,
    *,
    datasets: Collection[Dataset] | None = None,
    adopt: bool = False,
    tell: Callable[[Progress], None] = lambda progress: None,
    wait: Wait | None = None,
    step: Step = no_step,
) -> SyncResult:
    """Bring the remote up to date with *datasets* (all by default); return what that took.

    *host* is the folder on the remote. *adopt*: take the folder over from another store (whose files stay, as far as
    ours don't stand for them). Raises RemoteTaken where it is another's, RemoteAway when it stays away, RemoteError,
    StoreLocked when another run is at it for long, Stopped. Whenever it ends, what is there is whole.
    """
    wait = wait or waiting()
    with using(layout, remote, wait):
        if own(layout, remote, host, adopt, wait):
            forget(layout, remote)  # whatever was there before is to be looked at
        return _Sync(layout, remote, host, tell, wait, step).run(datasets)


@contextmanager
def using(layout: Layout, remote: Remote, wait: Wait) -> Iterator[None]:
    """Keep others from changing *remote* from this ``data_path``; wait for who is at it, for some minutes.

    A run that somebody asks for mustn't fail because the one at an interval has just begun. Raises StoreLocked when
    that goes on, Stopped.
    """
    path = remotes_folder(layout) / f"{remote.name}.lock"
    with ExitStack() as stack:
        for turn in range(_TURNS + 1):
            try:
                stack.enter_context(locked(path))
                break
            except StoreLocked as exc:
                if turn == _TURNS:
                    raise StoreLocked(path, f"another run works on remote {remote.name}; try again later") from exc
                wait(_TURN_SECONDS)
        yield


def load_manifest(
    remote: Remote, host: str, dataset: Dataset, year: str, wait: Wait, attempts: int = ATTEMPTS
) -> Manifest:
    """The manifest of a year; an empty one where there is none. Raises RemoteAway, RemoteDamaged."""
    key = manifest_key(host, dataset, year)
    try:
        text = patiently(lambda: b"".join(remote.read(key)), wait, attempts)
    except RemoteMissing:
        return Manifest(dataset.name, 0)
    return decoded(remote.name, key, text)


def last_synced(layout: Layout, remote: Remote) -> int | None:
    """When all that there was had last been copied (ns); None where that isn't known."""
    return _read_seen(layout, remote).at


def _read_seen(layout: Layout, remote: Remote) -> _Seen:
    try:
        return msgspec.msgpack.decode(seen_path(layout, remote).read_bytes(), type=_Seen)
    except (OSError, msgspec.MsgspecError):
        return _Seen()


def forget(layout: Layout, remote: Remote) -> None:
    """Have the next sync compare all with the manifests."""
    seen_path(layout, remote).unlink(missing_ok=True)


def seen_path(layout: Layout, remote: Remote) -> Path:
    """Where the marks of what was copied are; without it all is compared with the manifests once more."""
    return remotes_folder(layout) / f"{remote.name}.msgpack"


def own(layout: Layout, remote: Remote, host: str, adopt: bool, wait: Wait) -> bool:
    """See to it that what lies under *host* is this store's; return whether it wasn't before. Raises RemoteTaken."""
    key = owner_key(host)
    try:
        owner = msgspec.json.decode(patiently(lambda: b"".join(remote.read(key)), wait), type=Owner)
    except (RemoteMissing, msgspec.MsgspecError):
        owner = None
    ours = store_id(layout, token())
    assert ours is not None
    if owner is not None and owner.store == ours:
        return False
    if owner is not None and not adopt:
        raise RemoteTaken(
            remote.name,
            f"{remote.url} has the files of another store under {host}/: give this one another settings.host or "
            f"another URL; or, when it is to go on with them, `dccd remote sync {remote.name} --adopt`",
        )
    said = msgspec.json.encode(Owner(ours, host))
    patiently(lambda: remote.put(key, [said], len(said)), wait)
    return True


class _Sync:
    """One sync under way."""

    def __init__(
        self, layout: Layout, remote: Remote, host: str, tell: Callable[[Progress], None], wait: Wait, step: Step
    ) -> None:
        self.layout, self.remote, self.host = layout, remote, host
        self._tell, self._step = tell, step
        self._patience = wait
        self._halt = threading.Event()  # of the other workers, when one has failed
        self._hashes = Hashes(layout)
        self._lock = threading.Lock()
        self._seen = self._load()
        self._progress = Progress()
        self._result = SyncResult()

    def run(self, datasets: Collection[Dataset] | None) -> SyncResult:
        self._patience(0)
        wanted = sorted(set(self.layout.datasets()) | set(noted_datasets(self.layout)))
        changed = {d: self._changed(d) for d in wanted if datasets is None or d in datasets}
        self._plan(changed)
        jobs = [
            (dataset, year, list(periods))
            for dataset, found in changed.items()
            for year, periods in groupby(sorted(found), key=year_of)
        ]
        try:
            with ThreadPoolExecutor(_WORKERS, thread_name_prefix="sync") as pool:
                futures = [pool.submit(self._guarded, dataset, year, periods) for dataset, year, periods in jobs]
                futures += [pool.submit(self._guarded, dataset, "", []) for dataset in changed]
                try:
                    for future in futures:
                        future.result()
                except BaseException:
                    self._halt.set()
                    pool.shutdown(cancel_futures=True)
                    raise
            if datasets is None and not self._result.problems:
                self._seen.at = time.time_ns()
        finally:
            self._remember()
        return self._result

    # ------------------------------------------------------------ what there is to do

    def _changed(self, dataset: Dataset) -> dict[str, str]:
        """The marks of the periods that aren't known to be there as they are."""
        seen = self._seen.periods.get(dataset.name, {})
        return {period: mark for period, mark in marks(self.layout, dataset).items() if seen.get(period) != mark}

    def _plan(self, changed: dict[Dataset, dict[str, str]]) -> None:
        sizes = {d: stored_bytes(self.layout, d) for d, periods in changed.items() if periods}
        found = [sizes[d].get(period, 0) for d, periods in changed.items() for period in periods]
        self._more(all_bytes=sum(found))

    # ------------------------------------------------------------ the work

    def _wait(self, seconds: float) -> None:
        if self._halt.is_set():
            raise Stopped("another part of the sync has failed")
        self._patience(seconds)

    def _guarded(self, dataset: Dataset, year: str, periods: list[str]) -> None:
        try:
            if year:
                self._year(dataset, year, periods)
            else:
                self._notes(dataset)
        except CorruptFile as exc:
            # The rest can be copied all the same; this is told, and looked at anew by the next sync.
            with self._lock:
                self._result = msgspec.structs.replace(self._result, problems=(*self._result.problems, str(exc)))
        except BaseException:
            self._halt.set()
            raise

    def _year(self, dataset: Dataset, year: str, periods: list[str]) -> None:
        manifest = load_manifest(self.remote, self.host, dataset, year, self._wait)
        waiting_periods = list(periods)
        while waiting_periods:
            with ExitStack() as stack:
                batch: dict[str, tuple[str, list[LocalFile]]] = {}
                held_bytes = held_files = 0
                while waiting_periods and held_bytes < _BATCH_BYTES and held_files < _BATCH_FILES:
                    period = waiting_periods.pop(0)
                    # The mark from before the snapshot: what comes in between is looked at by the next sync.
                    mark = period_mark(self.layout, dataset, period)
                    files = stack.enter_context(
                        snapshot(self.layout, self.host, dataset, period, self._hashes, self._wait)
                    )
                    batch[period] = (mark, files)
                    held_bytes += sum(file.entry.size for file in files)
                    held_files += len(files)
                manifest = self._batch(dataset, year, manifest, batch)

    def _batch(
        self, dataset: Dataset, year: str, manifest: Manifest, batch: dict[str, tuple[str, list[LocalFile]]]
    ) -> Manifest:
        """Upload the files of some periods, then name them in the manifest."""
        there = {entry.key: entry for entry in manifest.files}
        for _, files in batch.values():
            for local in files:
                known = there.get(local.entry.key)
                if known is not None and (known.size, known.sha256) == (local.entry.size, local.entry.sha256):
                    self._more(bytes=local.entry.size)
                else:
                    self._upload(local)
                self._more(files=1)
        entries = {period: [local.entry for local in files] for period, (_, files) in batch.items()}
        fresh, gone = next_manifest(manifest, entries, read_notes(self.layout, dataset), time.time_ns())
        if fresh.files != manifest.files:
            self._step("manifest")
            self._put(manifest_key(self.host, dataset, year), msgspec.json.encode(fresh))
            self._step("named")
        if gone:
            patiently(lambda: self.remote.delete([entry.key for entry in gone]), self._wait)
            self._step("removed")
            self._more(removed=len(gone))
        with self._lock:
            seen = self._seen.periods.setdefault(dataset.name, {})
            seen.update((period, mark) for period, (mark, _) in batch.items())
        return fresh

    def _upload(self, local: LocalFile) -> None:
        entry = local.entry
        sent = 0

        def tell(size: int) -> None:
            nonlocal sent
            sent += size
            self._more(bytes=size)

        def once() -> None:
            nonlocal sent
            self._more(bytes=-sent)  # of an attempt that failed
            sent = 0
            self.remote.put(entry.key, chunks(local.file, entry.size, tell, self._wait), entry.size)

        patiently(once, self._wait)
        with self._lock:
            done = self._result
            self._result = msgspec.structs.replace(done, files=done.files + 1, bytes=done.bytes + entry.size)
        self._step("uploaded")

    def _notes(self, dataset: Dataset) -> None:
        mark = notes_mark(self.layout, dataset)
        if not mark or self._seen.notes.get(dataset.name) == mark:
            return
        self._put(notes_key(self.host, dataset), msgspec.json.encode(read_notes(self.layout, dataset)))
        with self._lock:
            self._seen.notes[dataset.name] = mark

    def _put(self, key: str, content: bytes) -> None:
        patiently(lambda: self.remote.put(key, [content], len(content)), self._wait)

    def _more(self, *, removed: int = 0, **fields: int) -> None:
        with self._lock:
            if removed:
                self._result = msgspec.structs.replace(self._result, removed=self._result.removed + removed)
            old = self._progress
            self._progress = msgspec.structs.replace(old, **{n: getattr(old, n) + v for n, v in fields.items()})
            self._tell(self._progress)

    # ------------------------------------------------------------ what is remembered

    def _load(self) -> _Seen:
        seen = _read_seen(self.layout, self.remote)
        if (seen.host, seen.url) != (self.host, self.remote.url):
            seen = _Seen(self.host, self.remote.url)
        return seen

    def _remember(self) -> None:
        text = msgspec.msgpack.encode(self._seen)
        write_durably(seen_path(self.layout, self.remote), "remotes", lambda file: _write(file, text))
        self._hashes.save()
        self._step("remembered")


def next_manifest(
    manifest: Manifest, now: dict[str, list[Entry]], notes: Notes, written_at: int
) -> tuple[Manifest, list[Entry]]:
    """Return the manifest with the files that some periods have *now* (by period), and the entries that it has no
    more. Pure."""
    gone: list[Entry] = []
    kept: list[Entry] = []
    for period, group in groupby(_ordered(manifest.files), key=lambda entry: entry.period):
        old = list(group)
        if period in now:
            old, dropped = outlived(old, now[period], notes)
            gone += dropped
        kept += old
    files = tuple(_ordered([*kept, *(entry for found in now.values() for entry in found)]))
    return msgspec.structs.replace(manifest, files=files, written_at=written_at), gone


def _ordered(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.period, entry.level is not None, entry.key))


def _write(file: object, content: bytes) -> None:
    file.write(content)  # type: ignore[attr-defined]  # BinaryIO
