"""Readers of a period that retention has purged: its files flow in from a remote, and are opened beside those here.

What is fetched is kept for the next reader, in a cache of bounded size. A remote that is away is an error: never fewer
rows in silence.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dccd.errors import RemoteAway, RemoteMissing
from dccd.store.claims import read_notes
from dccd.store.coverage import Claims, IntervalSet, Notes
from dccd.store.files import clean_temps, os_errors
from dccd.store.layout import Layout, is_period, period_bounds, period_of
from dccd.store.parquet import OpenFile
from dccd.store.remote.base import Remote, patiently, waiting
from dccd.store.remote.local import Hashes, notes_mark, purge_mark, remotes_folder, snapshot
from dccd.store.remote.manifest import Entry, Manifest, outlived, year_of
from dccd.store.remote.restore import fetch
from dccd.store.remote.sync import load_manifest
from dccd.symbols import Dataset

__all__ = ["Past", "purged_periods"]

_TRIES = 3
_ATTEMPTS = 2  # a reader waits


def purged_periods(layout: Layout, dataset: Dataset) -> list[str]:
    """The periods that notes tell to have been purged, a part of them at least, in order."""
    found = set()
    for start, end in read_notes(layout, dataset).purged:
        period = period_of(dataset.data_type, start)
        while is_period(dataset.data_type, period) and period_bounds(period)[0] < end:
            found.add(period)
            period = period_of(dataset.data_type, period_bounds(period)[1])
    return sorted(found)


class Past:
    """What the *remotes* hold of *host*'s purged periods. Thread-safe.

    *limit*: bytes that the cache may hold, but for a single file that is larger.
    """

    def __init__(self, layout: Layout, remotes: Sequence[Remote], host: str, limit: int) -> None:
        self.layout, self.remotes, self.host, self.limit = layout, list(remotes), host, limit
        self.cache = remotes_folder(layout) / "cache"
        self._lock = threading.Lock()
        self._manifests: dict[tuple[str, Dataset, str], tuple[tuple[str, str], Manifest]] = {}
        self._wait = waiting()
        self.fetched = 0
        """How many files were fetched so far."""

    def __repr__(self) -> str:
        return f"<Past of {self.layout.root}: {len(self.remotes)} remotes, {self.fetched} files fetched>"

    def change(self, remotes: Sequence[Remote], limit: int) -> None:
        """These are the remotes from now on; what was known of one that goes by the same name is asked anew."""
        with self._lock:
            stay = {remote.name for remote in remotes if remote in self.remotes}
            known = {key: found for key, found in self._manifests.items() if key[0] in stay}
            self.remotes, self.limit, self._manifests = list(remotes), limit, known

    def periods(self, dataset: Dataset) -> list[str]:
        """The periods of *dataset* that may be there."""
        return purged_periods(self.layout, dataset) if self.remotes else []

    def plain(self, dataset: Dataset, period: str) -> bool:
        """Whether the files of *period* on the remotes have no columns but those that we know. Raises RemoteAway."""
        away: RemoteAway | None = None
        for remote in self.remotes:
            try:
                entries = [e for e in self._manifest(remote, dataset, period).files if e.period == period]
            except RemoteAway as exc:
                away = exc
                continue
            if entries:
                return not any(entry.columns for entry in entries)
        if away is not None:
            raise _not_now(away, dataset, period) from away
        return True

    @contextmanager
    def open(self, dataset: Dataset, period: str, here: Sequence[OpenFile]) -> Iterator[list[OpenFile]]:
        """Open what was purged of *period* and isn't in the files that are *here*.

        Raises RemoteAway when it can't be told what that is or it can't be had, RemoteDamaged, StoreFull.
        """
        if not self._lacks(dataset, period, here):
            yield []
            return
        with ExitStack() as stack:
            found: list[OpenFile] = []
            for remote, entry in self._entries(dataset, period):
                with self._lock:  # so that nobody makes room with it before it is open
                    file = OpenFile(self._cached(remote, entry), entry.level)
                stack.callback(file.close)
                file.name = entry.name
                found.append(file)
            yield found

    def _lacks(self, dataset: Dataset, period: str, here: Sequence[OpenFile]) -> bool:
        if not self.remotes:
            return False
        purged = IntervalSet(read_notes(self.layout, dataset).purged).within(*period_bounds(period))
        claims: list[Claims] = [file.claims for file in here]
        return bool(purged.minus(IntervalSet().union(*(c.verified for c in claims), *(c.unverified for c in claims))))

    def _entries(self, dataset: Dataset, period: str) -> list[tuple[Remote, Entry]]:
        """The files of *period* that aren't here, from the first remote that has any."""
        away: RemoteAway | None = None
        for remote in self.remotes:
            for attempt in range(_TRIES):
                try:
                    entries = [e for e in self._manifest(remote, dataset, period).files if e.period == period]
                    if not entries:
                        break
                    with snapshot(self.layout, self.host, dataset, period, Hashes(self.layout), self._wait) as files:
                        lacking, _ = outlived(entries, [file.entry for file in files], Notes())
                    for entry in lacking:
                        with self._lock:
                            self._cached(remote, entry)
                    return [(remote, entry) for entry in lacking]
                except RemoteMissing:
                    # Another file stands for it since: the manifest is looked at anew.
                    self._manifests.pop((remote.name, dataset, year_of(period)), None)
                    if attempt == _TRIES - 1:
                        raise
                except RemoteAway as exc:
                    away = exc
                    break
        if away is not None:
            raise _not_now(away, dataset, period) from away
        return []

    def _manifest(self, remote: Remote, dataset: Dataset, period: str) -> Manifest:
        # What was purged since is in a newer one; what a sync has replaced meanwhile is missed, and looked for again.
        now = (purge_mark(self.layout), notes_mark(self.layout, dataset))
        key = (remote.name, dataset, year_of(period))
        at, known = self._manifests.get(key, (None, None))
        if known is None or at != now:
            known = load_manifest(remote, self.host, dataset, year_of(period), self._wait, _ATTEMPTS)
            self._manifests[key] = (now, known)
        return known

    def _cached(self, remote: Remote, entry: Entry) -> Path:
        path = self.cache / f"{entry.sha256}.parquet"
        try:
            os.utime(path)
        except FileNotFoundError:
            self._make_room(entry.size)
            patiently(lambda: fetch(remote, entry, path, self._wait), self._wait, _ATTEMPTS)
            self.fetched += 1
        return path

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago. Who reads it has it open, and goes on."""
        with os_errors(self.cache):
            try:
                clean_temps(self.cache, "remote", older_than=3600.0)
                held = [
                    (entry.stat().st_mtime_ns, entry.stat().st_size, entry.path)
                    for entry in os.scandir(self.cache)
                    if entry.name.endswith(".parquet")
                ]
            except FileNotFoundError:
                return
            total = sum(size for _, size, _ in held)
            for _, freed, path in sorted(held):
                if total + size <= self.limit:
                    break
                os.unlink(path)
                total -= freed


def _not_now(away: RemoteAway, dataset: Dataset, period: str) -> RemoteAway:
    return RemoteAway(away.remote, f"{dataset} {period} was purged here, and can't be had from there now: {away}")
